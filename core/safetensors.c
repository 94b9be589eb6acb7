/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "safetensors.h"

#include <math.h>
#include <string.h>
#include <glib/gi18n-lib.h>
#include <glib/gstdio.h>
#include <json-glib/json-glib.h>

#include "grainwise.h"

/* A model is megabytes; these bounds only stop nonsense before it is allocated. */
#define MAX_FILE (G_GINT64_CONSTANT (1) << 30)
#define MAX_HEADER (G_GINT64_CONSTANT (1) << 24)
#define MAX_DEPTH 4 /* { tensor: { "shape": [ ... */

typedef struct
{
  const char *name;
  GwTensor *tensor;
  gboolean half;
  gint64 begin, end; /* bytes, from the end of the header */
} Entry;

static void
tensor_free (gpointer data)
{
  GwTensor *tensor = data;

  g_free (tensor->values);
  g_free (tensor);
}

void
gw_safetensors_free (GwSafetensors *file)
{
  g_hash_table_unref (file->tensors);
  g_hash_table_unref (file->metadata);
  g_free (file);
}

/* The bits of a half, moved to where a float has them, are the same number but for the exponents'
 * different bias. */
static float
half_to_float (guint16 half)
{
  const guint32 bits = (guint32) (half & 0x7fff) << 13;
  float value;

  memcpy (&value, &bits, 4);
  value *= 0x1p112f;
  if (value >= 0x1p16f) /* exponent 31 */
    value = half & 1023 ? NAN : INFINITY;

  return half & 0x8000 ? -value : value;
}

/* The JSON parser recurses; a header of a million brackets must not reach it. */
static gboolean
check_depth (const char *header, gint64 length, GError **error)
{
  int depth = 0;
  gboolean in_string = FALSE;

  for (gint64 i = 0; i < length; i++)
    {
      const char c = header[i];

      if (in_string)
        {
          if (c == '\\')
            i++;
          else if (c == '"')
            in_string = FALSE;
        }
      else if (c == '"')
        in_string = TRUE;
      else if (c == '{' || c == '[')
        depth++;
      else if (c == '}' || c == ']')
        depth--;

      if (depth > MAX_DEPTH)
        {
          g_set_error (error, GW_ERROR, GW_ERROR_MODEL, _ ("the header is nested too deeply at byte %lld"),
                       (long long) i + 8);
          return FALSE;
        }
    }
  return TRUE;
}

static gboolean
read_metadata (GHashTable *metadata, JsonNode *node, GError **error)
{
  JsonObjectIter iter;
  const char *key;
  JsonNode *value;

  if (!JSON_NODE_HOLDS_OBJECT (node))
    {
      g_set_error (error, GW_ERROR, GW_ERROR_MODEL, _ ("“%s” is not an object"), "__metadata__");
      return FALSE;
    }
  json_object_iter_init (&iter, json_node_get_object (node));
  while (json_object_iter_next (&iter, &key, &value))
    {
      if (!JSON_NODE_HOLDS_VALUE (value) || json_node_get_value_type (value) != G_TYPE_STRING)
        {
          g_set_error (error, GW_ERROR, GW_ERROR_MODEL, _ ("the metadata “%s” is not a string"), key);
          return FALSE;
        }
      g_hash_table_insert (metadata, g_strdup (key), g_strdup (json_node_get_string (value)));
    }
  return TRUE;
}

/* A list of whole numbers from 0 to @max, at most @room of them; returns how many, or -1. */
static int
read_numbers (JsonObject *object, const char *member, gint64 *numbers, int room, gint64 max)
{
  JsonNode *node = json_object_get_member (object, member);
  JsonArray *array;
  int length;

  if (!node || !JSON_NODE_HOLDS_ARRAY (node))
    return -1;
  array = json_node_get_array (node);
  length = json_array_get_length (array);
  if (length > room)
    return -1;
  for (int i = 0; i < length; i++)
    {
      JsonNode *element = json_array_get_element (array, i);

      if (!JSON_NODE_HOLDS_VALUE (element) || json_node_get_value_type (element) != G_TYPE_INT64)
        return -1;
      numbers[i] = json_node_get_int (element);
      if (numbers[i] < 0 || numbers[i] > max)
        return -1;
    }
  return length;
}

static gboolean
read_entry (Entry *entry, JsonNode *node, gint64 data_size, GError **error)
{
  const char *name = entry->name;
  GwTensor *tensor = entry->tensor;
  JsonObject *object;
  JsonNode *dtype;
  const char *type;
  gint64 offsets[2];

  if (!JSON_NODE_HOLDS_OBJECT (node))
    {
      g_set_error (error, GW_ERROR, GW_ERROR_MODEL, _ ("the tensor “%s” is not described by an object"),
                   name);
      return FALSE;
    }
  object = json_node_get_object (node);
  dtype = json_object_get_member (object, "dtype");
  type = dtype && JSON_NODE_HOLDS_VALUE (dtype) && json_node_get_value_type (dtype) == G_TYPE_STRING
             ? json_node_get_string (dtype)
             : "?";
  entry->half = strcmp (type, "F16") == 0;
  if (!entry->half && strcmp (type, "F32") != 0)
    {
      g_set_error (error, GW_ERROR, GW_ERROR_MODEL,
                   _ ("the tensor “%s” has the type %.20s; F32 and F16 are known"), name, type);
      return FALSE;
    }

  tensor->n_dims = read_numbers (object, "shape", tensor->shape, G_N_ELEMENTS (tensor->shape), MAX_FILE);
  if (tensor->n_dims < 0)
    {
      g_set_error (error, GW_ERROR, GW_ERROR_MODEL, _ ("the tensor “%s” has a broken shape"), name);
      return FALSE;
    }
  if (read_numbers (object, "data_offsets", offsets, 2, MAX_FILE) != 2 || offsets[0] > offsets[1])
    {
      g_set_error (error, GW_ERROR, GW_ERROR_MODEL, _ ("the tensor “%s” has broken data offsets"), name);
      return FALSE;
    }
  entry->begin = offsets[0];
  entry->end = offsets[1];
  if (entry->end > data_size)
    {
      g_set_error (
          error, GW_ERROR, GW_ERROR_MODEL,
          _ ("the tensor “%s” ends at byte %lld of the data, which has only %lld: the file is truncated"),
          name, (long long) entry->end, (long long) data_size);
      return FALSE;
    }

  tensor->n_values = 1;
  for (int i = 0; i < tensor->n_dims; i++)
    tensor->n_values
        = MIN (tensor->n_values * tensor->shape[i], MAX_FILE); /* shape[i] <= 2^30: no overflow */
  if (tensor->n_values * (entry->half ? 2 : 4) != entry->end - entry->begin)
    {
      g_set_error (error, GW_ERROR, GW_ERROR_MODEL,
                   _ ("the tensor “%s” has %lld bytes, which does not match its shape"), name,
                   (long long) (entry->end - entry->begin));
      return FALSE;
    }
  return TRUE;
}

static gboolean
read_values (const Entry *entry, const guchar *data, GError **error)
{
  GwTensor *tensor = entry->tensor;

  tensor->values = g_new (float, tensor->n_values);
  for (gint64 i = 0; i < tensor->n_values; i++)
    {
      if (entry->half)
        {
          guint16 bits;

          memcpy (&bits, data + entry->begin + 2 * i, 2);
          tensor->values[i] = half_to_float (GUINT16_FROM_LE (bits));
        }
      else
        {
          guint32 bits;

          memcpy (&bits, data + entry->begin + 4 * i, 4);
          bits = GUINT32_FROM_LE (bits);
          memcpy (&tensor->values[i], &bits, 4);
        }
      if (!isfinite (tensor->values[i]))
        {
          g_set_error (error, GW_ERROR, GW_ERROR_MODEL,
                       _ ("the tensor “%s” holds a value that is not finite, number %lld"), entry->name,
                       (long long) i);
          return FALSE;
        }
    }
  return TRUE;
}

static int
compare_begin (gconstpointer a, gconstpointer b)
{
  const Entry *p = a, *q = b;

  return p->begin != q->begin ? (p->begin > q->begin) - (p->begin < q->begin)
                              : (p->end > q->end) - (p->end < q->end);
}

/* The format forbids holes as well as overlaps, so that a file cannot carry anything else. */
static gboolean
check_layout (GArray *entries, gint64 data_size, GError **error)
{
  gint64 end = 0;

  g_array_sort (entries, compare_begin);
  for (guint i = 0; i < entries->len; i++)
    {
      const Entry *entry = &g_array_index (entries, Entry, i);

      if (entry->begin != end)
        {
          g_set_error (error, GW_ERROR, GW_ERROR_MODEL,
                       entry->begin < end
                           ? _ ("the tensor “%s” overlaps another one at byte %lld of the data")
                           : _ ("there is a hole before the tensor “%s”, at byte %lld of the data"),
                       entry->name, (long long) MIN (entry->begin, end));
          return FALSE;
        }
      end = entry->end;
    }
  if (end != data_size)
    {
      g_set_error (error, GW_ERROR, GW_ERROR_MODEL,
                   _ ("the file goes on after its last tensor, at byte %lld of the data"), (long long) end);
      return FALSE;
    }
  return TRUE;
}

static gboolean
read_header (GwSafetensors *file, JsonParser *parser, const guchar *data, gint64 data_size, GError **error)
{
  g_autoptr (GArray) entries = g_array_new (FALSE, FALSE, sizeof (Entry));
  JsonNode *root = json_parser_get_root (parser);
  JsonObjectIter iter;
  const char *name;
  JsonNode *node;

  if (!root || !JSON_NODE_HOLDS_OBJECT (root))
    {
      g_set_error (error, GW_ERROR, GW_ERROR_MODEL, _ ("the header is not an object"));
      return FALSE;
    }
  json_object_iter_init (&iter, json_node_get_object (root));
  while (json_object_iter_next (&iter, &name, &node))
    {
      Entry entry = { .name = name };

      if (strcmp (name, "__metadata__") == 0)
        {
          if (!read_metadata (file->metadata, node, error))
            return FALSE;
          continue;
        }
      entry.tensor = g_new0 (GwTensor, 1);
      g_hash_table_insert (file->tensors, g_strdup (name), entry.tensor);
      if (!read_entry (&entry, node, data_size, error))
        return FALSE;
      g_array_append_val (entries, entry);
    }

  if (!check_layout (entries, data_size, error))
    return FALSE;
  for (guint i = 0; i < entries->len; i++)
    if (!read_values (&g_array_index (entries, Entry, i), data, error))
      return FALSE;

  return TRUE;
}

static gboolean
parse (GwSafetensors *file, const char *contents, gint64 size, GError **error)
{
  g_autoptr (JsonParser) parser = json_parser_new_immutable ();
  g_autoptr (GError) json_error = NULL;
  guint64 length;
  const char *header = contents + 8;

  if (size < 8)
    {
      g_set_error (error, GW_ERROR, GW_ERROR_MODEL, _ ("the file ends at byte %lld, before its header"),
                   (long long) size);
      return FALSE;
    }
  memcpy (&length, contents, 8);
  length = GUINT64_FROM_LE (length);
  if (length > (guint64) MIN (size - 8, MAX_HEADER))
    {
      g_set_error (error, GW_ERROR, GW_ERROR_MODEL,
                   _ ("the header is said to have %llu bytes, and the file has %lld"),
                   (unsigned long long) length, (long long) size);
      return FALSE;
    }
  if (!g_utf8_validate_len (header, length, NULL))
    {
      g_set_error (error, GW_ERROR, GW_ERROR_MODEL, _ ("the header is not text"));
      return FALSE;
    }
  if (!check_depth (header, length, error))
    return FALSE;
  if (!json_parser_load_from_data (parser, header, length, &json_error))
    {
      g_set_error (error, GW_ERROR, GW_ERROR_MODEL, _ ("the header is broken: %s"), json_error->message);
      return FALSE;
    }
  return read_header (file, parser, (const guchar *) header + length, size - 8 - (gint64) length, error);
}

GwSafetensors *
gw_safetensors_load (const char *path, GError **error)
{
  g_autoptr (GwSafetensors) file = g_new0 (GwSafetensors, 1);
  g_autofree char *contents = NULL;
  g_autofree char *shown = g_filename_display_name (path);
  gsize size;
  GStatBuf status;

  file->tensors = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, tensor_free);
  file->metadata = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, g_free);

  /* A device or a pipe would never end. */
  if (g_stat (path, &status) == 0 && (!S_ISREG (status.st_mode) || status.st_size > MAX_FILE))
    {
      g_set_error (error, GW_ERROR, GW_ERROR_MODEL, _ ("“%s” is no model: it is not a file of at most 1 GiB"),
                   shown);
      return NULL;
    }
  if (!g_file_get_contents (path, &contents, &size, error))
    return NULL;
  if (!parse (file, contents, size, error))
    {
      g_prefix_error (error, _ ("The model “%s” cannot be read: "), shown);
      return NULL;
    }
  return g_steal_pointer (&file);
}

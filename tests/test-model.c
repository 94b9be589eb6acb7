/* Model files: the good ones load, and every kind of broken one is refused with an error that says where.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#include <math.h>
#include <string.h>
#include <unistd.h>
#include <glib/gstdio.h>

#include "memory.h"

/* The tiny model's file, taken apart. */
typedef struct
{
  char *header; /* JSON */
  guchar *data;
  gsize data_length;
} File;

static void
file_clear (File *file)
{
  g_free (file->header);
  g_free (file->data);
}

G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (File, file_clear)

static File
tiny_file (void)
{
  g_autofree char *path = test_data_path ("tiny.safetensors");
  g_autofree char *contents = NULL;
  gsize size;
  guint64 length;

  g_assert_true (g_file_get_contents (path, &contents, &size, NULL));
  memcpy (&length, contents, 8);
  length = GUINT64_FROM_LE (length);

  return (File) { g_strndup (contents + 8, length), g_memdup2 (contents + 8 + length, size - 8 - length),
                  size - 8 - length };
}

static GByteArray *
assemble (const File *file)
{
  GByteArray *bytes = g_byte_array_new ();
  const guint64 length = GUINT64_TO_LE ((guint64) strlen (file->header));

  g_byte_array_append (bytes, (const guint8 *) &length, 8);
  g_byte_array_append (bytes, (const guint8 *) file->header, strlen (file->header));
  g_byte_array_append (bytes, file->data, file->data_length);

  return bytes;
}

/* Loads @bytes from a file; they must be refused with a message that holds @hint. */
static void
expect_refusal (const guint8 *bytes, gsize length, const char *hint)
{
  g_autoptr (GError) error = NULL;
  g_autofree char *path = NULL;
  const int fd = g_file_open_tmp ("grainwise-XXXXXX.safetensors", &path, NULL);

  g_assert_cmpint (fd, >=, 0);
  close (fd);
  g_assert_true (g_file_set_contents (path, (const char *) bytes, length, NULL));

  g_assert_null (gw_model_load (path, &error));
  g_unlink (path);
  g_assert_error (error, GW_ERROR, GW_ERROR_MODEL);
  g_test_message ("%s", error->message);
  g_assert_nonnull (strstr (error->message, path));
  g_assert_nonnull (strstr (error->message, hint));
}

static void
expect_file_refusal (const File *file, const char *hint)
{
  g_autoptr (GByteArray) bytes = assemble (file);

  expect_refusal (bytes->data, bytes->len, hint);
}

/* The tiny model with @from replaced by @to in its header. */
static void
expect_header_refusal (const char *from, const char *to, const char *hint)
{
  g_auto (File) file = tiny_file ();
  g_auto (GStrv) parts = g_strsplit (file.header, from, 2);

  g_assert_cmpint (g_strv_length (parts), ==, 2);
  g_free (file.header);
  file.header = g_strconcat (parts[0], to, parts[1], NULL);
  expect_file_refusal (&file, hint);
}

/* ------------------------------------------------------------------------------------------------------------ */

static void
test_card (void)
{
  g_autoptr (GError) error = NULL;
  g_autofree char *path = weights_path ("best.safetensors");
  g_autoptr (GwModel) model = gw_model_load (path, &error);
  const GwModelCard *card;

  g_assert_no_error (error);
  card = gw_model_get_card (model);
  g_assert_cmpstr (card->architecture, ==, "ScoreNet");
  g_assert_cmpint (card->parameters, >, 100000);
  g_assert_cmpfloat (card->multiply_adds_per_pixel, >, 10000);
  g_assert_cmpfloat (card->multiply_adds_per_pixel, <, 1000000);
  g_assert_cmpint (card->radius, >, card->alignment);
}

static void
test_structure (void)
{
  g_auto (File) file = tiny_file ();
  g_autoptr (GByteArray) bytes = assemble (&file);
  const guint64 header = strlen (file.header);
  guint64 length;

  for (gsize cut = 0; cut < 8; cut++)
    expect_refusal (bytes->data, cut, "before its header");
  expect_refusal (bytes->data, 8 + header / 2, "header");
  expect_refusal (bytes->data, 8 + header, "truncated");
  expect_refusal (bytes->data, bytes->len - 1, "truncated");

  g_byte_array_append (bytes, (const guint8 *) "more", 4);
  expect_refusal (bytes->data, bytes->len, "goes on");

  const guint64 lengths[] = { 0, G_MAXUINT64, G_MAXINT64, bytes->len };

  for (guint i = 0; i < G_N_ELEMENTS (lengths); i++)
    {
      length = GUINT64_TO_LE (lengths[i]);
      memcpy (bytes->data, &length, 8);
      expect_refusal (bytes->data, bytes->len, "header");
    }
}

static void
test_header (void)
{
  static const char *headers[] = { "",
                                   "[]",
                                   "17",
                                   "null",
                                   "{",
                                   "{}",
                                   "{\"a\":1}",
                                   "{\"a\":{}}",
                                   "{\"__metadata__\":[]}",
                                   "{\"__metadata__\":{\"name\":1}}",
                                   "\xff\xfe",
                                   "{\"a\":{\"dtype\":\"F32\"}}" };

  for (guint i = 0; i < G_N_ELEMENTS (headers); i++)
    {
      g_auto (File) file = { g_strdup (headers[i]), NULL, 0 };

      expect_file_refusal (&file, "");
    }

  /* a million open brackets must not exhaust the stack */
  g_auto (File) deep = { g_strnfill (1000000, '['), NULL, 0 };
  expect_file_refusal (&deep, "nested");
  memset (deep.header, '{', 1000000);
  expect_file_refusal (&deep, "nested");
}

static void
test_tensors (void)
{
  expect_header_refusal ("\"F16\"", "\"BF16\"", "BF16");
  expect_header_refusal ("\"F16\"", "\"F64\"", "F64");
  expect_header_refusal ("\"F16\"", "\"F32\"", "does not match its shape");
  expect_header_refusal ("\"F16\"", "16", "type");
  expect_header_refusal ("\"d.0.0.a.weight\"", "\"d.0.0.x.weight\"", "d.0.0.a.weight");
  expect_header_refusal ("\"head.weight\"", "\"header.weight\"", "head.weight");
  expect_header_refusal ("[8,8,3,3]", "[4,16,3,3]", "8 x 8 x 3 x 3");
  expect_header_refusal ("[8,8,3,3]", "[576]", "8 x 8 x 3 x 3");
  expect_header_refusal ("[8,8,3,3]", "[8,8,3,-3]", "shape");
  expect_header_refusal ("[8,8,3,3]", "[1073741824,1073741824,1073741824,1073741824]",
                         "does not match its shape");
  expect_header_refusal ("[8,8,3,3]", "[8,8,3,3,1]", "shape");
  expect_header_refusal ("[8,8,3,3]", "[8,8,3,9223372036854775808]", "");
  expect_header_refusal ("[8,8,3,3]", "\"all\"", "shape");
  expect_header_refusal ("\"data_offsets\":[0,", "\"data_offsets\":[2,", "");
  expect_header_refusal ("\"data_offsets\":[0,", "\"data_offsets\":[-2,", "data offsets");
  expect_header_refusal ("\"data_offsets\":[0,", "\"offsets\":[0,", "data offsets");
}

/* Two tensors of one size, one laid over the other: the second one's bytes are then a hole. */
static void
test_overlap (void)
{
  g_auto (File) file = tiny_file ();
  g_autoptr (GRegex) own
      = g_regex_new ("(\"d\\.0\\.0\\.b\\.weight\":\\{[^}]*\"data_offsets\":)\\[[0-9]+,[0-9]+\\]", 0, 0, NULL);
  g_autoptr (GRegex) other
      = g_regex_new ("\"d\\.0\\.0\\.a\\.weight\":\\{[^}]*\"data_offsets\":(\\[[0-9]+,[0-9]+\\])", 0, 0, NULL);
  g_autoptr (GMatchInfo) match = NULL;
  g_autofree char *offsets = NULL;
  g_autofree char *replacement = NULL;
  char *changed;

  g_assert_true (g_regex_match (other, file.header, 0, &match));
  offsets = g_match_info_fetch (match, 1);
  replacement = g_strconcat ("\\1", offsets, NULL);
  changed = g_regex_replace (own, file.header, -1, 0, replacement, 0, NULL);
  g_assert_cmpstr (changed, !=, file.header);
  g_free (file.header);
  file.header = changed;
  expect_file_refusal (&file, "overlaps");
}

static void
test_values (void)
{
  static const guint16 halves[] = { 0x7c00, 0xfc00, 0x7e00 }; /* infinite, minus infinite, no number */

  for (guint i = 0; i < G_N_ELEMENTS (halves); i++)
    {
      g_auto (File) file = tiny_file ();
      const guint16 half = GUINT16_TO_LE (halves[i]);

      memcpy (file.data + 200, &half, 2);
      expect_file_refusal (&file, "number 100");
    }
}

static void
test_metadata (void)
{
  expect_header_refusal ("\"ScoreNet\"", "\"Transformer\"", "Transformer");
  expect_header_refusal ("\"architecture\"", "\"architect\"", "architecture");
  expect_header_refusal ("\"8,12,16\"", "\"\"", "widths");
  expect_header_refusal ("\"8,12,16\"", "\"8,12,0\"", "widths");
  expect_header_refusal ("\"8,12,16\"", "\"8,12,1e9\"", "widths");
  expect_header_refusal ("\"8,12,16\"", "\"8,12,99999999999999999999\"", "widths");
  expect_header_refusal ("\"8,12,16\"", "\"8,8,8,8,8,8,8,8,8,8\"", "widths");
  expect_header_refusal ("\"8,12,16\"", "\"8,12\"", "");
  expect_header_refusal ("\"8,12,16\"", "\"8,12,16,16\"", "");
  expect_header_refusal ("\"2,1,3\"", "\"2,1,1000000\"", "blocks");
  expect_header_refusal ("\"2,1,3\"", "\"2,1\"", "blocks");
  expect_header_refusal ("\"2,1,3\"", "\"1\"", "blocks");
  expect_header_refusal ("\"2,1,3\"", "\"2,1,3,3\"", "blocks");
  expect_header_refusal ("\"2,1,3\"", "\"1,1,3\"", "");
  expect_header_refusal ("\"2,1,3\"", "\"2,1,2\"", "");
  expect_header_refusal ("\"shuffle\":\"2\"", "\"shuffle\":\"-2\"", "shuffle");
  expect_header_refusal ("\"noise_planes\":\"9\"", "\"noise_planes\":\"4\"", "noise_planes");
  expect_header_refusal ("\"licence\"", "\"license\"", "licence");
}

/* Heads may be missing, but not a part of one. */
static void
test_heads (void)
{
  expect_header_refusal ("\"w1.weight\"", "\"w4.weight\"", "“w");
  expect_header_refusal ("\"w2.bias\"", "\"w4.bias\"", "w2.bias");
  expect_header_refusal ("\"w3.weight\"", "\"w4.weight\"", "w3.weight");
  expect_header_refusal ("\"l1.weight\"", "\"l3.weight\"", "“l");
  expect_header_refusal ("\"l2.bias\"", "\"l3.bias\"", "l2.bias");
}

static void
test_places (void)
{
  static const char *paths[] = { "/nonexistent/model.safetensors", "/dev/zero", "/", "" };

  for (guint i = 0; i < G_N_ELEMENTS (paths); i++)
    {
      g_autoptr (GError) error = NULL;

      g_assert_null (gw_model_load (paths[i], &error));
      g_assert_nonnull (error);
    }
}

/* Random damage: any outcome but a crash or a hang. */
static void
test_random_damage (void)
{
  g_autoptr (GRand) rand = g_rand_new_with_seed (1);
  g_auto (File) file = tiny_file ();
  g_autoptr (GByteArray) bytes = assemble (&file);
  g_autofree char *path = NULL;
  const int fd = g_file_open_tmp ("grainwise-XXXXXX.safetensors", &path, NULL);
  int refused = 0;

  close (fd);
  for (int round = 0; round < 2000; round++)
    {
      g_autofree guint8 *damaged = g_memdup2 (bytes->data, bytes->len);
      g_autoptr (GwModel) model = NULL;
      const gsize within = round % 2 ? 8 + strlen (file.header) : bytes->len;

      for (int k = g_rand_int_range (rand, 1, 6); k > 0; k--)
        damaged[g_rand_int_range (rand, 0, within)] = g_rand_int_range (rand, 0, 256);
      g_assert_true (g_file_set_contents (path, (const char *) damaged, bytes->len, NULL));
      model = gw_model_load (path, NULL);
      refused += !model;
    }
  g_unlink (path);
  g_test_message ("%d of 2000 damaged files refused", refused);
  g_assert_cmpint (refused, >, 500);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/model/card", test_card);
  g_test_add_func ("/model/structure", test_structure);
  g_test_add_func ("/model/header", test_header);
  g_test_add_func ("/model/tensors", test_tensors);
  g_test_add_func ("/model/overlap", test_overlap);
  g_test_add_func ("/model/values", test_values);
  g_test_add_func ("/model/metadata", test_metadata);
  g_test_add_func ("/model/heads", test_heads);
  g_test_add_func ("/model/places", test_places);
  g_test_add_func ("/model/random-damage", test_random_damage);

  return g_test_run ();
}

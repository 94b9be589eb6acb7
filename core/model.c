/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "model.h"

#include <glib/gi18n-lib.h>

/* Bounds that keep a hostile description from asking for more than any real model does. */
#define MAX_STAGES 6
#define MAX_WIDTH 1024
#define MAX_BLOCKS 32

/* Noise planes of a model that knows grain. */
#define ALL_PLANES (GW_PLANES + 2 * GW_OCTAVES)

/* Residual blocks: at every scale on the way down, at the last scale, at every scale on the way up. */
enum
{
  DOWN,
  LAST,
  UP,
  WAYS
};

typedef struct
{
  GwModel *model;
  GHashTable *unused; /* names of tensors that no layer has asked for */
  GError **error;
  gboolean failed;
} Builder;

/* ---- Tensors to layers ----------------------------------------------------------------------------------- */

static GwTensor *
take_tensor (Builder *builder, const char *name, int n_dims, const gint64 *shape)
{
  GwTensor *tensor = g_hash_table_lookup (builder->model->file->tensors, name);

  if (builder->failed)
    return NULL;
  builder->failed = TRUE;
  if (!tensor)
    {
      g_set_error (builder->error, GW_ERROR, GW_ERROR_MODEL, _ ("the tensor “%s” is missing"), name);
      return NULL;
    }
  for (int i = 0; i < n_dims; i++)
    if (tensor->n_dims != n_dims || tensor->shape[i] != shape[i])
      {
        g_autoptr (GString) wanted = g_string_new (NULL);

        for (int k = 0; k < n_dims; k++)
          g_string_append_printf (wanted, "%s%d", k > 0 ? " x " : "", (int) shape[k]);
        g_set_error (builder->error, GW_ERROR, GW_ERROR_MODEL, _ ("the tensor “%s” must have the shape %s"),
                     name, wanted->str);
        return NULL;
      }
  builder->failed = FALSE;
  g_hash_table_remove (builder->unused, name);
  builder->model->card.parameters += tensor->n_values;

  return tensor;
}

/* @layer: all but the weights and the bias.  Returns its number, or 0 when something has failed. */
static int add_layer (Builder *builder, GwLayer layer, gboolean has_bias, const char *name_format, ...)
    G_GNUC_PRINTF (4, 5);

static int
add_layer (Builder *builder, GwLayer layer, gboolean has_bias, const char *name_format, ...)
{
  const int size = gw_layer_side (&layer);
  const gboolean up = layer.kind == GW_LAYER_UP2;
  GwTensor *weight, *bias = NULL;
  g_autofree char *name = NULL, *weight_name = NULL;
  va_list arguments;
  int number;

  va_start (arguments, name_format);
  name = g_strdup_vprintf (name_format, arguments);
  va_end (arguments);

  weight_name = g_strconcat (name, ".weight", NULL);
  weight = take_tensor (builder, weight_name, 4,
                        (gint64[]) { up ? layer.in : layer.out, up ? layer.out : layer.in, size, size });
  if (has_bias)
    {
      g_autofree char *bias_name = g_strconcat (name, ".bias", NULL);

      bias = take_tensor (builder, bias_name, 1, (gint64[]) { layer.out });
    }
  if (builder->failed)
    return 0;

  number = gw_network_add (&builder->model->network, layer, weight->values, bias ? bias->values : NULL);
  g_clear_pointer (&weight->values, g_free); /* not needed twice */
  if (number < 0)
    {
      g_set_error (builder->error, GW_ERROR, GW_ERROR_MEMORY, _ ("there is not enough memory for it"));
      builder->failed = TRUE;
    }
  return MAX (number, 0);
}

/* ---- The architecture "ScoreNet" of weights/model.py ------------------------------------------------------- */

static int
add_conv3 (Builder *builder, int source, int in, int out, int scale, gboolean relu, gboolean has_bias,
           const char *name)
{
  return add_layer (builder,
                    (GwLayer) { .kind = GW_LAYER_CONV3,
                                .source = source,
                                .addend = -1,
                                .relu = relu,
                                .in = in,
                                .out = out,
                                .scale = scale },
                    has_bias, "%s", name);
}

/* x + b (relu (a (x))), a few times */
static int
add_stage (Builder *builder, int x, int width, int scale, int blocks, const char *name)
{
  for (int i = 0; i < blocks; i++)
    {
      GwLayer layer = { .kind = GW_LAYER_CONV3,
                        .source = x,
                        .addend = -1,
                        .relu = TRUE,
                        .in = width,
                        .out = width,
                        .scale = scale };

      layer.source = add_layer (builder, layer, FALSE, "%s.%d.a", name, i);
      layer.relu = FALSE;
      layer.addend = x;
      x = add_layer (builder, layer, FALSE, "%s.%d.b", name, i);
    }
  return x;
}

/* Two layers that read the features, with few channels between: what heads find is smoother than the mean.
 * @mixed: and one that mixes what those find at a place. */
static int
add_head (Builder *builder, int features, const int *widths, int out, char name, gboolean mixed)
{
  const int hidden = MIN (widths[0], 32);
  const char first[] = { name, '1', '\0' }, second[] = { name, '2', '\0' };
  const int inner = add_conv3 (builder, features, widths[0] + 1, hidden, 0, TRUE, TRUE, first);
  const int found = add_conv3 (builder, inner, hidden, out, 0, mixed, TRUE, second);

  if (!mixed)
    return found;

  return add_layer (
      builder, (GwLayer) { .kind = GW_LAYER_CONV1, .source = found, .addend = -1, .in = out, .out = out },
      TRUE, "%c3", name);
}

/* Returns the layer with the features that the heads read. */
static int
build_score_net (Builder *builder, const int *widths, int n_widths, const int blocks[WAYS])
{
  GwModel *model = builder->model;
  const int cells = model->shuffle * model->shuffle;
  const int deepest = n_widths - 1;
  int skips[MAX_STAGES];
  const int inputs = 2 * GW_PLANES * cells + model->grain;
  int x, input, scale, features;

  input = gw_network_add (&model->network,
                          (GwLayer) { .kind = GW_LAYER_INPUT, .source = 0, .addend = -1, .out = inputs },
                          NULL, NULL);
  /* here, so that the input's rows need not be kept for long */
  scale = gw_network_add (&model->network,
                          (GwLayer) { .kind = GW_LAYER_SCALE,
                                      .source = input,
                                      .addend = -1,
                                      .out = 1,
                                      .first_plane = GW_PLANES * cells,
                                      .n_planes = GW_PLANES * cells },
                          NULL, NULL);
  x = add_conv3 (builder, input, inputs, widths[0], 0, FALSE, FALSE, "head");

  for (int i = 0; i < deepest; i++)
    {
      g_autofree char *stage = g_strdup_printf ("d.%d", i);

      x = skips[i] = add_stage (builder, x, widths[i], i, blocks[DOWN], stage);
      x = add_layer (builder,
                     (GwLayer) { .kind = GW_LAYER_DOWN2,
                                 .source = x,
                                 .addend = -1,
                                 .in = widths[i],
                                 .out = widths[i + 1],
                                 .scale = i + 1 },
                     FALSE, "dn.%d", i);
    }
  x = add_stage (builder, x, widths[deepest], deepest, blocks[LAST], "mid");
  for (int i = deepest - 1; i >= 0; i--)
    {
      g_autofree char *stage = g_strdup_printf ("u.%d", i);

      x = add_layer (builder,
                     (GwLayer) { .kind = GW_LAYER_UP2,
                                 .source = x,
                                 .addend = skips[i],
                                 .in = widths[i + 1],
                                 .out = widths[i],
                                 .scale = i },
                     FALSE, "up.%d", i);
      x = add_stage (builder, x, widths[i], i, blocks[UP], stage);
    }

  model->mean = add_conv3 (builder, x, widths[0], GW_MEAN_PLANES * cells, 0, FALSE, FALSE, "tail");
  features = gw_network_add (
      &model->network,
      (GwLayer) {
          .kind = GW_LAYER_ASINH, .source = x, .addend = scale, .in = widths[0], .out = widths[0] + 1 },
      NULL, NULL);
  model->cholesky = add_head (builder, features, widths, GW_CHOLESKY * cells, 'h', FALSE);

  return features;
}

/* What some models have besides: another covariance for white noise, and a judgement of the noise level
 * that they are told. */
static void
build_other_heads (Builder *builder, const int *widths, int features)
{
  GwModel *model = builder->model;

  model->white = model->cholesky;
  if (!builder->failed && g_hash_table_contains (builder->unused, "w1.weight"))
    model->white
        = add_head (builder, features, widths, GW_CHOLESKY * model->shuffle * model->shuffle, 'w', TRUE);
  if (!builder->failed && g_hash_table_contains (builder->unused, "l1.weight"))
    model->judgement = add_head (builder, features, widths, GW_JUDGEMENT, 'l', FALSE);
}

/* ---- Metadata -------------------------------------------------------------------------------------------- */

static const char *
take_text (Builder *builder, const char *key)
{
  const char *text = g_hash_table_lookup (builder->model->file->metadata, key);

  if (!builder->failed && !text)
    {
      g_set_error (builder->error, GW_ERROR, GW_ERROR_MODEL, _ ("the metadata “%s” is missing"), key);
      builder->failed = TRUE;
    }
  return builder->failed ? NULL : text;
}

/* Whole numbers from 1 to @max, separated by commas, @least to @room of them; returns how many. */
static int
take_numbers (Builder *builder, const char *key, int *numbers, int least, int room, int max)
{
  const char *text = take_text (builder, key);
  g_auto (GStrv) parts = text ? g_strsplit (text, ",", room + 1) : NULL;
  const int n = parts ? g_strv_length (parts) : 0;

  for (int i = 0; i < MAX (n, 1) && text; i++)
    {
      gint64 number;

      if (n < least || n > room
          || !g_ascii_string_to_signed (g_strstrip (parts[i]), 10, 1, max, &number, NULL))
        {
          g_set_error (builder->error, GW_ERROR, GW_ERROR_MODEL,
                       _ ("the metadata “%s” cannot be used: “%.100s”"), key, text);
          builder->failed = TRUE;
          return 0;
        }
      numbers[i] = number;
    }
  return n;
}

static void
require_text (Builder *builder, const char *key, const char *wanted)
{
  const char *text = take_text (builder, key);

  if (text && !g_str_equal (text, wanted))
    {
      g_set_error (builder->error, GW_ERROR, GW_ERROR_MODEL,
                   _ ("the metadata “%s” is “%.100s”; this version of Grainwise knows “%s”"), key, text,
                   wanted);
      builder->failed = TRUE;
    }
}

static gboolean
build (Builder *builder)
{
  GwModel *model = builder->model;
  GwModelCard *card = &model->card;
  int widths[MAX_STAGES], n_widths, blocks[WAYS] = { 0 }, noise_planes = 0, features;

  require_text (builder, "architecture", "ScoreNet");
  require_text (builder, "encoding", "R'G'B' 0-1");
  take_numbers (builder, "noise_planes", &noise_planes, 1, 1, ALL_PLANES);
  n_widths = take_numbers (builder, "widths", widths, 1, MAX_STAGES, MAX_WIDTH);
  take_numbers (builder, "blocks", blocks, WAYS, WAYS, MAX_BLOCKS);
  take_numbers (builder, "shuffle", &model->shuffle, 1, 1, 4);

  card->name = take_text (builder, "name");
  card->version = take_text (builder, "version");
  card->architecture = take_text (builder, "architecture");
  card->noise_range_levels = take_text (builder, "noise_range_levels");
  card->encoding = take_text (builder, "encoding");
  card->training = take_text (builder, "training");
  card->licence = take_text (builder, "licence");
  if (!builder->failed && noise_planes != GW_PLANES && noise_planes != ALL_PLANES)
    {
      g_set_error (builder->error, GW_ERROR, GW_ERROR_MODEL,
                   _ ("the metadata “%s” is “%.100s”; this version of Grainwise knows “%s”"), "noise_planes",
                   take_text (builder, "noise_planes"), "3, 9");
      builder->failed = TRUE;
    }
  if (builder->failed)
    return FALSE;
  model->grain = noise_planes - GW_PLANES;

  features = build_score_net (builder, widths, n_widths, blocks);
  /* of the posterior; heads that follow are computed where they are asked for only */
  card->multiply_adds_per_pixel
      = gw_network_multiply_adds (&model->network) / (model->shuffle * model->shuffle);
  card->radius = (gw_network_radius (&model->network) + 1) * model->shuffle;
  card->reach = (gw_network_reach (&model->network) + 1) * model->shuffle;
  model->multiple = card->alignment = model->shuffle << (n_widths - 1);
  build_other_heads (builder, widths, features);
  if (builder->failed)
    return FALSE;

  if (g_hash_table_size (builder->unused) > 0)
    {
      GHashTableIter iter;
      gpointer name;

      g_hash_table_iter_init (&iter, builder->unused);
      g_hash_table_iter_next (&iter, &name, NULL);
      g_set_error (builder->error, GW_ERROR, GW_ERROR_MODEL,
                   _ ("the tensor “%s” has no place in this architecture"), (const char *) name);
      return FALSE;
    }

  return TRUE;
}

/* ---- Public ---------------------------------------------------------------------------------------------- */

GQuark
gw_error_quark (void)
{
  return g_quark_from_static_string ("gw-error-quark");
}

GwModel *
gw_model_load (const char *path, GError **error)
{
  g_autoptr (GwModel) model = g_new0 (GwModel, 1);
  g_autoptr (GHashTable) names = g_hash_table_new (g_str_hash, g_str_equal);
  Builder builder = { .model = model, .unused = names, .error = error };
  GHashTableIter iter;
  gpointer name;

  gw_network_init (&model->network, gw_kernels_get ());
  model->file = gw_safetensors_load (path, error);
  if (!model->file)
    return NULL;

  g_hash_table_iter_init (&iter, model->file->tensors);
  while (g_hash_table_iter_next (&iter, &name, NULL))
    g_hash_table_add (names, name);

  if (!build (&builder))
    {
      g_autofree char *shown = g_filename_display_name (path);

      g_prefix_error (error, _ ("The model “%s” cannot be used: "), shown);
      return NULL;
    }
  return g_steal_pointer (&model);
}

void
gw_model_free (GwModel *model)
{
  g_clear_pointer (&model->file, gw_safetensors_free);
  gw_network_clear (&model->network);
  g_free (model);
}

const GwModelCard *
gw_model_get_card (const GwModel *model)
{
  return &model->card;
}

gboolean
gw_is_coarser (const GwNoise *noise, const GwModel *model, const GwNoise *told)
{
  /* in 2x2 pixels; photos with white noise were not found to exceed it */
  const float most_luma = 0.8f, most_chroma = 0.35f;
  const float luma = model->grain > 0 ? told->grain[1] : 0;
  const float chroma = model->grain > 0 ? told->grain[GW_OCTAVES + 1] : 0;

  return noise->grain[1] - luma > most_luma || noise->grain[GW_OCTAVES + 1] - chroma > most_chroma;
}

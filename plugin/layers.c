/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "layers.h"

#include <math.h>
#include <string.h>
#include <glib/gi18n-lib.h>

#include "config.h"
#include "json.h"

/* ---- What a layer says of itself ------------------------------------------------------------------------- */

/* What every layer says. */
static JsonBuilder *
begin_parasite (const GwPhotoNoise *noise, const GwModelCard *model, const char *quantity)
{
  JsonBuilder *builder = json_builder_new ();

  json_builder_begin_object (builder);
  gw_json_add_text (builder, "quantity", quantity);
  gw_photo_noise_add_json (noise, builder);
  gw_json_add_text (builder, "model", model->name);
  gw_json_add_text (builder, "model_version", model->version);
  gw_json_add_text (builder, "grainwise", GRAINWISE_VERSION);

  return builder;
}

static void
attach_parasite (GimpLayer *layer, JsonBuilder *builder)
{
  g_autoptr (JsonNode) root = NULL;
  g_autofree char *text = NULL;
  GimpParasite *parasite;

  json_builder_end_object (builder);
  root = json_builder_get_root (builder);
  text = json_to_string (root, FALSE);

  /* Not undoable, a parasite could not be attached inside of an undo group. */
  parasite = gimp_parasite_new (GW_PARASITE, GIMP_PARASITE_PERSISTENT | GIMP_PARASITE_UNDOABLE,
                                strlen (text) + 1, text);
  gimp_item_attach_parasite (GIMP_ITEM (layer), parasite);
  gimp_parasite_free (parasite);
}

/* Of denoising.  @white: what the lightest colour stands for. */
static void
describe_result (GimpLayer *layer, const GwResult *result, const char *quantity, const char *unit,
                 double white, GwColours colours)
{
  g_autoptr (JsonBuilder) builder = begin_parasite (result->noise, result->model, quantity);

  gw_json_add_text (builder, "unit", unit);
  gw_json_add_number (builder, "white", white);
  gw_json_add_text (builder, "colours", gw_colours_name (colours));
  if (result->drawing->n > 0)
    {
      gw_json_add_number (builder, "samples", result->drawing->n);
      gw_json_add_number (builder, "seed", result->drawing->sampling.seed);
      gw_json_add_number (builder, "passes", gw_sampling_passes (&result->drawing->sampling));
      gw_json_add_text (builder, "denoised_from", result->drawing->summarise ? "samples" : "network");
    }
  gw_json_add_number (builder, "luminance_strength", result->strength.luminance);
  gw_json_add_number (builder, "colour_strength", result->strength.colour);
  gw_json_add_number (builder, "keep_grain", result->strength.keep_grain);
  gw_json_add_number (builder, "expected_error_levels", 255 * sqrt (result->mean_variance));
  gw_json_add_number (builder, "doubtful", result->doubtful);
  attach_parasite (layer, builder);
}

static void
add_numbers (JsonBuilder *builder, const char *name, const double *numbers, int n, double unit)
{
  json_builder_set_member_name (builder, name);
  json_builder_begin_array (builder);
  for (int i = 0; i < n; i++)
    json_builder_add_double_value (builder, unit * numbers[i]);
  json_builder_end_array (builder);
}

/* Levels, but for the amounts, which are in standard deviations. */
static void
describe_alternative (GimpLayer *layer, const GwAlternative *alternative)
{
  const GwComponents *components = alternative->components;
  g_autoptr (JsonBuilder) builder
      = begin_parasite (alternative->noise, alternative->model, "posterior alternative");
  g_autofree double *changes = g_new (double, components->n);

  for (int k = 0; k < components->n; k++)
    changes[k] = gw_components_change (components, k);
  add_numbers (builder, "amounts", alternative->amounts, components->n, 1);
  add_numbers (builder, "standard_deviations", components->sd, components->n, 255);
  add_numbers (builder, "largest_changes", changes, components->n, 255);
  add_numbers (builder, "mean_colour", components->colour, components->channels, 255);
  add_numbers (builder, "mean_colour_error", components->colour_error, components->channels, 255);
  attach_parasite (layer, builder);
}

/* ---- Making layers, outside of the image ----------------------------------------------------------------- */

static GimpLayer *
new_layer (GimpImage *image, const char *name, GeglBuffer *like, int x, int y, gboolean alpha)
{
  const gboolean grey = gimp_image_get_base_type (image) == GIMP_GRAY;
  GimpLayer *layer = gimp_layer_new (image, name, gegl_buffer_get_width (like), gegl_buffer_get_height (like),
                                     grey ? (alpha ? GIMP_GRAYA_IMAGE : GIMP_GRAY_IMAGE)
                                          : (alpha ? GIMP_RGBA_IMAGE : GIMP_RGB_IMAGE),
                                     100, GIMP_LAYER_MODE_NORMAL);

  gimp_layer_set_offsets (layer, x, y);

  return layer;
}

/* With the alpha of the layer it came from.  @name: to be freed here */
static GimpLayer *
photo_layer (GimpImage *image, GimpLayer *source, GeglBuffer *photo, char *name, int x, int y)
{
  g_autofree char *owned = name;
  GimpLayer *layer = new_layer (image, name, photo, x, y, gimp_drawable_has_alpha (GIMP_DRAWABLE (source)));
  g_autoptr (GeglBuffer) buffer = gimp_drawable_get_buffer (GIMP_DRAWABLE (layer));

  gegl_buffer_copy (photo, NULL, GEGL_ABYSS_NONE, buffer, NULL);

  return layer;
}

static GimpLayer *
denoised_layer (GimpImage *image, GimpLayer *source, const GwResult *result, int x, int y)
{
  g_autofree char *item = gimp_item_get_name (GIMP_ITEM (source));
  GimpLayer *layer
      = photo_layer (image, source, result->denoised, g_strdup_printf (_ ("%s, denoised"), item), x, y);

  describe_result (layer, result, "posterior mean", "white = 1", 1, GW_COLOURS_GREY);

  return layer;
}

/* @number: from 0 on */
static GimpLayer *
sample_layer (GimpImage *image, GimpLayer *source, const GwResult *result, int number, int x, int y)
{
  g_autofree char *item = gimp_item_get_name (GIMP_ITEM (source));
  GimpLayer *layer = photo_layer (image, source, result->samples->samples[number],
                                  g_strdup_printf (_ ("%s, sample %d"), item, number + 1), x, y);

  describe_result (layer, result, "posterior sample", "white = 1", 1, GW_COLOURS_GREY);

  return layer;
}

/* From the first colour = 0 to the last = the end of the scale, so that a value can be read off any pixel. */
static GimpLayer *
uncertainty_layer (GimpImage *image, const GwResult *result, const GwLayout *layout, int x, int y)
{
  g_autofree char *end = gw_quantity_format (layout->quantity, layout->end);
  /* translators: name of a layer: what it shows, and which value its lightest colour stands for */
  g_autofree char *name = g_strdup_printf (_ ("%s, white = %s"), gw_quantity_title (layout->quantity), end);
  GimpLayer *layer = new_layer (image, name, result->map, x, y, FALSE);
  g_autoptr (GeglBuffer) buffer = gimp_drawable_get_buffer (GIMP_DRAWABLE (layer));

  gw_uncertainty_paint (result->map, layout->end, layout->colours, buffer);
  describe_result (layer, result, gw_quantity_name (layout->quantity), gw_quantity_unit (layout->quantity),
                   layout->end, layout->colours);

  return layer;
}

static GimpLayer *
alternative_layer (GimpImage *image, GimpLayer *source, const GwAlternative *alternative, int x, int y)
{
  g_autofree char *item = gimp_item_get_name (GIMP_ITEM (source));
  GimpLayer *layer
      = photo_layer (image, source, alternative->buffer, g_strdup_printf (_ ("%s, alternative"), item), x, y);

  describe_alternative (layer, alternative);

  return layer;
}

/* In the lower right corner of the region. */
static GimpLayer *
scale_layer (GimpImage *image, const GwResult *result, const GwLayout *layout, int x, int y)
{
  const int width = gegl_buffer_get_width (result->map), height = gegl_buffer_get_height (result->map);
  g_autoptr (GeglBuffer) scale
      = gw_uncertainty_scale (layout->quantity, layout->end, layout->colours, height / 3);
  GimpLayer *layer = new_layer (image, _ ("Scale of the uncertainty"), scale,
                                x + MAX (width - gegl_buffer_get_width (scale), 0),
                                y + MAX (height - gegl_buffer_get_height (scale), 0), FALSE);
  g_autoptr (GeglBuffer) buffer = gimp_drawable_get_buffer (GIMP_DRAWABLE (layer));

  gegl_buffer_copy (scale, NULL, GEGL_ABYSS_NONE, buffer, NULL);

  return layer;
}

/* ---- Into the image -------------------------------------------------------------------------------------- */

/* Makes a mask dark where the result is unsure. */
static void
darken_mask (GimpLayerMask *mask, GeglBuffer *unsure)
{
  g_autoptr (GeglBuffer) buffer = gimp_drawable_get_buffer (GIMP_DRAWABLE (mask));
  GeglBufferIterator *iter = gegl_buffer_iterator_new (buffer, NULL, 0, babl_format ("Y float"),
                                                       GEGL_ACCESS_READWRITE, GEGL_ABYSS_NONE, 2);

  gegl_buffer_iterator_add (iter, unsure, NULL, 0, NULL, GEGL_ACCESS_READ, GEGL_ABYSS_NONE);
  while (gegl_buffer_iterator_next (iter))
    for (int i = 0; i < iter->length; i++)
      ((float *) iter->items[0].data)[i] *= 1 - MIN (((const float *) iter->items[1].data)[i], 1);
}

/* @unsure: (nullable): makes its mask dark */
static gboolean
insert (GimpImage *image, GimpLayer *layer, GimpLayer *parent, int position, GeglBuffer *unsure)
{
  const gboolean selection = !gimp_selection_is_empty (image);
  GimpLayerMask *mask;

  if (!gimp_image_insert_layer (image, layer, parent, position))
    return FALSE;
  if (!selection && !unsure)
    return TRUE;
  mask = gimp_layer_create_mask (layer, selection ? GIMP_ADD_MASK_SELECTION : GIMP_ADD_MASK_WHITE);
  if (unsure)
    darken_mask (mask, unsure);

  return gimp_layer_add_mask (layer, mask);
}

/* Feathered selections, locked alpha and undo are GIMP's work here. */
static gboolean
replace_pixels (GimpLayer *layer, const GwResult *result)
{
  GimpDrawable *drawable = GIMP_DRAWABLE (layer);
  const int width = gegl_buffer_get_width (result->denoised),
            height = gegl_buffer_get_height (result->denoised);
  GeglBuffer *shadow = gimp_drawable_get_shadow_buffer (drawable);

  gegl_buffer_copy (result->denoised, NULL, GEGL_ABYSS_NONE, shadow,
                    GEGL_RECTANGLE (result->x, result->y, width, height));
  g_object_unref (shadow); /* flushes it */

  return gimp_drawable_merge_shadow (drawable, TRUE)
         && gimp_drawable_update (drawable, result->x, result->y, width, height);
}

/* A group at that place, which new layers are then to go into.  @name: with the layer's own for %s */
static GimpLayer *
insert_group (GimpImage *image, GimpLayer *layer, const char *name, GimpLayer *parent, int position)
{
  g_autofree char *item = gimp_item_get_name (GIMP_ITEM (layer));
  g_auto (GStrv) parts = g_strsplit (name, "%s", 2); /* a format that is no literal could not be checked */
  g_autofree char *whole = g_strjoinv (item, parts);
  GimpLayer *group = GIMP_LAYER (gimp_group_layer_new (image, whole));

  return gimp_image_insert_layer (image, group, parent, position) ? group : NULL;
}

/* In a hidden group, since they would cover everything. */
static gboolean
insert_samples (GimpImage *image, GimpLayer *layer, GimpLayer **samples, GimpLayer *parent, int position)
{
  GimpLayer *group = insert_group (image, layer, _ ("%s, samples"), parent, position);

  if (!group)
    return FALSE;
  gimp_item_set_visible (GIMP_ITEM (group), FALSE);
  for (int i = 0; samples[i]; i++)
    if (!insert (image, samples[i], group, i, NULL))
      return FALSE;

  return TRUE;
}

static gboolean
insert_all (GimpImage *image, GimpLayer *layer, const GwResult *result, const GwLayout *layout,
            const GwNewLayers *layers, GimpLayer *scale)
{
  GimpLayer *parent = GIMP_LAYER (gimp_item_get_parent (GIMP_ITEM (layer)));
  int position = gimp_image_get_item_position (image, GIMP_ITEM (layer));

  if (layout->replace && !replace_pixels (layer, result))
    return FALSE;
  if (layout->group && (!layout->replace || layers->uncertainty || layers->samples[0]))
    {
      if (!(parent = insert_group (image, layer, _ ("%s, with confidence"), parent, position)))
        return FALSE;
      position = 0;
    }
  if (!layout->replace
      && !insert (image, layers->denoised, parent, position, layout->mask ? result->unsure : NULL))
    return FALSE;
  if (layers->samples[0] && !insert_samples (image, layer, layers->samples, parent, position))
    return FALSE;
  if (layers->uncertainty)
    {
      gimp_item_set_visible (GIMP_ITEM (layers->uncertainty), layout->visible);
      if (!insert (image, layers->uncertainty, parent, position, NULL))
        return FALSE;
    }
  if (scale)
    {
      gimp_item_set_visible (GIMP_ITEM (scale), layout->visible);
      if (!gimp_image_insert_layer (image, scale, parent, position))
        return FALSE;
    }
  /* The next stroke is not meant for the uncertainty. */
  return gimp_image_set_selected_layers (image, (const GimpLayer *[]) { layers->denoised, NULL });
}

void
gw_new_layers_clear (GwNewLayers *layers)
{
  g_clear_pointer (&layers->samples, g_free);
}

static gboolean
check_success (gboolean success, GError **error)
{
  if (!success)
    g_set_error (error, GIMP_PLUG_IN_ERROR, 0, _ ("GIMP refused to change the image: %s"),
                 gimp_pdb_get_last_error (gimp_get_pdb ()));
  return success;
}

gboolean
gw_layers_add (GimpImage *image, GimpLayer *layer, const GwResult *result, const GwLayout *layout,
               GwNewLayers *layers, GError **error)
{
  const gboolean show = layout->quantity != GW_QUANTITY_NONE;
  GimpLayer *scale = NULL;
  gboolean success;
  int x, y;

  gimp_drawable_get_offsets (GIMP_DRAWABLE (layer), &x, &y);
  x += result->x;
  y += result->y;
  layers->denoised = layout->replace ? layer : denoised_layer (image, layer, result, x, y);
  layers->uncertainty = show ? uncertainty_layer (image, result, layout, x, y) : NULL;
  layers->samples = g_new0 (GimpLayer *, result->samples->n + 1);
  for (int i = 0; i < result->samples->n; i++)
    layers->samples[i] = sample_layer (image, layer, result, i, x, y);
  if (show && layout->scale_bar)
    scale = scale_layer (image, result, layout, x, y);

  gimp_image_undo_group_start (image);
  success = insert_all (image, layer, result, layout, layers, scale);
  gimp_image_undo_group_end (image);

  return check_success (success, error);
}

GimpLayer *
gw_layers_add_alternative (GimpImage *image, GimpLayer *layer, const GwAlternative *alternative,
                           GError **error)
{
  GimpLayer *parent = GIMP_LAYER (gimp_item_get_parent (GIMP_ITEM (layer))), *added;
  gboolean success;
  int x, y;

  gimp_drawable_get_offsets (GIMP_DRAWABLE (layer), &x, &y);
  added = alternative_layer (image, layer, alternative, x + alternative->x, y + alternative->y);

  gimp_image_undo_group_start (image);
  success = insert (image, added, parent, gimp_image_get_item_position (image, GIMP_ITEM (layer)), NULL)
            && gimp_image_set_selected_layers (image, (const GimpLayer *[]) { added, NULL });
  gimp_image_undo_group_end (image);

  return check_success (success, error) ? added : NULL;
}

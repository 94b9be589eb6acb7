/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "layers.h"

#include <string.h>
#include <glib/gi18n-lib.h>
#include <json-glib/json-glib.h>

#include "config.h"
#include "uncertainty.h"

/* ---- What a layer says of itself ------------------------------------------------------------------------- */

static void
attach_parasite (GimpLayer *layer, const GwResult *result, const char *quantity, const char *unit,
                 double white)
{
  g_autoptr (JsonBuilder) builder = json_builder_new ();
  g_autoptr (JsonNode) root = NULL;
  g_autofree char *text = NULL;
  GimpParasite *parasite;

  json_builder_begin_object (builder);
  json_builder_set_member_name (builder, "quantity");
  json_builder_add_string_value (builder, quantity);
  json_builder_set_member_name (builder, "unit");
  json_builder_add_string_value (builder, unit);
  json_builder_set_member_name (builder, "white");
  json_builder_add_double_value (builder, white);
  gw_photo_noise_add_json (result->noise, builder);
  json_builder_set_member_name (builder, "model");
  json_builder_add_string_value (builder, result->model->name);
  json_builder_set_member_name (builder, "model_version");
  json_builder_add_string_value (builder, result->model->version);
  json_builder_set_member_name (builder, "grainwise");
  json_builder_add_string_value (builder, GRAINWISE_VERSION);
  json_builder_end_object (builder);
  root = json_builder_get_root (builder);
  text = json_to_string (root, FALSE);

  /* Not undoable, a parasite could not be attached inside of an undo group. */
  parasite = gimp_parasite_new (GW_PARASITE, GIMP_PARASITE_PERSISTENT | GIMP_PARASITE_UNDOABLE,
                                strlen (text) + 1, text);
  gimp_item_attach_parasite (GIMP_ITEM (layer), parasite);
  gimp_parasite_free (parasite);
}

/* ---- Making layers, outside of the image ----------------------------------------------------------------- */

static GimpLayer *
new_layer (GimpImage *image, GimpLayer *source, const char *name, const GwResult *result, gboolean alpha)
{
  const gboolean grey = gimp_image_get_base_type (image) == GIMP_GRAY;
  GimpLayer *layer;
  int x, y;

  layer = gimp_layer_new (image, name, gegl_buffer_get_width (result->denoised.denoised),
                          gegl_buffer_get_height (result->denoised.denoised),
                          grey ? (alpha ? GIMP_GRAYA_IMAGE : GIMP_GRAY_IMAGE)
                               : (alpha ? GIMP_RGBA_IMAGE : GIMP_RGB_IMAGE),
                          100, GIMP_LAYER_MODE_NORMAL);
  gimp_drawable_get_offsets (GIMP_DRAWABLE (source), &x, &y);
  gimp_layer_set_offsets (layer, x + result->x, y + result->y);

  return layer;
}

static GimpLayer *
denoised_layer (GimpImage *image, GimpLayer *source, const GwResult *result)
{
  g_autofree char *item = gimp_item_get_name (GIMP_ITEM (source));
  g_autofree char *name = g_strdup_printf (_ ("%s, denoised"), item);
  GimpLayer *layer
      = new_layer (image, source, name, result, gimp_drawable_has_alpha (GIMP_DRAWABLE (source)));
  g_autoptr (GeglBuffer) buffer = gimp_drawable_get_buffer (GIMP_DRAWABLE (layer));

  gegl_buffer_copy (result->denoised.denoised, NULL, GEGL_ABYSS_NONE, buffer, NULL);
  attach_parasite (layer, result, "posterior mean", "white = 1", 1);

  return layer;
}

/* Grey, from black = 0 to white = the end of the scale, so that a value can be read off any pixel. */
static GimpLayer *
uncertainty_layer (GimpImage *image, GimpLayer *source, const GwResult *result)
{
  const gboolean variance = result->quantity == GW_QUANTITY_VARIANCE;
  const double white_sd = gw_uncertainty_white (result->denoised.sd);
  const double white = variance ? white_sd * white_sd : white_sd;
  g_autofree char *name = variance
                              ? g_strdup_printf (_ ("Uncertainty, variance, white = %.4g levels²"), white)
                              : g_strdup_printf (_ ("Uncertainty, sd, white = %.4g levels"), white);
  GimpLayer *layer = new_layer (image, source, name, result, FALSE);
  g_autoptr (GeglBuffer) buffer = gimp_drawable_get_buffer (GIMP_DRAWABLE (layer));
  const Babl *format = babl_format_with_space ("Y' float", gegl_buffer_get_format (buffer));
  GeglBufferIterator *iter
      = gegl_buffer_iterator_new (buffer, NULL, 0, format, GEGL_ACCESS_WRITE, GEGL_ABYSS_NONE, 2);

  gegl_buffer_iterator_add (iter, result->denoised.sd, NULL, 0, NULL, GEGL_ACCESS_READ, GEGL_ABYSS_NONE);
  while (gegl_buffer_iterator_next (iter))
    for (int i = 0; i < iter->length; i++)
      {
        const float share = ((const float *) iter->items[1].data)[i] * 255 / white_sd;

        ((float *) iter->items[0].data)[i] = variance ? share * share : share;
      }
  attach_parasite (layer, result, variance ? "variance" : "standard deviation",
                   variance ? "levels^2" : "levels", white);

  return layer;
}

/* ---- Into the image -------------------------------------------------------------------------------------- */

static gboolean
insert (GimpImage *image, GimpLayer *layer, GimpLayer *above)
{
  GimpItem *parent = gimp_item_get_parent (GIMP_ITEM (above));

  if (!gimp_image_insert_layer (image, layer, (GimpLayer *) parent,
                                gimp_image_get_item_position (image, GIMP_ITEM (above))))
    return FALSE;
  if (!gimp_selection_is_empty (image))
    return gimp_layer_add_mask (layer, gimp_layer_create_mask (layer, GIMP_ADD_MASK_SELECTION));

  return TRUE;
}

/* Feathered selections, locked alpha and undo are GIMP's work here. */
static gboolean
replace_pixels (GimpLayer *layer, const GwResult *result)
{
  GimpDrawable *drawable = GIMP_DRAWABLE (layer);
  const int width = gegl_buffer_get_width (result->denoised.denoised);
  const int height = gegl_buffer_get_height (result->denoised.denoised);
  GeglBuffer *shadow = gimp_drawable_get_shadow_buffer (drawable);

  gegl_buffer_copy (result->denoised.denoised, NULL, GEGL_ABYSS_NONE, shadow,
                    GEGL_RECTANGLE (result->x, result->y, width, height));
  g_object_unref (shadow); /* flushes it */

  return gimp_drawable_merge_shadow (drawable, TRUE)
         && gimp_drawable_update (drawable, result->x, result->y, width, height);
}

gboolean
gw_layers_add (GimpImage *image, GimpLayer *layer, const GwResult *result, gboolean replace,
               GimpLayer **denoised, GimpLayer **uncertainty, GError **error)
{
  gboolean success;

  *denoised = replace ? layer : denoised_layer (image, layer, result);
  *uncertainty = result->quantity == GW_QUANTITY_NONE ? NULL : uncertainty_layer (image, layer, result);

  gimp_image_undo_group_start (image);
  success = replace ? replace_pixels (layer, result) : insert (image, *denoised, layer);
  if (success && *uncertainty)
    {
      gimp_item_set_visible (GIMP_ITEM (*uncertainty), FALSE); /* it would cover the photo */
      success = insert (image, *uncertainty, *denoised);
    }
  if (success) /* the next stroke is not meant for the hidden layer */
    success = gimp_image_set_selected_layers (image, (const GimpLayer *[]) { *denoised, NULL });
  gimp_image_undo_group_end (image);

  if (!success)
    g_set_error (error, GIMP_PLUG_IN_ERROR, 0, _ ("GIMP refused to change the image: %s"),
                 gimp_pdb_get_last_error (gimp_get_pdb ()));
  return success;
}

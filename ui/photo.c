/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "photo.h"
#include "models.h"

#include <math.h>
#include <string.h>
#include <glib/gi18n-lib.h>

typedef struct
{
  GeglBuffer *photo;
  GeglRectangle extent; /* what the engine sees, in the buffer's coordinates */
  GeglRectangle region; /* what is wanted of it */
  const Babl *format;   /* float, encoded, with the photo's alpha */
  int channels, components;
  gboolean holes; /* there may be pixels that are no photo */
  float *pixels;  /* rows in @format */
  int rows;       /* that @pixels has room for */

  GwMap map;
  float *map_rows, *unsure_rows;
  GwDenoised *result;
  gint64 counted; /* pixels */
} View;

static void
view_clear (View *view)
{
  g_free (view->pixels);
  g_free (view->map_rows);
  g_free (view->unsure_rows);
}

G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (View, view_clear)

void
gw_denoised_clear (GwDenoised *denoised)
{
  g_clear_object (&denoised->denoised);
  g_clear_object (&denoised->sd);
  g_clear_object (&denoised->unsure);
}

/* ---- Formats --------------------------------------------------------------------------------------------- */

int
gw_photo_channels (GeglBuffer *photo)
{
  const Babl *format = gegl_buffer_get_format (photo);

  return babl_format_get_n_components (format) - babl_format_has_alpha (format) == 1 ? 1 : 3;
}

gboolean
gw_photo_check (GeglBuffer *photo, GError **error)
{
  const Babl *format = gegl_buffer_get_format (photo);
  const BablModelFlag flags = babl_get_model_flags (babl_format_get_model (format));

  if (babl_format_is_palette (format))
    {
      g_set_error (error, GW_ERROR, GW_ERROR_PHOTO,
                   _ ("Indexed images have too few colours to be denoised; convert the image to RGB first."));
      return FALSE;
    }
  if (!(flags & (BABL_MODEL_FLAG_RGB | BABL_MODEL_FLAG_GRAY)))
    {
      g_set_error (
          error, GW_ERROR, GW_ERROR_PHOTO,
          _ ("Only RGB and grey photos can be denoised, and this one is %s; convert it to RGB first."),
          babl_get_name (babl_format_get_model (format)));
      return FALSE;
    }
  if (gegl_buffer_get_width (photo) < 1 || gegl_buffer_get_height (photo) < 1)
    {
      g_set_error (error, GW_ERROR, GW_ERROR_PHOTO, _ ("The photo is empty."));
      return FALSE;
    }
  return TRUE;
}

/* The encoding that the photo is edited in, R'G'B' of its own space; but a space that is linear itself has no such
 * encoding, and noise must mean the same as everywhere: sRGB's then ("R~G~B~"). */
static const Babl *
working_format (GeglBuffer *photo)
{
  const Babl *format = gegl_buffer_get_format (photo);
  const Babl *space = babl_format_get_space (format);
  const Babl *curve = NULL;
  const int grey = gw_photo_channels (photo) == 1;
  const int alpha = babl_format_has_alpha (format);
  static const char *names[2][2][2]
      = { { { "R'G'B' float", "R'G'B'A float" }, { "Y' float", "Y'A float" } },
          { { "R~G~B~ float", "R~G~B~A float" }, { "Y~ float", "Y~A float" } } };

  babl_space_get (space, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, &curve, NULL, NULL);

  return babl_format_with_space (names[curve == babl_trc ("linear")][grey][alpha], space);
}

static gboolean
is_float (const Babl *format)
{
  const char *type = babl_get_name (babl_format_get_type (format, 0));

  return g_str_equal (type, "float") || g_str_equal (type, "half") || g_str_equal (type, "double");
}

static View
view_new (GeglBuffer *photo)
{
  const Babl *format = gegl_buffer_get_format (photo);
  View view = { .photo = photo, .extent = *gegl_buffer_get_extent (photo) };

  view.region = view.extent;
  view.format = working_format (photo);
  view.channels = gw_photo_channels (photo);
  view.components = view.channels + babl_format_has_alpha (format);
  view.holes = babl_format_has_alpha (format) || is_float (format);

  return view;
}

/* ---- Reading --------------------------------------------------------------------------------------------- */

static void
reserve_pixels (View *view, int n_rows)
{
  if (n_rows <= view->rows)
    return;
  view->pixels = g_renew (float, view->pixels, (gsize) n_rows * view->extent.width * view->components);
  view->rows = n_rows;
}

/* Rows of the extent, columns @x to @x + @width of it, into view->pixels. */
static void
get_pixels (View *view, int x, int y, int width, int n_rows)
{
  reserve_pixels (view, n_rows);
  gegl_buffer_get (view->photo, GEGL_RECTANGLE (view->extent.x + x, view->extent.y + y, width, n_rows), 1.0,
                   view->format, view->pixels, GEGL_AUTO_ROWSTRIDE, GEGL_ABYSS_CLAMP);
}

/* The engine fills what is not finite from its neighbours, so a transparent pixel is made that. */
static gboolean
read_rows (int y, int n_rows, float *rows, gpointer data, GError **error)
{
  View *view = data;
  const gsize count = (gsize) n_rows * view->extent.width;

  get_pixels (view, 0, y, view->extent.width, n_rows);
  for (gsize i = 0; i < count; i++)
    {
      const float *pixel = view->pixels + i * view->components;
      const gboolean hole = view->components > view->channels && !(pixel[view->channels] > 0);

      for (int c = 0; c < view->channels; c++)
        rows[i * view->channels + c] = hole ? NAN : pixel[c];
    }
  return TRUE;
}

/* ---- Writing --------------------------------------------------------------------------------------------- */

static gboolean
is_hole (const View *view, const float *pixel)
{
  for (int c = 0; c < view->channels; c++)
    if (!isfinite (pixel[c]))
      return TRUE;

  return view->components > view->channels && !(pixel[view->channels] > 0);
}

static void
write_map (View *view, const GwPosterior *rows, gsize i)
{
  const int n = view->channels;
  float variance = 0, square = 0;

  for (int c = 0; c < n; c++)
    {
      const float v = gw_posterior_variance (rows, i * n + c);
      const float level = rows->level[i * n + c];

      variance += v / n;
      square += level * level / n;
      view->result->mean_sd += sqrtf (v) / n;
      if (view->map == GW_MAP_CHANNELS)
        view->map_rows[i * n + c] = sqrtf (v);
    }
  view->counted++;
  view->result->mean_variance += variance;
  view->result->doubtful += variance > GW_DOUBTFUL * GW_DOUBTFUL;
  if (view->map == GW_MAP_COLOUR)
    view->map_rows[i] = sqrtf (variance);
  if (view->unsure_rows)
    view->unsure_rows[i] = square > 0 ? sqrtf (variance / square) : 0;
}

static void
write_nothing_known (View *view, gsize i)
{
  const int n = view->map == GW_MAP_CHANNELS ? view->channels : 1;

  for (int c = 0; view->map != GW_MAP_NONE && c < n; c++)
    view->map_rows[i * n + c] = 0;
  if (view->unsure_rows)
    view->unsure_rows[i] = 0;
}

static gboolean
write_rows (const GwPosterior *rows, gpointer data, GError **error)
{
  View *view = data;
  const int left = view->region.x - view->extent.x;
  const int top = view->region.y - view->extent.y;
  const GeglRectangle block = { 0, rows->y - top, rows->width, rows->n_rows };
  const gsize count = (gsize) rows->n_rows * rows->width;
  const int n = view->channels;

  reserve_pixels (view, rows->n_rows);
  if (view->holes)
    get_pixels (view, left, rows->y, rows->width, rows->n_rows);
  if (view->map != GW_MAP_NONE)
    view->map_rows = g_renew (float, view->map_rows, count *n);
  if (view->result->unsure)
    view->unsure_rows = g_renew (float, view->unsure_rows, count);

  for (gsize i = 0; i < count; i++)
    {
      float *pixel = view->pixels + i * view->components;

      if (view->holes && is_hole (view, pixel))
        {
          write_nothing_known (view, i);
          continue;
        }
      memcpy (pixel, rows->mean + i * n, sizeof (float) * n);
      write_map (view, rows, i);
    }

  gegl_buffer_set (view->result->denoised, &block, 0, view->format, view->pixels, GEGL_AUTO_ROWSTRIDE);
  if (view->result->sd)
    gegl_buffer_set (view->result->sd, &block, 0, NULL, view->map_rows, GEGL_AUTO_ROWSTRIDE);
  if (view->result->unsure)
    gegl_buffer_set (view->result->unsure, &block, 0, NULL, view->unsure_rows, GEGL_AUTO_ROWSTRIDE);

  return TRUE;
}

/* ---- Public ---------------------------------------------------------------------------------------------- */

/* All of it, as the engine reads it. */
static GwPhoto
source_of (View *view)
{
  return (GwPhoto) { view->extent.width, view->extent.height, view->channels, read_rows, view };
}

gboolean
gw_photo_estimate (GeglBuffer *photo, GwNoise *noise, const GwRun *run, GError **error)
{
  g_auto (View) view = view_new (photo);
  const GwPhoto source = source_of (&view);
  g_autoptr (GwModel) model = gw_models_load (GW_ESTIMATE_MODEL, error);

  return model && gw_noise_estimate (&source, noise, run ? run->cancellable : NULL, error)
         && gw_noise_refine (model, &source, noise, run, error);
}

gboolean
gw_photo_mean_level (GeglBuffer *photo, const GwNoise *noise, double *level, GError **error)
{
  g_auto (View) view = view_new (photo);
  const GwPhoto source = source_of (&view);

  return gw_noise_mean_level (&source, noise, level, error);
}

gboolean
gw_photo_self_check (GeglBuffer *photo, const GwModel *model, const GwNoise *assumed, const GwNoise *measured,
                     const GwRun *run, GwSelfCheck *check, GError **error)
{
  g_auto (View) view = view_new (photo);
  const GwPhoto source = source_of (&view);

  return gw_self_check (model, &source, assumed, measured, run, check, error);
}

/* The region and all that its result depends on, from a multiple of the alignment on, as the whole photo would be seen. */
GeglRectangle
gw_photo_extent (GeglBuffer *photo, const GeglRectangle *region, const GwModel *model)
{
  const GwModelCard *card = gw_model_get_card (model);
  const GeglRectangle *whole = gegl_buffer_get_extent (photo);
  GeglRectangle extent = { region->x - card->radius, region->y - card->radius,
                           region->width + 2 * card->radius, region->height + 2 * card->radius };
  int over_x, over_y;

  gegl_rectangle_intersect (&extent, &extent, whole);
  over_x = (extent.x - whole->x) % card->alignment;
  over_y = (extent.y - whole->y) % card->alignment;

  return *GEGL_RECTANGLE (extent.x - over_x, extent.y - over_y, extent.width + over_x,
                          extent.height + over_y);
}

gboolean
gw_photo_denoise (GeglBuffer *photo, const GeglRectangle *region, const GwModel *model, const GwNoise *noise,
                  GwMap map, gboolean unrounded, const GwRun *run, GwDenoised *result, GError **error)
{
  g_auto (View) view = view_new (photo);
  GwRun part = run ? *run : (GwRun) { 0 };
  const GeglRectangle *size;
  GwPhoto source;

  *result = (GwDenoised) { 0 };
  if (!gw_photo_check (photo, error))
    return FALSE;

  if (region)
    {
      view.region = *region;
      view.extent = gw_photo_extent (photo, region, model);
      part.window = (GwWindow) { region->x - view.extent.x, region->y - view.extent.y, region->width,
                                 region->height };
    }
  view.map = map;
  view.result = result;

  size = GEGL_RECTANGLE (0, 0, view.region.width, view.region.height);
  result->denoised = gegl_buffer_new (size, unrounded ? view.format : gegl_buffer_get_format (photo));
  if (unrounded)
    result->unsure = gegl_buffer_new (size, babl_format ("Y float"));
  if (map != GW_MAP_NONE)
    result->sd = gegl_buffer_new (
        size, babl_format (map == GW_MAP_CHANNELS && view.channels == 3 ? "RGB float" : "Y float"));

  source = source_of (&view);
  if (!gw_posterior_run (model, &source, noise, &part, write_rows, &view, error))
    {
      gw_denoised_clear (result);
      return FALSE;
    }
  if (view.counted > 0)
    {
      result->mean_sd /= view.counted;
      result->mean_variance /= view.counted;
      result->doubtful /= view.counted;
    }
  return TRUE;
}

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

void
gw_samples_clear (GwSamples *samples)
{
  for (int i = 0; i < samples->n; i++)
    g_clear_object (&samples->samples[i]);
  g_clear_pointer (&samples->samples, g_free);
  samples->n = 0;
  gw_denoised_clear (&samples->summary);
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

/* The encoding that the photo is edited in, R'G'B' of its own space; but a space that is linear itself has
 * no such encoding, and noise must mean the same as everywhere: sRGB's then ("R~G~B~"). */
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

  for (int c = 0; c < n && rows->covariance; c++)
    {
      const float v = gw_posterior_variance (rows, i * n + c);
      const float level = rows->level ? rows->level[i * n + c] : 0;

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
  GCancellable *cancellable = run ? run->cancellable : NULL;

  return model && gw_noise_estimate (&source, noise, cancellable, error)
         && gw_noise_refine (model, &source, noise, run, error)
         && gw_noise_add_jpeg (&source, noise, cancellable, error);
}

gboolean
gw_photo_glance (GeglBuffer *photo, const GeglRectangle *region, GwNoise *noise, const GwRun *run,
                 GError **error)
{
  g_auto (View) view = view_new (photo);
  GwPhoto source;

  view.extent = *region;
  source = source_of (&view);

  return gw_noise_estimate (&source, noise, run->cancellable, error);
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

/* The region and what its result depends on, from a multiple of the alignment on, as the whole photo would
 * be seen. */
GeglRectangle
gw_photo_extent (GeglBuffer *photo, const GeglRectangle *region, const GwModel *model)
{
  const GwModelCard *card = gw_model_get_card (model);
  const GeglRectangle *whole = gegl_buffer_get_extent (photo);
  GeglRectangle extent = { region->x - card->reach, region->y - card->reach, region->width + 2 * card->reach,
                           region->height + 2 * card->reach };
  int over_x, over_y;

  gegl_rectangle_intersect (&extent, &extent, whole);
  over_x = (extent.x - whole->x) % card->alignment;
  over_y = (extent.y - whole->y) % card->alignment;

  return *GEGL_RECTANGLE (extent.x - over_x, extent.y - over_y, extent.width + over_x,
                          extent.height + over_y);
}

/* The part of the photo that is wanted, and what of the surroundings the engine sees. */
static View
view_of_region (GeglBuffer *photo, const GeglRectangle *region, const GwModel *model)
{
  View view = view_new (photo);

  if (region)
    {
      view.region = *region;
      view.extent = gw_photo_extent (photo, region, model);
    }
  return view;
}

/* Makes write_rows() fill @result, with a photo in @format. */
static void
begin_result (View *view, const Babl *format, GwMap map, GwDenoised *result)
{
  const GeglRectangle whole = { 0, 0, view->region.width, view->region.height };
  const gboolean colours = map == GW_MAP_CHANNELS && view->channels == 3;

  view->map = map;
  view->result = result;
  view->counted = 0;
  *result = (GwDenoised) { .denoised = gegl_buffer_new (&whole, format) };
  if (map != GW_MAP_NONE)
    result->sd = gegl_buffer_new (&whole, babl_format (colours ? "RGB float" : "Y float"));
}

static void
end_result (View *view)
{
  if (view->counted > 0)
    {
      view->result->mean_sd /= view->counted;
      view->result->mean_variance /= view->counted;
      view->result->doubtful /= view->counted;
    }
}

gboolean
gw_photo_denoise (GeglBuffer *photo, const GeglRectangle *region, const GwModel *model, const GwNoise *noise,
                  GwMap map, gboolean unrounded, const GwRun *run, GwDenoised *result, GError **error)
{
  g_auto (View) view = { 0 };
  GwRun part = run ? *run : (GwRun) { 0 };
  GwPhoto source;

  *result = (GwDenoised) { 0 };
  if (!gw_photo_check (photo, error))
    return FALSE;

  view = view_of_region (photo, region, model);
  if (region)
    part.window
        = (GwWindow) { region->x - view.extent.x, region->y - view.extent.y, region->width, region->height };
  begin_result (&view, unrounded ? view.format : gegl_buffer_get_format (photo), map, result);
  if (unrounded)
    result->unsure = gegl_buffer_new (gegl_buffer_get_extent (result->denoised), babl_format ("Y float"));
  source = source_of (&view);
  if (!gw_posterior_run (model, &source, noise, &part, write_rows, &view, error))
    {
      gw_denoised_clear (result);
      return FALSE;
    }
  end_result (&view);

  return TRUE;
}

/* ---- Samples --------------------------------------------------------------------------------------------- */

#define ROWS 64 /* that are handled at a time */

typedef struct
{
  const GwRun *run;
  int number, n;
} Progress;

static void
show_progress (double fraction, gpointer data)
{
  const Progress *progress = data;

  progress->run->progress ((progress->number + fraction) / progress->n, progress->run->progress_data);
}

static gboolean
draw (View *view, const GwModel *model, const GwNoise *noise, const GwSampling *sampling, int number,
      const GwRun *run, float *sample, GeglBuffer **buffer, GError **error)
{
  const GwPhoto source = source_of (view);
  const gsize length = (gsize) view->extent.width * view->channels;
  const int left = view->region.x - view->extent.x, top = view->region.y - view->extent.y;
  GwDenoised drawn;

  if (!gw_sample (gw_model_score, model, &source, noise, sampling, number, run, sample, error))
    return FALSE;
  begin_result (view, view->format, GW_MAP_NONE, &drawn);
  *buffer = drawn.denoised;
  for (int y = 0; y < view->region.height; y++)
    {
      const GwPosterior row = { .y = top + y,
                                .n_rows = 1,
                                .width = view->region.width,
                                .channels = view->channels,
                                .mean = sample + (top + y) * length + left * view->channels };

      if (!write_rows (&row, view, error))
        return FALSE;
    }
  return TRUE;
}

/* Mean and variance of @rows->n_rows rows of the samples. */
static void
summarise (const View *view, GeglBuffer **samples, int n, const GwPosterior *rows, float *pixels, float *mean,
           float *covariance)
{
  static const int diagonal[] = { 0, 3, 5 };
  const int channels = view->channels, covariances = channels == 1 ? 1 : 6;
  const gsize count = (gsize) rows->n_rows * rows->width;
  const GeglRectangle part = { 0, rows->y, rows->width, rows->n_rows };

  memset (mean, 0, sizeof (float) * count * channels);
  memset (covariance, 0, sizeof (float) * count * covariances);
  for (int k = 0; k < n; k++)
    {
      gegl_buffer_get (samples[k], &part, 1.0, view->format, pixels, GEGL_AUTO_ROWSTRIDE, GEGL_ABYSS_NONE);
      for (gsize i = 0; i < count; i++)
        for (int c = 0; c < channels; c++)
          {
            float *m = mean + i * channels + c, *v = covariance + i * covariances + diagonal[c];
            const float off = pixels[i * view->components + c] - *m;

            *m += off / (k + 1); /* Welford 1962 */
            *v += n > 1 ? off * (pixels[i * view->components + c] - *m) / (n - 1) : 0;
          }
    }
}

/* @view: of the region alone */
static gboolean
write_summary (View *view, GeglBuffer **samples, int n, GwMap map, GwDenoised *summary, GError **error)
{
  const gsize count = (gsize) ROWS * view->region.width;
  g_autofree float *pixels = g_new (float, count * view->components);
  g_autofree float *mean = g_new (float, count * view->channels);
  g_autofree float *covariance = g_new (float, count *(view->channels == 1 ? 1 : 6));

  begin_result (view, view->format, n > 1 ? map : GW_MAP_NONE, summary);
  for (int y = 0; y < view->region.height; y += ROWS)
    {
      const GwPosterior rows = { .y = y,
                                 .n_rows = MIN (ROWS, view->region.height - y),
                                 .width = view->region.width,
                                 .channels = view->channels,
                                 .mean = mean,
                                 .covariance = covariance };

      summarise (view, samples, n, &rows, pixels, mean, covariance);
      if (!write_rows (&rows, view, error))
        return FALSE;
    }
  end_result (view);

  return TRUE;
}

gboolean
gw_photo_sample (GeglBuffer *photo, const GeglRectangle *region, const GwModel *model, const GwNoise *noise,
                 const GwSampling *sampling, int n, GwMap map, const GwRun *run, GwSamples *result,
                 GError **error)
{
  GwRun own = run ? *run : (GwRun) { 0 };
  Progress progress = { run, 0, n };
  g_auto (GwSamples) samples = { 0 };
  g_auto (View) view = { 0 };
  g_autofree float *sample = NULL;

  *result = (GwSamples) { 0 };
  if (!gw_photo_check (photo, error))
    return FALSE;
  view = view_of_region (photo, region, model);
  sample = g_try_new (float, (gsize) view.extent.width *view.extent.height *view.channels);
  if (!sample)
    {
      g_set_error (error, GW_ERROR, GW_ERROR_MEMORY,
                   _ ("There is not enough memory for samples of %d × %d pixels."), view.extent.width,
                   view.extent.height);
      return FALSE;
    }
  if (own.progress)
    {
      own.progress = show_progress;
      own.progress_data = &progress;
    }
  samples.samples = g_new0 (GeglBuffer *, n);
  samples.n = n;
  for (int i = 0; i < n; i++)
    {
      progress.number = i;
      if (!draw (&view, model, noise, sampling, i, &own, sample, &samples.samples[i], error))
        return FALSE;
    }
  view.extent = view.region;
  if (!write_summary (&view, samples.samples, n, map, &samples.summary, error))
    return FALSE;
  *result = samples;
  samples = (GwSamples) { 0 };

  return TRUE;
}

/* ---- Alternatives ---------------------------------------------------------------------------------------- */

gboolean
gw_photo_components (GeglBuffer *photo, const GeglRectangle *region, const float *weights,
                     const GwModel *model, const GwNoise *noise, int n, const GwRun *run,
                     GwComponents *components, GError **error)
{
  g_auto (View) view = { 0 };
  GwWindow window;
  GwPhoto source;

  *components = (GwComponents) { 0 };
  if (!gw_photo_check (photo, error))
    return FALSE;
  view = view_of_region (photo, region, model);
  window = (GwWindow) { region->x - view.extent.x, region->y - view.extent.y, region->width, region->height };
  source = source_of (&view);

  return gw_components (gw_model_score, model, &source, noise, window, weights, n, 0, run, components, error);
}

GeglBuffer *
gw_photo_alternative (GeglBuffer *photo, const GeglRectangle *region, const GwComponents *components,
                      const double *amounts)
{
  const gsize length = (gsize) region->width * components->channels, size = length * region->height;
  g_autofree float *mean = g_memdup2 (components->mean, sizeof (float) * size);
  const GwPosterior rows
      = { .n_rows = region->height, .width = region->width, .channels = components->channels, .mean = mean };
  g_auto (View) view = view_new (photo);
  GwDenoised alternative;

  for (int k = 0; k < components->n; k++)
    for (gsize i = 0; i < size && amounts[k] != 0; i++)
      mean[i] += amounts[k] * components->sd[k] * components->directions[k * size + i];
  view.extent = view.region = *region;
  begin_result (&view, view.format, GW_MAP_NONE, &alternative);
  write_rows (&rows, &view, NULL); /* from memory to memory */

  return alternative.denoised;
}

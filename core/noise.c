/* What is known of a photo's noise, row by row.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#include <math.h>
#include <string.h>
#include <glib/gi18n-lib.h>

#include "crops.h"
#include "noise.h"

#define HIGHEST 1e4f /* a pixel beyond this is no photo any more, and its square must not overflow anywhere */
#define LARGEST_GRAIN 4 /* pixels; larger grain cannot be told from it in the octaves there are */
#define REACH 6         /* pixels to either side that brightness is taken from */

GwNoise
gw_noise_white (double level)
{
  GwNoise noise = { 0 };

  for (int c = 0; c < 3; c++)
    for (int k = 0; k < GW_KNOTS; k++)
      noise.level[c][k] = level;

  return noise;
}

/* How much larger the standard deviation of sums of n x n pixels is than that of independent ones, for
 * noise with the autocorrelation exp(-d^2 / 4 size^2) of white noise under a Gaussian. It is separable,
 * and the root of its square. */
static double
blurred_octave (double size, int n)
{
  double sum = 1;

  for (int d = 1; d < n && size > 0; d++)
    sum += 2 * (1 - (double) d / n) * exp (-d * d / (4 * size * size));

  return sum;
}

void
gw_noise_set_grain_size (GwNoise *noise, double size)
{
  for (int k = 0; k < 2 * GW_OCTAVES; k++)
    noise->grain[k] = blurred_octave (size, 1 << k % GW_OCTAVES) - 1;
}

double
gw_noise_get_grain_size (const GwNoise *noise)
{
  const int last = GW_OCTAVES - 1;
  const double wanted = (1 + noise->grain[last]) / MAX (1 + noise->grain[0], 0.01);
  double low = 0, high = LARGEST_GRAIN;

  for (int i = 0; i < 20; i++)
    {
      const double middle = 0.5 * (low + high);

      *(blurred_octave (middle, 1 << last) < wanted ? &low : &high) = middle;
    }
  return wanted <= 1 ? 0 : 0.5 * (low + high);
}

gboolean
gw_is_clipped (float value)
{
  const float half_level = 0.5f / 255;

  return !(fabsf (value) > half_level && fabsf (value - 1) > half_level); /* true for NaN, too */
}

gboolean
gw_noise_check (const GwNoise *noise, int channels, GError **error)
{
  for (int c = 0; c < channels && !noise->read; c++)
    for (int k = 0; k < GW_KNOTS; k++)
      if (!(noise->level[c][k] >= 0 && noise->level[c][k] <= HIGHEST))
        {
          g_set_error (error, GW_ERROR, GW_ERROR_PHOTO, _ ("%g is no noise level."), noise->level[c][k]);
          return FALSE;
        }
  for (guint k = 0; k < G_N_ELEMENTS (noise->grain); k++)
    if (!(noise->grain[k] >= -1 && noise->grain[k] <= HIGHEST))
      {
        g_set_error (error, GW_ERROR, GW_ERROR_PHOTO, _ ("%g is no grain."), noise->grain[k]);
        return FALSE;
      }
  return TRUE;
}

static gboolean
is_flat (const float level[GW_KNOTS])
{
  for (int k = 1; k < GW_KNOTS; k++)
    if (level[k] != level[0])
      return FALSE;

  return TRUE;
}

static float
level_at (const float level[GW_KNOTS], float brightness)
{
  const float t = brightness > 0 ? MIN (brightness, 1) * (GW_KNOTS - 1) : 0; /* NaN is black, too */
  const int k = MIN ((int) t, GW_KNOTS - 2);
  const float share = t - k;

  return sqrtf ((1 - share) * level[k] * level[k] + share * level[k + 1] * level[k + 1]);
}

/* A row, smoothed. */
static void
smooth (const float *restrict row, int width, int channels, float *restrict smoothed)
{
  float weights[REACH + 1], sum = 0;

  for (int d = 0; d <= REACH; d++)
    {
      weights[d] = expf (-d * d / 8.0f);
      sum += d == 0 ? weights[d] : 2 * weights[d];
    }
  for (int d = 0; d <= REACH; d++)
    weights[d] /= sum;

  for (int i = 0; i < width * channels; i++)
    smoothed[i] = 0;
  for (int d = -REACH; d <= REACH; d++) /* away from the edges: no branch, so that compilers vectorise it */
    for (int i = REACH * channels; i < (width - REACH) * channels; i++)
      smoothed[i] += weights[ABS (d)] * row[i + d * channels];
  for (int x = 0; x < width; x++)
    for (int c = 0; c < channels && (x < REACH || x >= width - REACH); c++)
      for (int d = -REACH; d <= REACH; d++)
        smoothed[x * channels + c] += weights[ABS (d)] * row[CLAMP (x + d, 0, width - 1) * channels + c];
}

void
gw_noise_fill_levels (const GwNoise *noise, const float *photo, int width, int channels, float *levels)
{
  gboolean flat[3], all = TRUE;

  for (int c = 0; c < channels; c++)
    all &= flat[c] = is_flat (noise->level[c]);
  if (!all)
    smooth (photo, width, channels, levels);

  for (int x = 0; x < width; x++)
    for (int c = 0; c < channels; c++)
      {
        float *level = levels + x * channels + c;

        *level = flat[c] ? noise->level[c][0] : level_at (noise->level[c], *level);
      }
}

/* ---- Reading ---------------------------------------------------------------------------------------------- */

/* @n values; no branch, so that compilers vectorise it for rows. */
static gboolean
is_photo (const float *values, int n)
{
  int others = 0;

  for (int i = 0; i < n; i++)
    others += !(fabsf (values[i]) <= HIGHEST);

  return others == 0;
}

void
gw_noise_fill_holes (float *row, int width, int channels)
{
  static const float nothing[3] = { 0, 0, 0 };
  const float *filling = NULL;

  if (is_photo (row, width * channels))
    return;
  for (int x = 0; x < width && !filling; x++)
    if (is_photo (row + x * channels, channels))
      filling = row + x * channels;
  if (!filling)
    filling = nothing;

  for (int x = 0; x < width; x++)
    {
      float *pixel = row + x * channels;

      if (is_photo (pixel, channels))
        filling = pixel;
      else
        memcpy (pixel, filling, sizeof (float) * channels);
    }
}

gboolean
gw_noise_check_levels (const float *levels, int width, int channels, int y, GError **error)
{
  for (int i = 0; i < width * channels; i++)
    if (!(levels[i] >= 0 && levels[i] <= HIGHEST))
      {
        g_set_error (error, GW_ERROR, GW_ERROR_PHOTO,
                     _ ("The noise map holds no noise level at column %d, row %d."), i / channels, y);
        return FALSE;
      }
  return TRUE;
}

gboolean
gw_noise_read (const GwPhoto *photo, const GwNoise *noise, int y, int n_rows, float *rows, float *levels,
               GError **error)
{
  const gsize length = (gsize) photo->width * photo->channels;

  if (!photo->read (y, n_rows, rows, photo->data, error)
      || (noise->read && !noise->read (y, n_rows, levels, noise->data, error)))
    return FALSE;
  for (int k = 0; k < n_rows; k++)
    {
      gw_noise_fill_holes (rows + k * length, photo->width, photo->channels);
      if (!noise->read)
        gw_noise_fill_levels (noise, rows + k * length, photo->width, photo->channels, levels + k * length);
      else if (!gw_noise_check_levels (levels + k * length, photo->width, photo->channels, y + k, error))
        return FALSE;
    }
  return TRUE;
}

/* ---- One number ------------------------------------------------------------------------------------------- */

gboolean
gw_noise_mean_level (const GwPhoto *photo, const GwNoise *noise, double *level, GError **error)
{
  g_autoptr (GwCrops) crops = gw_crops_new (photo, error);
  g_autofree float *levels = NULL;
  double sum = 0, count = 0;
  int rows, length;

  if (!crops)
    return FALSE;
  rows = crops->n * crops->height;
  length = crops->width * crops->channels;
  levels = g_new (float, length);
  for (int i = 0; i < rows; i++)
    {
      const float *row = crops->pixels[i / crops->height] + (gsize) (i % crops->height) * length;

      gw_noise_fill_levels (noise, row, crops->width, crops->channels, levels);
      for (int k = 0; k < length; k++)
        if (isfinite (row[k]))
          {
            sum += levels[k] * levels[k];
            count++;
          }
    }
  *level = count > 0 ? sqrt (sum / count) : noise->level[0][GW_KNOTS / 2];

  return TRUE;
}

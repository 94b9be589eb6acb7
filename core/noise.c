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
#define REACH 6      /* pixels to either side that brightness is taken from */

GwNoise
gw_noise_white (double level)
{
  GwNoise noise = { 0 };

  for (int c = 0; c < 3; c++)
    for (int k = 0; k < GW_KNOTS; k++)
      noise.level[c][k] = level;

  return noise;
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

void
gw_noise_fill_levels (const GwNoise *noise, const float *photo, int width, int channels, float *levels)
{
  float weights[REACH + 1], sum = 0;

  for (int d = 0; d <= REACH; d++)
    {
      weights[d] = expf (-d * d / 8.0f);
      sum += d == 0 ? weights[d] : 2 * weights[d];
    }
  for (int c = 0; c < channels; c++)
    {
      const gboolean flat = is_flat (noise->level[c]);

      for (int x = 0; x < width; x++)
        {
          float brightness = 0;

          for (int d = -REACH; d <= REACH && !flat; d++)
            brightness += weights[ABS (d)] / sum * photo[CLAMP (x + d, 0, width - 1) * channels + c];

          levels[x * channels + c] = flat ? noise->level[c][0] : level_at (noise->level[c], brightness);
        }
    }
}

/* ---- Reading ---------------------------------------------------------------------------------------------- */

static gboolean
is_photo (const float *pixel, int channels)
{
  for (int c = 0; c < channels; c++)
    if (!(fabsf (pixel[c]) <= HIGHEST))
      return FALSE;

  return TRUE;
}

/* Fills what is no photo with the last pixel that is, or before that with the first. */
static void
fill_holes (float *row, int width, int channels)
{
  static const float nothing[3] = { 0, 0, 0 };
  const float *filling = NULL;

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

static gboolean
check_levels (const float *row, int width, int channels, int y, GError **error)
{
  for (int i = 0; i < width * channels; i++)
    if (!(row[i] >= 0 && row[i] <= HIGHEST))
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
      fill_holes (rows + k * length, photo->width, photo->channels);
      if (!noise->read)
        gw_noise_fill_levels (noise, rows + k * length, photo->width, photo->channels, levels + k * length);
      else if (!check_levels (levels + k * length, photo->width, photo->channels, y + k, error))
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

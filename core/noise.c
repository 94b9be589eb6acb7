/* What is known of a photo's noise, row by row.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#include <math.h>
#include <glib/gi18n-lib.h>

#include "noise.h"

#define HIGHEST 1e4f /* noise beyond this would overflow when squared */
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
  const float t = CLAMP (brightness, 0, 1) * (GW_KNOTS - 1);
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

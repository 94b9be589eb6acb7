/* The noise level of a photo, from the photo alone.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#include <math.h>
#include <glib/gi18n-lib.h>

#include "grainwise.h"

#define BLOCK 64 /* rows, even */
#define BINS 16384
#define MAX_SD 1.0f /* of the coefficients that are told apart; bins are narrow at the small end */
#define HALF_LEVEL (0.5f / 255)

/* Coefficients are counted by size, so that memory does not grow with the photo.  The square root gives small values
 * narrow bins: 0.004 levels wide at sigma = 1 level. */
static int
bin_of (float value)
{
  return MIN ((int) (sqrtf (value / MAX_SD) * BINS), BINS - 1);
}

static float
value_of (double bin)
{
  return MAX_SD * (bin / BINS) * (bin / BINS);
}

static float
median (const guint64 *counts)
{
  guint64 total = 0, sum = 0;

  for (int i = 0; i < BINS; i++)
    total += counts[i];
  for (int i = 0; i < BINS; i++)
    {
      if (counts[i] > 0 && 2 * (sum + counts[i]) >= total)
        return value_of (i + (0.5 * total - sum) / counts[i]);
      sum += counts[i];
    }
  return 0;
}

/* Clipped pixels have lost their noise.  What lies beyond black or white was not clipped. */
static gboolean
is_clipped (float value)
{
  return !(fabsf (value) > HALF_LEVEL && fabsf (value - 1) > HALF_LEVEL); /* true for NaN, too */
}

static void
count_coefficients (const float *rows, int n_rows, int width, int channels, int channel, guint64 *counts)
{
  const gsize length = (gsize) width * channels;

  for (int y = 0; y + 1 < n_rows; y += 2)
    for (int x = 0; x + 1 < width; x += 2)
      {
        const float *p = rows + y * length + x * channels + channel;
        const float a = p[0], b = p[channels], c = p[length], d = p[length + channels];

        if (is_clipped (a) || is_clipped (b) || is_clipped (c) || is_clipped (d))
          continue;
        counts[bin_of (0.5f * fabsf (a - b - c + d))]++;
      }
}

gboolean
gw_noise_estimate (const GwPhoto *photo, GwNoise *noise, GCancellable *cancellable, GError **error)
{
  const gsize length = (gsize) photo->width * photo->channels;
  g_autofree float *rows = g_try_new (float, BLOCK *length);
  g_autofree guint64 *counts = g_new0 (guint64, BINS * photo->channels);

  if (!rows)
    {
      g_set_error (error, GW_ERROR, GW_ERROR_MEMORY,
                   _ ("There is not enough memory for a photo %d pixels wide."), photo->width);
      return FALSE;
    }
  for (int y = 0; y < photo->height; y += BLOCK)
    {
      const int n = MIN (BLOCK, photo->height - y);

      if (g_cancellable_set_error_if_cancelled (cancellable, error)
          || !photo->read (y, n, rows, photo->data, error))
        return FALSE;
      for (int c = 0; c < photo->channels; c++)
        count_coefficients (rows, n, photo->width, photo->channels, c, counts + c * BINS);
    }

  *noise = gw_noise_white (0);
  for (int c = 0; c < photo->channels; c++)
    for (int k = 0; k < GW_KNOTS; k++)
      noise->level[c][k]
          = median (counts + c * BINS) / 0.6744898f; /* of a normal distribution's absolute value */

  return TRUE;
}

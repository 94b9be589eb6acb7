/* The noise under which a photo is likeliest, with a score model as what is known of photos.
 *
 * Expectation and maximisation (Dempster, Laird, Rubin 1977): the model says, for the noise assumed, what the noise in the
 * photo was and how unsure that is; E[(y - x)^2 | y] = (y - D)^2 + C is its square, and the mean of that the
 * next assumption.  The true noise is where the two agree.  Texture, which any measure of the photo alone takes
 * for noise, is left to the model to recognise.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#include <math.h>
#include <string.h>
#include <glib/gi18n-lib.h>

#include "model.h"
#include "noise.h"

#define SIDE 128 /* of the crops that are looked at */
#define CROPS 8
#define ROUNDS 5
#define FASTER 1.5f   /* steps are taken this much larger than they come out; up to 2 converges */
#define PRIOR 0.1f    /* a knot of brightness moves by itself as far as it has this share of all pixels */
#define MAX_LUMA 0.8f /* grain in 2x2 pixels that photos with white noise were not found to exceed */
#define MAX_CHROMA 0.35f

typedef struct
{
  int width, height, channels;
  float *pixels;
} Crop;

/* Sums over the crops' pixels, each shared between the two nearest knots of brightness. */
typedef struct
{
  const Crop *crop;
  double assumed[3][GW_KNOTS], found[3][GW_KNOTS];
} Sums;

static gboolean
read_crop (int y, int n_rows, float *rows, gpointer data, GError **error)
{
  const Crop *crop = data;
  const gsize length = (gsize) crop->width * crop->channels;

  memcpy (rows, crop->pixels + y * length, sizeof (float) * n_rows * length);

  return TRUE;
}

/* Copies the crop at @left, @top out of the photo. */
static gboolean
cut (const GwPhoto *photo, int left, int top, Crop *crop, GError **error)
{
  const gsize length = (gsize) crop->width * crop->channels;
  g_autofree float *row = g_try_new (float, (gsize) photo->width * photo->channels);

  if (!row)
    {
      g_set_error (error, GW_ERROR, GW_ERROR_MEMORY,
                   _ ("There is not enough memory for a photo %d pixels wide."), photo->width);
      return FALSE;
    }
  for (int y = 0; y < crop->height; y++)
    {
      if (!photo->read (top + y, 1, row, photo->data, error))
        return FALSE;
      memcpy (crop->pixels + y * length, row + left * crop->channels, sizeof (float) * length);
    }
  return TRUE;
}

static gboolean
add_rows (const GwPosterior *rows, gpointer data, GError **error)
{
  Sums *sums = data;
  const int channels = rows->channels;
  const float *photo = sums->crop->pixels + (gsize) rows->y * rows->width * channels;
  static const int variances[] = { 0, 3, 5 }; /* where they are in a colour covariance */

  for (gsize i = 0; i < (gsize) rows->n_rows * rows->width * channels; i++)
    {
      const int c = i % channels;
      const gsize pixel = i / channels;
      const float variance
          = channels == 1 ? rows->covariance[pixel] : rows->covariance[6 * pixel + variances[c]];
      const float off = rows->noisy[i] - rows->mean[i];
      const float t = CLAMP (rows->mean[i], 0, 1) * (GW_KNOTS - 1);
      const int k = MIN ((int) t, GW_KNOTS - 2);

      if (gw_is_clipped (photo[i]))
        continue;
      for (int side = 0; side < 2; side++)
        {
          const float share = side == 0 ? k + 1 - t : t - k;

          sums->found[c][k + side] += share * (off * off + variance);
          sums->assumed[c][k + side] += share * rows->level[i] * rows->level[i];
        }
    }
  return TRUE;
}

/* Scales the level at every knot by what was found there, where little was found by what was found all over. */
static void
update (const Sums *sums, int channels, GwNoise *noise)
{
  for (int c = 0; c < channels; c++)
    {
      double assumed = 0, found = 0;

      for (int k = 0; k < GW_KNOTS; k++)
        {
          assumed += sums->assumed[c][k];
          found += sums->found[c][k];
        }
      if (assumed <= 0)
        continue;
      for (int k = 0; k < GW_KNOTS; k++)
        {
          const double ratio = (sums->found[c][k] + PRIOR * found) / (sums->assumed[c][k] + PRIOR * assumed);

          noise->level[c][k] *= pow (ratio, 0.5 * FASTER);
        }
    }
}

/* A model of white noise takes coarse grain for detail, and would find less noise every time. */
static gboolean
is_understood (const GwModel *model, const GwNoise *noise)
{
  return model->grain > 0 || (noise->grain[1] < MAX_LUMA && noise->grain[GW_OCTAVES + 1] < MAX_CHROMA);
}

gboolean
gw_noise_refine (const GwModel *model, const GwPhoto *photo, GwNoise *noise, const GwRun *run, GError **error)
{
  Crop crops[CROPS];
  const int width = MIN (photo->width, SIDE), height = MIN (photo->height, SIDE);
  const int n = width == photo->width && height == photo->height ? 1 : CROPS;
  const gsize size = (gsize) width * height * photo->channels;
  g_autofree float *pixels = g_new (float, n *size);

  if (!is_understood (model, noise))
    return TRUE;
  for (int i = 0; i < n; i++)
    {
      /* evenly spread for any n (Roberts 2018) */
      const double across = fmod (0.5 + i * 0.7548776662, 1), down = fmod (0.5 + i * 0.5698402910, 1);

      crops[i] = (Crop) { width, height, photo->channels, pixels + i * size };
      if (!cut (photo, (photo->width - width) * across, (photo->height - height) * down, &crops[i], error))
        return FALSE;
    }

  for (int round = 0; round < ROUNDS; round++)
    {
      Sums sums = { 0 };

      for (int i = 0; i < n; i++)
        {
          const GwPhoto crop = { width, height, photo->channels, read_crop, &crops[i] };

          sums.crop = &crops[i];
          if (!gw_posterior_run (model, &crop, noise, run, add_rows, &sums, error))
            return FALSE;
        }
      update (&sums, photo->channels, noise);
    }
  return TRUE;
}

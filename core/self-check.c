/* Does the noise in a photo look like what was assumed of it?  No clean photo is needed.
 *
 * The squared error of any estimate D(y) of a photo whose noise has the covariance S is, in the mean, |y -
 * D|^2 - tr S + 2 tr (S dD/dy) (Stein 1981), and the last term is E b^T (D(y + e b) - D(y)) / e for noise b
 * with that covariance (Ramani, Blu, Unser 2008). With S as measured in the photo, whatever was assumed, this
 * is the error to be expected; the model predicts its own, the mean of C. They differ where the noise is
 * stronger, weaker or coarser than the model was told.
 *
 * That takes noise for independent of the photo. Detail that is missing, as after JPEG, is not: then the
 * error seems less than predicted, even less than nothing. But whatever the noise, a posterior mean is at
 * right angles to its error, so what was not removed is left: tr S - |y - D|^2.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#include <math.h>
#include <string.h>

#include "crops.h"
#include "drawn-noise.h"
#include "model.h"
#include "noise.h"

#define STEP 0.1f   /* e */
#define ALLOWED 0.3 /* error of the logarithm of a level that the model makes allowance for */
#define LEAST 0.1f  /* error of the logarithm of a level that is never ruled out */

/* Over all pixels and channels that are not clipped; squares. */
typedef struct
{
  const GwCrops *crops;
  const GwNoise *measured;
  float *noise[GW_MOST_CROPS]; /* b */
  float *mean[GW_MOST_CROPS];  /* D(y) */
  double assumed, there;       /* the noise, assumed and measured */
  double removed, left;        /* (y - D)^2 and C */
  double response;             /* b (D(y + e b) - D(y)) / e */
  GArray *variances;           /* of every pixel, clipped ones too; means of the channels' */
} Sums;

static void
add_variances (const GwPosterior *rows, Sums *sums)
{
  const int channels = rows->channels;

  for (gsize i = 0; i < (gsize) rows->n_rows * rows->width; i++)
    {
      float sum = 0;

      for (int c = 0; c < channels; c++)
        sum += gw_posterior_variance (rows, i * channels + c);
      sum /= channels;
      g_array_append_val (sums->variances, sum);
    }
}

static void
add_rows (const GwPosterior *rows, int crop, gpointer data)
{
  Sums *sums = data;
  const int channels = rows->channels;
  const gsize first = (gsize) rows->y * rows->width * channels;
  const float *photo = sums->crops->pixels[crop] + first;
  float *b = sums->noise[crop] + first;

  add_variances (rows, sums);
  memcpy (sums->mean[crop] + first, rows->mean, sizeof (float) * rows->n_rows * rows->width * channels);
  for (int y = 0; y < rows->n_rows; y++)
    {
      const gsize length = (gsize) rows->width * channels;
      g_autofree float *levels = g_new (float, length);

      gw_noise_fill_levels (sums->measured, rows->noisy + y * length, rows->width, channels, levels);
      for (gsize k = 0; k < length; k++)
        {
          const gsize i = y * length + k;
          const float off = rows->noisy[i] - rows->mean[i];

          b[i] *= levels[k];
          if (gw_is_clipped (photo[i]))
            continue;
          sums->assumed += rows->level[i] * rows->level[i];
          sums->there += levels[k] * levels[k];
          sums->removed += off * off;
          sums->left += gw_posterior_variance (rows, i);
        }
    }
}

static void
add_response (const GwPosterior *rows, int crop, gpointer data)
{
  Sums *sums = data;
  const gsize first = (gsize) rows->y * rows->width * rows->channels;

  for (gsize i = 0; i < (gsize) rows->n_rows * rows->width * rows->channels; i++)
    if (!gw_is_clipped (sums->crops->pixels[crop][first + i]))
      sums->response += sums->noise[crop][first + i] * (rows->mean[i] - sums->mean[crop][first + i]) / STEP;
}

/* The crops, with e b added. */
static GwCrops *
disturb (const GwCrops *crops, float **noise)
{
  GwCrops *disturbed = g_memdup2 (crops, sizeof (GwCrops));
  const gsize size = (gsize) crops->width * crops->height * crops->channels;

  for (int i = 0; i < crops->n; i++)
    {
      disturbed->pixels[i] = g_new (float, size);
      for (gsize k = 0; k < size; k++)
        disturbed->pixels[i][k] = crops->pixels[i][k] + STEP * noise[i][k];
    }
  return disturbed;
}

static gboolean
sum_up (const GwModel *model, const GwNoise *assumed, const GwRun *run, Sums *sums, GError **error)
{
  g_autoptr (GwCrops) disturbed = NULL;

  if (!gw_crops_run (sums->crops, model, assumed, run, add_rows, sums, error))
    return FALSE;
  disturbed = disturb (sums->crops, sums->noise);

  return gw_crops_run (disturbed, model, assumed, run, add_response, sums, error);
}

/* The ratio of levels up to which they may be the same. */
static double
tolerance (const GwNoise *measured)
{
  return exp (MAX (1.5f * measured->level_error, LEAST));
}

/* Whether noise that cannot be told from the measured explains the error predicted. */
static gboolean
is_explained (const Sums *sums)
{
  const double slope = 2 * sums->response - sums->there;
  const double factor = pow (tolerance (sums->measured), 2);
  const double low = sums->removed + slope / factor, high = sums->removed + slope * factor;

  return (low - sums->left) * (high - sums->left) <= 0;
}

static GwFit
judge (const Sums *sums, const GwModel *model, const GwNoise *assumed)
{
  const double level_ratio = sqrt (sums->there / sums->assumed);

  return level_ratio > tolerance (sums->measured)         ? GW_FIT_STRONGER
         : level_ratio < 1 / tolerance (sums->measured)   ? GW_FIT_WEAKER
         : gw_is_coarser (sums->measured, model, assumed) ? GW_FIT_COARSER
                                                          : GW_FIT_AGREES;
}

/* How much larger the squared error is than predicted, where it seemed less: the middle between what it is
 * if detail is missing and, 1, if the level was measured too high. */
static double
lost (const Sums *sums)
{
  return sqrt (MAX (sums->there - sums->removed, 0) / sums->left);
}

/* How much larger the squared error is in the mean than it would be with the level known, if the level is
 * as unsure as that: less than the level's own square, whose factor is 2, since models make some
 * allowance; found on synthetic cameras' photos. */
static double
unsureness (const GwNoise *assumed)
{
  const double unsure = MAX (assumed->level_error, ALLOWED);

  return exp (0.6 * (unsure * unsure - ALLOWED * ALLOWED));
}

static void
expect (const GArray *variances, GwSelfCheck *check)
{
  const double widening = MAX (check->error_ratio, 1);

  for (guint i = 0; i < variances->len; i++)
    {
      const double variance = widening * g_array_index (variances, float, i);

      check->mean_variance += variance / variances->len;
      check->doubtful += (variance > GW_DOUBTFUL * GW_DOUBTFUL) / (double) variances->len;
    }
}

gboolean
gw_self_check (const GwModel *model, const GwPhoto *photo, const GwNoise *assumed, const GwNoise *measured,
               const GwRun *run, GwSelfCheck *check, GError **error)
{
  g_autoptr (GwCrops) crops = gw_crops_new (photo, error);
  g_autoptr (GArray) variances = g_array_new (FALSE, FALSE, sizeof (float));
  const double unsure = unsureness (assumed);
  Sums sums = { .crops = crops, .measured = measured, .variances = variances };
  gboolean success;

  *check = (GwSelfCheck) { .fit = GW_FIT_UNKNOWN, .level_ratio = 1, .error_ratio = 1 };
  if (!crops)
    return FALSE;
  for (int i = 0; i < crops->n; i++)
    {
      sums.noise[i]
          = gw_drawn_noise_picture (measured->grain, crops->width, crops->height, crops->channels, i);
      sums.mean[i] = g_new (float, (gsize) crops->width * crops->height * crops->channels);
    }
  success = sum_up (model, assumed, run, &sums, error);
  for (int i = 0; i < crops->n; i++)
    {
      g_free (sums.noise[i]);
      g_free (sums.mean[i]);
    }
  if (!success)
    return FALSE;
  if (sums.there > 0 && sums.assumed > 0 && sums.left > 0)
    {
      check->level_ratio = sqrt (sums.there / sums.assumed);
      check->fit = judge (&sums, model, assumed);
      if (check->fit != GW_FIT_AGREES || !is_explained (&sums))
        check->error_ratio = MAX (sums.removed - sums.there + 2 * sums.response, 0) / sums.left;
      if (check->fit == GW_FIT_AGREES && check->error_ratio < 1 && lost (&sums) > 1)
        {
          check->error_ratio = lost (&sums);
          check->fit = GW_FIT_LOST;
        }
      if (unsure > 1 && check->error_ratio < unsure)
        {
          check->error_ratio = unsure;
          if (check->fit == GW_FIT_AGREES)
            check->fit = GW_FIT_UNSURE;
        }
    }
  expect (variances, check);

  return TRUE;
}

/* The noise under which a photo is likeliest, with a score model as what is known of photos.
 *
 * Expectation and maximisation (Dempster, Laird, Rubin 1977): the model says, for the noise assumed, what the
 * noise in the photo was and how unsure that is; E[(y - x)^2 | y] = (y - D)^2 + C is its square, and the mean
 * of that the next assumption.  The true noise is where the two agree.  Texture, which any measure of the
 * photo alone takes for noise, is left to the model to recognise.
 *
 * That alone does not recognise texture where noise may have grain; but some models have learned to judge the
 * level that they are told, and these are asked first.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#include <math.h>
#include <string.h>

#include "crops.h"
#include "model.h"
#include "noise.h"

#define JUDGEMENTS 2
#define ROUNDS 5
#define FASTER 1.5f       /* steps are taken this much larger than they come out; up to 2 converges */
#define LEAST_GROWTH 0.1f /* of correlated noise, from one octave to the next */
#define MONOCHROME -0.9f  /* grain of chroma below which there is none */
#define PRIOR 0.1f        /* a knot of brightness moves by itself as far as it has this share of all pixels */

/* How far the level may be off, as a logarithm: so much of the way that it went, as found on photos with
 * noise of many kinds; and for a grey photo, where no colour helps to tell noise with grain from texture.
 * In levels: traces of JPEG, rounding and the faintest texture cannot be told from noise. */
#define MOVED 0.4f
#define GREY 0.25f
#define TRACES (0.3 / 255)

/* Grain and rounding of photos as they are: the median of what is found in those held out from training. */
#define OWN (1.5 / 255)

/* Sums over the crops' pixels, each shared between the two nearest knots of brightness. */
typedef struct
{
  const GwCrops *crops;
  double assumed[3][GW_KNOTS], found[3][GW_KNOTS];
} Sums;

static void
add_rows (const GwPosterior *rows, int crop, gpointer data)
{
  Sums *sums = data;
  const int channels = rows->channels;
  const float *photo = sums->crops->pixels[crop] + (gsize) rows->y * rows->width * channels;

  for (gsize i = 0; i < (gsize) rows->n_rows * rows->width * channels; i++)
    {
      const int c = i % channels;
      const float off = rows->noisy[i] - rows->mean[i];
      const float t = CLAMP (rows->mean[i], 0, 1) * (GW_KNOTS - 1);
      const int k = MIN ((int) t, GW_KNOTS - 2);

      if (gw_is_clipped (photo[i]))
        continue;
      for (int side = 0; side < 2; side++)
        {
          const float share = side == 0 ? k + 1 - t : t - k;

          sums->found[c][k + side] += share * (off * off + gw_posterior_variance (rows, i));
          sums->assumed[c][k + side] += share * rows->level[i] * rows->level[i];
        }
    }
}

/* Scales the level at every knot by that power of what was found there, as variances, over what was
 * assumed; where little was found by what was found all over.  @most: (nullable): the highest levels that
 * are possible. */
static void
update (const Sums *sums, int channels, double power, const GwNoise *most, GwNoise *noise)
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

          noise->level[c][k] *= pow (ratio, power);
          if (most)
            noise->level[c][k] = MIN (noise->level[c][k], most->level[c][k]);
        }
    }
}

/* Root mean square over channels and brightness. */
static double
mean_level (const GwNoise *noise, int channels)
{
  double sum = 0;

  for (int c = 0; c < channels; c++)
    for (int k = 0; k < GW_KNOTS; k++)
      sum += noise->level[c][k] * noise->level[c][k];

  return sqrt (sum / channels / GW_KNOTS);
}

/* Photos have fine grain of their own, which nothing tells from white noise and which is to stay: what is
 * found is shared between the two, as variances, by as much as there is of each to be expected. */
static void
leave_own_grain (int channels, GwNoise *noise)
{
  const double found = mean_level (noise, channels);

  for (int c = 0; c < channels; c++)
    for (int k = 0; k < GW_KNOTS; k++)
      {
        const double level = noise->level[c][k];

        if (level > 0)
          noise->level[c][k] = level * level / hypot (level, OWN);
      }
  if (found > 0)
    noise->level_error = hypot (noise->level_error, log (found / mean_level (noise, channels)));
}

/* White noise can only have been measured too strong, together with texture: until it changes no more. */
static gboolean
refine_white (const GwModel *model, const GwCrops *crops, const GwRun *run, int channels, GwNoise *noise,
              GError **error)
{
  const GwNoise measured = *noise;

  for (int round = 0; round < ROUNDS; round++)
    {
      Sums sums = { .crops = crops };

      if (!gw_crops_run (crops, model, noise, run, add_rows, &sums, error))
        return FALSE;
      update (&sums, channels, 0.5 * FASTER, &measured, noise);
    }
  leave_own_grain (channels, noise);

  return TRUE;
}

/* With grain it may be either, but models that know grain have learned to doubt the level that they are
 * told of it: once is enough.  What they find is noise and texture again; so they are asked about that
 * before, and where the photo has no place without texture, not after.  (Not where there is no colour: the
 * votes on grey photos tell little more than that texture is likelier than noise, and came to 0.6 of the
 * level.) */
static gboolean
refine_grain (const GwModel *model, const GwCrops *crops, const GwRun *run, int channels, GwNoise *noise,
              GError **error)
{
  const gboolean judges = model->judgement && channels > 1;
  const double smooth = CLAMP (1 - (noise->level_error - GW_SURE) / GW_UNSURE, 0, 1);
  double judged = 0; /* logarithm of the level over the one measured */
  Sums sums = { .crops = crops };

  for (int i = 0; i < JUDGEMENTS && judges; i++)
    {
      GwVotes votes = { 0 };

      if (!gw_crops_judge_level (crops, model, noise, run, &votes, error))
        return FALSE;
      for (int c = 0; c < channels; c++)
        for (int k = 0; k < GW_KNOTS; k++)
          noise->level[c][k] *= exp (votes.sum / votes.weight);
      judged += votes.sum / votes.weight;
    }
  /* Of what was taken for noise and is texture, as much again may not have been recognised. */
  noise->level_error = hypot (noise->level_error, channels > 1 ? MIN (judged, 0) : GREY);
  if (!gw_crops_run (crops, model, noise, run, add_rows, &sums, error))
    return FALSE;
  update (&sums, channels, 0.5 * (judges ? smooth : 1), NULL, noise);

  return TRUE;
}

/* Independent from pixel to pixel, if not from channel to channel: texture looks like that, cameras' noise
 * does not. */
static gboolean
is_white (const GwNoise *noise)
{
  for (int k = 1; k < GW_OCTAVES; k++)
    if (noise->grain[k] > noise->grain[0] + LEAST_GROWTH
        || noise->grain[GW_OCTAVES + k] > noise->grain[GW_OCTAVES] + LEAST_GROWTH)
      return FALSE;

  return TRUE;
}

gboolean
gw_noise_refine (const GwModel *model, const GwPhoto *photo, GwNoise *noise, const GwRun *run, GError **error)
{
  g_autoptr (GwCrops) crops = NULL;
  const GwNoise measured = *noise;
  const gboolean white = is_white (noise);
  double before, after;

  if (gw_is_coarser (noise, model, noise))
    return TRUE;
  if (!(crops = gw_crops_new (photo, error)))
    return FALSE;

  /* What the channels have in common may be texture; noise that they have in common entirely is a
   * monochrome photo's. */
  if (white && noise->grain[GW_OCTAVES] > MONOCHROME)
    memset (noise->grain, 0, sizeof (noise->grain));

  if (!(white ? refine_white : refine_grain) (model, crops, run, photo->channels, noise, error))
    return FALSE;
  before = mean_level (&measured, photo->channels);
  after = mean_level (noise, photo->channels);
  if (before > 0 && after > 0)
    noise->level_error
        = MIN (hypot (noise->level_error + MOVED * fabs (log (after / before)), TRACES / after), GW_UNKNOWN);

  return TRUE;
}

/* Samples of the posterior.
 *
 * The noisy photo y is the state at t = 1 of a diffusion whose state x_t is the clean photo with noise of t
 * times the level; followed back to t = 0 it ends in a sample of p(x|y) (Song et al. 2021).  At every t the
 * score gives the mean D and the covariance C of the clean photo behind the state.  S is the covariance of
 * the photo's noise.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#include <math.h>
#include <string.h>
#include <glib/gi18n-lib.h>

#include "drawn-noise.h"
#include "eigen.h"
#include "noise.h"
#include "random.h"

#define STRIDE 8 /* streams of random numbers for each step */

typedef struct
{
  GwScore score;
  gconstpointer density;
  const GwPhoto *photo;
  const GwNoise *noise;
  const GwSampling *sampling;
  const GwRun *run;
  guint32 number;
  GwWorkers *workers;
  GwDrawnNoise *drawn;
  gsize length;        /* of a row */
  float *state, *mean; /* x_t; D, while the state is disturbed */
  float *photo_rows, *levels;
  int room; /* rows of those two */

  /* the step at work */
  int step, done; /* done: passes */
  double t, s;    /* from t to s, or at t */
  gboolean begun; /* the state is there */
  GwJob move;     /* of a row */
  const GwPosterior *rows;
  const float *normal; /* noise of level 1 and the photo's grain, of the same rows */
} Chain;

static void
chain_clear (Chain *chain)
{
  g_clear_pointer (&chain->drawn, gw_drawn_noise_free);
  g_clear_pointer (&chain->workers, gw_workers_free);
  g_free (chain->mean);
  g_free (chain->photo_rows);
  g_free (chain->levels);
}

G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (Chain, chain_clear)

/* ---- What a step does to a row ----------------------------------------------------------------------------- */

/* out = L z, C = L L^T */
static void
multiply_root (const float *c, int channels, const float *z, float *out)
{
  const float l00 = sqrtf (c[0]);
  float l10, l20, l11, l21, l22;

  out[0] = l00 * z[0];
  if (channels == 1)
    return;
  l10 = l00 > 0 ? c[1] / l00 : 0;
  l20 = l00 > 0 ? c[2] / l00 : 0;
  l11 = sqrtf (MAX (c[3] - l10 * l10, 0));
  l21 = l11 > 0 ? (c[4] - l20 * l10) / l11 : 0;
  l22 = sqrtf (MAX (c[5] - l20 * l20 - l21 * l21, 0));
  out[1] = l10 * z[0] + l11 * z[1];
  out[2] = l20 * z[0] + l21 * z[1] + l22 * z[2];
}

/* From t to s: mean D + s^2/t^2 (x - D), covariance s^2 (t^2 - s^2)/t^2 S + (1 - s^2/t^2)^2 C. */
static void
reverse_row (int number, int thread, gpointer data)
{
  const Chain *chain = data;
  const GwPosterior *rows = chain->rows;
  const int channels = rows->channels;
  const float q = chain->s * chain->s / (chain->t * chain->t);
  const float fresh = sqrtf (q * (1 - q)); /* in units of the state's noise */
  const gboolean second = chain->sampling->second_order != GW_SECOND_ORDER_NONE;
  float *state = chain->state + (rows->y + number) * chain->length;
  g_autofree float *z = g_new (float, (gsize) rows->width *GW_NORMALS);

  if (second)
    gw_random_normals (chain->sampling->seed, chain->number, chain->step * STRIDE + GW_STREAMS,
                       rows->y + number, rows->width, z);
  for (int x = 0; x < rows->width; x++)
    {
      const gsize pixel = (gsize) number * rows->width + x;
      float drawn[3] = { 0 };

      if (second)
        multiply_root (rows->covariance + pixel * (channels == 1 ? 1 : 6), channels, z + x * GW_NORMALS,
                       drawn);
      for (int c = 0; c < channels; c++)
        {
          const gsize i = pixel * channels + c;

          state[x * channels + c] = rows->mean[i] + q * (rows->noisy[i] - rows->mean[i])
                                    + fresh * rows->level[i] * chain->normal[i] + (1 - q) * drawn[c];
        }
    }
}

/* The same with the whole of C, also between pixels, by two passes.  With J = dD/dx, C = t^2 J S, and the
 * covariance above is b^2 (1 + r J) S, b^2 = s^2 (t^2 - s^2)/t^2, r = t^2/s^2 - 1.  Noise n of covariance
 * S becomes noise of that covariance by sqrt (1 + r J).  J n is the difference that a small disturbance by
 * n makes to D. */
#define DISTURBANCE 0.03f /* times n; the larger, the more of it is taken for detail where all is smooth */

/* k of 1 + k J instead of that root.  For one eigenvalue it is the same; here for the one that counts in a
 * pixel.  @share is the mean of all eigenvalues there, J_ii = C_ii / (t^2 S_ii); their mean weighted by
 * themselves, (J^2)_ii / J_ii, lies between that and 1: in the (geometric) middle. */
static float
root_slope (float r, float share)
{
  const float eigenvalue = CLAMP (sqrtf (share), 0.01f, 1);

  return (sqrtf (1 + r * eigenvalue) - 1) / eigenvalue;
}

static void
disturb_row (int number, int thread, gpointer data)
{
  const Chain *chain = data;
  const GwPosterior *rows = chain->rows;
  const gsize first = number * chain->length, at = (rows->y + number) * chain->length;

  for (gsize i = 0; i < chain->length; i++)
    {
      chain->mean[at + i] = rows->mean[first + i];
      chain->state[at + i]
          = rows->noisy[first + i] + DISTURBANCE * rows->level[first + i] * chain->normal[first + i];
    }
}

static void
respond_row (int number, int thread, gpointer data)
{
  const Chain *chain = data;
  const GwPosterior *rows = chain->rows;
  const float q = chain->s * chain->s / (chain->t * chain->t);
  const float fresh = sqrtf (q * (1 - q)), r = 1 / q - 1;
  const gsize first = number * chain->length, at = (rows->y + number) * chain->length;

  for (gsize i = 0; i < chain->length; i++)
    {
      const float level = rows->level[first + i], noise = level * chain->normal[first + i];
      const float share = level > 0 ? gw_posterior_variance (rows, first + i) / (level * level) : 1;
      const float mean = chain->mean[at + i], response = (rows->mean[first + i] - mean) / DISTURBANCE;

      chain->state[at + i] = mean + q * (rows->noisy[first + i] - DISTURBANCE * noise - mean)
                             + fresh * (noise + root_slope (r, share) * response);
    }
}

/* (e^a - 1) / a */
static double
growth (double a)
{
  return fabs (a) < 1e-8 ? 1 : expm1 (a) / a;
}

/* Ozaki's step (Meng et al. 2021, section 5): where the drift is linear, it is exact.  In units of the
 * noise's level: @drift and @normal times functions of h H, whose eigenvalues follow from those of C. */
static void
ozaki (const float *covariance, const float *level, int channels, double size, double t, float *drift,
       float *normal)
{
  const double share = 1 - t * t;
  float relative[6], values[3] = { 0 }, vectors[3][3] = { { 1 } };
  float turned[2][3] = { { 0 } };

  for (int c = 0; c < channels; c++)
    if (!(level[c] > 0)) /* nothing to draw */
      return;
  for (int k = 0, n = 0; k < channels; k++)
    for (int l = k; l < channels; l++, n++)
      relative[n] = covariance[n] / (level[k] * level[l]);
  if (channels == 1)
    values[0] = relative[0];
  else
    gw_eigen3 (relative, values, vectors);

  for (int i = 0; i < channels; i++)
    {
      const double a
          = MIN (size * (share * values[i] - 1), 0); /* between modes as Langevin: it would run away */
      float along_drift = 0, along_normal = 0;

      for (int c = 0; c < channels; c++)
        {
          along_drift += vectors[i][c] * drift[c] / level[c];
          along_normal += vectors[i][c] * normal[c];
        }
      for (int c = 0; c < channels; c++)
        {
          turned[0][c] += growth (a) * along_drift * vectors[i][c] * level[c];
          turned[1][c] += sqrt (growth (2 * a)) * along_normal * vectors[i][c];
        }
    }
  memcpy (drift, turned[0], sizeof (float) * channels);
  memcpy (normal, turned[1], sizeof (float) * channels);
}

/* One step of Langevin diffusion towards p(x_t|y), preconditioned by S: S times the gradient is (D -
 * x)/t^2 + (y - x)/(1 - t^2), the Hessian s2 - S^-1/(1 - t^2).  The time step is h = size t^2 (1 - t^2):
 * the variance of x_t given y and x, times size. */
static void
langevin_row (int number, int thread, gpointer data)
{
  const Chain *chain = data;
  const GwPosterior *rows = chain->rows;
  const int channels = rows->channels;
  const double size = chain->sampling->step_size, t = chain->t, share = 1 - t * t;
  float *state = chain->state + (rows->y + number) * chain->length;

  for (int x = 0; x < rows->width; x++)
    {
      const gsize pixel = (gsize) number * rows->width + x;
      float drift[3], normal[3];

      for (int c = 0; c < channels; c++)
        {
          const gsize i = pixel * channels + c;

          drift[c] = size
                     * (share * (rows->mean[i] - rows->noisy[i])
                        + t * t * (chain->photo_rows[i] - rows->noisy[i]));
          normal[c] = chain->normal[i];
        }
      if (chain->sampling->ozaki)
        ozaki (rows->covariance + pixel * (channels == 1 ? 1 : 6), rows->level + pixel * channels, channels,
               size, t, drift, normal);
      for (int c = 0; c < channels; c++)
        state[x * channels + c] = rows->noisy[pixel * channels + c] + drift[c]
                                  + sqrt (2 * size * share) * rows->level[pixel * channels + c] * normal[c];
    }
}

/* ---- Passes ------------------------------------------------------------------------------------------------ */

static gboolean
reserve (Chain *chain, int n_rows, GError **error)
{
  if (n_rows <= chain->room)
    return TRUE;
  g_free (chain->photo_rows);
  g_free (chain->levels);
  chain->photo_rows = g_try_new (float, n_rows * chain->length);
  chain->levels = g_try_new (float, n_rows * chain->length);
  chain->room = n_rows;
  if (!chain->photo_rows || !chain->levels)
    g_set_error (error, GW_ERROR, GW_ERROR_MEMORY,
                 _ ("There is not enough memory for a photo %d pixels wide."), chain->photo->width);

  return chain->photo_rows && chain->levels;
}

static gboolean
read_state (int y, int n_rows, float *rows, gpointer data, GError **error)
{
  const Chain *chain = data;

  if (!chain->begun)
    return chain->photo->read (y, n_rows, rows, chain->photo->data, error);
  memcpy (rows, chain->state + y * chain->length, sizeof (float) * n_rows * chain->length);

  return TRUE;
}

/* The level is the photo's at every t. */
static gboolean
read_levels (int y, int n_rows, float *levels, gpointer data, GError **error)
{
  Chain *chain = data;

  if (!reserve (chain, n_rows, error)
      || !gw_noise_read (chain->photo, chain->noise, y, n_rows, chain->photo_rows, levels, error))
    return FALSE;
  for (gsize i = 0; i < n_rows * chain->length; i++)
    levels[i] *= chain->t;

  return TRUE;
}

/* The pass reads far ahead of what it writes, so one state is enough. */
static gboolean
write_state (const GwPosterior *rows, gpointer data, GError **error)
{
  Chain *chain = data;

  chain->rows = rows;
  chain->normal = gw_drawn_noise_next (chain->drawn, chain->workers, rows->n_rows);
  if (chain->move == langevin_row
      && (!reserve (chain, rows->n_rows, error)
          || !gw_noise_read (chain->photo, chain->noise, rows->y, rows->n_rows, chain->photo_rows,
                             chain->levels, error)))
    return FALSE;
  gw_workers_run (chain->workers, chain->move, chain, rows->n_rows);

  return TRUE;
}

static void
show_progress (double fraction, gpointer data)
{
  const Chain *chain = data;

  chain->run->progress ((chain->done + fraction) / gw_sampling_passes (chain->sampling),
                        chain->run->progress_data);
}

static gboolean
pass (Chain *chain, GwJob move, GError **error)
{
  const GwPhoto state
      = { chain->photo->width, chain->photo->height, chain->photo->channels, read_state, chain };
  GwRun run = *chain->run;
  GwNoise noise = *chain->noise;

  noise.misfit = 0;
  noise.read = read_levels;
  noise.data = chain;
  if (run.progress)
    {
      run.progress = show_progress;
      run.progress_data = chain;
    }
  chain->move = move;
  gw_drawn_noise_begin (chain->drawn, chain->step * STRIDE);
  if (!chain->score (chain->density, &state, &noise, &run, write_state, chain, error))
    return FALSE;
  chain->begun = TRUE;
  chain->done++;

  return TRUE;
}

/* From chain->t to chain->s. */
static gboolean
predict (Chain *chain, GError **error)
{
  chain->step++;
  if (chain->s > 0 && chain->sampling->second_order == GW_SECOND_ORDER_NEIGHBOURS)
    return pass (chain, disturb_row, error) && pass (chain, respond_row, error);

  return pass (chain, reverse_row, error);
}

/* At chain->t. */
static gboolean
correct (Chain *chain, GError **error)
{
  chain->step++;

  return pass (chain, langevin_row, error);
}

/* ---- Public ------------------------------------------------------------------------------------------------ */

gboolean
gw_model_score (gconstpointer model, const GwPhoto *state, const GwNoise *noise, const GwRun *run,
                GwWriteRows write, gpointer data, GError **error)
{
  return gw_posterior_run (model, state, noise, run, write, data, error);
}

GwSampling
gw_sampling (GwSampler sampler, int steps, guint64 seed)
{
  const int levels = 1 + (steps - 1) / 2;

  if (sampler == GW_SAMPLER_REVERSE)
    return (GwSampling) { .levels = levels,
                          .lowest = levels > 2 ? 1 / 4. : 0, /* weights/samples.md */
                          .second_order = GW_SECOND_ORDER_NEIGHBOURS,
                          .seed = seed };

  return (GwSampling) { .levels = levels,
                        .second_order = GW_SECOND_ORDER_PIXELS,
                        .corrections = 1,
                        .ozaki = sampler == GW_SAMPLER_OZAKI,
                        .step_size = sampler == GW_SAMPLER_OZAKI ? 0.5 : 0.25,
                        .seed = seed };
}

int
gw_sampling_passes (const GwSampling *sampling)
{
  const int predictor = sampling->second_order == GW_SECOND_ORDER_NEIGHBOURS ? 2 : 1;

  return (sampling->levels - 1) * (predictor + sampling->corrections) + 1;
}

/* Number @k of sampling->levels, from 1 on. */
static double
level (const GwSampling *sampling, int k)
{
  const double lowest = sampling->lowest > 0 ? sampling->lowest : 1. / sampling->levels;

  return k == 0 ? 1 : k == sampling->levels ? 0 : 1 - k * (1 - lowest) / (sampling->levels - 1);
}

gboolean
gw_sample (GwScore score, gconstpointer density, const GwPhoto *photo, const GwNoise *noise,
           const GwSampling *sampling, guint number, const GwRun *run, float *sample, GError **error)
{
  static const GwRun default_run = { 0 };
  g_auto (Chain) chain = { .score = score,
                           .density = density,
                           .photo = photo,
                           .noise = noise,
                           .sampling = sampling,
                           .run = run ? run : &default_run,
                           .number = number,
                           .length = (gsize) photo->width * photo->channels,
                           .state = sample };

  chain.workers = gw_workers_new (chain.run->threads);
  chain.drawn = gw_drawn_noise_new (noise->grain, photo->width, photo->channels, sampling->seed, number);
  if (sampling->second_order == GW_SECOND_ORDER_NEIGHBOURS
      && !(chain.mean = g_try_new (float, chain.length * photo->height)))
    {
      g_set_error (error, GW_ERROR, GW_ERROR_MEMORY,
                   _ ("There is not enough memory for samples of %d × %d pixels."), photo->width,
                   photo->height);
      return FALSE;
    }
  for (int k = 0; k < sampling->levels; k++)
    {
      chain.t = level (sampling, k);
      chain.s = level (sampling, k + 1);
      for (int i = 0; k > 0 && i < sampling->corrections; i++)
        if (!correct (&chain, error))
          return FALSE;
      if (!predict (&chain, error))
        return FALSE;
    }
  return TRUE;
}

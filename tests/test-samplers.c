/* Samplers: on densities whose posterior is known, against a slow reference, and on photos.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#include <math.h>
#include <string.h>

#include "densities.h"
#include "drawn-noise.h"
#include "eigen.h"
#include "memory.h"
#include "random.h"

#define SIDE 160 /* of pictures whose pixels are draws: 25600 of them */

static Image *
sample (GwScore score, gconstpointer density, const Image *photo, const GwNoise *noise,
        const GwSampling *sampling, guint number, int threads)
{
  const GwPhoto source = { photo->width, photo->height, photo->channels, image_read, (gpointer) photo };
  const GwRun run = { .threads = threads };
  Image *image = image_new (photo->width, photo->height, photo->channels);
  g_autoptr (GError) error = NULL;

  gw_sample (score, density, &source, noise, sampling, number, &run, image->values, &error);
  g_assert_no_error (error);

  return image;
}

/* ---- Parts ------------------------------------------------------------------------------------------------- */

/* Known answers of the generator's authors. */
static void
test_philox (void)
{
  static const struct
  {
    guint32 key[2], counter[4], result[4];
  } known[] = { { { 0, 0 }, { 0, 0, 0, 0 }, { 0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8 } },
                { { 0xffffffff, 0xffffffff },
                  { 0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff },
                  { 0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd } },
                { { 0xa4093822, 0x299f31d0 },
                  { 0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344 },
                  { 0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1 } } };

  for (guint i = 0; i < G_N_ELEMENTS (known); i++)
    {
      guint32 result[4];

      gw_random_philox (known[i].key, known[i].counter, result);
      g_assert_cmpmem (result, sizeof (result), known[i].result, sizeof (known[i].result));
    }
}

/* Moments and tails of the normal numbers, and that no two of a pixel hang together. */
static void
test_normals (void)
{
  const int n = 1000000;
  g_autofree float *normals = g_new (float, (gsize) n *GW_NORMALS);
  double moments[5] = { 0 }, products = 0;
  int beyond = 0;

  gw_random_normals (7, 1, 2, 3, n, normals);
  for (int i = 0; i < n * GW_NORMALS; i++)
    {
      for (int k = 1; k < 5; k++)
        moments[k] += pow (normals[i], k) / (n * GW_NORMALS);
      beyond += fabsf (normals[i]) > 3;
    }
  for (int i = 0; i < n; i++)
    products += normals[GW_NORMALS * i] * normals[GW_NORMALS * i + 1] / n;
  g_assert_cmpfloat (fabs (moments[1]), <, 0.003);
  g_assert_cmpfloat (fabs (moments[2] - 1), <, 0.005);
  g_assert_cmpfloat (fabs (moments[3]), <, 0.01);
  g_assert_cmpfloat (fabs (moments[4] - 3), <, 0.03);
  g_assert_cmpfloat (fabs (products), <, 0.005);
  g_assert_cmpfloat (fabs (beyond / (n * GW_NORMALS * 0.0026998) - 1), <, 0.05);
}

static void
test_eigen (void)
{
  g_autoptr (GRand) rand = g_rand_new_with_seed (1);

  for (int i = 0; i < 1000; i++)
    {
      static const int place[3][3] = { { 0, 1, 2 }, { 1, 3, 4 }, { 2, 4, 5 } };
      float matrix[6], values[3], vectors[3][3];

      for (int k = 0; k < 6; k++)
        matrix[k] = i == 0 ? 0 : i % 2 && (k == 1 || k == 4) ? 0 : g_rand_double_range (rand, -1, 1);
      gw_eigen3 (matrix, values, vectors);
      for (int a = 0; a < 3; a++)
        for (int b = 0; b < 3; b++)
          {
            double product = 0, sum = 0;

            for (int k = 0; k < 3; k++)
              {
                product += vectors[a][k] * vectors[b][k];
                sum += values[k] * vectors[k][a] * vectors[k][b];
              }
            g_assert_cmpfloat (fabs (product - (a == b)), <, 1e-6);
            g_assert_cmpfloat (fabs (sum - matrix[place[a][b]]), <, 1e-6);
          }
    }
}

static void
test_drawn (void)
{
  static const float grains[][2 * GW_OCTAVES] = { { 0 },
                                                  { 0.4f, 1.2f, 1.8f, -0.2f, 0.4f, 1.4f },
                                                  { -0.2f, 0.4f, 1, 0.1f, 0.9f, 2 },
                                                  { 0, 0.5f, 0.75f, 0, 0, 0 } };
  const double luma[] = { sqrt (1 / 3.), sqrt (1 / 3.), sqrt (1 / 3.) };
  const double chroma[] = { sqrt (0.5), -sqrt (0.5), 0 }, grey[] = { 1 };
  const int size = 256;

  for (guint g = 0; g < G_N_ELEMENTS (grains); g++)
    for (int channels = 1; channels <= 3; channels += 2)
      {
        g_autofree float *drawn = gw_drawn_noise_picture (grains[g], size, size, channels, g);

        for (int k = 0; k < (channels == 1 ? GW_OCTAVES : 2 * GW_OCTAVES); k++)
          {
            const double found = image_octave (drawn, size, channels,
                                               channels == 1    ? grey
                                               : k < GW_OCTAVES ? luma
                                                                : chroma,
                                               1 << k % GW_OCTAVES);

            g_test_message ("grain %d: asked %.2f, drawn %.2f", k, grains[g][k], found - 1);
            g_assert_cmpfloat (fabs (found / (1 + grains[g][k]) - 1), <, 0.08);
          }
      }
}

/* Noise does not depend on how many rows are drawn at once, and begins again where it is told to. */
static void
test_drawn_rows (void)
{
  const float grain[2 * GW_OCTAVES] = { 0.4f, 1.2f, 1.8f, -0.2f, 0.4f, 1.4f };
  const int width = 37, height = 41;
  g_autofree float *whole = gw_drawn_noise_picture (grain, width, height, 3, 5);
  g_autoptr (GwDrawnNoise) noise = gw_drawn_noise_new (grain, width, 3, 5, 0);
  g_autoptr (GwWorkers) workers = gw_workers_new (3);

  for (int turn = 0; turn < 2; turn++)
    {
      gw_drawn_noise_begin (noise, 0);
      for (int y = 0, n; y < height; y += n)
        {
          n = MIN (1 + (y + turn) % 7, height - y);
          g_assert_cmpmem (gw_drawn_noise_next (noise, workers, n), sizeof (float) * n * width * 3,
                           whole + y * width * 3, sizeof (float) * n * width * 3);
        }
    }
}

/* ---- Densities whose posterior is known -------------------------------------------------------------------- */

/* A picture whose pixels are all @y. */
static Image *
constant (int channels, const double *y)
{
  Image *image = image_new (SIDE, SIDE, channels);

  for (int i = 0; i < SIDE * SIDE * channels; i++)
    image->values[i] = y[i % channels];

  return image;
}

/* Over all pixels. */
static void
moments (const Image *image, double mean[3], double covariance[3][3])
{
  const int channels = image->channels, n = image->width * image->height;

  memset (mean, 0, 3 * sizeof (double));
  memset (covariance, 0, 9 * sizeof (double));
  for (int i = 0; i < n; i++)
    for (int c = 0; c < channels; c++)
      mean[c] += image->values[i * channels + c] / n;
  for (int i = 0; i < n; i++)
    for (int c = 0; c < channels; c++)
      for (int k = 0; k < channels; k++)
        covariance[c][k]
            += (image->values[i * channels + c] - mean[c]) * (image->values[i * channels + k] - mean[k]) / n;
}

static const Mixture gaussian = {
  1, 3, { 1 }, { { 0.2, -0.1, 0.5 } }, { { { 0.09, 0.05, 0 }, { 0.05, 0.04, 0.01 }, { 0, 0.01, 0.01 } } }
};

static const double gaussian_y[] = { 0.5, 0.2, 0.3 }, gaussian_level[] = { 0.2, 0.1, 0.3 };

/* The level of every channel. */
static GwNoise
noise_of (const double *level, int channels)
{
  GwNoise noise = { 0 };

  for (int c = 0; c < channels; c++)
    for (int k = 0; k < GW_KNOTS; k++)
      noise.level[c][k] = level[c];

  return noise;
}

/* Samples of the Gaussian: mean and covariance against the exact ones. */
static void
check_gaussian (const GwSampling *sampling)
{
  const Mixture posterior = mixture_posterior (&gaussian, gaussian_y, gaussian_level);
  const GwNoise noise = noise_of (gaussian_level, 3);
  g_autoptr (Image) photo = constant (3, gaussian_y);
  g_autoptr (Image) drawn = sample (mixture_score, &gaussian, photo, &noise, sampling, 0, 2);
  double mean[3], covariance[3][3];

  moments (drawn, mean, covariance);
  for (int i = 0; i < 3; i++)
    for (int k = 0; k < 3; k++)
      {
        const double *sd
            = (double[]) { sqrt (posterior.covariance[0][i][i]), sqrt (posterior.covariance[0][k][k]) };

        g_assert_cmpfloat (fabs (mean[i] - posterior.mean[0][i]), <, 0.02 * sd[0]);
        g_assert_cmpfloat (fabs (covariance[i][k] - posterior.covariance[0][i][k]), <, 0.03 * sd[0] * sd[1]);
      }
}

/* Exact for a Gaussian, however few the levels. */
static void
test_reverse_gaussian (void)
{
  for (int levels = 1; levels <= 8; levels *= 2)
    check_gaussian (
        &(GwSampling) { .levels = levels, .second_order = GW_SECOND_ORDER_PIXELS, .seed = levels });
}

/* Without the second-order term the variance follows by hand: less than the posterior's. */
static void
test_first_order (void)
{
  const Mixture prior = { 1, 1, { 1 }, { { 0 } }, { { { 0.04 } } } };
  const double y = 0, level = 0.1;
  const GwNoise noise = noise_of (&level, 1);
  g_autoptr (Image) photo = constant (1, &y);

  for (int levels = 2; levels <= 32; levels *= 4)
    {
      const GwSampling sampling = { .levels = levels };
      g_autoptr (Image) drawn = sample (mixture_score, &prior, photo, &noise, &sampling, 0, 2);
      double expected = 0, mean[3], covariance[3][3];

      for (int k = 0; k < levels; k++)
        {
          const double t = (1 - (double) k / levels) * level, s = (1 - (k + 1.) / levels) * level;
          const double q = s * s / (t * t), j = 0.04 / (0.04 + t * t);

          expected = pow (j + q * (1 - j), 2) * expected + s * s * (1 - q);
        }
      moments (drawn, mean, covariance);
      g_assert_cmpfloat (fabs (covariance[0][0] / expected - 1), <, 0.03);
      g_assert_cmpfloat (expected, <,
                         (1 - 0.5 / levels) * mixture_posterior (&prior, &y, &level).covariance[0][0][0]);
    }
}

/* What pixels have in common: variances of sum and difference of pairs, of which one pass only knows the
 * mean. */
static void
test_neighbours (void)
{
  const double y = 0, level = 0.1, v = level * level;
  const Pairs pairs = { 1, 0.001 };
  const double exact[] = { pairs.sum * v / (pairs.sum + v), pairs.difference * v / (pairs.difference + v) };
  const GwNoise noise = noise_of (&level, 1);
  g_autoptr (Image) photo = constant (1, &y);
  double off[2];

  for (int kind = 0; kind < 2; kind++)
    {
      const GwSampling sampling
          = { .levels = 8, .second_order = kind == 0 ? GW_SECOND_ORDER_PIXELS : GW_SECOND_ORDER_NEIGHBOURS };
      g_autoptr (Image) drawn = sample (pairs_score, &pairs, photo, &noise, &sampling, 0, 2);
      double found[2] = { 0 };

      for (int i = 0; i < SIDE * SIDE; i += 2)
        for (int k = 0; k < 2; k++)
          found[k] += pow (drawn->values[i] + (k == 0 ? 1 : -1) * drawn->values[i + 1], 2) / (SIDE * SIDE);
      g_test_message ("variance of sums %.3f, of differences %.3f of the exact", found[0] / exact[0],
                      found[1] / exact[1]);
      off[kind] = fabs (found[0] / exact[0] - 1);
    }
  g_assert_cmpfloat (off[1], <, 0.04);
  g_assert_cmpfloat (off[1], <, 0.3 * off[0]);
}

/* Ozaki's steps have no bias for a Gaussian, at any step size. */
static void
test_ozaki_gaussian (void)
{
  static const double sizes[] = { 0.1, 1, 5 };

  for (guint i = 0; i < G_N_ELEMENTS (sizes); i++)
    check_gaussian (&(GwSampling) { .levels = 2,
                                    .second_order = GW_SECOND_ORDER_PIXELS,
                                    .corrections = 8,
                                    .ozaki = TRUE,
                                    .step_size = sizes[i],
                                    .seed = i });
}

/* Langevin's settle at the variance v / (1 - h / (2 v)); the last step draws from there. */
static void
test_langevin_gaussian (void)
{
  static const double sizes[] = { 0.25, 1, 1.6 };
  const Mixture prior = { 1, 1, { 1 }, { { 0 } }, { { { 0.005 } } } };
  const double y = 0, level = 0.1, s = 0.5 * level; /* the one level in between */
  const double v = 1 / (1 / (0.005 + s * s) + 1 / (level * level - s * s));
  const double posterior = 0.005 * s * s / (0.005 + s * s), j = 0.005 / (0.005 + s * s);
  const GwNoise noise = noise_of (&level, 1);
  g_autoptr (Image) photo = constant (1, &y);

  for (guint i = 0; i < G_N_ELEMENTS (sizes); i++)
    {
      const double h = sizes[i] * s * s * 0.75;
      const double settled = v / (1 - h / (2 * v)), expected = j * j * settled + posterior;
      const GwSampling sampling = { .levels = 2,
                                    .second_order = GW_SECOND_ORDER_PIXELS,
                                    .corrections = 40,
                                    .step_size = sizes[i],
                                    .seed = i };
      g_autoptr (Image) drawn = sample (mixture_score, &prior, photo, &noise, &sampling, 0, 2);
      double mean[3], covariance[3][3];

      moments (drawn, mean, covariance);
      g_test_message ("step %g: variance %.5f, expected %.5f, unbiased %.5f", sizes[i], covariance[0][0],
                      expected, j * j * v + posterior);
      g_assert_cmpfloat (fabs (covariance[0][0] / expected - 1), <, 0.03);
    }
}

static const Mixture three = { 3,
                               3,
                               { 0.2, 0.3, 0.5 },
                               { { 0.1, 0.2, 0.5 }, { 0.5, 0.4, 0.6 }, { 0.8, 0.5, 0.4 } },
                               { { { 0.002, 0.001, 0 }, { 0.001, 0.002, 0 }, { 0, 0, 0.004 } },
                                 { { 0.001, 0, 0 }, { 0, 0.006, 0.002 }, { 0, 0.002, 0.003 } },
                                 { { 0.004, -0.001, 0 }, { -0.001, 0.001, 0 }, { 0, 0, 0.001 } } } };

static const GwSampling fine[] = {
  { .levels = 64, .second_order = GW_SECOND_ORDER_PIXELS },
  { .levels = 64, .second_order = GW_SECOND_ORDER_NEIGHBOURS },
  { .levels = 16, .second_order = GW_SECOND_ORDER_PIXELS, .corrections = 4, .step_size = 0.1 },
  { .levels = 16, .second_order = GW_SECOND_ORDER_PIXELS, .corrections = 4, .ozaki = TRUE, .step_size = 0.1 }
};

/* Moments, and how often each of three colours comes out, between which the noise hides the choice. */
static void
test_mixture (void)
{
  const double y[] = { 0.55, 0.45, 0.5 }, level[] = { 0.2, 0.2, 0.2 };
  const Mixture posterior = mixture_posterior (&three, y, level);
  const GwNoise noise = noise_of (level, 3);
  g_autoptr (Image) photo = constant (3, y);
  double expected_mean[3], expected[3][3];

  mixture_moments (&posterior, expected_mean, expected);
  for (guint s = 0; s < G_N_ELEMENTS (fine); s++)
    {
      g_autoptr (Image) drawn = sample (mixture_score, &three, photo, &noise, &fine[s], 0, 2);
      double mean[3], covariance[3][3], modes[3] = { 0 };

      moments (drawn, mean, covariance);
      for (int i = 0; i < SIDE * SIDE; i++)
        {
          const double x[] = { drawn->values[3 * i], drawn->values[3 * i + 1], drawn->values[3 * i + 2] };

          modes[mixture_mode (&posterior, x)] += 1. / (SIDE * SIDE);
        }
      for (int i = 0; i < 3; i++)
        {
          g_test_message ("sampler %d: mode %d %.3f (exact %.3f), mean %.3f (%.3f), variance %.4f (%.4f)", s,
                          i, modes[i], posterior.weight[i], mean[i], expected_mean[i], covariance[i][i],
                          expected[i][i]);
          g_assert_cmpfloat (fabs (modes[i] - posterior.weight[i]), <, 0.02);
          g_assert_cmpfloat (fabs (mean[i] - expected_mean[i]), <, 0.05 * sqrt (expected[i][i]));
          g_assert_cmpfloat (fabs (covariance[i][i] / expected[i][i] - 1), <, 0.08);
        }
    }
}

/* The truth is as likely to be the least of all as to be the largest: its rank among samples is uniform. */
static void
test_ranks (void)
{
  enum
  {
    SAMPLES = 5
  };
  const double level[] = { 0.2, 0.2, 0.2 };
  const GwNoise noise = noise_of (level, 3);
  g_autoptr (GRand) rand = g_rand_new_with_seed (3);
  g_autoptr (Image) truth = image_new (SIDE, SIDE, 3);
  g_autoptr (Image) photo = image_new (SIDE, SIDE, 3);
  int counts[3][SAMPLES + 1] = { { 0 } };
  g_autofree guint8 *ranks = g_new0 (guint8, SIDE * SIDE * 3);

  for (int i = 0; i < SIDE * SIDE; i++)
    {
      double x[3];

      mixture_draw (&three, rand, x);
      for (int c = 0; c < 3; c++)
        {
          truth->values[3 * i + c] = x[c];
          photo->values[3 * i + c] = x[c] + level[c] * random_normal (rand);
        }
    }
  for (int n = 0; n < SAMPLES; n++)
    {
      g_autoptr (Image) drawn = sample (mixture_score, &three, photo, &noise, &fine[0], n, 2);

      for (int i = 0; i < SIDE * SIDE * 3; i++)
        ranks[i] += drawn->values[i] < truth->values[i];
    }
  for (int i = 0; i < SIDE * SIDE * 3; i++)
    counts[i % 3][ranks[i]]++;
  for (int c = 0; c < 3; c++)
    for (int r = 0; r <= SAMPLES; r++)
      g_assert_cmpfloat (fabs (counts[c][r] * (SAMPLES + 1.) / (SIDE * SIDE) - 1), <, 0.08);
}

/* ---- Photos ------------------------------------------------------------------------------------------------ */

/* Whole pictures, from one to the next. */
static Image *
reference (const GwModel *model, const Image *photo, const Image *levels, const GwNoise *noise,
           const GwSampling *sampling, guint number)
{
  const int width = photo->width, height = photo->height, channels = photo->channels;
  const int n = width * height * channels, covariances = channels == 1 ? 1 : 6;
  g_autoptr (GwWorkers) workers = gw_workers_new (1);
  g_autoptr (GwDrawnNoise) drawn = gw_drawn_noise_new (noise->grain, width, channels, sampling->seed, number);
  g_autofree float *z = g_new (float, (gsize) width *height *GW_NORMALS);
  g_autoptr (Image) map = image_new (width, height, channels);
  Image *state = image_crop (photo, 0, 0, width, height);

  for (int k = 0; k < sampling->levels; k++)
    {
      const double t = 1 - (double) k / sampling->levels, s = 1 - (k + 1.) / sampling->levels,
                   q = s * s / (t * t);
      g_auto (Result) result = { 0 };
      GwNoise now = *noise;
      const float *normal;

      for (int i = 0; i < n; i++)
        map->values[i] = t * levels->values[i];
      now.read = image_read;
      now.data = map;
      g_assert_true (image_posterior (model, state, &now, NULL, &result, NULL));
      gw_drawn_noise_begin (drawn, (k + 1) * 8);
      normal = gw_drawn_noise_next (drawn, workers, height);
      for (int y = 0; y < height; y++)
        gw_random_normals (sampling->seed, number, (k + 1) * 8 + GW_STREAMS, y, width,
                           z + y * width * GW_NORMALS);

      if (s > 0 && sampling->second_order == GW_SECOND_ORDER_NEIGHBOURS)
        {
          g_autoptr (Image) disturbed = image_new (width, height, channels);
          g_auto (Result) response = { 0 };

          for (int i = 0; i < n; i++)
            disturbed->values[i] = state->values[i] + 0.03 * map->values[i] * normal[i];
          g_assert_true (image_posterior (model, disturbed, &now, NULL, &response, NULL));
          for (int i = 0; i < n; i++)
            {
              const int diagonal[] = { 0, 3, 5 };
              const double variance
                  = response.covariance->values[i / channels * covariances + diagonal[i % channels]];
              const double eigenvalue = CLAMP (sqrt (variance) / map->values[i], 0.01, 1);
              const double slope = (sqrt (1 + (1 / q - 1) * eigenvalue) - 1) / eigenvalue;

              state->values[i] = (1 - q) * result.mean->values[i] + q * state->values[i]
                                 + s * sqrt (1 - q) * levels->values[i] * normal[i]
                                 + s / t * sqrt (1 - q) * slope
                                       * (response.mean->values[i] - result.mean->values[i]) / 0.03;
            }
          continue;
        }
      for (int i = 0; i < n; i++)
        {
          const float *c = result.covariance->values + i / channels * covariances,
                      *normals = z + i / channels * GW_NORMALS;
          const double l00 = sqrt (c[0]), l10 = channels == 1 ? 0 : c[1] / l00,
                       l20 = channels == 1 ? 0 : c[2] / l00;
          const double l11 = channels == 1 ? 0 : sqrt (c[3] - l10 * l10);
          const double l21 = channels == 1 ? 0 : (c[4] - l20 * l10) / l11;
          const double l22 = channels == 1 ? 0 : sqrt (c[5] - l20 * l20 - l21 * l21);
          const double root[3] = { l00 * normals[0], l10 * normals[0] + l11 * normals[1],
                                   l20 * normals[0] + l21 * normals[1] + l22 * normals[2] };

          state->values[i] = (1 - q) * result.mean->values[i] + q * state->values[i]
                             + s * sqrt (1 - q) * levels->values[i] * normal[i]
                             + (1 - q) * root[i % channels];
        }
    }
  return state;
}

/* By rows and in place, with grain and levels that differ. */
static void
check_reference (const GwModel *model, int width, int height)
{
  for (int channels = 1; channels <= 3; channels += 2)
    for (int kind = GW_SECOND_ORDER_PIXELS; kind <= GW_SECOND_ORDER_NEIGHBOURS; kind++)
      {
        const GwSampling sampling = { .levels = 3, .second_order = kind, .seed = 11 };
        g_autoptr (Image) photo = image_random (width, height, channels, 0.2, 0.8, 1);
        g_autoptr (Image) levels = image_random (width, height, channels, 0.02, 0.1, 2);
        GwNoise noise = image_noise (0, levels);
        g_autoptr (Image) drawn = NULL;
        g_autoptr (Image) expected = NULL;

        for (int k = 0; k < 2 * GW_OCTAVES; k++)
          noise.grain[k] = 0.2f * k;
        drawn = sample (gw_model_score, model, photo, &noise, &sampling, 4, 2);
        expected = reference (model, photo, levels, &noise, &sampling, 4);
        g_test_message ("%d channels, kind %d: within %g", channels, kind,
                        image_difference (drawn, expected));
        g_assert_cmpfloat (image_difference (drawn, expected), <, 1e-4);
      }
}

static void
test_reference (void)
{
  g_autoptr (GwModel) model = load_model (test_data_path ("tiny.safetensors"));

  check_reference (model, 61, 203);
  for (int height = 1; height <= 40; height += 3) /* the lower edge is mirrored */
    check_reference (model, 9, height);
}

/* Same bytes for any number of threads; another seed or number is another sample. */
static void
test_seeds (void)
{
  g_autoptr (GwModel) model = load_model (test_data_path ("tiny.safetensors"));
  g_autoptr (Image) photo = image_random (150, 90, 3, 0, 1, 1);
  GwNoise noise = gw_noise_white (0.1);

  noise.grain[2] = 1;
  for (int sampler = GW_SAMPLER_REVERSE; sampler <= GW_SAMPLER_OZAKI; sampler++)
    {
      GwSampling sampling = gw_sampling (sampler, 5, 1);
      g_autoptr (Image) once = sample (gw_model_score, model, photo, &noise, &sampling, 0, 1);
      g_autoptr (Image) again = sample (gw_model_score, model, photo, &noise, &sampling, 0, 3);
      g_autoptr (Image) next = sample (gw_model_score, model, photo, &noise, &sampling, 1, 3);
      g_autoptr (Image) other = NULL;
      const gsize size = sizeof (float) * 150 * 90 * 3;

      sampling.seed = G_GUINT64_CONSTANT (1) << 32;
      other = sample (gw_model_score, model, photo, &noise, &sampling, 0, 3);
      g_assert_cmpmem (once->values, size, again->values, size);
      g_assert_cmpfloat (image_difference (once, next), >, 0.01);
      g_assert_cmpfloat (image_difference (once, other), >, 0.01);
    }
}

/* What is known exactly stays; holes are filled; any size will do. */
static void
test_edges (void)
{
  static const int sizes[][2] = { { 1, 1 }, { 1, 40 }, { 40, 1 }, { 33, 47 } };
  g_autoptr (GwModel) model = load_model (test_data_path ("tiny.safetensors"));

  for (guint i = 0; i < G_N_ELEMENTS (sizes); i++)
    for (int channels = 1; channels <= 3; channels += 2)
      for (int sampler = GW_SAMPLER_REVERSE; sampler <= GW_SAMPLER_OZAKI; sampler++)
        {
          const int n = sizes[i][0] * sizes[i][1] * channels;
          const GwSampling sampling = gw_sampling (sampler, 5, 1);
          g_autoptr (Image) photo = image_random (sizes[i][0], sizes[i][1], channels, 0, 1, i);
          g_autoptr (Image) levels = image_random (sizes[i][0], sizes[i][1], channels, -0.1, 0.1, i);
          GwNoise noise = image_noise (0, levels);
          g_autoptr (Image) drawn = NULL;

          for (int k = 0; k < n; k++)
            levels->values[k] = MAX (levels->values[k], 0);
          drawn = sample (gw_model_score, model, photo, &noise, &sampling, 0, 2);
          for (int k = 0; k < n; k++)
            if (levels->values[k] == 0)
              g_assert_cmpfloat (drawn->values[k], ==, photo->values[k]);
            else if (levels->values[k] > 0.01f)
              g_assert_cmpfloat (drawn->values[k], !=, photo->values[k]);

          for (int k = 0; k < n; k += 2)
            photo->values[k] = k % 3 ? NAN : INFINITY;
          g_clear_pointer (&drawn, image_free);
          noise = gw_noise_white (0.1);
          drawn = sample (gw_model_score, model, photo, &noise, &sampling, 0, 2);
          for (int k = 0; k < n; k++)
            g_assert_true (isfinite (drawn->values[k]));
        }
}

static void
test_progress (void)
{
  g_autoptr (GwModel) model = load_model (test_data_path ("tiny.safetensors"));
  g_autoptr (Image) photo = image_random (40, 200, 3, 0, 1, 1);
  g_autoptr (Image) drawn = image_new (40, 200, 3);
  g_autoptr (GCancellable) cancellable = g_cancellable_new ();
  g_autoptr (GError) error = NULL;
  const GwPhoto source = { 40, 200, 3, image_read, photo };
  const GwNoise noise = gw_noise_white (0.1), wrong = gw_noise_white (-1);
  const GwSampling sampling = gw_sampling (GW_SAMPLER_REVERSE, 8, 1);
  Watch seen = { cancellable, 0, 2 };
  const GwRun run = { .cancellable = cancellable, .progress = watch_progress, .progress_data = &seen };

  g_assert_true (
      gw_sample (gw_model_score, model, &source, &noise, &sampling, 0, &run, drawn->values, &error));
  g_assert_cmpfloat (seen.last, ==, 1);
  seen = (Watch) { cancellable, 0, 0.5 };
  g_assert_false (
      gw_sample (gw_model_score, model, &source, &noise, &sampling, 0, &run, drawn->values, &error));
  g_assert_error (error, G_IO_ERROR, G_IO_ERROR_CANCELLED);
  g_assert_cmpfloat (seen.last, <, 0.6);
  g_clear_error (&error);
  g_assert_false (
      gw_sample (gw_model_score, model, &source, &wrong, &sampling, 0, NULL, drawn->values, &error));
  g_assert_error (error, GW_ERROR, GW_ERROR_PHOTO);
}

/* As many passes as asked for, or one fewer. */
static void
test_passes (void)
{
  for (int sampler = GW_SAMPLER_REVERSE; sampler <= GW_SAMPLER_OZAKI; sampler++)
    for (int steps = 1; steps <= 64; steps++)
      {
        const GwSampling sampling = gw_sampling (sampler, steps, 0);

        g_assert_cmpint (gw_sampling_passes (&sampling), <=, steps);
        g_assert_cmpint (gw_sampling_passes (&sampling), >=, steps - 1);
      }
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/samplers/philox", test_philox);
  g_test_add_func ("/samplers/normals", test_normals);
  g_test_add_func ("/samplers/eigen", test_eigen);
  g_test_add_func ("/samplers/drawn", test_drawn);
  g_test_add_func ("/samplers/drawn-rows", test_drawn_rows);
  g_test_add_func ("/samplers/reverse-gaussian", test_reverse_gaussian);
  g_test_add_func ("/samplers/first-order", test_first_order);
  g_test_add_func ("/samplers/neighbours", test_neighbours);
  g_test_add_func ("/samplers/ozaki-gaussian", test_ozaki_gaussian);
  g_test_add_func ("/samplers/langevin-gaussian", test_langevin_gaussian);
  g_test_add_func ("/samplers/mixture", test_mixture);
  g_test_add_func ("/samplers/ranks", test_ranks);
  g_test_add_func ("/samplers/reference", test_reference);
  g_test_add_func ("/samplers/seeds", test_seeds);
  g_test_add_func ("/samplers/edges", test_edges);
  g_test_add_func ("/samplers/progress", test_progress);
  g_test_add_func ("/samplers/passes", test_passes);

  return g_test_run ();
}

/* The self-check against the actual error.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#include <math.h>
#include <string.h>

#include "scene.h"

/* White noise under a Gaussian has the grain that goes with its size. */
static void
test_grain_size (void)
{
  static const double sizes[] = { 0, 0.7, 1, 1.5 };
  const double grey[] = { 1 };
  const int side = 256, reach = 8;

  for (guint i = 0; i < G_N_ELEMENTS (sizes); i++)
    {
      g_autoptr (Image) white = image_random (side, side, 1, -1, 1, i);
      g_autoptr (Image) blurred = image_new (side, side, 1);
      GwNoise noise = gw_noise_white (1);
      double first = 0;

      for (int y = 0; y < side; y++)
        for (int x = 0; x < side; x++)
          for (int k = 0; k < (2 * reach + 1) * (2 * reach + 1); k++)
            {
              const int down = k / (2 * reach + 1) - reach, across = k % (2 * reach + 1) - reach;
              const double far = down * down + across * across;
              const double weight = far == 0 ? 1 : sizes[i] == 0 ? 0 : exp (-far / (2 * sizes[i] * sizes[i]));

              blurred->values[y * side + x]
                  += weight * white->values[(y + down + side) % side * side + (x + across + side) % side];
            }
      gw_noise_set_grain_size (&noise, sizes[i]);
      for (int k = 0; k < GW_OCTAVES; k++)
        {
          const double found = image_octave (blurred->values, side, 1, grey, 1 << k);

          first = k == 0 ? found : first;
          g_test_message ("size %.1f: %.2f, found %.2f", sizes[i], noise.grain[k], found / first - 1);
          g_assert_cmpfloat (fabs (found / first / (1 + noise.grain[k]) - 1), <, 0.06);
          g_assert_cmpfloat (noise.grain[k], ==, noise.grain[GW_OCTAVES + k]);
        }
      g_assert_cmpfloat (fabs (gw_noise_get_grain_size (&noise) - sizes[i]), <, 1e-3);
    }
}

/* ---- The check -------------------------------------------------------------------------------------------- */

enum
{
  SIDE = 128 /* all of it is looked at */
};

static double
mean_square (const Image *image, const Image *other)
{
  const int n = image->width * image->height * image->channels;
  double sum = 0;

  for (int i = 0; i < n; i++)
    sum += (image->values[i] - other->values[i]) * (image->values[i] - other->values[i]);

  return sum / n;
}

/* The actual squared error over the predicted variance, and that and the share of doubtful pixels. */
static double
actual_ratio (const GwModel *model, const Image *clean, const Image *noisy, const GwNoise *assumed,
              double *mean_variance, double *doubtful)
{
  const int channels = clean->channels;
  g_auto (Result) result = { 0 };
  g_autoptr (GError) error = NULL;

  *mean_variance = *doubtful = 0;
  g_assert_true (image_posterior (model, noisy, assumed, NULL, &result, &error));
  for (int i = 0; i < SIDE * SIDE; i++)
    {
      double variance = 0;

      for (int c = 0; c < channels; c++)
        variance += (channels == 1 ? result.covariance->values[i]
                                   : result.covariance->values[6 * i + (const int[]) { 0, 3, 5 }[c]])
                    / channels;
      *mean_variance += variance / (SIDE * SIDE);
      *doubtful += (sqrt (variance) > GW_DOUBTFUL) / (double) (SIDE * SIDE);
    }
  return mean_square (result.mean, clean) / *mean_variance;
}

static GwSelfCheck
check (const GwModel *model, const Image *image, const GwNoise *assumed, const GwNoise *measured)
{
  const GwPhoto photo = { image->width, image->height, image->channels, image_read, (gpointer) image };
  g_autoptr (GError) error = NULL;
  GwSelfCheck result;

  g_assert_true (gw_self_check (model, &photo, assumed, measured, NULL, &result, &error));
  g_assert_no_error (error);

  return result;
}

/* White noise of level 12, taken for less or more. */
static void
test_level (void)
{
  static const double wrong[] = { 0.3, 0.5, 0.7, 1, 1.5, 2.5 };
  const SceneNoise none = { 0 }, kind = { .base = { 12, 12, 12 } };
  const GwNoise truth = gw_noise_white (12 / 255.);
  g_autoptr (GwModel) model = load_model (weights_path ("fast.safetensors"));
  double most = 0;

  for (int channels = 1; channels <= 3; channels += 2)
    for (guint i = 0; i < G_N_ELEMENTS (wrong); i++)
      {
        g_autoptr (Image) clean = scene_new (SIDE, SIDE, channels, &none, FALSE, 1);
        g_autoptr (Image) noisy = scene_new (SIDE, SIDE, channels, &kind, FALSE, 1);
        const GwNoise assumed = gw_noise_white (wrong[i] * 12 / 255);
        const GwSelfCheck found = check (model, noisy, &assumed, &truth);
        double variance, doubtful;
        const double actual = actual_ratio (model, clean, noisy, &assumed, &variance, &doubtful);

        g_test_message ("assumed %.1f times the noise: error %.2f times the predicted, self-check %.2f",
                        wrong[i], actual, found.error_ratio);
        g_assert_cmpfloat (fabs (found.level_ratio * wrong[i] - 1), <, 1e-3);
        g_assert_cmpint (found.fit, ==,
                         wrong[i] < 1    ? GW_FIT_STRONGER
                         : wrong[i] == 1 ? GW_FIT_AGREES
                                         : GW_FIT_WEAKER);
        g_assert_cmpfloat (fabs (found.mean_variance / (variance * MAX (found.error_ratio, 1)) - 1), <, 1e-3);
        if (found.error_ratio <= 1)
          g_assert_cmpfloat (fabs (found.doubtful - doubtful), <, 1e-3);
        else
          g_assert_cmpfloat (found.doubtful, >=, doubtful);
        most = MAX (most, doubtful);
        if (wrong[i] == 1)
          g_assert_cmpfloat (found.error_ratio, ==, 1);
        else /* it looks at eight crops, not at the whole scene */
          g_assert_cmpfloat (fabs (found.error_ratio - actual), <,
                             wrong[i] < 1 ? 0.1 + 0.05 * actual : 0.3 * actual);
      }
  g_assert_cmpfloat (most, >, 0); /* or nothing was counted */
}

/* Noise that its neighbours share, taken for white: the model takes it for detail. */
static void
test_grain (void)
{
  const SceneNoise none = { 0 }, kind = { .base = { 12, 12, 12 }, .blurred = TRUE };
  g_autoptr (Image) clean = scene_new (SIDE, SIDE, 3, &none, FALSE, 2);
  g_autoptr (Image) noisy = scene_new (SIDE, SIDE, 3, &kind, FALSE, 2);
  const GwNoise assumed = gw_noise_white (12 / 255.);
  const float grain[] = { 0, 0.5f, 0.75f, 0, 0.5f, 0.75f };
  g_autoptr (GwModel) model = load_model (weights_path ("fast.safetensors"));
  GwNoise truth = assumed;
  GwSelfCheck found;
  double actual, variance, doubtful;

  memcpy (truth.grain, grain, sizeof (grain));
  found = check (model, noisy, &assumed, &truth);
  actual = actual_ratio (model, clean, noisy, &assumed, &variance, &doubtful);
  g_test_message ("error %.2f times the predicted, self-check %.2f", actual, found.error_ratio);
  g_assert_cmpint (found.fit, ==, GW_FIT_COARSER);
  g_assert_cmpfloat (fabs (log (found.error_ratio / actual)), <, 0.3);
}

/* A texture that is missing is as far from the clean photo as noise that was added; but it cannot be removed. */
static void
test_lost (void)
{
  const SceneNoise none = { 0 }, kind = { .base = { 12, 12, 12 } };
  g_autoptr (Image) smooth = scene_new (SIDE, SIDE, 3, &none, FALSE, 5);
  g_autoptr (Image) textured = scene_new (SIDE, SIDE, 3, &kind, FALSE, 5);
  const GwNoise noise = gw_noise_white (12 / 255.);
  g_autoptr (GwModel) model = load_model (weights_path ("fast.safetensors"));
  const GwSelfCheck found = check (model, smooth, &noise, &noise);
  double variance, doubtful;
  const double actual = actual_ratio (model, textured, smooth, &noise, &variance, &doubtful);

  g_test_message ("error %.2f times the predicted, self-check %.2f", actual, found.error_ratio);
  g_assert_cmpint (found.fit, ==, GW_FIT_LOST);
  g_assert_cmpfloat (fabs (log (found.error_ratio / sqrt (actual))), <, 0.1);
}

/* Nothing contradicts a level that could hardly be measured, but the variance cannot be sure either. */
static void
test_unsure (void)
{
  const SceneNoise kind = { .base = { 12, 12, 12 } };
  g_autoptr (Image) noisy = scene_new (SIDE, SIDE, 3, &kind, FALSE, 1);
  g_autoptr (GwModel) model = load_model (weights_path ("fast.safetensors"));
  double before = 1;

  for (double unsure = 0.2; unsure < 1.1; unsure += 0.4)
    {
      GwNoise noise = gw_noise_white (12 / 255.);
      GwSelfCheck found;

      noise.level_error = unsure;
      found = check (model, noisy, &noise, &noise);
      g_test_message ("give or take %.1f: error %.2f times the predicted", unsure, found.error_ratio);
      g_assert_cmpint (found.fit, ==, unsure < 0.3 ? GW_FIT_AGREES : GW_FIT_UNSURE);
      if (unsure < 0.3)
        g_assert_cmpfloat (found.error_ratio, ==, 1);
      else
        g_assert_cmpfloat (found.error_ratio, >, before + 0.1);
      g_assert_cmpfloat (found.error_ratio, <, 2);
      before = found.error_ratio;
    }
}

/* Holes and burnt out areas are left out; without noise there is no verdict. */
static void
test_nothing (void)
{
  const SceneNoise kind = { .base = { 12, 12, 12 } };
  const GwNoise truth = gw_noise_white (12 / 255.), none = gw_noise_white (0);
  g_autoptr (Image) noisy = scene_new (SIDE, SIDE, 3, &kind, FALSE, 3);
  g_autoptr (GwModel) model = load_model (weights_path ("fast.safetensors"));
  GwSelfCheck found;

  for (int i = 0; i < SIDE * SIDE; i++)
    noisy->values[i] = i % 2 ? NAN : 1;
  found = check (model, noisy, &truth, &truth);
  g_assert_cmpint (found.fit, ==, GW_FIT_AGREES);
  g_assert_cmpfloat (found.error_ratio, ==, 1);

  g_assert_cmpint (check (model, noisy, &none, &truth).fit, ==, GW_FIT_UNKNOWN);
  g_assert_cmpint (check (model, noisy, &truth, &none).fit, ==, GW_FIT_UNKNOWN);
  for (int i = 0; i < SIDE * SIDE * 3; i++)
    noisy->values[i] = NAN;
  g_assert_cmpint (check (model, noisy, &truth, &truth).fit, ==, GW_FIT_UNKNOWN);
}

static void
test_misfit_widens (void)
{
  g_autoptr (GwModel) model = load_model (weights_path ("fast.safetensors"));
  g_autoptr (Image) photo = image_random (40, 30, 3, 0, 1, 4);
  GwNoise noise = gw_noise_white (0.1);
  g_auto (Result) narrow = { 0 };
  g_auto (Result) wide = { 0 };

  g_assert_true (image_posterior (model, photo, &noise, NULL, &narrow, NULL));
  noise.misfit = 3;
  g_assert_true (image_posterior (model, photo, &noise, NULL, &wide, NULL));
  g_assert_cmpfloat (image_difference (narrow.mean, wide.mean), ==, 0);
  for (int i = 0; i < 40 * 30 * 6; i++)
    g_assert_cmpfloat (wide.covariance->values[i], ==, 4 * narrow.covariance->values[i]);
}

/* One number for a curve: of a photo half black, half white. */
static void
test_mean_level (void)
{
  g_autoptr (Image) image = image_new (100, 100, 1);
  const GwPhoto photo = { 100, 100, 1, image_read, image };
  GwNoise noise = gw_noise_white (0);
  double level;

  noise.level[0][0] = 0.3f;
  noise.level[0][GW_KNOTS - 1] = 0.4f;
  for (int i = 50 * 100; i < 100 * 100; i++)
    image->values[i] = 1;
  g_assert_true (gw_noise_mean_level (&photo, &noise, &level, NULL));
  g_assert_cmpfloat (fabs (level - sqrt ((0.09 + 0.16) / 2)), <, 1e-6);
  image->values[0] = NAN; /* a hole changes nothing */
  g_assert_true (gw_noise_mean_level (&photo, &noise, &level, NULL));
  g_assert_cmpfloat (fabs (level - sqrt ((0.09 + 0.16) / 2)), <, 1e-4);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/self-check/grain-size", test_grain_size);
  g_test_add_func ("/self-check/level", test_level);
  g_test_add_func ("/self-check/grain", test_grain);
  g_test_add_func ("/self-check/lost", test_lost);
  g_test_add_func ("/self-check/unsure", test_unsure);
  g_test_add_func ("/self-check/nothing", test_nothing);
  g_test_add_func ("/self-check/misfit-widens", test_misfit_widens);
  g_test_add_func ("/self-check/mean-level", test_mean_level);

  return g_test_run ();
}

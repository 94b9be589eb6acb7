/* The noise estimate on photos whose noise is known.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#include <math.h>

#include "memory.h"

static double
normal (GRand *rand)
{
  const double radius = sqrt (-2 * log (1 - g_rand_double (rand)));

  return radius * cos (2 * G_PI * g_rand_double (rand));
}

/* A smooth scene with an edge now and then, and noise on it. */
static Image *
scene (int width, int height, int channels, const double *levels, gboolean eight_bits, guint32 seed)
{
  g_autoptr (GRand) rand = g_rand_new_with_seed (seed);
  Image *image = image_new (width, height, channels);

  for (int y = 0; y < height; y++)
    for (int x = 0; x < width; x++)
      for (int c = 0; c < channels; c++)
        {
          double v
              = 0.5 + 0.2 * sin (x / 40.0 + c) + 0.15 * cos (y / 30.0) + ((x / 50 + y / 50) % 2 ? 0.1 : 0);

          v += levels[c] / 255 * normal (rand);
          image->values[((gsize) y * width + x) * channels + c]
              = eight_bits ? round (255 * CLAMP (v, 0, 1)) / 255 : v;
        }
  return image;
}

static void
check (const Image *image, const double *levels, double tolerance)
{
  const GwPhoto photo = { image->width, image->height, image->channels, image_read, (gpointer) image };
  g_autoptr (GError) error = NULL;
  GwNoise noise;

  g_assert_true (gw_noise_estimate (&photo, &noise, NULL, &error));
  g_assert_no_error (error);
  g_assert_null (noise.read);
  for (int c = 0; c < image->channels; c++)
    for (int k = 0; k < GW_KNOTS; k++)
      {
        g_test_message ("true %.2f, estimated %.2f levels", levels[c], 255 * noise.level[c][k]);
        g_assert_cmpfloat (fabs (255 * noise.level[c][k] - levels[c]), <=, tolerance * levels[c] + 0.05);
      }
}

static void
test_levels (void)
{
  for (double level = 1; level <= 64; level *= 2)
    {
      const double levels[] = { level, level, level };
      g_autoptr (Image) image = scene (400, 300, 3, levels, FALSE, level);

      check (image, levels, 0.05);
    }
}

static void
test_channels_differ (void)
{
  const double levels[] = { 4, 8, 30 };
  g_autoptr (Image) image = scene (400, 301, 3, levels, FALSE, 1);

  check (image, levels, 0.05);
}

static void
test_grey_eight_bits (void)
{
  const double levels[] = { 12 };
  g_autoptr (Image) image = scene (301, 200, 1, levels, TRUE, 2);

  check (image, levels, 0.08);
}

/* Half of the photo is burnt out and has no noise left; the other half tells. */
static void
test_clipped (void)
{
  const double levels[] = { 10, 10, 10 };
  g_autoptr (Image) image = scene (400, 300, 3, levels, TRUE, 3);

  for (int y = 0; y < 300; y++)
    for (int i = 0; i < 200 * 3; i++)
      image->values[y * 400 * 3 + i] = y % 2 ? 1 : 0;
  check (image, levels, 0.08);
}

/* Nothing to measure is no noise, not a crash. */
static void
test_nothing (void)
{
  static const int sizes[][2] = { { 1, 1 }, { 1, 100 }, { 100, 1 }, { 64, 64 } };
  const double none[] = { 0, 0, 0 };

  for (guint i = 0; i < G_N_ELEMENTS (sizes); i++)
    {
      g_autoptr (Image) image = image_new (sizes[i][0], sizes[i][1], 3);

      check (image, none, 0);
      for (int k = 0; k < sizes[i][0] * sizes[i][1] * 3; k++)
        image->values[k] = NAN;
      check (image, none, 0);
    }
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/noise/levels", test_levels);
  g_test_add_func ("/noise/channels-differ", test_channels_differ);
  g_test_add_func ("/noise/grey-eight-bits", test_grey_eight_bits);
  g_test_add_func ("/noise/clipped", test_clipped);
  g_test_add_func ("/noise/nothing", test_nothing);

  return g_test_run ();
}

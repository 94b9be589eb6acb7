/* The noise estimate on photos whose noise is known.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#include <math.h>
#include <string.h>

#include "scene.h"

static GwNoise
estimate (const Image *image)
{
  const GwPhoto photo = { image->width, image->height, image->channels, image_read, (gpointer) image };
  g_autoptr (GError) error = NULL;
  GwNoise noise;

  g_assert_true (gw_noise_estimate (&photo, &noise, NULL, &error));
  g_assert_no_error (error);
  g_assert_null (noise.read);

  return noise;
}

/* At the brightnesses that the scene has. */
static void
check_level (const GwNoise *noise, int channels, const SceneNoise *kind, double tolerance)
{
  for (int c = 0; c < channels; c++)
    for (int k = 2; k < GW_KNOTS - 2; k++)
      {
        const double brightness = k / (GW_KNOTS - 1.0);
        const double level = sqrt (kind->base[c] * kind->base[c] + kind->slope * brightness);

        g_test_message ("channel %d, brightness %.2f: true %.2f, estimated %.2f levels", c, brightness, level,
                        255 * noise->level[c][k]);
        g_assert_cmpfloat (fabs (255 * noise->level[c][k] - level), <=, tolerance * level + 0.1);
      }
}

static void
check_grain (const GwNoise *noise, const double *grain, double tolerance)
{
  for (int k = 0; k < 2 * GW_OCTAVES; k++)
    {
      g_test_message ("grain %d: true %.2f, estimated %.2f", k, grain[k], noise->grain[k]);
      g_assert_cmpfloat (fabs (noise->grain[k] - grain[k]), <=, tolerance);
    }
}

static void
test_white (void)
{
  static const double none[2 * GW_OCTAVES] = { 0 };

  for (double level = 1; level <= 64; level *= 2)
    {
      const SceneNoise kind = { .base = { level, level, level } };
      g_autoptr (Image) image = scene_new (400, 300, 3, &kind, FALSE, level);
      const GwNoise noise = estimate (image);

      check_level (&noise, 3, &kind, 0.07);
      if (level > 4) /* below, what texture the scene has looks like grain */
        check_grain (&noise, none, 0.1);
    }
}

static void
test_channels_differ (void)
{
  const SceneNoise kind = { .base = { 6, 8, 12 } };
  g_autoptr (Image) image = scene_new (400, 301, 3, &kind, FALSE, 1);
  const GwNoise noise = estimate (image);

  check_level (&noise, 3, &kind, 0.07);
}

static void
test_grey_eight_bits (void)
{
  const SceneNoise kind = { .base = { 12 } };
  g_autoptr (Image) image = scene_new (301, 200, 1, &kind, TRUE, 2);
  const GwNoise noise = estimate (image);

  check_level (&noise, 1, &kind, 0.1);
}

/* Shot noise. */
static void
test_follows_brightness (void)
{
  const SceneNoise kind = { .base = { 3, 3, 3 }, .slope = 150 };
  g_autoptr (Image) image = scene_new (600, 600, 3, &kind, FALSE, 4);
  const GwNoise noise = estimate (image);

  check_level (&noise, 3, &kind, 0.12);
}

/* The mean of 2x2 values in place of one: what neighbours share, and of these again 2x2 or 4x4 means,
 * follows. */
static void
test_grain (void)
{
  const double blurred[] = { 0, 0.5, 0.75, 0, 0.5, 0.75 };
  const double grey[] = { sqrt (3) - 1, sqrt (3) - 1, sqrt (3) - 1, -1, -1, -1 };
  const SceneNoise kinds[]
      = { { .base = { 10, 10, 10 }, .blurred = TRUE }, { .base = { 10, 10, 10 }, .grey = TRUE } };

  for (int i = 0; i < 2; i++)
    {
      g_autoptr (Image) image = scene_new (600, 600, 3, &kinds[i], FALSE, 5 + i);
      const GwNoise noise = estimate (image);

      check_level (&noise, 3, &kinds[i], 0.1);
      check_grain (&noise, i == 0 ? blurred : grey, 0.12);
    }
}

/* Noise developed without any softening: white in luma, coarse in colour, much or less of it. */
static void
test_coarse_colour (void)
{
  static const int sides[] = { 4, 3 }, amounts[] = { 80, 25 };
  const SceneNoise kind = { .base = { 8, 8, 8 }, .grey = TRUE }, none = { 0 };
  g_autoptr (Image) clean = scene_new (400, 400, 3, &none, FALSE, 7);
  g_autoptr (Image) white = image_random (400, 400, 3, -1, 1, 8);

  for (int coarse = 0; coarse < 2; coarse++)
    {
      const int side = sides[coarse], area = side * side;
      g_autoptr (Image) image = scene_new (400, 400, 3, &kind, FALSE, 7);
      double square = 0, level = 0;
      GwNoise noise;

      for (int y = side - 1; y < 400; y++)
        for (int x = side - 1; x < 400; x++)
          {
            double means[3] = { 0 };

            for (int i = 0; i < 3 * area; i++)
              means[i % 3] += white->values[((y - i / 3 / side) * 400 + x - i / 3 % side) * 3 + i % 3] / area;
            for (int c = 0; c < 3; c++)
              {
                float *value = &image->values[(y * 400 + x) * 3 + c];

                *value += amounts[coarse] / 255. * (means[c] - (means[0] + means[1] + means[2]) / 3);
                square += pow (*value - clean->values[(y * 400 + x) * 3 + c], 2);
              }
          }
      noise = estimate (image);
      square /= (401 - side) * (401 - side) * 3;
      for (int c = 0; c < 3; c++)
        level += noise.level[c][GW_KNOTS / 2] / 3;
      g_test_message ("true %.2f, estimated %.2f levels; grain of colour %.2f to %.2f", 255 * sqrt (square),
                      255 * level, noise.grain[GW_OCTAVES], noise.grain[2 * GW_OCTAVES - 1]);
      g_assert_cmpfloat (fabs (level / sqrt (square) - 1), <, 0.1);
      g_assert_cmpfloat (noise.grain[2 * GW_OCTAVES - 1], >, noise.grain[GW_OCTAVES] + 0.3);
    }
}

/* Half of the photo is burnt out and has no noise left, as it was or with one value for all after JPEG;
 * the other half tells. */
static void
test_clipped (void)
{
  const SceneNoise kind = { .base = { 10, 10, 10 } };

  for (int packed = 0; packed < 2; packed++)
    {
      g_autoptr (Image) image = scene_new (400, 300, 3, &kind, TRUE, 3);

      for (int y = 0; y < 300; y++)
        for (int i = 0; i < 200 * 3; i++)
          image->values[y * 400 * 3 + i] = packed ? 252 / 255.f : y % 2 ? 1 : 0;

      const GwNoise noise = estimate (image);
      check_level (&noise, 3, &kind, 0.1);
    }
}

/* A yellow flower: no block has all channels, and what can be seen in the others tells. */
static void
test_clipped_channels (void)
{
  static const double none[2 * GW_OCTAVES] = { 0 };
  const SceneNoise kind = { .base = { 10, 10, 10 } };

  for (int left = 1; left <= 2; left++)
    {
      g_autoptr (Image) image = scene_new (400, 300, 3, &kind, TRUE, 7);
      GwNoise noise;

      for (int i = 0; i < 400 * 300; i++)
        for (int c = left; c < 3; c++)
          image->values[3 * i + c] = 0;
      noise = estimate (image);
      check_level (&noise, 3, &kind, 0.1);
      check_grain (&noise, none, 0.12);
    }
}

/* A meadow at night: of red and blue a third or half of the pixels are clipped everywhere, and they are
 * noisier than green.  The night sky: half of green, too. */
static void
test_half_clipped (void)
{
  const SceneNoise kind = { .base = { 15, 8, 20 } }, none = { 0 };

  for (int sky = 0; sky < 2; sky++)
    {
      g_autoptr (Image) image = scene_new (400, 300, 3, &kind, FALSE, 9);
      g_autoptr (Image) clean = scene_new (400, 300, 3, &none, FALSE, 9);

      for (int i = 0; i < 400 * 300 * 3; i++)
        if (i % 3 != 1 || sky)
          image->values[i] = MAX (image->values[i] - clean->values[i] + (i % 3 ? 0 : 0.4f * 15 / 255), 0);

      const GwNoise noise = estimate (image);
      check_level (&noise, 3, &kind, 0.15);
    }
}

/* Nothing to measure is no noise, not a crash. */
static void
test_nothing (void)
{
  static const int sizes[][2] = { { 1, 1 }, { 1, 100 }, { 100, 1 }, { 64, 64 } };
  const SceneNoise none = { 0 };

  for (guint i = 0; i < G_N_ELEMENTS (sizes); i++)
    {
      g_autoptr (Image) image = image_new (sizes[i][0], sizes[i][1], 3);

      GwNoise noise = estimate (image);

      check_level (&noise, 3, &none, 0);
      for (int k = 0; k < sizes[i][0] * sizes[i][1] * 3; k++)
        image->values[k] = NAN;
      noise = estimate (image);
      check_level (&noise, 3, &none, 0);
      g_assert_cmpfloat (noise.level_error, ==, 1); /* which is not to say that there is none */
    }
}

/* ---- JPEG ------------------------------------------------------------------------------------------------- */

/* Rounds the coefficients of a plane's blocks, of side 8, to steps that grow with the frequency. */
static void
round_coefficients (double *plane, int width, int height, double least, double growth)
{
  for (int top = 0; top < height; top += 8)
    for (int left = 0; left < width; left += 8)
      {
        double *block = plane + top * width + left, result[64] = { 0 };

        for (int k = 0; k < 64; k++)
          {
            const double step = floor (least + growth * (k / 8 + k % 8));
            double basis[64], sum = 0;

            for (int i = 0; i < 64; i++)
              {
                basis[i] = cos ((2 * (i / 8) + 1) * (k / 8) * G_PI / 16)
                           * cos ((2 * (i % 8) + 1) * (k % 8) * G_PI / 16) * (k / 8 ? 0.5 : sqrt (0.125))
                           * (k % 8 ? 0.5 : sqrt (0.125));
                sum += basis[i] * block[i / 8 * width + i % 8];
              }
            for (int i = 0; i < 64; i++)
              result[i] += basis[i] * step * rint (sum / step);
          }
        for (int i = 0; i < 64; i++)
          block[i / 8 * width + i % 8] = result[i];
      }
}

/* As if saved with half as many rows and columns of a plane of colour, enlarged again by a triangle filter. */
static void
round_halved (double *plane, int width, int height, double least, double growth)
{
  const int across = width / 2, down = height / 2;
  g_autofree double *half = g_new (double, across *down);

  for (int i = 0; i < across * down; i++)
    {
      const double *corner = plane + i / across * 2 * width + i % across * 2;

      half[i] = (corner[0] + corner[1] + corner[width] + corner[width + 1]) / 4;
    }
  round_coefficients (half, across, down, least, growth);
  for (int y = 0; y < height; y++)
    for (int x = 0; x < width; x++)
      {
        const int near[2] = { y / 2 * across, x / 2 };
        const int far[2] = { CLAMP (y / 2 + (y % 2 ? 1 : -1), 0, down - 1) * across,
                             CLAMP (x / 2 + (x % 2 ? 1 : -1), 0, across - 1) };

        plane[y * width + x] = (9 * half[near[0] + near[1]] + 3 * half[near[0] + far[1]]
                                + 3 * half[far[0] + near[1]] + half[far[0] + far[1]])
                               / 16;
      }
}

static void
save_as_jpeg (Image *image, gboolean halved)
{
  const int n = image->width * image->height, channels = image->channels;
  g_autofree double *planes = g_new (double, 3 * n);

  for (int i = 0; i < n; i++)
    {
      const float *pixel = image->values + i * channels;
      const double r = 255 * pixel[0], g = channels == 3 ? 255 * pixel[1] : r,
                   b = channels == 3 ? 255 * pixel[2] : r;

      planes[i] = 0.299 * r + 0.587 * g + 0.114 * b - 128;
      planes[n + i] = (b - planes[i] - 128) / 1.772;
      planes[2 * n + i] = (r - planes[i] - 128) / 1.402;
    }
  round_coefficients (planes, image->width, image->height, 8, 3.5);
  for (int p = 1; p < channels; p++)
    (halved ? round_halved : round_coefficients) (planes + p * n, image->width, image->height, 9, 6);
  for (int i = 0; i < n; i++)
    for (int c = 0; c < channels; c++)
      {
        static const double cb[3] = { 0, -0.344136, 1.772 }, cr[3] = { 1.402, -0.714136, 0 };
        const double value
            = planes[i] + 128 + (channels == 3 ? cb[c] * planes[n + i] + cr[c] * planes[2 * n + i] : 0);

        image->values[i * channels + c] = CLAMP (rint (value), 0, 255) / 255;
      }
}

/* Leaves of all sizes and colours. */
static Image *
leaves_new (int width, int height, int channels, guint32 seed)
{
  g_autoptr (GRand) rand = g_rand_new_with_seed (seed);
  Image *image = image_new (width, height, channels);

  for (int leaf = 0; leaf < 3000; leaf++)
    {
      const double radius = 2 / (0.03 + g_rand_double (rand)), x = width * g_rand_double (rand),
                   y = height * g_rand_double (rand);
      float colour[3];

      for (int c = 0; c < 3; c++)
        colour[c] = 0.25 + 0.25 * g_rand_double (rand) + (c == 0 ? 0 : 0.6 * colour[0]);
      for (int i = MAX (0, y - radius); i < MIN (height, y + radius); i++)
        for (int k = MAX (0, x - radius); k < MIN (width, x + radius); k++)
          for (int c = 0; c < channels && hypot (k - x, i - y) < radius; c++)
            image->values[(i * width + k) * channels + c] = rint (255 * colour[c]) / 255;
    }
  return image;
}

/* What JPEG rounds away is found by the steps it left, in colour of full and of half the size, and in grey. */
static void
test_jpeg (void)
{
  static const struct
  {
    int channels;
    gboolean halved;
  } kinds[] = { { 1, FALSE }, { 3, FALSE }, { 3, TRUE } };

  for (guint i = 0; i < G_N_ELEMENTS (kinds); i++)
    {
      const int width = 320, height = 240, channels = kinds[i].channels;
      g_autoptr (Image) clean = leaves_new (width, height, channels, 40 + i),
                        saved = image_crop (clean, 0, 0, width, height);
      g_autoptr (Image) cropped = NULL;
      GwPhoto photo = { width, height, channels, image_read, clean };
      const GwNoise little = gw_noise_white (0.5 / 255);
      GwNoise noise = little, of_cropped = little;
      double lost = 0, told = 0;

      g_assert_true (gw_noise_add_jpeg (&photo, &noise, NULL, NULL));
      g_assert_cmpmem (&noise, sizeof (noise), &little, sizeof (little));

      save_as_jpeg (saved, kinds[i].halved);
      photo.data = saved;
      g_assert_true (gw_noise_add_jpeg (&photo, &noise, NULL, NULL));
      for (int k = 0; k < width * height * channels; k++)
        lost += pow (255 * (saved->values[k] - clean->values[k]), 2) / (width * height * channels);
      for (int c = 0; c < channels; c++)
        told += pow (255 * noise.level[c][4], 2) / channels;
      g_test_message ("%d channels, halved %d: lost %.2f levels, told %.2f", channels, kinds[i].halved,
                      sqrt (lost), sqrt (told));
      g_assert_cmpfloat (sqrt (lost), >, 2);
      g_assert_cmpfloat (fabs (log (told / lost) / 2), <, 0.3);
      g_assert_cmpfloat (noise.level_error, >, 0.2);

      /* Cropped, when blocks begin anywhere. */
      cropped = image_crop (saved, 13, 6, width - 16, height - 16);
      photo = (GwPhoto) { width - 16, height - 16, channels, image_read, cropped };
      g_assert_true (gw_noise_add_jpeg (&photo, &of_cropped, NULL, NULL));
      g_test_message ("cropped, told %.2f times as much", of_cropped.level[0][4] / noise.level[0][4]);
      g_assert_cmpfloat (fabs (log (of_cropped.level[0][4] / noise.level[0][4])), <, 0.1);

      /* Where the noise is more than that already, it stays. */
      noise = gw_noise_white (30. / 255);
      g_assert_true (gw_noise_add_jpeg (&photo, &noise, NULL, NULL));
      g_assert_cmpfloat (noise.level[0][4], ==, gw_noise_white (30. / 255).level[0][4]);
    }
}

/* ---- Refined ---------------------------------------------------------------------------------------------- */

static GwNoise
refine (const Image *image, GwNoise noise)
{
  const GwPhoto photo = { image->width, image->height, image->channels, image_read, (gpointer) image };
  g_autofree char *path = weights_path ("fast.safetensors");
  g_autoptr (GError) error = NULL;
  g_autoptr (GwModel) model = gw_model_load (path, &error);

  g_assert_no_error (error);
  g_assert_true (gw_noise_refine (model, &photo, &noise, NULL, &error));
  g_assert_no_error (error);

  return noise;
}

/* From a level too high, on photos larger and smaller than what is looked at, in colour and grey. */
static void
test_refined (void)
{
  static const int sizes[][3] = { { 400, 300, 3 }, { 90, 110, 3 }, { 300, 140, 1 } };
  const SceneNoise kind = { .base = { 12, 12, 12 } };

  for (guint i = 0; i < G_N_ELEMENTS (sizes); i++)
    {
      g_autoptr (Image) image = scene_new (sizes[i][0], sizes[i][1], sizes[i][2], &kind, FALSE, 20 + i);
      const GwNoise noise = refine (image, gw_noise_white (1.5 * 12 / 255));

      check_level (&noise, sizes[i][2], &kind, 0.08);
    }
}

/* Of noise as faint as a photo's own grain, half is left to that, as variances, and the level is that much
 * less sure. */
static void
test_refined_faint (void)
{
  const SceneNoise kind = { .base = { 1.5, 1.5, 1.5 } };
  g_autoptr (Image) image = scene_new (400, 300, 3, &kind, FALSE, 35);
  const GwNoise noise = refine (image, gw_noise_white (1.5 / 255));

  g_test_message ("true 1.5, refined %.2f levels, give or take %.2f", 255 * noise.level[1][4],
                  noise.level_error);
  g_assert_cmpfloat (fabs (255 * noise.level[1][4] - 1.5 * sqrt (0.5)), <, 0.15);
  g_assert_cmpfloat (noise.level_error, >, log (2) / 2);
}

/* Fine stripes all over are no noise, though no block is without them. */
static void
test_refined_texture (void)
{
  const SceneNoise kind = { .base = { 10, 10, 10 } };
  g_autoptr (Image) image = scene_new (400, 300, 3, &kind, FALSE, 30);
  GwNoise measured, refined;

  for (int y = 0; y < 300; y++)
    for (int i = 0; i < 400 * 3; i++)
      image->values[y * 400 * 3 + i] += 10 / 255.f * sinf (1.9f * (i / 3) + 0.8f * y);

  measured = estimate (image);
  refined = refine (image, measured);
  g_test_message ("true 10, measured %.2f, refined %.2f levels", 255 * measured.level[1][4],
                  255 * refined.level[1][4]);
  g_assert_cmpfloat (255 * measured.level[1][4], >, 11);
  g_assert_cmpfloat (refined.level_error, >, measured.level_error);
  g_assert_cmpfloat (fabs (255 * refined.level[1][4] - 10), <, 1.1);
}

/* The brightness that the noise depends on is kept apart, and areas burnt out or missing are not taken for
 * clean ones. */
static void
test_refined_curve (void)
{
  const SceneNoise kind = { .base = { 3, 3, 3 }, .slope = 150 };
  g_autoptr (Image) image = scene_new (500, 500, 3, &kind, FALSE, 31);
  GwNoise noise;

  for (int y = 0; y < 500; y++)
    for (int i = 0; i < 200 * 3; i++)
      image->values[y * 500 * 3 + i] = y < 250 ? NAN : 1;
  noise = refine (image, gw_noise_white (14 / 255.));
  check_level (&noise, 3, &kind, 0.12);
}

/* Without colour the level of noise with grain stays as it was measured, or nearly so, and that is said to
 * be less sure. */
static void
test_refined_grey (void)
{
  const SceneNoise kind = { .base = { 10, 10, 10 }, .blurred = TRUE };
  g_autoptr (Image) image = scene_new (400, 300, 1, &kind, FALSE, 34);
  const GwNoise measured = estimate (image), refined = refine (image, measured);

  check_level (&refined, 1, &kind, 0.15);
  g_assert_cmpfloat (refined.level_error, >, measured.level_error + 0.1);
}

/* Measured too low where grain is coarse, as cameras' noise is: the model corrects the level, and leaves
 * the grain. */
static void
test_refined_grain (void)
{
  const SceneNoise kind = { .base = { 10, 10, 10 }, .blurred = TRUE };
  g_autoptr (Image) image = scene_new (400, 300, 3, &kind, FALSE, 32);
  GwNoise measured = estimate (image), refined;

  for (int c = 0; c < 3; c++)
    for (int k = 0; k < GW_KNOTS; k++)
      measured.level[c][k] *= 0.75;
  refined = refine (image, measured);
  g_test_message ("true 10, told %.2f, refined %.2f levels", 255 * measured.level[1][4],
                  255 * refined.level[1][4]);
  check_level (&refined, 3, &kind, 0.18);
  g_assert_cmpint (memcmp (measured.grain, refined.grain, sizeof (measured.grain)), ==, 0);
}

/* What seems to be noise that the channels share, and is as strong in every octave, was texture: only
 * where there is no other noise, in a photo that is grey in all but its format, the channels do share it. */
static void
test_refined_shared (void)
{
  const SceneNoise kind = { .base = { 10, 10, 10 } };
  static const float shared[2 * GW_OCTAVES] = { 0.3f, 0.3f, 0.35f, -0.2f, -0.2f, -0.2f };
  static const float monochrome[2 * GW_OCTAVES] = { 0.73f, 0.73f, 0.73f, -1, -1, -1 };
  static const float none[2 * GW_OCTAVES] = { 0 };
  g_autoptr (Image) image = scene_new (300, 200, 3, &kind, FALSE, 33);
  GwNoise noise = gw_noise_white (11 / 255.);

  memcpy (noise.grain, shared, sizeof (shared));
  noise = refine (image, noise);
  g_assert_cmpmem (noise.grain, sizeof (none), none, sizeof (none));
  check_level (&noise, 3, &kind, 0.08);

  for (int i = 0; i < 300 * 200; i++)
    image->values[3 * i + 1] = image->values[3 * i + 2] = image->values[3 * i];
  memcpy (noise.grain, monochrome, sizeof (monochrome));
  noise = refine (image, noise);
  g_assert_cmpmem (noise.grain, sizeof (monochrome), monochrome, sizeof (monochrome));
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/estimate/white", test_white);
  g_test_add_func ("/estimate/channels-differ", test_channels_differ);
  g_test_add_func ("/estimate/grey-eight-bits", test_grey_eight_bits);
  g_test_add_func ("/estimate/follows-brightness", test_follows_brightness);
  g_test_add_func ("/estimate/grain", test_grain);
  g_test_add_func ("/estimate/coarse-colour", test_coarse_colour);
  g_test_add_func ("/estimate/clipped", test_clipped);
  g_test_add_func ("/estimate/clipped-channels", test_clipped_channels);
  g_test_add_func ("/estimate/half-clipped", test_half_clipped);
  g_test_add_func ("/estimate/nothing", test_nothing);
  g_test_add_func ("/estimate/jpeg", test_jpeg);

  g_test_add_func ("/estimate/refined", test_refined);
  g_test_add_func ("/estimate/refined-faint", test_refined_faint);
  g_test_add_func ("/estimate/refined-texture", test_refined_texture);
  g_test_add_func ("/estimate/refined-curve", test_refined_curve);
  g_test_add_func ("/estimate/refined-grain", test_refined_grain);
  g_test_add_func ("/estimate/refined-grey", test_refined_grey);
  g_test_add_func ("/estimate/refined-shared", test_refined_shared);

  return g_test_run ();
}

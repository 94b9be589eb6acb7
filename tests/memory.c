/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "memory.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "random.h"

Image *
image_new (int width, int height, int channels)
{
  Image *image = g_new (Image, 1);

  *image = (Image) { width, height, channels, g_new0 (float, (gsize) width *height *channels) };

  return image;
}

void
image_free (Image *image)
{
  g_free (image->values);
  g_free (image);
}

Image *
image_random (int width, int height, int channels, double low, double high, guint32 seed)
{
  g_autoptr (GRand) rand = g_rand_new_with_seed (seed);
  Image *image = image_new (width, height, channels);

  for (gsize i = 0; i < (gsize) width * height * channels; i++)
    image->values[i] = g_rand_double_range (rand, low, high);

  return image;
}

Image *
image_crop (const Image *image, int x, int y, int width, int height)
{
  Image *crop = image_new (width, height, image->channels);

  for (int row = 0; row < height; row++)
    memcpy (crop->values + (gsize) row * width * image->channels,
            image->values + ((gsize) (y + row) * image->width + x) * image->channels,
            sizeof (float) * width * image->channels);

  return crop;
}

Image *
image_load_ppm (const char *path, int side)
{
  g_autofree char *bytes = NULL;
  int width, height, end;
  gsize length;
  Image *image;

  if (!g_file_get_contents (path, &bytes, &length, NULL)
      || sscanf (bytes, "P6 %d %d 255%n", &width, &height, &end) != 2
      || length != end + 1 + (gsize) width * height * 3 || width < side || height < side)
    g_error ("%s is no PPM of at least %d pixels a side", path, side);
  image = image_new (width, height, 3);
  for (gsize i = 0; i < (gsize) width * height * 3; i++)
    image->values[i] = ((guchar *) bytes)[end + 1 + i] / 255.f;

  return image;
}

void
image_add_noise (Image *image, double level, guint32 number)
{
  const int length = image->width * image->channels;
  g_autofree float *normals = g_new (float, (gsize) image->width *GW_NORMALS);

  for (int y = 0; y < image->height; y++)
    {
      gw_random_normals (1, number, 0, y, image->width, normals);
      for (int i = 0; i < length; i++)
        image->values[(gsize) y * length + i]
            += level * normals[i / image->channels * GW_NORMALS + i % image->channels];
    }
}

double
image_difference (const Image *a, const Image *b)
{
  double max = 0;

  g_assert_cmpint (a->width, ==, b->width);
  g_assert_cmpint (a->height, ==, b->height);
  g_assert_cmpint (a->channels, ==, b->channels);
  for (gsize i = 0; i < (gsize) a->width * a->height * a->channels; i++)
    {
      const double difference = fabs (a->values[i] - b->values[i]);

      if (!(difference <= max)) /* NaN counts */
        max = difference;
    }
  return max;
}

gboolean
image_read (int y, int n_rows, float *rows, gpointer data, GError **error)
{
  const Image *image = data;
  const gsize length = (gsize) image->width * image->channels;

  g_assert_cmpint (y, >=, 0);
  g_assert_cmpint (y + n_rows, <=, image->height);
  memcpy (rows, image->values + y * length, sizeof (float) * n_rows * length);

  return TRUE;
}

void
result_clear (Result *result)
{
  g_clear_pointer (&result->noisy, image_free);
  g_clear_pointer (&result->level, image_free);
  g_clear_pointer (&result->mean, image_free);
  g_clear_pointer (&result->covariance, image_free);
}

static void
keep (Image *image, const GwPosterior *rows, const float *values)
{
  const gsize length = (gsize) image->width * image->channels;

  memcpy (image->values + rows->y * length, values, sizeof (float) * rows->n_rows * length);
}

static gboolean
write_rows (const GwPosterior *rows, gpointer data, GError **error)
{
  Result *result = data;

  keep (result->noisy, rows, rows->noisy);
  keep (result->level, rows, rows->level);
  keep (result->mean, rows, rows->mean);
  keep (result->covariance, rows, rows->covariance);

  return TRUE;
}

GwNoise
image_noise (double level, const Image *map)
{
  GwNoise noise = gw_noise_white (level);

  noise.read = map ? image_read : NULL;
  noise.data = (gpointer) map;

  return noise;
}

gboolean
image_posterior (const GwModel *model, const Image *photo, const GwNoise *noise, const GwRun *run,
                 Result *result, GError **error)
{
  const int w = photo->width, h = photo->height, n = photo->channels;
  const GwPhoto source = { w, h, n, image_read, (gpointer) photo };

  *result = (Result) { image_new (w, h, n), image_new (w, h, n), image_new (w, h, n),
                       image_new (w, h, n * (n + 1) / 2) };

  return gw_posterior_run (model, &source, noise, run, write_rows, result, error);
}

char *
test_data_path (const char *name)
{
  return g_build_filename (g_getenv ("GRAINWISE_TEST_DATA"), name, NULL);
}

char *
weights_path (const char *name)
{
  return g_build_filename (g_getenv ("GRAINWISE_WEIGHTS"), name, NULL);
}

double
image_octave (const float *noise, int size, int channels, const double *weights, int side)
{
  double sum = 0;

  for (int y = 0; y < size; y += side)
    for (int x = 0; x < size; x += side)
      {
        double total = 0;

        for (int k = 0; k < side * side; k++)
          for (int c = 0; c < channels; c++)
            total += weights[c] * noise[((gsize) (y + k / side) * size + x + k % side) * channels + c];
        sum += total * total;
      }
  return sqrt (sum) / size;
}

void
watch_progress (double fraction, gpointer data)
{
  Watch *watch = data;

  g_assert_cmpfloat (fraction, >=, watch->last);
  watch->last = fraction;
  if (fraction > watch->stop)
    g_cancellable_cancel (watch->cancellable);
}

GwModel *
load_model (char *path)
{
  g_autofree char *owned = path;
  g_autoptr (GError) error = NULL;
  GwModel *model = gw_model_load (path, &error);

  g_assert_no_error (error);

  return model;
}

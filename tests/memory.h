/* Photos in memory, for tests, and what else several of them need.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#pragma once

#include "grainwise.h"

typedef struct
{
  int width, height, channels;
  float *values;
} Image;

Image *image_new (int width, int height, int channels);
void image_free (Image *image);
/* Uniform in [low, high). */
Image *image_random (int width, int height, int channels, double low, double high, guint32 seed);
Image *image_crop (const Image *image, int x, int y, int width, int height);
/* A PPM with 8 bits and at least @side pixels each way; anything else ends the program. */
Image *image_load_ppm (const char *path, int side);
/* White noise, the same for the same @number. */
void image_add_noise (Image *image, double level, guint32 number);
/* Largest absolute difference. */
double image_difference (const Image *a, const Image *b);

/* A GwReadRows over an Image. */
gboolean image_read (int y, int n_rows, float *rows, gpointer image, GError **error);

typedef struct
{
  Image *noisy, *level, *mean, *covariance;
} Result;

void result_clear (Result *result);

/* White noise of a uniform @level, or of the levels in @map. */
GwNoise image_noise (double level, const Image *map);

gboolean image_posterior (const GwModel *model, const Image *photo, const GwNoise *noise, const GwRun *run,
                          Result *result, GError **error);

/* Of a square of noise: root mean square of the means over side x side pixels, times side, of a sum of
 * channels. */
double image_octave (const float *noise, int size, int channels, const double *weights, int side);

/* A GwProgress that sees that it only grows, and cancels beyond @stop. */
typedef struct
{
  GCancellable *cancellable;
  double last, stop;
} Watch;

void watch_progress (double fraction, gpointer watch);

/* A file of the test data, or of weights/. */
char *test_data_path (const char *name);
char *weights_path (const char *name);

/* @path: (transfer full): one of them, a model */
GwModel *load_model (char *path);

G_DEFINE_AUTOPTR_CLEANUP_FUNC (Image, image_free)
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (Result, result_clear)

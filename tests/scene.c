/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "scene.h"

#include <math.h>

static double
normal (GRand *rand)
{
  const double radius = sqrt (-2 * log (1 - g_rand_double (rand)));

  return radius * cos (2 * G_PI * g_rand_double (rand));
}

static Image *
unit_noise (int width, int height, int channels, const SceneNoise *kind, GRand *rand)
{
  g_autoptr (Image) white = image_new (width + 1, height + 1, channels);
  Image *noise = image_new (width, height, channels);

  for (int i = 0; i < (width + 1) * (height + 1) * channels; i++)
    white->values[i] = kind->grey && i % channels ? white->values[i - 1] : normal (rand);
  for (int y = 0; y < height; y++)
    for (int i = 0; i < width * channels; i++)
      {
        const float *p = white->values + (gsize) y * (width + 1) * channels + i;
        const float *q = p + (width + 1) * channels;

        noise->values[(gsize) y * width * channels + i]
            = kind->blurred ? 0.5f * (p[0] + p[channels] + q[0] + q[channels]) : p[0];
      }
  return noise;
}

Image *
scene_new (int width, int height, int channels, const SceneNoise *kind, gboolean eight_bits, guint32 seed)
{
  g_autoptr (GRand) rand = g_rand_new_with_seed (seed);
  g_autoptr (Image) noise = unit_noise (width, height, channels, kind, rand);
  Image *image = image_new (width, height, channels);

  for (int y = 0; y < height; y++)
    for (int x = 0; x < width; x++)
      for (int c = 0; c < channels; c++)
        {
          const gsize i = ((gsize) y * width + x) * channels + c;
          double v
              = 0.5 + 0.2 * sin (x / 40.0 + c) + 0.15 * cos (y / 30.0) + ((x / 120 + y / 120) % 2 ? 0.1 : 0);

          v += sqrt (kind->base[c] * kind->base[c] + kind->slope * v) / 255 * noise->values[i];
          image->values[i] = eight_bits ? round (255 * CLAMP (v, 0, 1)) / 255 : v;
        }
  return image;
}

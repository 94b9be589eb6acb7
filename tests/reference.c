/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "reference.h"

#include <math.h>

typedef struct
{
  const GwLayer *layer;
  const float *source;
  int width, height; /* of the source */
} Image;

static double
at (const Image *image, int x, int y, int c)
{
  if (x < 0 || y < 0 || x >= image->width || y >= image->height)
    return 0;

  return image->source[((gsize) y * image->width + x) * image->layer->in + c];
}

static double
conv3 (const Image *image, int x, int y, int k)
{
  const GwLayer *layer = image->layer;
  double sum = 0;

  for (int i = 0; i < 3; i++)
    for (int j = 0; j < 3; j++)
      for (int c = 0; c < layer->in; c++)
        sum += layer->weights[((i * 3 + j) * layer->in + c) * layer->out + k]
               * at (image, x + j - 1, y + i - 1, c);
  return sum;
}

static double
down2 (const Image *image, int x, int y, int k)
{
  const GwLayer *layer = image->layer;
  double sum = 0;

  for (int i = 0; i < 2; i++)
    for (int j = 0; j < 2; j++)
      for (int c = 0; c < layer->in; c++)
        sum += layer->weights[((i * 2 + j) * layer->in + c) * layer->out + k]
               * at (image, 2 * x + j, 2 * y + i, c);
  return sum;
}

static double
up2 (const Image *image, int x, int y, int k)
{
  const GwLayer *layer = image->layer;
  double sum = 0;

  for (int c = 0; c < layer->in; c++)
    sum += layer->weights[((y % 2 * layer->in + c) * 2 + x % 2) * layer->out + k]
           * at (image, x / 2, y / 2, c);
  return sum;
}

static double
noise_asinh (const Image *image, int x, int y, int k, const float *noise, int noise_channels)
{
  const int first = image->layer->first_plane;
  double sum = 0;

  for (int c = first; c < first + image->layer->n_planes; c++)
    sum += noise[((gsize) y * image->width + x) * noise_channels + c];

  return asinh (image->source[((gsize) y * image->width + x) * image->layer->out + k] * image->layer->n_planes
                / sum);
}

float *
reference_layer (const GwLayer *layer, const float *source, int width, int height, const float *addend,
                 int noise_channels)
{
  const Image image = { layer, source, width, height };
  const int out_width = layer->kind == GW_LAYER_DOWN2 ? width / 2
                        : layer->kind == GW_LAYER_UP2 ? width * 2
                                                      : width;
  const int out_height = layer->kind == GW_LAYER_DOWN2 ? height / 2
                         : layer->kind == GW_LAYER_UP2 ? height * 2
                                                       : height;
  float *out = g_new (float, (gsize) out_width *out_height * layer->out);

  for (int y = 0; y < out_height; y++)
    for (int x = 0; x < out_width; x++)
      for (int k = 0; k < layer->out; k++)
        {
          const gsize i = ((gsize) y * out_width + x) * layer->out + k;
          double value = layer->kind == GW_LAYER_CONV3   ? conv3 (&image, x, y, k)
                         : layer->kind == GW_LAYER_DOWN2 ? down2 (&image, x, y, k)
                         : layer->kind == GW_LAYER_UP2
                             ? up2 (&image, x, y, k)
                             : noise_asinh (&image, x, y, k, addend, noise_channels);

          if (layer->kind != GW_LAYER_ASINH && addend)
            value += addend[i];
          if (layer->bias)
            value += layer->bias[k];
          out[i] = layer->relu && value < 0 ? 0 : value;
        }
  return out;
}

float *
reference_network (const GwNetwork *network, const float *input, int width, int height, int wanted)
{
  const int n = network->layers->len;
  float **images = g_new0 (float *, n);
  float *result;

  images[0] = g_memdup2 (input, sizeof (float) * width * height * gw_network_get (network, 0)->out);
  for (int i = 1; i <= wanted; i++)
    {
      const GwLayer *layer = gw_network_get (network, i);
      const int scale = gw_network_get (network, layer->source)->scale;
      const float *addend = layer->addend >= 0 ? images[layer->addend] : NULL;

      images[i] = reference_layer (layer, images[layer->source], width >> scale, height >> scale, addend,
                                   addend ? gw_network_get (network, layer->addend)->out : 0);
    }
  result = g_steal_pointer (&images[wanted]);
  for (int i = 0; i < n; i++)
    g_free (images[i]);
  g_free (images);

  return result;
}

float *
random_floats (GRand *rand, gsize n)
{
  float *values = g_new (float, n);

  for (gsize i = 0; i < n; i++)
    values[i] = g_rand_double_range (rand, -1, 1);

  return values;
}

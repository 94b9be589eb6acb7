/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "reference.h"

#include <math.h>

#include "weights.h"

typedef struct
{
  const GwLayer *layer;
  const double *weights; /* [out][in][row][column]; up2: [in][out][row][column] */
  const float *source;
  int width, height; /* of the source */
} Image;

/* ---- The weights as PyTorch had them, from what is left of them ------------------------------------------ */

/* From G w to w: G's rows give w0 / 4, -(w0 + w1 + w2) / 6, (-w0 + w1 - w2) / 6, ..., w2. */
static void
inverse_transform (const double *points, int stride, double taps[3])
{
  taps[0] = 4 * points[0];
  taps[1] = 3 * (points[2 * stride] - points[stride]);
  taps[2] = points[5 * stride];
}

static void
kernel_of (const GwKernels *kernels, const GwLayer *layer, int in, int out, double kernel[9])
{
  const gsize size = (gsize) gw_padded (layer->in) * gw_padded (layer->out);
  double points[36], half[6][3];

  for (int p = 0; p < 36; p++)
    points[p] = layer->weights[p * size + gw_weights_index (kernels, layer, in, out)];
  for (int i = 0; i < 6; i++)
    inverse_transform (points + 6 * i, 1, half[i]);
  for (int column = 0; column < 3; column++)
    {
      double taps[3];

      inverse_transform (&half[0][column], 3, taps);
      for (int row = 0; row < 3; row++)
        kernel[3 * row + column] = taps[row];
    }
}

static double *
weights_of (const GwKernels *kernels, const GwLayer *layer)
{
  const gboolean up = layer->kind == GW_LAYER_UP2;
  const int side = gw_layer_side (layer);
  double *weights = g_new (double, side *side * layer->in * layer->out), *next = weights;
  int depth, columns;

  gw_weights_shape (layer, &depth, &columns);
  for (int a = 0; a < (up ? layer->in : layer->out); a++)
    for (int b = 0; b < (up ? layer->out : layer->in); b++)
      {
        const int in = up ? a : b, out = up ? b : a;

        if (side == 3)
          {
            kernel_of (kernels, layer, in, out, next);
            next += 9;
            continue;
          }
        for (int row = 0; row < side; row++)
          for (int column = 0; column < side; column++)
            {
              const int k = up ? in : column * gw_padded (layer->in) + in;
              const int j = up ? column * gw_padded (layer->out) + out : out;

              *next++
                  = layer->weights[(gsize) row * depth * columns + gw_weights_index (kernels, layer, k, j)];
            }
      }
  return weights;
}

/* ---- The layers ------------------------------------------------------------------------------------------ */

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
        sum += image->weights[((k * layer->in + c) * 3 + i) * 3 + j] * at (image, x + j - 1, y + i - 1, c);
  return sum;
}

static double
conv1 (const Image *image, int x, int y, int k)
{
  const GwLayer *layer = image->layer;
  double sum = 0;

  for (int c = 0; c < layer->in; c++)
    sum += image->weights[k * layer->in + c] * at (image, x, y, c);
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
        sum += image->weights[((k * layer->in + c) * 2 + i) * 2 + j] * at (image, 2 * x + j, 2 * y + i, c);
  return sum;
}

static double
up2 (const Image *image, int x, int y, int k)
{
  const GwLayer *layer = image->layer;
  double sum = 0;

  for (int c = 0; c < layer->in; c++)
    sum += image->weights[((c * layer->out + k) * 2 + y % 2) * 2 + x % 2] * at (image, x / 2, y / 2, c);
  return sum;
}

static double
scale (const Image *image, int x, int y, int channels)
{
  const int first = image->layer->first_plane, n = image->layer->n_planes;
  double sum = 0;

  for (int c = first; c < first + n; c++)
    sum += image->source[((gsize) y * image->width + x) * channels + c];

  return n / sum;
}

/* The last channel is the logarithm of the level, clamped, over 20 levels of 255. */
static double
relative (const Image *image, int x, int y, int k, double scale)
{
  if (k < image->layer->in)
    return asinh (at (image, x, y, k) * scale);

  return log (CLAMP (1 / scale, 0.5 / 255, 100 / 255.) * 255 / 20);
}

static float *
reference_layer (const GwKernels *kernels, const GwLayer *layer, const float *source, int width, int height,
                 const float *addend, int source_channels)
{
  g_autofree double *weights = layer->weights ? weights_of (kernels, layer) : NULL;
  const Image image = { layer, weights, source, width, height };
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
                         : layer->kind == GW_LAYER_CONV1 ? conv1 (&image, x, y, k)
                         : layer->kind == GW_LAYER_DOWN2 ? down2 (&image, x, y, k)
                         : layer->kind == GW_LAYER_UP2   ? up2 (&image, x, y, k)
                         : layer->kind == GW_LAYER_SCALE ? scale (&image, x, y, source_channels)
                                                         : relative (&image, x, y, k, addend[i / layer->out]);

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

      images[i] = reference_layer (network->kernels, layer, images[layer->source], width >> scale,
                                   height >> scale, addend, gw_network_get (network, layer->source)->out);
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

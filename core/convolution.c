/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "convolution.h"

#include <math.h>
#include <string.h>

#include "weights.h"

/* Of the level that heads are told: as in weights/model.py. */
#define UNIT (20 / 255.f)
#define LOWEST (0.5f / 255)
#define HIGHEST (100 / 255.f)

/* Bias, repeated over the pixels, and ReLU. */
static void
finish (const GwLayer *layer, float *out, int n, int channels)
{
  if (layer->bias || layer->relu)
    for (int i = 0; i < n * channels; i++)
      {
        const float value = out[i] + (layer->bias ? layer->bias[i % channels] : 0);

        out[i] = layer->relu && !(value > 0) ? 0 : value;
      }
}

void
gw_conv1 (const GwKernels *kernels, const GwLayer *layer, const float *row, const float *addend, float *out,
          int x, int n)
{
  int depth, columns;

  gw_weights_shape (layer, &depth, &columns);
  out += x * columns;
  kernels->multiply (row + x * depth, depth, n, layer->weights, depth, columns, columns, layer->weights,
                     addend ? addend + x * columns : NULL, out, columns);
  finish (layer, out, n, columns);
}

void
gw_down2 (const GwKernels *kernels, const GwLayer *layer, const float *const rows[2], const float *addend,
          float *out, int x, int n)
{
  const int channels = gw_padded (layer->out);
  const float *start = addend ? addend + x * channels : NULL;
  int depth, columns;

  gw_weights_shape (layer, &depth, &columns);
  out += x * channels;
  for (int i = 0; i < 2; i++, start = out)
    kernels->multiply (rows[i] + x * depth, depth, n, layer->weights + i * depth * columns, depth, columns,
                       columns, layer->weights + (1 - i) * depth * columns, start, out, columns);
  finish (layer, out, n, channels);
}

void
gw_up2 (const GwKernels *kernels, const GwLayer *layer, const float *row, gboolean odd, const float *addend,
        float *out, int x, int n)
{
  const int channels = gw_padded (layer->out);
  int depth, columns;

  gw_weights_shape (layer, &depth, &columns);
  out += 2 * x * channels;
  kernels->multiply (row + x * depth, depth, n, layer->weights + (odd ? depth * columns : 0), depth, columns,
                     columns, layer->weights + (odd ? 0 : depth * columns),
                     addend ? addend + 2 * x * channels : NULL, out, columns);
  finish (layer, out, 2 * n, channels);
}

void
gw_scale (const GwLayer *layer, const float *row, int stride, float *out, int x, int n)
{
  for (int i = x; i < x + n; i++)
    {
      const float *planes = row + i * stride + layer->first_plane;
      float sum = 0;

      for (int k = 0; k < layer->n_planes; k++)
        sum += planes[k];
      out[i] = layer->n_planes / sum;
    }
}

void
gw_asinh (const GwKernels *kernels, const GwLayer *layer, const float *row, const float *scale, float *out,
          int x, int n)
{
  const int in = gw_padded (layer->in), channels = gw_padded (layer->out);

  for (int i = x; i < x + n; i++)
    {
      float *to = out + i * channels;

      kernels->asinh (row + i * in, scale[i], to, in);
      memset (to + layer->in, 0, sizeof (float) * (channels - layer->in));
      to[layer->in] = logf (CLAMP (1 / scale[i], LOWEST, HIGHEST) / UNIT);
    }
}

/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "weights.h"

#include "pages.h"

void
gw_weights_shape (const GwLayer *layer, int *depth, int *columns)
{
  *depth = gw_padded (layer->in) * (layer->kind == GW_LAYER_DOWN2 ? 2 : 1);
  *columns = gw_padded (layer->out) * (layer->kind == GW_LAYER_UP2 ? 2 : 1);
}

gsize
gw_weights_index (const GwKernels *kernels, const GwLayer *layer, int k, int column)
{
  int depth, columns;

  gw_weights_shape (layer, &depth, &columns);

  const int panel = kernels->panel ? kernels->panel : columns;

  return (gsize) (column / panel) * depth * panel + (gsize) k * panel + column % panel;
}

/* One matrix for each tap (CONV3, CONV1) or row, in panels. */
static float *
padded_matrices (const GwKernels *kernels, const GwLayer *layer, const float *weights, gsize size)
{
  const gboolean up = layer->kind == GW_LAYER_UP2;
  const int side = gw_layer_side (layer);
  float *matrices = gw_pages_new (size * (side == 2 ? 2 : side * side));

  if (!matrices)
    return NULL;
  for (int a = 0; a < (up ? layer->in : layer->out); a++)
    for (int b = 0; b < (up ? layer->out : layer->in); b++)
      for (int column = 0; column < side; column++)
        {
          /* two neighbouring pixels are one vector of twice the channels */
          const int second = side == 2 ? column : 0;
          const int k = up ? a : second * gw_padded (layer->in) + b;
          const int j = up ? second * gw_padded (layer->out) + b : a;
          float *matrix = matrices + gw_weights_index (kernels, layer, k, j);

          for (int row = 0; row < side; row++)
            matrix[(side == 2 ? row : side * row + column) * size]
                = weights[(((gsize) a * (up ? layer->out : layer->in) + b) * side + row) * side + column];
        }
  return matrices;
}

/* [9][size] to [36][size] */
static float *
transform (const float *taps, gsize size)
{
  float *points = gw_pages_new (GW_TILE_POINTS * size);

  if (!points)
    return NULL;
  for (gsize first = 0; first < size; first += GW_CHANNELS)
    {
      double half[GW_TILE_SOURCE][3][GW_CHANNELS];

      for (int i = 0; i < GW_TILE_SOURCE; i++)
        for (int column = 0; column < 3; column++)
          for (int c = 0; c < GW_CHANNELS; c++)
            {
              const float *tap = taps + column * size + first + c;

              half[i][column][c] = gw_kernel_transform[i][0] * tap[0]
                                   + gw_kernel_transform[i][1] * tap[3 * size]
                                   + gw_kernel_transform[i][2] * tap[6 * size];
            }
      for (int i = 0; i < GW_TILE_SOURCE; i++)
        for (int j = 0; j < GW_TILE_SOURCE; j++)
          for (int c = 0; c < GW_CHANNELS; c++)
            points[(i * GW_TILE_SOURCE + j) * size + first + c] = gw_kernel_transform[j][0] * half[i][0][c]
                                                                  + gw_kernel_transform[j][1] * half[i][1][c]
                                                                  + gw_kernel_transform[j][2] * half[i][2][c];
    }
  return points;
}

float *
gw_weights_arrange (const GwKernels *kernels, const GwLayer *layer, const float *weights)
{
  float *matrices, *points;
  int depth, columns;

  gw_weights_shape (layer, &depth, &columns);
  matrices = padded_matrices (kernels, layer, weights, (gsize) depth * columns);
  if (!matrices || layer->kind != GW_LAYER_CONV3)
    return matrices;

  points = transform (matrices, (gsize) depth * columns);
  gw_pages_free (matrices);

  return points;
}

/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "winograd.h"

#include "weights.h"

enum
{
  /* Tiles of a job: the more, the less often are the weights read; their transform (floats) should stay in the core's own cache. */
  SOURCE_FLOATS = 1 << 16,
  TILES_LEAST = 24,
  TILES_MOST = 60,
  /* Of the results: so few channels at a time that these stay there, too. */
  COLUMNS = 32,
  /* The points of a tile lie so far apart that they do not share a set of the cache. */
  POINT_PADDING = 16
};

typedef struct
{
  const GwKernels *kernels;
  const GwLayer *layer;
  const GwTiles *tiles;
  int width; /* of the rows */
  float *scratch;
  gsize scratch_size; /* of each thread */
} Task;

int
gw_winograd_tiles (const GwLayer *layer)
{
  return CLAMP (SOURCE_FLOATS / (GW_TILE_POINTS * gw_padded (layer->in)) / 12 * 12, TILES_LEAST, TILES_MOST);
}

gsize
gw_winograd_scratch (const GwLayer *layer)
{
  return GW_TILE_POINTS
         * ((gsize) gw_winograd_tiles (layer) * (gw_padded (layer->in) + COLUMNS) + 2 * POINT_PADDING);
}

static void
compute (int job, int thread, gpointer data)
{
  const Task *task = data;
  const GwKernels *kernels = task->kernels;
  const GwLayer *layer = task->layer;
  const GwTiles *tiles = &task->tiles[job];
  const int in = gw_padded (layer->in), out = gw_padded (layer->out);
  const gsize source_stride = (gsize) tiles->n * in + POINT_PADDING;
  float *sources = task->scratch + thread * task->scratch_size;
  float *products = sources + GW_TILE_POINTS * source_stride;

  kernels->transform_sources (tiles->rows, tiles->x, tiles->n, in, sources, source_stride);
  for (int first = 0; first < out; first += COLUMNS)
    {
      const int columns = MIN (COLUMNS, out - first);
      const gsize stride = (gsize) tiles->n * columns + POINT_PADDING;
      const gsize column = gw_weights_index (kernels, layer, 0, first);
      const gsize column_after
          = gw_weights_index (kernels, layer, 0, first + columns < out ? first + columns : 0);
      const float *addends[GW_TILE];
      float *results[GW_TILE];

      for (int i = 0; i < GW_TILE; i++)
        {
          results[i] = tiles->out[i] ? tiles->out[i] + first : NULL;
          addends[i] = layer->addend >= 0 && tiles->out[i] ? tiles->addends[i] + first : NULL;
        }
      for (int point = 0; point < GW_TILE_POINTS; point++)
        {
          const float *weights = layer->weights + (gsize) point * in * out + column;

          kernels->multiply (sources + point * source_stride, in, tiles->n, weights, in, out, columns,
                             point < GW_TILE_POINTS - 1 ? weights + (gsize) in * out
                                                        : layer->weights + column_after,
                             NULL, products + point * stride, columns);
        }
      kernels->transform_results (
          products, stride, tiles->n, columns, layer->bias ? layer->bias + first : NULL,
          layer->addend >= 0 ? addends : NULL, layer->relu, results, out, tiles->x, task->width);
    }
}

void
gw_winograd_run (const GwKernels *kernels, GwWorkers *workers, const GwLayer *layer, const GwTiles *tiles,
                 int n, int width, float *scratch)
{
  Task task = { .kernels = kernels,
                .layer = layer,
                .tiles = tiles,
                .width = width,
                .scratch = scratch,
                .scratch_size = gw_winograd_scratch (layer) };

  gw_workers_run (workers, compute, &task, n);
}

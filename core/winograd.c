/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "winograd.h"

#include "weights.h"

enum
{
  /* Tiles of a job: the more, the less often are the weights read; their transform (floats) should stay in
   * the core's own cache. */
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
  const GwTiles *rows;
  int x, in_row; /* first column of the tiles; how many of them are side by side */
  int tiles, jobs;
  int width; /* of the rows */
  float *scratch;
  gsize scratch_size; /* of each thread */
} Task;

int
gw_winograd_tiles (const GwLayer *layer)
{
  return CLAMP (SOURCE_FLOATS / (GW_TILE_POINTS * gw_padded (layer->in)) / 12 * 12, TILES_LEAST, TILES_MOST);
}

/* All threads have the same number of jobs, of about gw_winograd_tiles(); that can be half as many again. */
static int
count_jobs (const GwLayer *layer, int tiles, int threads)
{
  const int round = threads * gw_winograd_tiles (layer);

  return MIN (threads * MAX ((tiles + round / 2) / round, 1), tiles);
}

gsize
gw_winograd_scratch (const GwLayer *layer)
{
  const gsize most = gw_winograd_tiles (layer) * 3 / 2;

  return GW_TILE_POINTS * (most * (gw_padded (layer->in) + COLUMNS) + 2 * POINT_PADDING);
}

/* How many of the tiles from @tile on, up to @end, lie in one row. */
static int
beside (const Task *task, int tile, int end)
{
  return MIN (end - tile, task->in_row - tile % task->in_row);
}

/* From @tile on @n tiles of one row, @columns of their channels. */
static void
finish (const Task *task, int tile, int n, const float *products, gsize stride, int first, int columns)
{
  const GwLayer *layer = task->layer;
  const GwTiles *row = &task->rows[tile / task->in_row];
  const float *addends[GW_TILE];
  float *results[GW_TILE];

  for (int i = 0; i < GW_TILE; i++)
    {
      results[i] = row->out[i] ? row->out[i] + first : NULL;
      addends[i] = layer->addend >= 0 && row->out[i] ? row->addends[i] + first : NULL;
    }
  task->kernels->transform_results (products, stride, n, columns, layer->bias ? layer->bias + first : NULL,
                                    layer->addend >= 0 ? addends : NULL, layer->relu, results,
                                    gw_padded (layer->out), task->x + GW_TILE * (tile % task->in_row),
                                    task->width);
}

static void
compute (int job, int thread, gpointer data)
{
  const Task *task = data;
  const GwKernels *kernels = task->kernels;
  const GwLayer *layer = task->layer;
  const int begin = (gint64) task->tiles * job / task->jobs;
  const int end = (gint64) task->tiles * (job + 1) / task->jobs;
  const int in = gw_padded (layer->in), out = gw_padded (layer->out);
  const gsize source_stride = (gsize) (end - begin) * in + POINT_PADDING;
  float *sources = task->scratch + thread * task->scratch_size;
  float *products = sources + GW_TILE_POINTS * source_stride;

  for (int tile = begin, n; tile < end; tile += n)
    {
      n = beside (task, tile, end);
      kernels->transform_sources (task->rows[tile / task->in_row].rows,
                                  task->x + GW_TILE * (tile % task->in_row), n, in,
                                  sources + (gsize) (tile - begin) * in, source_stride);
    }
  for (int first = 0; first < out; first += COLUMNS)
    {
      const int columns = MIN (COLUMNS, out - first);
      const gsize stride = (gsize) (end - begin) * columns + POINT_PADDING;
      const gsize column = gw_weights_index (kernels, layer, 0, first);
      const gsize column_after
          = gw_weights_index (kernels, layer, 0, first + columns < out ? first + columns : 0);

      for (int point = 0; point < GW_TILE_POINTS; point++)
        {
          const float *weights = layer->weights + (gsize) point * in * out + column;

          kernels->multiply (sources + point * source_stride, in, end - begin, weights, in, out, columns,
                             point < GW_TILE_POINTS - 1 ? weights + (gsize) in * out
                                                        : layer->weights + column_after,
                             NULL, products + point * stride, columns);
        }
      for (int tile = begin, n; tile < end; tile += n)
        {
          n = beside (task, tile, end);
          finish (task, tile, n, products + (gsize) (tile - begin) * columns, stride, first, columns);
        }
    }
}

void
gw_winograd_run (const GwKernels *kernels, GwWorkers *workers, const GwLayer *layer, const GwTiles *tiles,
                 int n, int x, int in_row, int width, float *scratch)
{
  Task task = { .kernels = kernels,
                .layer = layer,
                .rows = tiles,
                .x = x,
                .in_row = in_row,
                .tiles = n * in_row,
                .jobs = count_jobs (layer, n * in_row, gw_workers_count (workers)),
                .width = width,
                .scratch = scratch,
                .scratch_size = gw_winograd_scratch (layer) };

  gw_workers_run (workers, compute, &task, task.jobs);
}

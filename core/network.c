/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "network.h"

#include <string.h>

#include "convolution.h"
#include "pages.h"
#include "weights.h"
#include "winograd.h"

/* Pixels of a row that are one job: their source and result stay in the second-level cache. */
#define STRETCH 128

/* Multiplications between two barriers: a tenth of a millisecond or more, many times what a barrier takes. */
#define WORK 2e7

/* The rows of a layer that are kept: row y lies in place y modulo height. */
typedef struct
{
  float *data;      /* in the pass's pages */
  int width, total; /* of the layer's whole output */
  int turn;         /* rows computed at once */
  int height;       /* rows kept */
  int done;         /* rows computed since the top */
} Ring;

struct _GwPass
{
  const GwNetwork *network;
  GwWorkers *workers;
  Ring *rings;
  int *outputs;
  int n_outputs;
  int given;      /* rows of the outputs that the caller has seen */
  int most_rows;  /* given at once */
  float *pages;   /* all rings, and the scratch */
  float *scratch; /* of the tiles */
};

/* ---- Describing ------------------------------------------------------------------------------------------ */

void
gw_network_init (GwNetwork *network, const GwKernels *kernels)
{
  network->kernels = kernels;
  network->layers = g_array_new (FALSE, FALSE, sizeof (GwLayer));
}

void
gw_network_clear (GwNetwork *network)
{
  for (guint i = 0; i < network->layers->len; i++)
    {
      gw_pages_free (g_array_index (network->layers, GwLayer, i).weights);
      g_free (g_array_index (network->layers, GwLayer, i).bias);
    }
  g_clear_pointer (&network->layers, g_array_unref);
}

/* Rows come in fours.  A layer can compute one row fewer than its source has; so if the source has 4k - n rows, tiles that
 * begin at -(n + 1) can be computed up to the last row, and no layer runs more than one row behind another. */
static int
tile_offset (const GwNetwork *network, const GwLayer *layer)
{
  const int offset = network->layers->len > 0 ? gw_network_get (network, layer->source)->tile_offset : 0;

  switch (layer->kind)
    {
    case GW_LAYER_CONV3:
      return (offset + 1) % GW_TILE;
    case GW_LAYER_DOWN2:
      return (offset + 1) / 2;
    case GW_LAYER_UP2:
      return 2 * offset % GW_TILE;
    default:
      return offset;
    }
}

int
gw_network_add (GwNetwork *network, GwLayer layer, const float *weights, const float *bias)
{
  if (weights && !(layer.weights = gw_weights_arrange (network->kernels, &layer, weights)))
    return -1;
  if (bias)
    {
      layer.bias = g_new0 (float, gw_padded (layer.out));
      memcpy (layer.bias, bias, layer.out * sizeof (float));
    }
  layer.tile_offset = tile_offset (network, &layer);
  g_array_append_val (network->layers, layer);

  return network->layers->len - 1;
}

const GwLayer *
gw_network_get (const GwNetwork *network, int layer)
{
  return &g_array_index (network->layers, GwLayer, layer);
}

double
gw_network_multiply_adds (const GwNetwork *network)
{
  double sum = 0;

  for (guint i = 0; i < network->layers->len; i++)
    {
      const GwLayer *layer = gw_network_get (network, i);
      const double taps = layer->kind == GW_LAYER_CONV3   ? 9
                          : layer->kind == GW_LAYER_DOWN2 ? 4
                          : layer->kind == GW_LAYER_UP2   ? 1
                                                          : 0;

      sum += taps * layer->in * layer->out / (double) (G_GINT64_CONSTANT (1) << 2 * layer->scale);
    }
  return sum;
}

int
gw_network_radius (const GwNetwork *network)
{
  const int n = network->layers->len;
  g_autofree int *radius = g_new0 (int, n);
  int max = 0;

  for (int i = 1; i < n; i++)
    {
      const GwLayer *layer = gw_network_get (network, i);

      radius[i] = radius[layer->source];
      /* A 3x3 kernel reaches one row farther; a row that was made from one twice as high reaches to that one's end. */
      if (layer->kind == GW_LAYER_CONV3 || layer->kind == GW_LAYER_UP2)
        radius[i] += 1 << layer->scale;
      if (layer->addend >= 0)
        radius[i] = MAX (radius[i], radius[layer->addend]);
      max = MAX (max, radius[i]);
    }
  return max;
}

/* ---- Planning -------------------------------------------------------------------------------------------- */

/* How many rows a layer computes at once, at least: so many that the threads have work between two barriers, and in deep layers,
 * that reading their weights is worth while. */
static int
rows_in_turn (const GwLayer *layer, int width, int threads, double work)
{
  const int tiles_in_row = (width + GW_TILE - 1) / GW_TILE;
  double tiles = (work == 0 ? WORK : work) / ((double) GW_TILE_POINTS * layer->in * layer->out);

  if (work == 0)
    tiles = MAX (tiles, threads * gw_winograd_tiles (layer));

  return GW_TILE * (1 + (int) ((tiles - 1) / tiles_in_row));
}

/* The input comes at the pace of the layer that can take least at once; no other may be slower, or its source would pile up. */
static void
plan_turns (GwPass *pass, double work)
{
  const int n = pass->network->layers->len, threads = gw_workers_count (pass->workers);
  Ring *rings = pass->rings;

  rings[0].turn = rings[0].total;
  for (int i = 1; i < n; i++)
    {
      const GwLayer *layer = gw_network_get (pass->network, i);

      rings[i].turn = GW_TILE;
      if (layer->kind != GW_LAYER_CONV3)
        continue;
      rings[i].turn = rows_in_turn (layer, rings[i].width, threads, work);
      if (layer->scale == 0)
        rings[0].turn = MIN (rings[0].turn, rings[i].turn);
    }
  for (int i = 1; i < n; i++)
    {
      const int pace = ((rings[0].turn - 1) >> gw_network_get (pass->network, i)->scale) + 1;

      rings[i].turn = MAX (rings[i].turn, (pace + GW_TILE - 1) / GW_TILE * GW_TILE);
    }
}

/* How many rows of a layer can be computed, counted from the top, with what is there now. */
static int
rows_possible (const GwPass *pass, int number)
{
  const GwLayer *layer = gw_network_get (pass->network, number);
  const Ring *source = &pass->rings[layer->source], *ring = &pass->rings[number];
  int rows = source->done;

  if (layer->kind == GW_LAYER_CONV3 && source->done < source->total)
    rows = source->done - 1;
  else if (layer->kind == GW_LAYER_DOWN2)
    rows = source->done / 2;
  else if (layer->kind == GW_LAYER_UP2)
    rows = source->done * 2;

  if (layer->addend >= 0)
    rows = MIN (rows, pass->rings[layer->addend].done);

  rows = MIN (rows, ring->done + ring->turn);
  if (layer->kind == GW_LAYER_CONV3 && rows < ring->total)
    {
      /* Whole tiles, a turn of them; the first turn begins above the photo. */
      rows -= (rows + layer->tile_offset) % GW_TILE;
      if (source->done < source->total
          && rows < (ring->done > 0 ? ring->done + ring->turn : ring->turn - layer->tile_offset))
        return ring->done;
    }
  return MAX (rows, ring->done);
}

/* The first row of its source that a layer has to read for its own row @row. */
static int
first_source_row (const GwLayer *layer, int row)
{
  switch (layer->kind)
    {
    case GW_LAYER_CONV3:
      return row - 1;
    case GW_LAYER_DOWN2:
      return 2 * row;
    case GW_LAYER_UP2:
      return row / 2;
    default:
      return row;
    }
}

/* The first row of a layer that somebody still needs. */
static int
first_row_needed (const GwPass *pass, int number)
{
  int first = pass->rings[number].done;

  for (guint i = number + 1; i < pass->network->layers->len; i++)
    {
      const GwLayer *reader = gw_network_get (pass->network, i);
      const int row = pass->rings[i].done;

      if (reader->source == number)
        first = MIN (first, first_source_row (reader, row));
      if (reader->addend == number)
        first = MIN (first, row);
    }
  for (int i = 0; i < pass->n_outputs; i++)
    if (pass->outputs[i] == number || number == 0)
      first = MIN (first, pass->given);

  return MAX (first, 0);
}

static int
rows_finished (const GwPass *pass)
{
  int rows = pass->rings[0].done;

  for (int i = 0; i < pass->n_outputs; i++)
    rows = MIN (rows, pass->rings[pass->outputs[i]].done);

  return rows;
}

/* Plays the whole pass with row numbers only, and notes the most rows that each layer has to hold. */
static void
plan (GwPass *pass)
{
  const int n = pass->network->layers->len;

  while (pass->given < pass->rings[pass->outputs[0]].total)
    {
      int rows;

      for (int i = 0; i < n; i++)
        {
          Ring *ring = &pass->rings[i];

          ring->done = i == 0 ? MIN (ring->done + ring->turn, ring->total) : rows_possible (pass, i);
          ring->height = MAX (ring->height, ring->done - first_row_needed (pass, i));
        }
      rows = rows_finished (pass);
      pass->most_rows = MAX (pass->most_rows, rows - pass->given);
      pass->given = rows;
    }

  for (int i = 0; i < n; i++)
    pass->rings[i].done = 0;
  pass->given = 0;
}

/* Up to the end of the last tile, and a pixel on either side. */
static gsize
row_length (const GwPass *pass, int number)
{
  const int width = pass->rings[number].width;

  return (gsize) ((width + GW_TILE - 1) / GW_TILE * GW_TILE + 2)
         * gw_padded (gw_network_get (pass->network, number)->out);
}

static gsize
ring_length (const GwPass *pass, int number)
{
  return pass->rings[number].height * row_length (pass, number);
}

GwPass *
gw_pass_new (const GwNetwork *network, GwWorkers *workers, int width, int height, const int *outputs,
             int n_outputs, double work)
{
  const int n = network->layers->len;
  gsize scratch_size = 0, total = 0;
  g_autoptr (GwPass) pass = g_new0 (GwPass, 1);

  pass->network = network;
  pass->workers = workers;
  pass->rings = g_new0 (Ring, n);
  pass->outputs = g_memdup2 (outputs, n_outputs * sizeof (int));
  pass->n_outputs = n_outputs;

  for (int i = 0; i < n; i++)
    {
      const GwLayer *layer = gw_network_get (network, i);

      pass->rings[i].width = width >> layer->scale;
      pass->rings[i].total = height >> layer->scale;
      if (layer->kind == GW_LAYER_CONV3)
        scratch_size = MAX (scratch_size, gw_winograd_scratch (layer) * gw_workers_count (workers));
    }
  plan_turns (pass, work);
  plan (pass);

  for (int i = 0; i < n; i++)
    total += ring_length (pass, i);
  pass->pages = gw_pages_new (total + scratch_size);
  if (!pass->pages)
    return NULL;

  /* Zeroed: the pixels beside a row stay so. */
  pass->scratch = pass->pages + total;
  for (int i = 0; i < n; i++)
    pass->rings[i].data = i == 0 ? pass->pages : pass->rings[i - 1].data + ring_length (pass, i - 1);

  return g_steal_pointer (&pass);
}

void
gw_pass_free (GwPass *pass)
{
  gw_pages_free (pass->pages);
  g_free (pass->rings);
  g_free (pass->outputs);
  g_free (pass);
}

/* ---- Running --------------------------------------------------------------------------------------------- */

float *
gw_pass_row (GwPass *pass, int layer, int row)
{
  const Ring *ring = &pass->rings[layer];
  const int channels = gw_padded (gw_network_get (pass->network, layer)->out);

  return ring->data + row % ring->height * row_length (pass, layer) + channels;
}

typedef struct
{
  GwPass *pass;
  const GwLayer *layer;
  int number;
  int first;     /* row */
  int stretches; /* in a row, of a layer that is not in tiles */
} Step;

/* Pixels of a row to be shared out: an up-sampling layer's of its source, each becomes two. */
static int
shared_width (const GwPass *pass, int number)
{
  const GwLayer *layer = gw_network_get (pass->network, number);

  return pass->rings[layer->kind == GW_LAYER_UP2 ? layer->source : number].width;
}

static const float *
source_row (const Step *step, int row)
{
  const Ring *source = &step->pass->rings[step->layer->source];

  return row >= 0 && row < source->total ? gw_pass_row (step->pass, step->layer->source, row) : NULL;
}

/* The layer's rows in stretches of tiles; returns how many, or with @tiles NULL how many there would be. */
static int
list_tiles (const Step *step, int rows, GwTiles *tiles)
{
  GwPass *pass = step->pass;
  const GwLayer *layer = step->layer;
  const Ring *ring = &pass->rings[step->number];
  const int in_row = (ring->width + GW_TILE - 1) / GW_TILE;
  const int stretches = (in_row + gw_winograd_tiles (layer) - 1) / gw_winograd_tiles (layer);
  int n = 0;

  /* the first tile may begin above the photo */
  for (int y = step->first - (step->first + layer->tile_offset) % GW_TILE; y < step->first + rows;
       y += GW_TILE)
    for (int k = 0; k < stretches; k++, n++)
      {
        const int first = k * in_row / stretches;

        if (!tiles)
          continue;
        tiles[n] = (GwTiles) { .x = GW_TILE * first, .n = (k + 1) * in_row / stretches - first };
        for (int i = 0; i < GW_TILE_SOURCE; i++)
          tiles[n].rows[i] = source_row (step, y - 1 + i);
        for (int i = 0; i < GW_TILE; i++)
          if (y + i >= 0 && y + i < ring->total)
            {
              tiles[n].out[i] = gw_pass_row (pass, step->number, y + i);
              if (layer->addend >= 0)
                tiles[n].addends[i] = gw_pass_row (pass, layer->addend, y + i);
            }
      }
  return n;
}

static void
compute_tiles (const Step *step, int rows)
{
  const int n = list_tiles (step, rows, NULL);
  g_autofree GwTiles *tiles = g_new (GwTiles, n);

  list_tiles (step, rows, tiles);
  gw_winograd_run (step->pass->network->kernels, step->pass->workers, step->layer, tiles, n,
                   step->pass->rings[step->number].width, step->pass->scratch);
}

static void
compute_stretch (int job, int thread, gpointer data)
{
  const Step *step = data;
  const GwLayer *layer = step->layer;
  const GwKernels *kernels = step->pass->network->kernels;
  const int row = step->first + job / step->stretches, x = job % step->stretches * STRETCH;
  const int n = MIN (STRETCH, shared_width (step->pass, step->number) - x);
  float *out = gw_pass_row (step->pass, step->number, row);
  const float *addend = layer->addend >= 0 ? gw_pass_row (step->pass, layer->addend, row) : NULL;

  switch (layer->kind)
    {
    case GW_LAYER_DOWN2:
      gw_down2 (kernels, layer,
                (const float *[]) { source_row (step, 2 * row), source_row (step, 2 * row + 1) }, addend, out,
                x, n);
      break;
    case GW_LAYER_UP2:
      gw_up2 (kernels, layer, source_row (step, row / 2), row % 2, addend, out, x, n);
      break;
    case GW_LAYER_ASINH:
      gw_asinh (kernels, layer, source_row (step, row), addend,
                gw_padded (gw_network_get (step->pass->network, layer->addend)->out), out, x, n);
      break;
    default:
      break;
    }
}

/* ---- The caller's turns ---------------------------------------------------------------------------------- */

int
gw_pass_most_rows (const GwPass *pass)
{
  return MAX (pass->most_rows, pass->rings[0].turn);
}

int
gw_pass_next (GwPass *pass, int *first)
{
  const Ring *input = &pass->rings[0];

  *first = input->done;

  return MIN (input->turn, input->total - input->done);
}

int
gw_pass_push (GwPass *pass, int *first)
{
  const int n = pass->network->layers->len;

  /* The caller has read what the last call finished; now its rows may be overwritten, as planned. */
  pass->rings[0].done = MIN (pass->rings[0].done + pass->rings[0].turn, pass->rings[0].total);
  for (int i = 1; i < n; i++)
    {
      Ring *ring = &pass->rings[i];
      Step step
          = { .pass = pass, .layer = gw_network_get (pass->network, i), .number = i, .first = ring->done };
      int rows = rows_possible (pass, i) - ring->done;

      if (rows == 0)
        continue;
      if (step.layer->kind == GW_LAYER_CONV3)
        compute_tiles (&step, rows);
      else
        {
          step.stretches = (shared_width (pass, i) + STRETCH - 1) / STRETCH;
          gw_workers_run (pass->workers, compute_stretch, &step, rows * step.stretches);
        }
      ring->done += rows;
    }

  *first = pass->given;
  pass->given = rows_finished (pass);

  return pass->given - *first;
}

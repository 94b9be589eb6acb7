/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "network.h"

#include <string.h>

#include "convolution.h"
#include "winograd.h"

/* Pixels of a row that are one job: their source and result stay in the first-level cache. */
#define STRETCH (GW_WINOGRAD_TILE * GW_WINOGRAD_TILES)

/* The rows of a layer that are kept: row y lies in place y modulo height. */
typedef struct
{
  float *data;
  int width, total; /* of the layer's whole output */
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
  int block;
  int given;      /* rows of the outputs that the caller has seen */
  float *scratch; /* of the tiles, one stretch at a time; for each thread scratch_size floats */
  gsize scratch_size;
};

/* ---- Describing ------------------------------------------------------------------------------------------ */

void
gw_network_init (GwNetwork *network)
{
  network->layers = g_array_new (FALSE, FALSE, sizeof (GwLayer));
}

void
gw_network_clear (GwNetwork *network)
{
  for (guint i = 0; i < network->layers->len; i++)
    {
      g_free (g_array_index (network->layers, GwLayer, i).weights);
      g_free (g_array_index (network->layers, GwLayer, i).winograd);
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
      return (offset + 1) % GW_WINOGRAD_TILE;
    case GW_LAYER_DOWN2:
      return (offset + 1) / 2;
    case GW_LAYER_UP2:
      return 2 * offset % GW_WINOGRAD_TILE;
    default:
      return offset;
    }
}

int
gw_network_add (GwNetwork *network, GwLayer layer)
{
  if (layer.kind == GW_LAYER_CONV3)
    layer.winograd = gw_winograd_weights (&layer);
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

/* How many rows of a layer can be computed, counted from the top, with what is there now. */
static int
rows_possible (const GwPass *pass, int number)
{
  const GwLayer *layer = gw_network_get (pass->network, number);
  const Ring *source = &pass->rings[layer->source];
  int rows = source->done;

  if (layer->kind == GW_LAYER_CONV3 && source->done < source->total)
    rows = source->done - 1;
  else if (layer->kind == GW_LAYER_DOWN2)
    rows = source->done / 2;
  else if (layer->kind == GW_LAYER_UP2)
    rows = source->done * 2;

  if (layer->addend >= 0)
    rows = MIN (rows, pass->rings[layer->addend].done);
  /* No more than a block at once, also when the photo has ended and everything could be finished; but whole tiles. */
  rows = MIN (rows, pass->rings[number].done + MAX (pass->block >> layer->scale, GW_WINOGRAD_TILE));
  if (layer->winograd && rows < pass->rings[number].total)
    rows -= (rows + layer->tile_offset) % GW_WINOGRAD_TILE;

  return MAX (rows, pass->rings[number].done);
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

  while (pass->given < pass->rings[0].total)
    {
      for (int i = 0; i < n; i++)
        {
          Ring *ring = &pass->rings[i];

          ring->done = i == 0 ? MIN (ring->done + pass->block, ring->total) : rows_possible (pass, i);
          ring->height = MAX (ring->height, ring->done - first_row_needed (pass, i));
        }
      pass->given = rows_finished (pass);
    }

  for (int i = 0; i < n; i++)
    pass->rings[i].done = 0;
  pass->given = 0;
}

static gsize
row_length (const Ring *ring, int channels)
{
  /* up to the end of the last tile */
  return (gsize) ((ring->width + GW_WINOGRAD_TILE - 1) / GW_WINOGRAD_TILE * GW_WINOGRAD_TILE + 2) * channels;
}

GwPass *
gw_pass_new (const GwNetwork *network, GwWorkers *workers, int width, int height, const int *outputs,
             int n_outputs, int block)
{
  const int n = network->layers->len;
  g_autoptr (GwPass) pass = g_new0 (GwPass, 1);

  pass->network = network;
  pass->workers = workers;
  pass->rings = g_new0 (Ring, n);
  pass->outputs = g_memdup2 (outputs, n_outputs * sizeof (int));
  pass->n_outputs = n_outputs;
  pass->block = block;

  for (int i = 0; i < n; i++)
    {
      pass->rings[i].width = width >> gw_network_get (network, i)->scale;
      pass->rings[i].total = height >> gw_network_get (network, i)->scale;
    }
  plan (pass);

  for (int i = 0; i < n; i++)
    if (gw_network_get (network, i)->winograd)
      pass->scratch_size = MAX (pass->scratch_size, gw_winograd_scratch (gw_network_get (network, i)));
  pass->scratch = g_try_new (float, pass->scratch_size *gw_workers_count (workers));
  if (pass->scratch_size > 0 && !pass->scratch)
    return NULL;

  for (int i = 0; i < n; i++)
    {
      Ring *ring = &pass->rings[i];

      /* Zeroed: the pixels beside a row stay so. */
      ring->data = g_try_malloc0_n (ring->height,
                                    row_length (ring, gw_network_get (network, i)->out) * sizeof (float));
      if (!ring->data)
        return NULL;
    }
  return g_steal_pointer (&pass);
}

void
gw_pass_free (GwPass *pass)
{
  for (guint i = 0; i < pass->network->layers->len; i++)
    g_free (pass->rings[i].data);
  g_free (pass->scratch);
  g_free (pass->rings);
  g_free (pass->outputs);
  g_free (pass);
}

/* ---- Running --------------------------------------------------------------------------------------------- */

float *
gw_pass_row (GwPass *pass, int layer, int row)
{
  const Ring *ring = &pass->rings[layer];
  const int channels = gw_network_get (pass->network, layer)->out;

  return ring->data + (row % ring->height) * row_length (ring, channels) + channels;
}

typedef struct
{
  GwPass *pass;
  const GwLayer *layer;
  int number;
  int first;     /* row; the first of a tile may lie above the photo */
  int stretches; /* in a row */
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

/* One stretch of the rows that are computed together: four for a layer in tiles, else one. */
static void
compute_tiles (const Step *step, int row, int x, float *scratch)
{
  GwPass *pass = step->pass;
  const GwLayer *layer = step->layer;
  const Ring *ring = &pass->rings[step->number];
  const float *rows[GW_WINOGRAD_TILE + 2], *addends[GW_WINOGRAD_TILE];
  float *out[GW_WINOGRAD_TILE];

  for (int i = 0; i < GW_WINOGRAD_TILE + 2; i++)
    rows[i] = source_row (step, row - 1 + i);
  for (int i = 0; i < GW_WINOGRAD_TILE; i++)
    {
      out[i] = row + i >= 0 && row + i < ring->total ? gw_pass_row (pass, step->number, row + i) : NULL;
      addends[i] = layer->addend >= 0 && out[i] ? gw_pass_row (pass, layer->addend, row + i) : NULL;
    }
  gw_winograd_conv3 (layer, rows, layer->addend >= 0 ? addends : NULL, out, x, ring->width, scratch);
}

static void
compute_row (const Step *step, int row, int x)
{
  const GwLayer *layer = step->layer;
  const int n = MIN (STRETCH, shared_width (step->pass, step->number) - x);
  float *out = gw_pass_row (step->pass, step->number, row);
  const float *addend = layer->addend >= 0 ? gw_pass_row (step->pass, layer->addend, row) : NULL;

  switch (layer->kind)
    {
    case GW_LAYER_CONV3:
      gw_conv3 (layer,
                (const float *[]) { source_row (step, row - 1), source_row (step, row),
                                    source_row (step, row + 1) },
                addend, out, x, n);
      break;
    case GW_LAYER_DOWN2:
      gw_down2 (layer, (const float *[]) { source_row (step, 2 * row), source_row (step, 2 * row + 1) },
                addend, out, x, n);
      break;
    case GW_LAYER_UP2:
      gw_up2 (layer, source_row (step, row / 2), row % 2, addend, out, x, n);
      break;
    case GW_LAYER_ASINH:
      gw_asinh (layer, source_row (step, row), addend,
                gw_network_get (step->pass->network, layer->addend)->out, out, x, n);
      break;
    case GW_LAYER_INPUT:
      break;
    }
}

static void
compute_stretch (int job, int thread, gpointer data)
{
  const Step *step = data;
  const int group = job / step->stretches, x = job % step->stretches * STRETCH;

  if (step->layer->winograd)
    compute_tiles (step, step->first + group * GW_WINOGRAD_TILE, x,
                   step->pass->scratch + thread * step->pass->scratch_size);
  else
    compute_row (step, step->first + group, x);
}

int
gw_pass_next (GwPass *pass, int *first)
{
  const Ring *input = &pass->rings[0];

  *first = input->done;

  return MIN (pass->block, input->total - input->done);
}

int
gw_pass_push (GwPass *pass, int *first)
{
  const int n = pass->network->layers->len;

  /* The caller has read what the last call finished; now its rows may be overwritten, as planned. */
  pass->rings[0].done = MIN (pass->rings[0].done + pass->block, pass->rings[0].total);
  for (int i = 1; i < n; i++)
    {
      Ring *ring = &pass->rings[i];
      Step step
          = { .pass = pass, .layer = gw_network_get (pass->network, i), .number = i, .first = ring->done };
      int rows = rows_possible (pass, i) - ring->done;
      int groups = rows;

      if (step.layer->winograd)
        {
          step.first -= (ring->done + step.layer->tile_offset) % GW_WINOGRAD_TILE;
          groups = (ring->done + rows - step.first + GW_WINOGRAD_TILE - 1) / GW_WINOGRAD_TILE;
        }

      step.stretches = (shared_width (pass, i) + STRETCH - 1) / STRETCH;
      if (rows > 0)
        gw_workers_run (pass->workers, compute_stretch, &step, groups * step.stretches);
      ring->done += rows;
    }

  *first = pass->given;
  pass->given = rows_finished (pass);

  return pass->given - *first;
}

/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "network.h"

#include <math.h>
#include <string.h>

#include "convolution.h"
#include "pages.h"
#include "weights.h"
#include "winograd.h"

/* Pixels of a row that are one job: their source and result stay in the second-level cache. */
#define STRETCH 128

/* Zeroed pixels on either side of a row: readers' tiles reach no farther. */
#define MARGIN GW_TILE

/* Rows that are read together must not lie whole pages apart (floats), or they share a set of the
 * first-level cache. */
#define PAGE 1024
#define SHIFT (9 * GW_CHANNELS)

/* Pages that are one job: a large one. */
#define TOUCHED 512

/* Multiplications between two barriers: a tenth of a millisecond's, many times what a barrier takes.
 * After more of them rows have left the cache when the next layer comes. */
#define WORK 1e7

/* Of gw_network_reach(), in standard deviations.  The results of *best* are the same from 3.5 on. */
#define REACH 3.6

/* Places for rows of one length, which layers share. */
typedef struct
{
  gsize length, pitch; /* floats of a row, and from one to the next */
  int used, most;
  float **places; /* from [used] on, those that are free */
} Pool;

/* What is computed of a layer, and the rows of it that are kept. */
typedef struct
{
  int width, height;            /* of the whole */
  int left, right, top, bottom; /* of the part that is needed; the columns in whole tiles */
  int turn;                     /* rows computed at once */
  int first, done, taken;       /* rows kept: from the first one, computed to done, with places to taken */
  int most;                     /* rows kept at once */
  float **rows;                 /* column 0 of row y is rows[y % most] */
  Pool *pool;
} Ring;

struct _GwPass
{
  const GwNetwork *network;
  GwWorkers *workers;
  Ring *rings;
  Pool *pools;
  int n_pools;
  int *outputs;
  int n_outputs;
  int given;        /* rows of the outputs finished before this turn */
  int finished;     /* and with it */
  int most_rows;    /* finished in a turn */
  int most_waiting; /* rows asked for and not finished */
  float *pages;     /* all rows, and the scratch; NULL while planning */
  float *scratch;   /* of the tiles */
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

/* Rows come in fours.  A layer can compute one row fewer than its source has; so if the source has 4k - n
 * rows, tiles that begin at -(n + 1) can be computed up to the last row, and no layer runs more than one
 * row behind another. */
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
      const double taps = layer->kind == GW_LAYER_CONV3                                  ? 9
                          : layer->kind == GW_LAYER_DOWN2                                ? 4
                          : layer->kind == GW_LAYER_UP2 || layer->kind == GW_LAYER_CONV1 ? 1
                                                                                         : 0;

      sum += taps * layer->in * layer->out / (double) (G_GINT64_CONSTANT (1) << 2 * layer->scale);
    }
  return sum;
}

/* What a layer adds to how far its values depend on the input: a 3x3 kernel reaches one row farther; a row
 * that was made from one twice as high reaches to that one's end. */
static int
step_of (const GwLayer *layer)
{
  return layer->kind == GW_LAYER_CONV3 || layer->kind == GW_LAYER_UP2 ? 1 << layer->scale : 0;
}

/* The longest way through the network, as the sum of the layers' steps to that power. */
static double
longest_way (const GwNetwork *network, int power)
{
  const int n = network->layers->len;
  g_autofree double *way = g_new0 (double, n);
  double longest = 0;

  for (int i = 1; i < n; i++)
    {
      const GwLayer *layer = gw_network_get (network, i);

      way[i] = way[layer->source] + pow (step_of (layer), power);
      if (layer->addend >= 0)
        way[i] = MAX (way[i], way[layer->addend]);
      longest = MAX (longest, way[i]);
    }
  return longest;
}

int
gw_network_radius (const GwNetwork *network)
{
  return longest_way (network, 1);
}

int
gw_network_reach (const GwNetwork *network)
{
  return MIN (ceil (REACH * sqrt (longest_way (network, 2))), gw_network_radius (network));
}

/* ---- What is needed -------------------------------------------------------------------------------------- */

static void
need (Ring *ring, int left, int right, int top, int bottom)
{
  ring->left = MIN (ring->left, MAX (left, 0));
  ring->right = MAX (ring->right, MIN (right, ring->width));
  ring->top = MIN (ring->top, MAX (top, 0));
  ring->bottom = MAX (ring->bottom, MIN (bottom, ring->height));
}

/* From the outputs' window back to the input. */
static void
find_parts (GwPass *pass, const GwWindow *window)
{
  const int n = pass->network->layers->len;

  for (int i = 0; i < n; i++)
    {
      Ring *ring = &pass->rings[i];

      ring->left = ring->width;
      ring->top = ring->height;
    }
  for (int i = 0; i < pass->n_outputs; i++)
    need (&pass->rings[pass->outputs[i]], window->x, window->x + window->width, window->y,
          window->y + window->height);

  for (int i = n - 1; i > 0; i--)
    {
      const GwLayer *layer = gw_network_get (pass->network, i);
      Ring *ring = &pass->rings[i], *source = &pass->rings[layer->source];
      const int unit = layer->kind == GW_LAYER_CONV3 ? GW_TILE : layer->kind == GW_LAYER_UP2 ? 2 : 1;

      if (ring->bottom == 0) /* nobody reads it */
        {
          ring->left = ring->top = 0;
          continue;
        }
      if (layer->addend >= 0)
        need (&pass->rings[layer->addend], ring->left, ring->right, ring->top, ring->bottom);
      if (layer->kind == GW_LAYER_CONV3)
        need (source, ring->left - 1, ring->right + 1, ring->top - 1, ring->bottom + 1);
      else if (layer->kind == GW_LAYER_DOWN2)
        need (source, 2 * ring->left, 2 * ring->right, 2 * ring->top, 2 * ring->bottom);
      else if (layer->kind == GW_LAYER_UP2)
        need (source, ring->left / 2, (ring->right + 1) / 2, ring->top / 2, (ring->bottom + 1) / 2);
      else
        need (source, ring->left, ring->right, ring->top, ring->bottom);

      ring->left -= ring->left % unit;
      ring->right = MIN ((ring->right + unit - 1) / unit * unit, ring->width);
    }
  for (int i = 0; i < n; i++)
    pass->rings[i].first = pass->rings[i].done = pass->rings[i].taken = pass->rings[i].top;
  pass->given = pass->finished = pass->rings[pass->outputs[0]].top;
}

/* ---- Planning -------------------------------------------------------------------------------------------- */

/* How many rows a layer computes at once, at least: so many that the threads have work between two
 * barriers, and in deep layers, that reading their weights is worth while. */
static int
rows_in_turn (const GwLayer *layer, int width, int threads, double work)
{
  const int tiles_in_row = (width + GW_TILE - 1) / GW_TILE;
  double tiles = (work == 0 ? WORK : work) / ((double) GW_TILE_POINTS * layer->in * layer->out);

  if (work == 0)
    tiles = MAX (tiles, threads * gw_winograd_tiles (layer));

  return GW_TILE * (1 + (int) ((tiles - 1) / tiles_in_row));
}

/* The input comes at the pace of the layer that can take least at once; no other may be slower, or its
 * source would pile up. */
static void
plan_turns (GwPass *pass, double work)
{
  const int n = pass->network->layers->len, threads = gw_workers_count (pass->workers);
  Ring *rings = pass->rings;

  rings[0].turn = rings[0].bottom - rings[0].top;
  for (int i = 1; i < n; i++)
    {
      const GwLayer *layer = gw_network_get (pass->network, i);

      rings[i].turn = GW_TILE;
      if (layer->kind != GW_LAYER_CONV3 || rings[i].bottom == 0)
        continue;
      rings[i].turn = rows_in_turn (layer, rings[i].right - rings[i].left, threads, work);
      if (layer->scale == 0)
        rings[0].turn = MIN (rings[0].turn, rings[i].turn);
    }
  for (int i = 1; i < n; i++)
    {
      const int pace = ((rings[0].turn - 1) >> gw_network_get (pass->network, i)->scale) + 1;

      rings[i].turn = MAX (rings[i].turn, (pace + GW_TILE - 1) / GW_TILE * GW_TILE);
    }
}

/* Where the tiles begin to which row @row belongs; that may be above the photo. */
static int
tile_row (const GwLayer *layer, int row)
{
  return row - (row + layer->tile_offset) % GW_TILE;
}

/* To which row a layer can be computed with what is there now. */
static int
rows_possible (const GwPass *pass, int number)
{
  const GwLayer *layer = gw_network_get (pass->network, number);
  const Ring *source = &pass->rings[layer->source], *ring = &pass->rings[number];
  const gboolean all = source->done == source->bottom;
  int rows = all ? ring->bottom : source->done, begin = ring->done;

  if (layer->kind == GW_LAYER_CONV3)
    {
      /* whole tiles, a turn of them */
      begin = tile_row (layer, ring->done);
      if (!all)
        rows = tile_row (layer, source->done - 1);
    }
  else if (layer->kind == GW_LAYER_DOWN2)
    rows = source->done / 2;
  else if (layer->kind == GW_LAYER_UP2)
    rows = source->done * 2;

  if (layer->addend >= 0 && pass->rings[layer->addend].done < MIN (rows, ring->bottom))
    rows = layer->kind == GW_LAYER_CONV3 ? tile_row (layer, pass->rings[layer->addend].done)
                                         : pass->rings[layer->addend].done;

  rows = MIN (rows, ring->bottom);
  if (layer->kind == GW_LAYER_CONV3 && !all && rows < MIN (begin + ring->turn, ring->bottom))
    return ring->done;

  return MAX (MIN (rows, begin + ring->turn), ring->done);
}

/* The first row of its source that a layer has to read for its own row @row. */
static int
first_source_row (const GwLayer *layer, int row)
{
  switch (layer->kind)
    {
    case GW_LAYER_CONV3:
      return tile_row (layer, row) - 1;
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

      if (row == pass->rings[i].bottom)
        continue;
      if (reader->source == number)
        first = MIN (first, first_source_row (reader, row));
      if (reader->addend == number)
        first = MIN (first, row);
    }
  for (int i = 0; i < pass->n_outputs; i++)
    if (pass->outputs[i] == number)
      first = MIN (first, pass->given);

  return first;
}

/* Gives the places back of rows that nobody needs any more. */
static void
release_rows (GwPass *pass, int number)
{
  Ring *ring = &pass->rings[number];
  const int needed = first_row_needed (pass, number);

  for (; ring->first < needed; ring->first++)
    {
      ring->pool->used--;
      if (ring->rows)
        ring->pool->places[ring->pool->used] = ring->rows[ring->first % ring->most];
    }
}

/* Zeros beside the part that is computed: readers' tiles reach that far.  And in the channels that fill up
 * the input's. */
static void
clear_margins (const Ring *ring, const GwLayer *layer, float *row)
{
  const int channels = gw_layer_channels (layer);

  memset (row + (ring->left - MARGIN) * channels, 0, sizeof (float) * MARGIN * channels);
  memset (row + ring->right * channels, 0, sizeof (float) * MARGIN * channels);
  if (layer->kind == GW_LAYER_INPUT && layer->out < channels)
    memset (row, 0, sizeof (float) * ring->width * channels);
}

/* Finds places for the rows up to @end. */
static void
take_rows (GwPass *pass, int number, int end)
{
  const GwLayer *layer = gw_network_get (pass->network, number);
  Ring *ring = &pass->rings[number];

  for (; ring->taken < end; ring->taken++)
    {
      if (ring->rows)
        {
          float *row = ring->pool->places[ring->pool->used];

          ring->rows[ring->taken % ring->most] = row;
          clear_margins (ring, layer, row);
        }
      ring->pool->used++;
      ring->pool->most = MAX (ring->pool->most, ring->pool->used);
    }
  ring->most = MAX (ring->most, ring->taken - ring->first);
}

static int
rows_finished (const GwPass *pass)
{
  int rows = G_MAXINT;

  for (int i = 0; i < pass->n_outputs; i++)
    rows = MIN (rows, pass->rings[pass->outputs[i]].done);

  return rows;
}

/* What the caller has read is not needed any more; and there are places for what he fills. */
static void
begin_turn (GwPass *pass)
{
  Ring *input = &pass->rings[0];

  pass->given = pass->finished;
  for (int i = 0; i < pass->n_outputs; i++)
    release_rows (pass, pass->outputs[i]);
  take_rows (pass, 0, MIN (input->done + input->turn, input->bottom));
}

static void compute (GwPass *pass, int number, int rows);

/* While planning, with row numbers only. */
static void
take_turn (GwPass *pass)
{
  const int n = pass->network->layers->len;

  pass->rings[0].done = pass->rings[0].taken;
  pass->most_waiting = MAX (pass->most_waiting, pass->rings[0].done - pass->given);
  for (int i = 1; i < n; i++)
    {
      const GwLayer *layer = gw_network_get (pass->network, i);
      Ring *ring = &pass->rings[i];
      const int rows = rows_possible (pass, i);

      if (rows == ring->done)
        continue;
      take_rows (pass, i, rows);
      if (pass->pages)
        compute (pass, i, rows - ring->done);
      ring->done = rows;
      release_rows (pass, layer->source);
      if (layer->addend >= 0)
        release_rows (pass, layer->addend);
    }
  pass->finished = rows_finished (pass);
  pass->most_rows = MAX (pass->most_rows, pass->finished - pass->given);
}

/* Plays the whole pass with row numbers only, and notes the most rows that each layer and pool have to hold. */
static void
plan (GwPass *pass)
{
  const int n = pass->network->layers->len, top = pass->given;

  while (pass->finished < pass->rings[pass->outputs[0]].bottom)
    {
      begin_turn (pass);
      take_turn (pass);
    }

  for (int i = 0; i < n; i++)
    pass->rings[i].first = pass->rings[i].done = pass->rings[i].taken = pass->rings[i].top;
  for (int i = 0; i < pass->n_pools; i++)
    pass->pools[i].used = 0;
  pass->given = pass->finished = top;
}

/* ---- Memory ---------------------------------------------------------------------------------------------- */

/* Layers whose rows are equally long share a pool. */
static Pool *
find_pool (GwPass *pass, gsize length)
{
  Pool *pool = pass->pools;

  while (pool < pass->pools + pass->n_pools && pool->length != length)
    pool++;
  if (pool == pass->pools + pass->n_pools)
    pass->pools[pass->n_pools++] = (Pool) { .length = length };

  return pool;
}

static void
make_pools (GwPass *pass)
{
  const int n = pass->network->layers->len;

  pass->pools = g_new (Pool, n);
  for (int i = 0; i < n; i++)
    {
      const gsize length
          = (gsize) pass->rings[i].width * gw_layer_channels (gw_network_get (pass->network, i));

      pass->rings[i].pool = find_pool (pass, (length + GW_CHANNELS - 1) / GW_CHANNELS * GW_CHANNELS);
    }
}

/* The system finds memory for a page when it is first written to: threads do that together. */
static void
touch_pages (int job, int thread, gpointer data)
{
  float *pages = (float *) data + (gsize) job * TOUCHED * PAGE;

  for (int i = 0; i < TOUCHED; i++)
    pages[i * PAGE] = 0;
}

/* Zeroed at first. */
static gboolean
allocate (GwPass *pass, gsize scratch_size)
{
  const int n = pass->network->layers->len;
  gsize margin = 0, total = 0;
  float *next;

  for (int i = 0; i < n; i++)
    margin = MAX (margin, (gsize) MARGIN * gw_layer_channels (gw_network_get (pass->network, i)));
  for (int i = 0; i < pass->n_pools; i++)
    {
      Pool *pool = &pass->pools[i];

      pool->pitch = (pool->length + 2 * margin + PAGE - 1) / PAGE * PAGE + SHIFT;
      total += pool->most * pool->pitch;
    }
  next = pass->pages = gw_pages_new (scratch_size + total);
  if (!pass->pages)
    return FALSE;
  gw_workers_run (pass->workers, touch_pages, pass->pages, (scratch_size + total) / (TOUCHED * PAGE));

  pass->scratch = next;
  next += scratch_size;
  for (int i = 0; i < pass->n_pools; i++)
    {
      Pool *pool = &pass->pools[i];

      pool->places = g_new (float *, pool->most);
      for (int k = 0; k < pool->most; k++, next += pool->pitch)
        pool->places[k] = next + margin;
    }
  for (int i = 0; i < n; i++)
    pass->rings[i].rows = g_new (float *, pass->rings[i].most);

  return TRUE;
}

GwPass *
gw_pass_new (const GwNetwork *network, GwWorkers *workers, int width, int height, const GwWindow *window,
             const int *outputs, int n_outputs, double work)
{
  const GwWindow whole = { 0, 0, width, height };
  const int n = network->layers->len;
  gsize scratch_size = 0;
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
      pass->rings[i].height = height >> layer->scale;
      if (layer->kind == GW_LAYER_CONV3)
        scratch_size = MAX (scratch_size, gw_winograd_scratch (layer) * gw_workers_count (workers));
    }
  find_parts (pass, window ? window : &whole);
  plan_turns (pass, work);
  make_pools (pass);
  plan (pass);

  return allocate (pass, scratch_size) ? g_steal_pointer (&pass) : NULL;
}

void
gw_pass_free (GwPass *pass)
{
  for (guint i = 0; i < pass->network->layers->len; i++)
    g_free (pass->rings[i].rows);
  for (int i = 0; i < pass->n_pools; i++)
    g_free (pass->pools[i].places);
  gw_pages_free (pass->pages);
  g_free (pass->rings);
  g_free (pass->pools);
  g_free (pass->outputs);
  g_free (pass);
}

/* ---- Running --------------------------------------------------------------------------------------------- */

float *
gw_pass_row (GwPass *pass, int layer, int row)
{
  const Ring *ring = &pass->rings[layer];

  return ring->rows[row % ring->most];
}

typedef struct
{
  GwPass *pass;
  const GwLayer *layer;
  int number;
  int first, rows; /* to be computed */
  /* Pixels of a row to be shared out in stretches, where there are no tiles; an up-sampling layer's of its
   * source, each becomes two. */
  int left, right, stretches;
} Step;

static const float *
source_row (const Step *step, int row)
{
  const Ring *source = &step->pass->rings[step->layer->source];

  return row >= source->top && row < source->bottom ? gw_pass_row (step->pass, step->layer->source, row)
                                                    : NULL;
}

static void
compute_tiles (const Step *step)
{
  GwPass *pass = step->pass;
  const GwLayer *layer = step->layer;
  const Ring *ring = &pass->rings[step->number];
  const int in_row = (ring->right - ring->left + GW_TILE - 1) / GW_TILE;
  const int top = tile_row (layer, step->first), bottom = step->first + step->rows;
  const int n = (bottom - top + GW_TILE - 1) / GW_TILE;
  g_autofree GwTiles *tiles = g_new0 (GwTiles, n);

  for (int k = 0; k < n; k++)
    {
      const int y = top + GW_TILE * k;

      for (int i = 0; i < GW_TILE_SOURCE; i++)
        tiles[k].rows[i] = source_row (step, y - 1 + i);
      for (int i = 0; i < GW_TILE; i++)
        if (y + i >= ring->top && y + i < ring->bottom)
          {
            tiles[k].out[i] = gw_pass_row (pass, step->number, y + i);
            if (layer->addend >= 0)
              tiles[k].addends[i] = gw_pass_row (pass, layer->addend, y + i);
          }
    }
  gw_winograd_run (pass->network->kernels, pass->workers, layer, tiles, n, ring->left, in_row, ring->right,
                   pass->scratch);
}

static void
compute_stretch (int job, int thread, gpointer data)
{
  const Step *step = data;
  const GwLayer *layer = step->layer;
  const GwKernels *kernels = step->pass->network->kernels;
  const int row = step->first + job / step->stretches, k = job % step->stretches;
  const int width = step->right - step->left;
  const int x = step->left + width * k / step->stretches;
  const int n = step->left + width * (k + 1) / step->stretches - x;
  float *out = gw_pass_row (step->pass, step->number, row);
  const float *addend = layer->addend >= 0 ? gw_pass_row (step->pass, layer->addend, row) : NULL;

  switch (layer->kind)
    {
    case GW_LAYER_CONV1:
      gw_conv1 (kernels, layer, source_row (step, row), addend, out, x, n);
      break;
    case GW_LAYER_DOWN2:
      gw_down2 (kernels, layer,
                (const float *[]) { source_row (step, 2 * row), source_row (step, 2 * row + 1) }, addend, out,
                x, n);
      break;
    case GW_LAYER_UP2:
      gw_up2 (kernels, layer, source_row (step, row / 2), row % 2, addend, out, x, n);
      break;
    case GW_LAYER_SCALE:
      gw_scale (layer, source_row (step, row),
                gw_layer_channels (gw_network_get (step->pass->network, layer->source)), out, x, n);
      break;
    case GW_LAYER_ASINH:
      gw_asinh (kernels, layer, source_row (step, row), addend, out, x, n);
      break;
    default:
      break;
    }
}

/* The next rows of a layer. */
static void
compute (GwPass *pass, int number, int rows)
{
  const GwLayer *layer = gw_network_get (pass->network, number);
  const Ring *ring = &pass->rings[number];
  const int shrink = layer->kind == GW_LAYER_UP2 ? 2 : 1;
  Step step = { .pass = pass, .layer = layer, .number = number, .first = ring->done, .rows = rows };

  if (layer->kind == GW_LAYER_CONV3)
    {
      compute_tiles (&step);
      return;
    }
  step.left = ring->left / shrink;
  step.right = ring->right / shrink;
  step.stretches = (step.right - step.left + STRETCH - 1) / STRETCH;
  gw_workers_run (pass->workers, compute_stretch, &step, rows * step.stretches);
}

/* ---- The caller's turns ---------------------------------------------------------------------------------- */

int
gw_pass_most_rows (const GwPass *pass)
{
  return MAX (pass->most_rows, pass->rings[0].turn);
}

int
gw_pass_most_waiting (const GwPass *pass)
{
  return MAX (pass->most_waiting, pass->rings[0].turn);
}

int
gw_pass_next (GwPass *pass, int *first)
{
  begin_turn (pass);
  *first = pass->rings[0].done;

  return pass->rings[0].taken - pass->rings[0].done;
}

int
gw_pass_push (GwPass *pass, int *first)
{
  begin_turn (pass);
  take_turn (pass);
  *first = pass->given;

  return pass->finished - pass->given;
}

double
gw_pass_progress (const GwPass *pass)
{
  const Ring *input = &pass->rings[0], *output = &pass->rings[pass->outputs[0]];

  return 0.5 * (input->done - input->top) / (input->bottom - input->top)
         + 0.5 * (pass->finished - output->top) / (output->bottom - output->top);
}

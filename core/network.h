/* A network as a list of layers, and its evaluation row by row.
 *
 * Every layer keeps the few rows that the layers after it still need; a block of rows goes in at the top,
 * finished rows come out below.  Nothing is computed twice and nothing depends on the size of a block,
 * because there are no tiles of the photo.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#pragma once

#include <glib.h>

#include "grainwise.h"
#include "kernels.h"
#include "workers.h"

typedef enum
{
  GW_LAYER_INPUT, /* rows filled by the caller */
  GW_LAYER_CONV3, /* 3x3 convolution, zero outside the photo */
  GW_LAYER_CONV1, /* 1x1 convolution */
  GW_LAYER_DOWN2, /* 2x2 convolution, stride 2 */
  GW_LAYER_UP2,   /* 2x2 transposed convolution, stride 2 */
  GW_LAYER_SCALE, /* 1 / mean of some of the source's planes, one value a pixel: of the noise levels */
  /* asinh (source * addend), the addend a SCALE: features in units of the local noise level; and, in one
   * more channel, the logarithm of that level */
  GW_LAYER_ASINH
} GwLayerKind;

typedef struct
{
  GwLayerKind kind;
  int source;     /* the layer that it reads */
  int addend;     /* a layer added to the result (residual or skip connection), or -1 */
  gboolean relu;  /* max (0, .) of the result */
  int in, out;    /* channels; stored are gw_layer_channels() */
  int scale;      /* log2 of how much coarser than the input */
  float *weights; /* as gw_weights_arrange() wants them */
  float *bias;    /* [out], padded, or NULL */
  /* CONV3 is computed in tiles: their rows begin at -tile_offset, so that a tile never waits for one more row */
  int tile_offset;
  /* SCALE: which of the source's channels */
  int first_plane, n_planes;
} GwLayer;

typedef struct
{
  const GwKernels *kernels;
  GArray *layers; /* GwLayer; a layer reads only layers before it; the first one is the input */
} GwNetwork;

void gw_network_init (GwNetwork *network, const GwKernels *kernels);
void gw_network_clear (GwNetwork *network);
/**
 * gw_network_add:
 * @layer: all but the weights, bias and tile_offset
 * @weights: (nullable): as PyTorch stores them
 * @bias: (nullable): [out]
 *
 * Returns: the layer's number, -1 if there is not enough memory.
 */
int gw_network_add (GwNetwork *network, GwLayer layer, const float *weights, const float *bias);

const GwLayer *gw_network_get (const GwNetwork *network, int layer);

/* The side of a convolution's kernel. */
static inline int
gw_layer_side (const GwLayer *layer)
{
  return layer->kind == GW_LAYER_CONV3 ? 3 : layer->kind == GW_LAYER_CONV1 ? 1 : 2;
}

/* Channels of a pixel as the layer's rows hold them. */
static inline int
gw_layer_channels (const GwLayer *layer)
{
  return layer->kind == GW_LAYER_SCALE ? 1 : gw_padded (layer->out);
}

/* Multiplications for one pixel of the input layer. */
double gw_network_multiply_adds (const GwNetwork *network);
/* How far away, in pixels of the input layer, a pixel can be on which an output pixel depends. */
int gw_network_radius (const GwNetwork *network);
/* How far away it can be and still make a difference larger than rounding: what comes from farther passes
 * the edge of nearly every kernel on its way, and falls off with the distance as a normal distribution
 * does whose variance is the sum of the layers' (Luo et al. 2016, "Understanding the effective receptive
 * field"). */
int gw_network_reach (const GwNetwork *network);

/* One pass over a photo. */
typedef struct _GwPass GwPass;

/**
 * gw_pass_new:
 * @width, @height: of the input layer, multiples of 2^(largest scale)
 * @window: (nullable): the part of the outputs that is wanted, %NULL: all.  Only what that depends on, but
 *   for rounding, is computed.
 * @outputs: the layers whose rows the caller reads; all of the input's scale
 * @work: multiplications that a layer does at least before the next one has its turn; 0: enough to keep the
 *   threads busy.  The results do not depend on it.
 *
 * Plans how many rows each layer must keep, and allocates them; %NULL if there is not enough memory.
 */
GwPass *gw_pass_new (const GwNetwork *network, GwWorkers *workers, int width, int height,
                     const GwWindow *window, const int *outputs, int n_outputs, double work);
void gw_pass_free (GwPass *pass);

/* The most rows that gw_pass_next() asks for, or gw_pass_push() finishes, at once. */
int gw_pass_most_rows (const GwPass *pass);

/* The most rows of the input that have been asked for while the same rows of the outputs were not finished. */
int gw_pass_most_waiting (const GwPass *pass);

/* Rows of the input layer to be filled next: from *@first on, the number returned; 0 when there are no more. */
int gw_pass_next (GwPass *pass, int *first);
/* A row of a layer: width * gw_layer_channels() floats, of which those in the window count; valid while
 * the layer keeps it. */
float *gw_pass_row (GwPass *pass, int layer, int row);
/* To be called when those rows are filled, until all rows are finished.  Every layer has at most one turn.
 * Afterwards the rows from *@first on, the number returned, of all outputs are finished; they may be read
 * until the next rows are asked for. */
int gw_pass_push (GwPass *pass, int *first);

/* How much is done, from 0 to 1; a row is half done when it has been filled. */
double gw_pass_progress (const GwPass *pass);

G_DEFINE_AUTOPTR_CLEANUP_FUNC (GwPass, gw_pass_free)

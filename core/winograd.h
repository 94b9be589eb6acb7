/* 3x3 convolutions with a quarter of the multiplications: Winograd's F(4x4, 3x3) (Lavin and Gray, "Fast
 * algorithms for convolutional neural networks", 2016).  Tiles of 4x4 pixels are transformed to 36 points,
 * where the convolution is one product a point, over all channels.  Relative error about 2e-6, seven times
 * that of plain sums in single precision.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#pragma once

#include "network.h"
#include "workers.h"

/* A row of tiles. */
typedef struct
{
  /* From the one above the tiles on, NULL outside of the photo; readable, and zero, up to the end of the
   * last tile and one pixel more */
  const float *rows[GW_TILE_SOURCE];
  const float *addends[GW_TILE]; /* used where the layer has an addend */
  float *out[GW_TILE];           /* NULL outside of the photo */
} GwTiles;

/* How many tiles are best computed at once by one thread. */
int gw_winograd_tiles (const GwLayer *layer);
/* How many floats a thread needs for itself. */
gsize gw_winograd_scratch (const GwLayer *layer);
/* Computes @n rows of the layer's tiles, @in_row in each from column @x on, a multiple of 4; @width: of
 * its rows; @scratch: for all threads. */
void gw_winograd_run (const GwKernels *kernels, GwWorkers *workers, const GwLayer *layer,
                      const GwTiles *tiles, int n, int x, int in_row, int width, float *scratch);

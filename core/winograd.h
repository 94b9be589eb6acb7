/* 3x3 convolution with a quarter of the multiplications: F(4x4, 3x3) (Winograd 1980; Lavin and Gray 2016).
 *
 * Tiles of 4x4 results come from 6x6 sources: both are transformed, and between the transforms stand 36 matrix products
 * over the channels.  Relative error about 2e-6, thousands of times below an 8-bit level.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#pragma once

#include "network.h"

enum
{
  GW_WINOGRAD_TILE = 4,   /* rows and columns of a tile */
  GW_WINOGRAD_TILES = 32, /* tiles at once: their transforms stay in the second-level cache */
  GW_WINOGRAD_LANES = 16  /* channels at once: they must be a multiple */
};

/* [3][3][in][out] to [36][in][out]; NULL where the channels are no multiples of GW_WINOGRAD_LANES. */
float *gw_winograd_weights (const GwLayer *layer);
/* How many floats gw_winograd_conv3() needs for itself. */
gsize gw_winograd_scratch (const GwLayer *layer);

/**
 * gw_winograd_conv3:
 * @rows: six rows, from the one above the tiles on, %NULL outside of the photo; readable and zero up to the end of
 *   the last tile and one pixel more
 * @addends: four rows, or %NULL
 * @out: four rows, %NULL where the photo has ended
 * @x: the first column, a multiple of 4; at most GW_WINOGRAD_TILES tiles are computed, up to @width
 */
void gw_winograd_conv3 (const GwLayer *layer, const float *const rows[6], const float *const addends[4],
                        float *const out[4], int x, int width, float *scratch);

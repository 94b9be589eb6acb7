/* The innermost loops, in a version for each instruction set.
 *
 * kernels.c is compiled once for each set (core/meson.build); processor.c knows which of them the processor
 * can run.  Channels come in multiples of GW_CHANNELS everywhere.  The plain versions that these are compared
 * with are in tests/reference.c.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#pragma once

#include <glib.h>

enum
{
  GW_CHANNELS = 16,    /* a vector of the widest processors */
  GW_TILE = 4,         /* rows and columns of a Winograd tile: F(4x4, 3x3) */
  GW_TILE_SOURCE = 6,  /* rows and columns that it is computed from */
  GW_TILE_POINTS = 36, /* products that it takes, each of all channels */
};

/* G of the points 0, 1, -1, 2, -2 and infinity: a kernel k becomes G k G^T. */
static const double gw_kernel_transform[GW_TILE_SOURCE][3] = { { 1 / 4., 0, 0 },
                                                               { -1 / 6., -1 / 6., -1 / 6. },
                                                               { -1 / 6., 1 / 6., -1 / 6. },
                                                               { 1 / 24., 1 / 12., 1 / 6. },
                                                               { 1 / 24., -1 / 12., 1 / 6. },
                                                               { 0, 0, 1 } };

typedef struct
{
  const char *name;
  /* Columns of a product's weights that lie together, [columns / panel][depth][panel]; 0: all. */
  int panel;

  /**
   * multiply:
   * @source: [n] vectors of @depth, @stride apart
   * @weights: @depth x @width, in panels; from the first column wanted on
   * @columns: how many are wanted
   * @next: weights laid out alike, to be fetched ahead.  Looking for what is not there would take as long as
   *         multiplying
   * @start: (nullable): what is added, laid out as @out, and possibly the same
   * @out: [n] vectors, @out_stride apart
   *
   * out = start + source weights.  A result does not depend on how many others are computed with it.
   */
  void (*multiply) (const float *source, int stride, int n, const float *weights, int depth, int width,
                    int columns, const float *next, const float *start, float *out, int out_stride);

  /**
   * transform_sources:
   * @rows: six rows of pixels, %NULL outside of the photo
   * @x: the first tile's column
   * @transformed: the points are @point_stride apart, the tiles of a point @channels
   *
   * B^T d B of every tile.
   */
  void (*transform_sources) (const float *const rows[GW_TILE_SOURCE], int x, int tiles, int channels,
                             float *transformed, gsize point_stride);

  /**
   * transform_results:
   * @products: as @transformed
   * @channels: of the products: some of each pixel's
   * @bias: (nullable): [channels]
   * @addends: (nullable): four rows, to be added
   * @out: four rows, %NULL outside of the photo
   * @stride: from one pixel of @addends and @out to the next
   * @width: of the rows; pixels from there on are not written
   *
   * A^T m A of every tile, and what a layer adds to it.
   */
  void (*transform_results) (const float *products, gsize point_stride, int tiles, int channels,
                             const float *bias, const float *const addends[GW_TILE], gboolean relu,
                             float *const out[GW_TILE], int stride, int x, int width);

  /* out[i] = asinh (row[i] * scale); @n: a multiple of GW_CHANNELS.  Absolute error below 4e-7. */
  void (*asinh) (const float *row, float scale, float *out, int n);

  /* out[i] = exp (row[i]), the same place or another; @n: a multiple of GW_CHANNELS.  Relative error below
   * 3e-7 from -80 to 80. */
  void (*exp) (const float *row, float *out, int n);
} GwKernels;

/* Channels of a pixel as they are stored: the ones beyond are zero. */
static inline int
gw_padded (int channels)
{
  return (channels + GW_CHANNELS - 1) / GW_CHANNELS * GW_CHANNELS;
}

/* The fastest for this processor. */
const GwKernels *gw_kernels_get (void);
/* All that this processor can run, the fastest last; returns how many. */
int gw_kernels_list (const GwKernels *kernels[4]);

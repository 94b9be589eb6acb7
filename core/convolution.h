/* The layers that are no 3x3 convolutions, on a stretch of one row, as matrix products on rows in place.
 *
 * A row holds pixels, channels last.  Each function computes @n pixels from pixel @x on, and may be called by
 * several threads for different stretches.  The plain versions that these are compared with are in
 * tests/reference.c.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#pragma once

#include "network.h"

/* A 1x1 convolution. */
void gw_conv1 (const GwKernels *kernels, const GwLayer *layer, const float *row, const float *addend,
               float *out, int x, int n);
/* @rows: the two rows that become one; @x and @n count pixels of @out. */
void gw_down2 (const GwKernels *kernels, const GwLayer *layer, const float *const rows[2],
               const float *addend, float *out, int x, int n);
/* @odd: which of the two rows that @row becomes; @x and @n count pixels of @row. */
void gw_up2 (const GwKernels *kernels, const GwLayer *layer, const float *row, gboolean odd,
             const float *addend, float *out, int x, int n);
/* @row: of pixels of @stride channels; @out: one value for each. */
void gw_scale (const GwLayer *layer, const float *row, int stride, float *out, int x, int n);
/* @scale: one value for each pixel, 1 / the noise level there. */
void gw_asinh (const GwKernels *kernels, const GwLayer *layer, const float *row, const float *scale,
               float *out, int x, int n);

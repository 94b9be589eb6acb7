/* A layer's weights in the order in which the kernels read them.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#pragma once

#include "kernels.h"
#include "network.h"

/**
 * gw_weights_arrange:
 * @weights: as PyTorch stores them: [out][in][row][column], UP2 [in][out][row][column]
 *
 * Returns: (nullable): in pages (core/pages.h), %NULL if there is not enough memory: matrices for
 * #GwKernels.multiply, their channels padded with zeros.  CONV3: G w G^T, 36 of them, one for each point of
 * the tiles (Lavin and Gray 2016); CONV1: one; DOWN2: two, one for each row, of two pixels' channels; UP2:
 * two, one for each row, to two pixels' channels.
 */
float *gw_weights_arrange (const GwKernels *kernels, const GwLayer *layer, const float *weights);

/* The depth and the columns of those matrices. */
void gw_weights_shape (const GwLayer *layer, int *depth, int *columns);
/* Where a weight lies in its matrix. */
gsize gw_weights_index (const GwKernels *kernels, const GwLayer *layer, int k, int column);

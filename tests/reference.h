/* The slow, obvious versions: whole images, one loop for each index, sums in double.
 *
 * Images are [height][width][channels]; weights lie as in core/network.h.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#pragma once

#include "network.h"

/* The whole output of @layer for the whole output of its source (@width x @height); @addend as large as the result, or NULL.
 * ASINH: the addend's @noise_channels channels.  Returns a new image. */
float *reference_layer (const GwLayer *layer, const float *source, int width, int height, const float *addend,
                        int noise_channels);

/* The output of layer @wanted for @input, by whole images. */
float *reference_network (const GwNetwork *network, const float *input, int width, int height, int wanted);

/* Uniform in [-1, 1). */
float *random_floats (GRand *rand, gsize n);

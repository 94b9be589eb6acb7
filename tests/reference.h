/* The slow, obvious versions: whole images, one loop for each index, sums in double.
 *
 * Images are [height][width][channels], without padding.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#pragma once

#include "network.h"

/* The output of layer @wanted for @input, by whole images. */
float *reference_network (const GwNetwork *network, const float *input, int width, int height, int wanted);

/* Uniform in [-1, 1). */
float *random_floats (GRand *rand, gsize n);

/* Photos whose noise is known.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#pragma once

#include "memory.h"

/* The noise of a scene: its variance is base^2 + slope * brightness, in levels; its values hang together
 * over the neighbours on the right and below, and over the channels, if so wanted. */
typedef struct
{
  double base[3], slope;
  gboolean blurred, grey;
} SceneNoise;

/* A smooth scene with an edge now and then, and noise on it. */
Image *
scene_new (int width, int height, int channels, const SceneNoise *noise, gboolean eight_bits, guint32 seed);

/* Noise to order: normal, of level 1, with a photo's grain, drawn row by row.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#pragma once

#include "grainwise.h"
#include "workers.h"

G_BEGIN_DECLS

typedef struct _GwDrawnNoise GwDrawnNoise;

enum
{
  GW_STREAMS = 4 /* of random numbers, that one picture of noise takes, from its first on */
};

/**
 * gw_drawn_noise_new:
 * @grain: as in #GwNoise
 * @seed, @sample: see gw_random_normals()
 */
GwDrawnNoise *
gw_drawn_noise_new (const float grain[2 * GW_OCTAVES], int width, int channels, guint64 seed, guint32 sample);
void gw_drawn_noise_free (GwDrawnNoise *noise);

/* Goes to the top of another picture of noise. */
void gw_drawn_noise_begin (GwDrawnNoise *noise, guint32 stream);

/* Returns the next @n_rows rows, valid until the next call; they do not depend on how many are drawn at once. */
const float *gw_drawn_noise_next (GwDrawnNoise *noise, GwWorkers *workers, int n_rows);

/* A whole picture: @width * @height * @channels values, to be freed. */
float *
gw_drawn_noise_picture (const float grain[2 * GW_OCTAVES], int width, int height, int channels, guint64 seed);

/**
 * gw_drawn_noise_correlate:
 * @picture: (inout): @width * @height * @channels values
 *
 * Multiplies a picture by the covariance of such noise, the one that drawn noise has.
 */
void gw_drawn_noise_correlate (const float grain[2 * GW_OCTAVES], int width, int height, int channels,
                               float *picture);

G_DEFINE_AUTOPTR_CLEANUP_FUNC (GwDrawnNoise, gw_drawn_noise_free)

G_END_DECLS

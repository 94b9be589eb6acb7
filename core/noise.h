/* What is known of a photo's noise, row by row.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#pragma once

#include "grainwise.h"

G_BEGIN_DECLS

/* Noise below 0.003 levels is none, and features are divided by the level. */
#define GW_LEVEL_FLOOR 1e-5f

/* Of the estimate, as found on photos with noise of many kinds: the error of its logarithm where there are
 * plenty of places without texture, and what comes to it where there are next to none. */
#define GW_SURE 0.08f
#define GW_UNSURE 0.4f

/* The error of a level that says no more than that there is noise, or none. */
#define GW_UNKNOWN 1.f

/* Clipped pixels have lost their noise.  What lies beyond black or white was not clipped.  What is no
 * photo counts as clipped. */
gboolean gw_is_clipped (float value);

gboolean gw_noise_check (const GwNoise *noise, int channels, GError **error);

/**
 * gw_noise_fill_levels:
 * @photo: a row, @width * @channels
 * @levels: (out): as many
 *
 * The noise level of every value of a row, by the curve over brightness.  Brightness is the noisy photo's
 * own, smoothed along the row (Gaussian of sd 2 pixels).
 */
void gw_noise_fill_levels (const GwNoise *noise, const float *photo, int width, int channels, float *levels);

/* Fills the pixels of a row that are not finite (or no photo any more) with the last one that is, or
 * before that with the first. */
void gw_noise_fill_holes (float *row, int width, int channels);

/* Whether row @y of a map holds noise levels. */
gboolean gw_noise_check_levels (const float *levels, int width, int channels, int y, GError **error);

/**
 * gw_noise_read:
 * @rows: (out): @n_rows of the photo from @y on
 * @levels: (out): the noise level of every value
 *
 * Holes are filled.
 */
gboolean gw_noise_read (const GwPhoto *photo, const GwNoise *noise, int y, int n_rows, float *rows,
                        float *levels, GError **error);

G_END_DECLS

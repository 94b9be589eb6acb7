/* Normal numbers that are functions of where they are used, not of what was drawn before.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#pragma once

#include <glib.h>

G_BEGIN_DECLS

enum
{
  GW_NORMALS = 4 /* for every pixel, at a time */
};

/* Philox4x32-10 (Salmon, Moraes, Dror, Shaw, "Parallel random numbers: as easy as 1, 2, 3", 2011). */
void gw_random_philox (const guint32 key[2], const guint32 counter[4], guint32 result[4]);

/**
 * gw_random_normals:
 * @sample, @stream, @y: which row of which of the seed's many pictures
 * @normals: (out): @width * GW_NORMALS independent standard normal numbers, those of a pixel side by side
 */
void gw_random_normals (guint64 seed, guint32 sample, guint32 stream, guint32 y, int width, float *normals);

G_END_DECLS

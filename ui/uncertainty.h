/* Uncertainty made visible: a scale that can be read, colours, and a picture with its scale drawn beside it.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#pragma once

#include <gegl.h>

G_BEGIN_DECLS

/* A round number of 8-bit levels that hardly any pixel of @sd (one float a pixel, encoded 0-1) exceeds: what white, the
 * end of the scale, stands for. */
double gw_uncertainty_white (GeglBuffer *sd);

/* The colour of @value, 0 to 1 of the scale: from black over purple and orange to near white, lighter all the way, so that
 * it can be read without colour vision, too. */
void gw_uncertainty_colour (float value, guint8 rgb[3]);

/* A new buffer (R'G'B' u8): the coloured map and, to its right, the scale from 0 to @white levels. */
GeglBuffer *gw_uncertainty_picture (GeglBuffer *sd, double white);

G_END_DECLS

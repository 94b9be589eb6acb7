/* Colours for numbers.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#pragma once

#include <glib.h>

G_BEGIN_DECLS

/* All get lighter from 0 to 1, so that they can be read without colour vision, too. */
typedef enum
{
  GW_COLOURS_GREY,
  GW_COLOURS_MAGMA,
  GW_COLOURS_VIRIDIS,
  GW_COLOURS_CIVIDIS
} GwColours;

/* Untranslated, as it is written into files. */
const char *gw_colours_name (GwColours colours);

/* The colour (R'G'B', 0-1) of @value, 0 to 1; beyond, that of the nearer end. */
void gw_colours_paint (GwColours colours, float value, float rgb[3]);

/* The value of a colour, which may have been rounded. */
float gw_colours_read (GwColours colours, const float rgb[3]);

G_END_DECLS

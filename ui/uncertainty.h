/* Uncertainty made visible: what is shown of it, on what scale, in what colours.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#pragma once

#include "colours.h"
#include "photo.h"

G_BEGIN_DECLS

typedef enum
{
  GW_QUANTITY_NONE,
  GW_QUANTITY_SD,       /* levels: the posterior standard deviation of a pixel's colour */
  GW_QUANTITY_VARIANCE, /* levels^2: its square */
  GW_QUANTITY_INTERVAL, /* levels: the width of the interval that holds 95 % of a normal posterior */
  /* share, 0-1, of the local contrast that is uncertainty and not the denoised photo's: is this detail real? */
  GW_QUANTITY_RELATIVE
} GwQuantity;

/* Untranslated names of it and of its unit, as they are written into files. */
const char *gw_quantity_name (GwQuantity quantity);
const char *gw_quantity_unit (GwQuantity quantity);

/* "Uncertainty, sd", and "12.5 levels", translated; to be freed. */
const char *gw_quantity_title (GwQuantity quantity);
char *gw_quantity_format (GwQuantity quantity, double value);

/* The posterior standard deviation, in 8-bit levels, behind a value; negative if it does not tell. */
double gw_quantity_to_sd (GwQuantity quantity, double value);

/* How many pixels around it a pixel's value depends on. */
int gw_quantity_reach (GwQuantity quantity);

/* A new buffer ("Y float") of the quantity, of a result that has the sd of each pixel. */
GeglBuffer *gw_uncertainty_map (GwQuantity quantity, const GwDenoised *denoised);

/* A round number that hardly any pixel of the map exceeds: the end of its scale. */
double gw_uncertainty_end (GwQuantity quantity, GeglBuffer *map);

/* Paints the map, 0 to @end, into a buffer of the same size and any format.  In one without colour it is
 * grey. */
void gw_uncertainty_paint (GeglBuffer *map, double end, GwColours colours, GeglBuffer *picture);

/* A picture (R'G'B' u8) of the scale, about @height pixels high: a bar of the colours, and what they mean. */
GeglBuffer *gw_uncertainty_scale (GwQuantity quantity, double end, GwColours colours, int height);

/* A picture (R'G'B' u8) of the map with its scale to the right of it. */
GeglBuffer *gw_uncertainty_picture (GwQuantity quantity, GeglBuffer *map, GwColours colours);

G_END_DECLS

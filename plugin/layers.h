/* The result as layers of the image.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#pragma once

#include <libgimp/gimp.h>

#include "photo-noise.h"

G_BEGIN_DECLS

/* On both layers; holds JSON. */
#define GW_PARASITE "grainwise"

typedef enum
{
  GW_QUANTITY_NONE,
  GW_QUANTITY_SD,
  GW_QUANTITY_VARIANCE
} GwQuantity;

typedef struct
{
  GwDenoised denoised; /* with the sd of the colour unless @quantity is NONE */
  GwQuantity quantity;
  const GwPhotoNoise *noise;
  const GwModelCard *model;
  int x, y; /* of the denoised region in the drawable */
} GwResult;

/**
 * gw_layers_add:
 * @replace: put the denoised photo into @layer instead of a new layer above it
 * @denoised, @uncertainty: (out) (transfer none): the layers; @uncertainty may be %NULL
 *
 * Changes the image, in one undo group; all computing must be over, since from here on cancelling leaves traces.  The
 * uncertainty layer comes on top, hidden.  A selection becomes the mask of new layers.
 */
gboolean gw_layers_add (GimpImage *image, GimpLayer *layer, const GwResult *result, gboolean replace,
                        GimpLayer **denoised, GimpLayer **uncertainty, GError **error);

G_END_DECLS

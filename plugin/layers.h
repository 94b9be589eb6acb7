/* The result as layers of the image.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#pragma once

#include <libgimp/gimp.h>

#include "settings.h"

G_BEGIN_DECLS

/* On both layers; holds JSON. */
#define GW_PARASITE "grainwise"

/* How the result is put into the image. */
typedef struct
{
  gboolean replace; /* put the denoised photo into the layer instead of a new one above it */
  GwQuantity quantity;
  GwColours colours;
  double end;         /* of the uncertainty's scale; 0: chosen to fit */
  gboolean scale_bar; /* a small layer with the scale */
  gboolean mask;      /* the denoised layer gets a mask that hides it where it is unsure */
  gboolean group;     /* the new layers come into a group */
  gboolean visible;   /* show the uncertainty, which covers the photo */
} GwLayout;

typedef struct
{
  GeglBuffer *denoised;
  GeglBuffer *map;    /* of the quantity to be shown; NULL if none is */
  GeglBuffer *unsure; /* sd over noise level, for a mask; may be NULL */
  const GwDrawing *drawing;
  const GwSamples *samples; /* as many as were drawn, or none */
  GwStrength strength;
  const GwPhotoNoise *noise;
  const GwModelCard *model;
  double mean_variance, doubtful; /* of the whole result */
  int x, y;                       /* of the denoised region in the drawable */
} GwResult;

/* The layers that were made; they belong to the image.  Without uncertainty that is %NULL. */
typedef struct
{
  GimpLayer *denoised, *uncertainty;
  GimpLayer **samples; /* ends with %NULL */
} GwNewLayers;

void gw_new_layers_clear (GwNewLayers *layers);

G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (GwNewLayers, gw_new_layers_clear)

/**
 * gw_layers_add:
 * @layers: (out): to be cleared with gw_new_layers_clear()
 *
 * Changes the image, in one undo group; all computing must be over, since from here on cancelling leaves
 * traces.  The uncertainty layer comes on top.  A selection becomes the mask of new layers.
 */
gboolean gw_layers_add (GimpImage *image, GimpLayer *layer, const GwResult *result, const GwLayout *layout,
                        GwNewLayers *layers, GError **error);

/* A region as it could be as well. */
typedef struct
{
  GeglBuffer *buffer;
  const GwComponents *components;
  const double *amounts; /* of each of them, in its standard deviations */
  const GwPhotoNoise *noise;
  const GwModelCard *model;
  int x, y; /* of the region in the drawable */
} GwAlternative;

/* Adds it above its layer, in one undo group, masked by the selection.  Returns the new layer, or %NULL
 * with @error set. */
GimpLayer *gw_layers_add_alternative (GimpImage *image, GimpLayer *layer, const GwAlternative *alternative,
                                      GError **error);

G_END_DECLS

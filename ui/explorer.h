/* The alternatives of a region: what they are, and the dialog that shows them.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#pragma once

#include <libgimp/gimp.h>

#include "photo-noise.h"

G_BEGIN_DECLS

#define GW_EXPLORER_ROLE "grainwise-explore"

enum
{
  GW_ALTERNATIVES = 4 /* components that are looked for */
};

typedef struct
{
  GeglRectangle region; /* of the photo, that is explored */
  float *weights;       /* how far its pixels are selected, 0 to 1; NULL: all are */

  GwModel *model;         /* the last that was used */
  const char *model_name; /* as gw_settings_model() tells it */
  GwPhotoNoise noise;
  gboolean measured; /* the noise has been, which is done once */
  GwComponents components;
  double amounts[GW_ALTERNATIVES]; /* in standard deviations: the alternative that was chosen */
} GwExploration;

void gw_exploration_clear (GwExploration *exploration);

/**
 * gw_explore:
 * @model: from gw_settings_model()
 * @told: of the noise
 * @exploration: (inout): region and weights are given; all but the amounts is filled
 *
 * Measures the noise of the photo, and finds the components of the region.
 */
gboolean gw_explore (GeglBuffer *photo, const char *model, const GwNoiseTold *told, const GwRun *run,
                     GwExploration *exploration, GError **error);

/**
 * gw_explorer_run:
 * @exploration: (inout): region and weights are given; the rest is filled
 *
 * Returns: %FALSE if the dialog was cancelled.
 */
gboolean gw_explorer_run (GimpProcedure *procedure, GimpProcedureConfig *config, GimpDrawable *drawable,
                          GwExploration *exploration);

G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (GwExploration, gw_exploration_clear)

G_END_DECLS

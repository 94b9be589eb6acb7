/* The noise that a photo is denoised with, measured in it or told, and whether the photo agrees.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#pragma once

#include <json-glib/json-glib.h>

#include "photo.h"

G_BEGIN_DECLS

typedef struct
{
  GwNoise measured;
  double measured_levels; /* root mean square over the photo, in 8-bit levels */

  GwNoise assumed; /* that the model is told; its misfit widens the uncertainty */
  double levels;   /* the same of it */
  gboolean estimated;
  GwSelfCheck check;
} GwPhotoNoise;

/* Measures the noise in the photo; the first thing to do. */
gboolean gw_photo_noise_measure (GeglBuffer *photo, const GwRun *run, GwPhotoNoise *noise, GError **error);

/**
 * gw_photo_noise_assume:
 * @levels: white noise of that standard deviation in 8-bit levels; negative: the noise measured
 * @noise: (inout): measured before
 *
 * Decides what noise to tell the model, and checks whether the photo agrees.
 */
gboolean gw_photo_noise_assume (GeglBuffer *photo, const GwModel *model, double levels, const GwRun *run,
                                GwPhotoNoise *noise, GError **error);

/* The verdict of the self-check, in a sentence or two; to be freed. */
char *gw_photo_noise_verdict (const GwPhotoNoise *noise);

/* Adds the members "noise_level", "noise_estimated" and "self_check" to an object. */
void gw_photo_noise_add_json (const GwPhotoNoise *noise, JsonBuilder *builder);

G_END_DECLS

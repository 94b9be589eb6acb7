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

/* What is told of the noise; the rest is as measured. */
typedef struct
{
  double levels;    /* standard deviation in 8-bit levels; negative: as measured */
  gboolean uniform; /* the same at every brightness; else, as measured, it changes with it */
  double grain;     /* size as in gw_noise_set_grain_size(); negative: as measured */
} GwNoiseTold;

/* Measures the noise in the photo; the first thing to do. */
gboolean gw_photo_noise_measure (GeglBuffer *photo, const GwRun *run, GwPhotoNoise *noise, GError **error);

/* Measures it roughly and at once, in a part of the photo. */
gboolean gw_photo_noise_glance (GeglBuffer *photo, const GeglRectangle *region, const GwRun *run,
                                GwPhotoNoise *noise, GError **error);

/* Decides what noise to tell the model: measured before, and told. */
void gw_photo_noise_assume (GwPhotoNoise *noise, const GwNoiseTold *told);

/* Checks whether the photo agrees with what is assumed; where not, makes up for it by the misfit. */
gboolean gw_photo_noise_check (GeglBuffer *photo, const GwModel *model, const GwRun *run, GwPhotoNoise *noise,
                               GError **error);

/* The verdict of the self-check, in a sentence or two; to be freed. */
char *gw_photo_noise_verdict (const GwPhotoNoise *noise);

/* What is to be expected of the whole photo, in a sentence; @added: the squared error that blending adds.
 * To be freed. */
char *gw_photo_noise_expectation (const GwPhotoNoise *noise, double added);

/* Adds the members "noise_level", "noise_estimated", "grain_size" and "self_check" to an object. */
void gw_photo_noise_add_json (const GwPhotoNoise *noise, JsonBuilder *builder);

G_END_DECLS

/* A few crops that stand for the whole photo, where all of it would take too long.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#pragma once

#include "model.h"

G_BEGIN_DECLS

#define GW_MOST_CROPS 8

typedef struct
{
  int n, width, height, channels;
  float *pixels[GW_MOST_CROPS]; /* as read: some may be no numbers */
} GwCrops;

/* Copies crops, evenly spread, out of the photo; all of a small one.  Free with gw_crops_free(). */
GwCrops *gw_crops_new (const GwPhoto *photo, GError **error);
void gw_crops_free (GwCrops *crops);

/* A block of the posterior of that crop. */
typedef void (*GwCropRows) (const GwPosterior *rows, int crop, gpointer data);

/* Runs the model over every crop. */
gboolean gw_crops_run (const GwCrops *crops, const GwModel *model, const GwNoise *noise, const GwRun *run,
                       GwCropRows use, gpointer data, GError **error);

/* All votes of a model that judges levels. */
gboolean gw_crops_judge_level (const GwCrops *crops, const GwModel *model, const GwNoise *noise,
                               const GwRun *run, GwVotes *votes, GError **error);

G_DEFINE_AUTOPTR_CLEANUP_FUNC (GwCrops, gw_crops_free)

G_END_DECLS

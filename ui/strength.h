/* How much of the noise is taken away: decided after the network has run.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#pragma once

#include "photo.h"

G_BEGIN_DECLS

/* Shares, 0 to 1. */
typedef struct
{
  double luminance, colour; /* of what the network took for noise, so much is taken away */
  /* But less where the result is unsure: at 1 as much is left as the posterior's sd is of the noise level,
   * so that there the grain is as strong as the uncertainty */
  double keep_grain;
} GwStrength;

/* Whether that is the posterior mean. */
gboolean gw_strength_is_full (const GwStrength *strength);

/**
 * gw_strength_blend:
 * @region: of @photo, that @denoised is of
 * @denoised: unrounded
 * @added: (out): mean square, over channels and pixels, of what was left of the noise; the squared error to
 *         be expected grows by this
 *
 * Returns: a new buffer like the region, in the photo's own format.
 */
GeglBuffer *gw_strength_blend (const GwStrength *strength, GeglBuffer *photo, const GeglRectangle *region,
                               const GwDenoised *denoised, double *added);

G_END_DECLS

/* Photos as GEGL buffers: rows out of them for the engine, and what it finds back into buffers.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#pragma once

#include <gegl.h>

#include "grainwise.h"

G_BEGIN_DECLS

typedef enum
{
  GW_MAP_NONE,
  GW_MAP_CHANNELS, /* one standard deviation for each channel of the photo */
  GW_MAP_COLOUR    /* one for each pixel: the root mean square of its channels' */
} GwMap;

typedef struct
{
  GeglBuffer *denoised; /* the region, moved to (0, 0), in the photo's own format */
  GeglBuffer *sd;       /* posterior standard deviation, float, encoded 0-1; NULL for GW_MAP_NONE */
  GeglBuffer *unsure;   /* that over the noise level, of each pixel; NULL unless @unrounded */
  double mean_sd;       /* over all channels and pixels that are not transparent */
  double mean_variance;
  double doubtful; /* share of those pixels that exceed GW_DOUBTFUL */
} GwDenoised;

void gw_denoised_clear (GwDenoised *denoised);

/* GW_ERROR_PHOTO for formats that hold no grey or RGB photo (indexed, CMYK ...). */
gboolean gw_photo_check (GeglBuffer *photo, GError **error);

/* The noise of the whole buffer: gw_noise_estimate(), gw_noise_refine() and gw_noise_add_jpeg(). */
gboolean gw_photo_estimate (GeglBuffer *photo, GwNoise *noise, const GwRun *run, GError **error);

/* gw_noise_estimate() from a part of it alone: rough, and at once. */
gboolean gw_photo_glance (GeglBuffer *photo, const GeglRectangle *region, GwNoise *noise, const GwRun *run,
                          GError **error);

/* gw_noise_mean_level() in the buffer. */
gboolean gw_photo_mean_level (GeglBuffer *photo, const GwNoise *noise, double *level, GError **error);

/* gw_self_check() of the buffer. */
gboolean gw_photo_self_check (GeglBuffer *photo, const GwModel *model, const GwNoise *assumed,
                              const GwNoise *measured, const GwRun *run, GwSelfCheck *check, GError **error);

/**
 * gw_photo_denoise:
 * @region: (nullable): a part of the buffer; its result is that part of the whole photo's result, but for
 *         rounding
 * @unrounded: give @denoised as float, whatever the photo's format, and @unsure: what gw_strength_blend()
 *         needs
 * @result: (out): to be cleared with gw_denoised_clear()
 *
 * Alpha is kept.  Colours of wholly transparent pixels, and pixels that are no numbers, are kept too, and
 * nothing of them gets into their neighbours.
 */
gboolean
gw_photo_denoise (GeglBuffer *photo, const GeglRectangle *region, const GwModel *model, const GwNoise *noise,
                  GwMap map, gboolean unrounded, const GwRun *run, GwDenoised *result, GError **error);

typedef struct
{
  int n;
  GeglBuffer *
      *samples; /* each the region, moved to (0, 0), float, in the encoding and with the alpha of the photo */
  GwDenoised summary; /* their mean, unrounded, and, of two or more, their standard deviation */
} GwSamples;

void gw_samples_clear (GwSamples *samples);

/**
 * gw_photo_sample:
 * @region: (nullable): a part of the buffer
 * @n: how many samples
 * @map: of the summary
 * @run: its progress is over all samples
 * @result: (out): to be cleared with gw_samples_clear()
 *
 * Draws samples of the posterior, gw_sample() number 0 to @n - 1.  What gw_photo_denoise() keeps is kept.
 */
gboolean gw_photo_sample (GeglBuffer *photo, const GeglRectangle *region, const GwModel *model,
                          const GwNoise *noise, const GwSampling *sampling, int n, GwMap map,
                          const GwRun *run, GwSamples *result, GError **error);

/**
 * gw_photo_components:
 * @region: a part of the buffer
 * @weights: (nullable): of its pixels
 * @components: (out): gw_components() of the region, to be cleared with gw_components_clear()
 */
gboolean gw_photo_components (GeglBuffer *photo, const GeglRectangle *region, const float *weights,
                              const GwModel *model, const GwNoise *noise, int n, const GwRun *run,
                              GwComponents *components, GError **error);

/**
 * gw_photo_alternative:
 * @region: that @components are of
 * @amounts: one for each component, in its standard deviations
 *
 * Returns: a new buffer with the region, moved to (0, 0), float, as it could be as well: its posterior mean,
 * moved along the components.  What gw_photo_denoise() keeps is kept.
 */
GeglBuffer *gw_photo_alternative (GeglBuffer *photo, const GeglRectangle *region,
                                  const GwComponents *components, const double *amounts);

/* What gw_photo_denoise() reads for @region: a private buffer with just this much (at the same place)
 * gives the same. */
GeglRectangle gw_photo_extent (GeglBuffer *photo, const GeglRectangle *region, const GwModel *model);

/* 1 or 3. */
int gw_photo_channels (GeglBuffer *photo);

G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (GwDenoised, gw_denoised_clear)
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (GwSamples, gw_samples_clear)

G_END_DECLS

/* The settings of a call, as numbers: what the dialog previews and what the plug-in then does are read in one
 * place.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#pragma once

#include <libgimp/gimp.h>

#include "photo-noise.h"
#include "strength.h"
#include "uncertainty.h"

G_BEGIN_DECLS

/* Values of the argument "brightness". */
enum
{
  GW_BRIGHTNESS_MEASURED,
  GW_BRIGHTNESS_UNIFORM
};

/* And of "output". */
enum
{
  GW_OUTPUT_NEW_LAYER,
  GW_OUTPUT_REPLACE
};

/* And of "source". */
enum
{
  GW_SOURCE_NETWORK,
  GW_SOURCE_SAMPLES
};

/* How many samples are to be drawn, and how. */
typedef struct
{
  int n;
  GwSampling sampling;
  gboolean summarise; /* the denoised photo and its uncertainty are to be their mean and standard deviation */
} GwDrawing;

/* Name or file; there is one copy only of each, which stays. */
const char *gw_settings_model (GimpProcedureConfig *config);
GwNoiseTold gw_settings_noise (GimpProcedureConfig *config);
GwStrength gw_settings_strength (GimpProcedureConfig *config);
GwDrawing gw_settings_drawing (GimpProcedureConfig *config);

/* @end: (out): of the scale, in the quantity's unit; 0: to be chosen */
void
gw_settings_uncertainty (GimpProcedureConfig *config, GwQuantity *quantity, GwColours *colours, double *end);

G_END_DECLS

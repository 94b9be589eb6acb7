/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "settings.h"

#include "models.h"

const char *
gw_settings_model (GimpProcedureConfig *config)
{
  g_autofree char *name = NULL;

  g_object_get (config, "model", &name, NULL);

  return g_intern_string (name && *name ? name : GW_DEFAULT_MODEL);
}

GwNoiseTold
gw_settings_noise (GimpProcedureConfig *config)
{
  GwNoiseTold told
      = { .uniform = gimp_procedure_config_get_choice_id (config, "brightness") == GW_BRIGHTNESS_UNIFORM };

  g_object_get (config, "noise-level", &told.levels, "grain-size", &told.grain, NULL);
  if (told.levels == 0)
    told.levels = -1;

  return told;
}

GwStrength
gw_settings_strength (GimpProcedureConfig *config)
{
  GwStrength strength;

  g_object_get (config, "luminance-strength", &strength.luminance, "colour-strength", &strength.colour,
                "keep-grain", &strength.keep_grain, NULL);
  strength.luminance /= 100;
  strength.colour /= 100;
  strength.keep_grain /= 100;

  return strength;
}

void
gw_settings_uncertainty (GimpProcedureConfig *config, GwQuantity *quantity, GwColours *colours, double *end)
{
  *quantity = gimp_procedure_config_get_choice_id (config, "uncertainty");
  *colours = gimp_procedure_config_get_choice_id (config, "colours");
  g_object_get (config, "scale-end", end, NULL);
  if (*quantity == GW_QUANTITY_RELATIVE)
    *end /= 100; /* percent are nicer to set */
}

GwDrawing
gw_settings_drawing (GimpProcedureConfig *config)
{
  GwDrawing drawing
      = { .summarise = gimp_procedure_config_get_choice_id (config, "source") == GW_SOURCE_SAMPLES };
  double step_size;
  int steps, seed;

  g_object_get (config, "samples", &drawing.n, "steps", &steps, "seed", &seed, "step-size", &step_size, NULL);
  drawing.sampling = gw_sampling (gimp_procedure_config_get_choice_id (config, "sampler"), steps, seed);
  if (step_size > 0)
    drawing.sampling.step_size = step_size;

  return drawing;
}

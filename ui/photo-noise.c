/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "photo-noise.h"

#include <math.h>
#include <glib/gi18n-lib.h>

gboolean
gw_photo_noise_measure (GeglBuffer *photo, const GwRun *run, GwPhotoNoise *noise, GError **error)
{
  double level;

  *noise = (GwPhotoNoise) { 0 };
  if (!gw_photo_estimate (photo, &noise->measured, run, error)
      || !gw_photo_mean_level (photo, &noise->measured, &level, error))
    return FALSE;
  noise->measured_levels = 255 * level;

  return TRUE;
}

gboolean
gw_photo_noise_assume (GeglBuffer *photo, const GwModel *model, double levels, const GwRun *run,
                       GwPhotoNoise *noise, GError **error)
{
  noise->estimated = levels < 0;
  noise->assumed = noise->estimated ? noise->measured : gw_noise_white (levels / 255);
  noise->levels = noise->estimated ? noise->measured_levels : levels;
  if (!gw_photo_self_check (photo, model, &noise->assumed, &noise->measured, run, &noise->check, error))
    return FALSE;
  noise->assumed.misfit = MAX (noise->check.error_ratio - 1, 0);

  return TRUE;
}

char *
gw_photo_noise_verdict (const GwPhotoNoise *noise)
{
  const double widened = sqrt (1 + noise->assumed.misfit);
  g_autoptr (GString) text = g_string_new (NULL);

  switch (noise->check.fit)
    {
    case GW_FIT_UNKNOWN:
      g_string_append (text, _ ("Whether the photo's noise is as assumed cannot be told."));
      break;
    case GW_FIT_AGREES:
      g_string_append (text, _ ("The photo's noise is as assumed."));
      break;
    case GW_FIT_STRONGER:
      g_string_append_printf (text, _ ("The photo's noise is stronger than assumed: about %.1f levels."),
                              noise->measured_levels);
      break;
    case GW_FIT_WEAKER:
      g_string_append_printf (text, _ ("The photo's noise is weaker than assumed: about %.1f levels."),
                              noise->measured_levels);
      break;
    case GW_FIT_COARSER:
      g_string_append (text, _ ("The photo's noise is coarser than assumed."));
      break;
    }
  if (widened > 1)
    {
      g_string_append_c (text, ' ');
      g_string_append_printf (text, _ ("The uncertainty was made %.1f times as large."), widened);
    }
  return g_string_free (g_steal_pointer (&text), FALSE);
}

void
gw_photo_noise_add_json (const GwPhotoNoise *noise, JsonBuilder *builder)
{
  static const char *fits[] = { "unknown", "agrees", "stronger", "weaker", "coarser" };

  json_builder_set_member_name (builder, "noise_level");
  json_builder_add_double_value (builder, noise->levels);
  json_builder_set_member_name (builder, "noise_estimated");
  json_builder_add_boolean_value (builder, noise->estimated);
  json_builder_set_member_name (builder, "self_check");
  json_builder_begin_object (builder);
  json_builder_set_member_name (builder, "noise");
  json_builder_add_string_value (builder, fits[noise->check.fit]);
  json_builder_set_member_name (builder, "level_ratio");
  json_builder_add_double_value (builder, noise->check.level_ratio);
  json_builder_set_member_name (builder, "error_ratio");
  json_builder_add_double_value (builder, noise->check.error_ratio);
  json_builder_end_object (builder);
}

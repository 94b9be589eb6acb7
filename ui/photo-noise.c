/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "photo-noise.h"

#include <math.h>
#include <string.h>
#include <glib/gi18n-lib.h>

#include "json.h"

static gboolean
find_levels (GeglBuffer *photo, GwPhotoNoise *noise, GError **error)
{
  double level;

  if (!gw_photo_mean_level (photo, &noise->measured, &level, error))
    return FALSE;
  noise->measured_levels = 255 * level;

  return TRUE;
}

gboolean
gw_photo_noise_measure (GeglBuffer *photo, const GwRun *run, GwPhotoNoise *noise, GError **error)
{
  *noise = (GwPhotoNoise) { 0 };

  return gw_photo_estimate (photo, &noise->measured, run, error) && find_levels (photo, noise, error);
}

gboolean
gw_photo_noise_glance (GeglBuffer *photo, const GeglRectangle *region, const GwRun *run, GwPhotoNoise *noise,
                       GError **error)
{
  *noise = (GwPhotoNoise) { 0 };

  return gw_photo_glance (photo, region, &noise->measured, run, error) && find_levels (photo, noise, error);
}

void
gw_photo_noise_assume (GwPhotoNoise *noise, const GwNoiseTold *told)
{
  noise->estimated = told->levels < 0;
  noise->levels = noise->estimated ? noise->measured_levels : told->levels;
  noise->assumed = noise->measured;
  if (!noise->estimated)
    noise->assumed.level_error = 0;
  if (told->uniform || noise->measured_levels <= 0)
    memcpy (noise->assumed.level, gw_noise_white (noise->levels / 255).level, sizeof (noise->assumed.level));
  else
    for (int c = 0; c < 3; c++)
      for (int k = 0; k < GW_KNOTS; k++)
        noise->assumed.level[c][k] *= noise->levels / noise->measured_levels;
  if (told->grain >= 0)
    gw_noise_set_grain_size (&noise->assumed, told->grain);
}

gboolean
gw_photo_noise_check (GeglBuffer *photo, const GwModel *model, const GwRun *run, GwPhotoNoise *noise,
                      GError **error)
{
  if (!gw_photo_self_check (photo, model, &noise->assumed, &noise->measured, run, &noise->check, error))
    return FALSE;
  noise->assumed.misfit = MAX (noise->check.error_ratio - 1, 0);

  return TRUE;
}

char *
gw_photo_noise_expectation (const GwPhotoNoise *noise, double added)
{
  const double square = noise->check.mean_variance + added;

  return g_strdup_printf (_ ("Noise about %.1f levels. Expected error after denoising %.1f levels (%.1f dB); "
                             "%.0f %% of the photo is doubtful."),
                          noise->levels, 255 * sqrt (square), -10 * log10 (MAX (square, 1e-12)),
                          100 * noise->check.doubtful);
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
    case GW_FIT_LOST:
      g_string_append (text,
                       _ ("What was measured is detail that was lost, as after JPEG, more than noise."));
      break;
    case GW_FIT_UNSURE:
      g_string_append_printf (
          text, _ ("How strong the photo's noise is could not be measured well: give or take %.0f %%."),
          100 * noise->assumed.level_error);
      break;
    }
  if (widened >= 1.05) /* or it would be 1.0 times */
    {
      g_string_append_c (text, ' ');
      g_string_append_printf (text, _ ("The uncertainty was made %.1f times as large."), widened);
    }
  return g_string_free (g_steal_pointer (&text), FALSE);
}

void
gw_photo_noise_add_json (const GwPhotoNoise *noise, JsonBuilder *builder)
{
  static const char *fits[] = { "unknown", "agrees", "stronger", "weaker", "coarser", "lost", "unsure" };

  gw_json_add_number (builder, "noise_level", noise->levels);
  json_builder_set_member_name (builder, "noise_estimated");
  json_builder_add_boolean_value (builder, noise->estimated);
  gw_json_add_number (builder, "grain_size", gw_noise_get_grain_size (&noise->assumed));
  json_builder_set_member_name (builder, "self_check");
  json_builder_begin_object (builder);
  gw_json_add_text (builder, "noise", fits[noise->check.fit]);
  gw_json_add_number (builder, "level_ratio", noise->check.level_ratio);
  gw_json_add_number (builder, "error_ratio", noise->check.error_ratio);
  json_builder_end_object (builder);
}

/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "noise-controls.h"

#include <math.h>
#include <glib/gi18n-lib.h>

#include "controls.h"
#include "noise-plot.h"
#include "settings.h"

/* A number that is measured unless it is set by hand.  The procedure has one argument for it, with a value
 * that means "as measured"; a switch says that more clearly. */
typedef struct
{
  GObject *config;
  const char *name;
  double automatic; /* the argument's value for "as measured" */
  double measured;  /* negative: not known yet */
  double manual;    /* to return to when the switch is set to manual again */

  GtkWidget *button, *row;
  GtkAdjustment *adjustment; /* of the value in use */
} Number;

struct _GwNoiseControls
{
  GObject *config;
  int channels;
  GwPhotoNoise noise;
  Number level, grain;
  GtkWidget *box, *plot;
};

/* ---- A number -------------------------------------------------------------------------------------------- */

static double
get (Number *number)
{
  double value;

  g_object_get (number->config, number->name, &value, NULL);

  return value;
}

static void
toggled (GtkToggleButton *button, Number *number)
{
  const gboolean automatic = gtk_toggle_button_get_active (button);
  const double value = get (number);

  if (automatic && value != number->automatic)
    number->manual = value;
  if (automatic != (value == number->automatic))
    g_object_set (number->config, number->name, automatic ? number->automatic : number->manual, NULL);
}

/* The slider shows the value in use, which can be changed if it is set by hand. */
static void
changed (GObject *config, GParamSpec *pspec, Number *number)
{
  const double value = get (number);
  const gboolean automatic = value == number->automatic;

  gtk_toggle_button_set_active (GTK_TOGGLE_BUTTON (number->button), automatic);
  gtk_widget_set_sensitive (number->row, !automatic);
  if (!automatic || number->measured >= 0)
    gtk_adjustment_set_value (number->adjustment, automatic ? number->measured : value);
}

static void
adjusted (GtkAdjustment *adjustment, Number *number)
{
  const double value = gtk_adjustment_get_value (adjustment), old = get (number);

  if (old != number->automatic && old != value)
    g_object_set (number->config, number->name, value, NULL);
}

static void
number_init (Number *number, GObject *config, const char *name, double automatic, GtkAdjustment *adjustment,
             int digits, const char *label, const char *tooltip, GtkSizeGroup *labels)
{
  *number = (Number) { .config = config, .name = name, .automatic = automatic, .measured = -1, .manual = -1 };
  number->adjustment = adjustment;
  number->button = gtk_check_button_new_with_mnemonic (label);
  number->row = gw_control_slider (config, name, adjustment, digits, labels);
  gtk_widget_set_tooltip_text (number->button, tooltip);
  gtk_widget_set_sensitive (number->button, FALSE); /* there is no choice before it is measured */
  number->manual = gtk_adjustment_get_lower (adjustment);
  changed (config, NULL, number);
  g_signal_connect (number->button, "toggled", G_CALLBACK (toggled), number);
  g_signal_connect (adjustment, "value-changed", G_CALLBACK (adjusted), number);
}

static void
number_measured (Number *number, double value, const char *label)
{
  const double lower = gtk_adjustment_get_lower (number->adjustment),
               upper = gtk_adjustment_get_upper (number->adjustment);
  const double step = gtk_adjustment_get_step_increment (number->adjustment);

  number->measured = value;
  if (get (number) == number->automatic)
    number->manual = CLAMP (step * round (value / step), lower, upper);
  gtk_button_set_label (GTK_BUTTON (number->button), label);
  gtk_widget_set_sensitive (number->button, TRUE);
  changed (number->config, NULL, number);
}

/* ---- All of them ----------------------------------------------------------------------------------------- */

static void
config_changed (GObject *config, GParamSpec *pspec, GwNoiseControls *controls)
{
  const GwNoiseTold told = gw_settings_noise (GIMP_PROCEDURE_CONFIG (config));

  if (g_str_equal (pspec->name, controls->level.name))
    changed (config, pspec, &controls->level);
  else if (g_str_equal (pspec->name, controls->grain.name))
    changed (config, pspec, &controls->grain);
  if (controls->level.measured >= 0)
    {
      gw_photo_noise_assume (&controls->noise, &told);
      gw_noise_plot_set (controls->plot, &controls->noise, controls->channels);
    }
}

GwNoiseControls *
gw_noise_controls_new (GimpProcedureDialog *dialog, GObject *config, GtkSizeGroup *labels, int channels)
{
  GwNoiseControls *controls = g_new0 (GwNoiseControls, 1);
  GtkWidget *rows[5];

  controls->config = config;
  controls->channels = channels;
  number_init (&controls->level, config, "noise-level", 0, gtk_adjustment_new (0.1, 0.1, 100, 0.1, 1, 0), 1,
               _ ("_Estimate the noise from the photo"),
               _ ("Measures the level and the grain of the noise in the whole layer. "
                  "Switch it off to set the level by hand."),
               labels);
  number_init (
      &controls->grain, config, "grain-size", -1, gtk_adjustment_new (0, 0, 4, 0.05, 0.5, 0), 2,
      _ ("Grain as _measured"),
      _ ("How far the noise of one pixel goes with that of its neighbours, as in most cameras' photos. "
         "Switch it off to set the size by hand."),
      labels);
  controls->plot = gw_noise_plot_new ();
  controls->box = gtk_box_new (GTK_ORIENTATION_VERTICAL, 6);
  rows[0] = controls->level.button;
  rows[1] = controls->level.row;
  rows[2] = gw_control_choice (dialog, "brightness", labels);
  rows[3] = controls->grain.button;
  rows[4] = controls->grain.row;
  for (guint i = 0; i < G_N_ELEMENTS (rows); i++)
    gtk_box_pack_start (GTK_BOX (controls->box), rows[i], FALSE, FALSE, 0);
  g_signal_connect (config, "notify", G_CALLBACK (config_changed), controls);

  return controls;
}

void
gw_noise_controls_free (GwNoiseControls *controls)
{
  g_signal_handlers_disconnect_by_data (controls->config, controls);
  g_free (controls);
}

GtkWidget *
gw_noise_controls_get_widget (GwNoiseControls *controls)
{
  return controls->box;
}

GtkWidget *
gw_noise_controls_get_plot (GwNoiseControls *controls)
{
  return controls->plot;
}

void
gw_noise_controls_set_measured (GwNoiseControls *controls, const GwPhotoNoise *noise)
{
  const GwNoiseTold told = gw_settings_noise (GIMP_PROCEDURE_CONFIG (controls->config));
  const double size = gw_noise_get_grain_size (&noise->measured);
  g_autofree char *level = g_strdup_printf (_ ("_Estimate the noise from the photo: %.1f levels, ± %.0f %%"),
                                            noise->measured_levels, 100 * noise->measured.level_error);
  g_autofree char *grain = g_strdup_printf (_ ("Grain as _measured: %.2f pixels"), size);

  controls->noise = *noise;
  number_measured (&controls->level, noise->measured_levels, level);
  number_measured (&controls->grain, size, grain);
  gw_photo_noise_assume (&controls->noise, &told);
  gw_noise_plot_set (controls->plot, &controls->noise, controls->channels);
}

/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "tabs.h"

#include <glib/gi18n-lib.h>

#include "controls.h"
#include "noise-controls.h"
#include "settings.h"

struct _GwTabs
{
  GObject *config;
  GtkWidget *notebook;
  GwNoiseControls *controls;
  GtkWidget *mask, *show_uncertainty, *scale_bar;
  GtkWidget *duration; /* of drawing samples */
};

static GtkBox *
add_tab (GwTabs *tabs, const char *title)
{
  GtkWidget *page = gtk_box_new (GTK_ORIENTATION_VERTICAL, 3);

  gtk_container_set_border_width (GTK_CONTAINER (page), 9);
  gtk_notebook_append_page (GTK_NOTEBOOK (tabs->notebook), page, gtk_label_new (title));

  return GTK_BOX (page);
}

/* Only a new layer can get a mask, and only where there is a layer of the uncertainty there is something
 * to show. */
static void
set_sensitivity (GwTabs *tabs)
{
  const gboolean uncertainty
      = gimp_procedure_config_get_choice_id (GIMP_PROCEDURE_CONFIG (tabs->config), "uncertainty")
        != GW_QUANTITY_NONE;
  const gboolean new_layer
      = gimp_procedure_config_get_choice_id (GIMP_PROCEDURE_CONFIG (tabs->config), "output")
        == GW_OUTPUT_NEW_LAYER;

  gtk_widget_set_sensitive (tabs->show_uncertainty, uncertainty);
  gtk_widget_set_sensitive (tabs->scale_bar, uncertainty);
  gtk_widget_set_sensitive (tabs->mask, new_layer);
  if (!new_layer)
    g_object_set (tabs->config, "mask", FALSE, NULL);
}

/* A choice only where there is one. */
static void
add_noise_tab (GwTabs *tabs, GimpProcedureDialog *dialog, int channels)
{
  g_autoptr (GtkSizeGroup) labels = gtk_size_group_new (GTK_SIZE_GROUP_HORIZONTAL);
  GtkBox *tab = add_tab (tabs, _ ("Noise"));
  GtkWidget *model = gw_control_model (tabs->config, labels);

  tabs->controls = gw_noise_controls_new (dialog, tabs->config, labels, channels);
  gtk_box_pack_start (tab, gw_noise_controls_get_widget (tabs->controls), FALSE, FALSE, 0);
  if (model)
    gtk_box_pack_start (tab, model, FALSE, FALSE, 0);
}

static void
add_strength_tab (GwTabs *tabs)
{
  static const char *names[] = { "luminance-strength", "colour-strength", "keep-grain" };
  g_autoptr (GtkSizeGroup) labels = gtk_size_group_new (GTK_SIZE_GROUP_HORIZONTAL);
  GtkBox *tab = add_tab (tabs, _ ("Strength"));

  for (guint i = 0; i < G_N_ELEMENTS (names); i++)
    gtk_box_pack_start (tab, gw_control_number (tabs->config, names[i], labels), FALSE, FALSE, 0);
  gtk_box_pack_start (
      tab,
      gw_control_text (
          _ ("In percent. What is left of the noise makes the result less smooth and the expected "
             "error larger.")),
      FALSE, FALSE, 0);
}

static void
add_layers_tab (GwTabs *tabs, GimpProcedureDialog *dialog)
{
  g_autoptr (GtkSizeGroup) labels = gtk_size_group_new (GTK_SIZE_GROUP_HORIZONTAL);
  GObject *config = tabs->config;
  GtkBox *tab = add_tab (tabs, _ ("Layers"));
  GtkWidget *rows[] = { gw_control_choice (dialog, "output", labels),
                        gw_control_switch (config, "mask"),
                        gw_control_switch (config, "group"),
                        gw_control_choice (dialog, "uncertainty", labels),
                        gw_control_choice (dialog, "colours", labels),
                        gw_control_automatic (config, "scale-end", labels),
                        gw_control_switch (config, "show-uncertainty"),
                        gw_control_switch (config, "scale-bar") };

  for (guint i = 0; i < G_N_ELEMENTS (rows); i++)
    gtk_box_pack_start (tab, rows[i], FALSE, FALSE, 0);
  tabs->mask = rows[1];
  tabs->show_uncertainty = rows[6];
  tabs->scale_bar = rows[7];
  set_sensitivity (tabs);
}

static void
add_samples_tab (GwTabs *tabs, GimpProcedureDialog *dialog)
{
  g_autoptr (GtkSizeGroup) labels = gtk_size_group_new (GTK_SIZE_GROUP_HORIZONTAL);
  GObject *config = tabs->config;
  GtkBox *tab = add_tab (tabs, _ ("Samples"));
  GtkWidget *rows[]
      = { gw_control_number (config, "samples", labels),      gw_control_number (config, "steps", labels),
          gw_control_spin (config, "seed", labels),           gw_control_choice (dialog, "sampler", labels),
          gw_control_automatic (config, "step-size", labels), gw_control_choice (dialog, "source", labels) };

  for (guint i = 0; i < G_N_ELEMENTS (rows); i++)
    gtk_box_pack_start (tab, rows[i], FALSE, FALSE, 0);
  tabs->duration = gw_control_text ("");
  gtk_box_pack_start (tab, tabs->duration, FALSE, FALSE, 0);
}

GwTabs *
gw_tabs_new (GimpProcedureDialog *dialog, GObject *config, int channels)
{
  GwTabs *tabs = g_new0 (GwTabs, 1);

  tabs->config = config;
  tabs->notebook = gtk_notebook_new ();
  add_noise_tab (tabs, dialog, channels);
  add_strength_tab (tabs);
  add_layers_tab (tabs, dialog);
  add_samples_tab (tabs, dialog);
  g_signal_connect_swapped (config, "notify::uncertainty", G_CALLBACK (set_sensitivity), tabs);
  g_signal_connect_swapped (config, "notify::output", G_CALLBACK (set_sensitivity), tabs);

  return tabs;
}

void
gw_tabs_free (GwTabs *tabs)
{
  g_signal_handlers_disconnect_by_data (tabs->config, tabs);
  gw_noise_controls_free (tabs->controls);
  g_free (tabs);
}

GtkWidget *
gw_tabs_get_widget (GwTabs *tabs)
{
  return tabs->notebook;
}

GtkWidget *
gw_tabs_get_plot (GwTabs *tabs)
{
  return gw_noise_controls_get_plot (tabs->controls);
}

void
gw_tabs_set_measured (GwTabs *tabs, const GwPhotoNoise *noise)
{
  gw_noise_controls_set_measured (tabs->controls, noise);
}

void
gw_tabs_set_duration (GwTabs *tabs, const char *text)
{
  gtk_label_set_text (GTK_LABEL (tabs->duration), text);
}

/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "controls.h"

static GParamSpec *
argument (GObject *config, const char *name)
{
  return g_object_class_find_property (G_OBJECT_GET_CLASS (config), name);
}

GtkWidget *
gw_control_slider (GObject *config, const char *name, GtkAdjustment *adjustment, int digits)
{
  GParamSpec *spec = argument (config, name);
  GtkWidget *row = gtk_box_new (GTK_ORIENTATION_HORIZONTAL, 6);
  GtkWidget *label = gtk_label_new_with_mnemonic (g_param_spec_get_nick (spec));
  GtkWidget *scale = gtk_scale_new (GTK_ORIENTATION_HORIZONTAL, adjustment);
  GtkWidget *spin = gtk_spin_button_new (adjustment, gtk_adjustment_get_step_increment (adjustment), digits);
  GtkWidget *controls[] = { scale, spin };

  gtk_scale_set_draw_value (GTK_SCALE (scale), FALSE);
  gtk_widget_set_size_request (scale, 80, -1);
  gtk_label_set_mnemonic_widget (GTK_LABEL (label), spin);
  gtk_widget_set_tooltip_text (row, g_param_spec_get_blurb (spec));
  for (guint i = 0; i < G_N_ELEMENTS (controls); i++)
    atk_object_set_name (gtk_widget_get_accessible (controls[i]), gtk_label_get_text (GTK_LABEL (label)));
  gtk_box_pack_start (GTK_BOX (row), label, FALSE, FALSE, 0);
  gtk_box_pack_start (GTK_BOX (row), scale, TRUE, TRUE, 0);
  gtk_box_pack_start (GTK_BOX (row), spin, FALSE, FALSE, 0);

  return row;
}

GtkWidget *
gw_control_number (GObject *config, const char *name, int digits)
{
  const GParamSpecDouble *spec = G_PARAM_SPEC_DOUBLE (argument (config, name));
  GtkAdjustment *adjustment = gtk_adjustment_new (spec->minimum, spec->minimum, spec->maximum, 1, 10, 0);

  g_object_bind_property (config, name, adjustment, "value", G_BINDING_BIDIRECTIONAL | G_BINDING_SYNC_CREATE);

  return gw_control_slider (config, name, adjustment, digits);
}

GtkWidget *
gw_control_switch (GObject *config, const char *name)
{
  GParamSpec *spec = argument (config, name);
  GtkWidget *button = gtk_check_button_new_with_mnemonic (g_param_spec_get_nick (spec));

  gtk_widget_set_tooltip_text (button, g_param_spec_get_blurb (spec));
  g_object_bind_property (config, name, button, "active", G_BINDING_BIDIRECTIONAL | G_BINDING_SYNC_CREATE);

  return button;
}

GtkWidget *
gw_control_choice (GimpProcedureDialog *dialog, const char *name)
{
  GtkWidget *choice = gimp_procedure_dialog_get_widget (dialog, name, G_TYPE_NONE);
  GtkLabel *label = GTK_LABEL (gimp_labeled_get_label (GIMP_LABELED (choice)));
  GtkWidget *control = gtk_label_get_mnemonic_widget (label);

  if (control)
    atk_object_set_name (gtk_widget_get_accessible (control), gtk_label_get_text (label));

  return choice;
}

/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "controls.h"

#include <glib/gi18n-lib.h>

#include "models.h"

#define TEXT_WIDTH 44   /* characters */
#define STATUS_WIDTH 60 /* characters */
#define STATUS_LINES 4

static GParamSpec *
argument (GObject *config, const char *name)
{
  return g_object_class_find_property (G_OBJECT_GET_CLASS (config), name);
}

/* A row with the label of a control that is set by keys. */
static GtkWidget *
new_row (GParamSpec *spec, GtkWidget *control, GtkSizeGroup *labels)
{
  GtkWidget *row = gtk_box_new (GTK_ORIENTATION_HORIZONTAL, 12);
  GtkWidget *label = gtk_label_new_with_mnemonic (g_param_spec_get_nick (spec));

  gtk_label_set_xalign (GTK_LABEL (label), 0);
  gtk_label_set_mnemonic_widget (GTK_LABEL (label), control);
  gtk_size_group_add_widget (labels, label);
  gtk_widget_set_tooltip_text (row, g_param_spec_get_blurb (spec));
  atk_object_set_name (gtk_widget_get_accessible (control), gtk_label_get_text (GTK_LABEL (label)));
  gtk_box_pack_start (GTK_BOX (row), label, FALSE, FALSE, 0);
  gtk_box_pack_end (GTK_BOX (row), control, FALSE, FALSE, 0);

  return row;
}

GtkWidget *
gw_control_slider (GObject *config, const char *name, GtkAdjustment *adjustment, int digits,
                   GtkSizeGroup *labels)
{
  GtkWidget *scale = gtk_scale_new (GTK_ORIENTATION_HORIZONTAL, adjustment);
  GtkWidget *spin = gtk_spin_button_new (adjustment, gtk_adjustment_get_step_increment (adjustment), digits);
  GtkWidget *row = new_row (argument (config, name), spin, labels);

  gtk_scale_set_draw_value (GTK_SCALE (scale), FALSE);
  atk_object_set_name (gtk_widget_get_accessible (scale),
                       atk_object_get_name (gtk_widget_get_accessible (spin)));
  gtk_box_pack_start (GTK_BOX (row), scale, TRUE, TRUE, 0);

  return row;
}

static GtkAdjustment *
bound_adjustment (GObject *config, const char *name)
{
  GParamSpec *spec = argument (config, name);
  GtkAdjustment *adjustment = G_IS_PARAM_SPEC_INT (spec)
                                  ? gtk_adjustment_new (0, G_PARAM_SPEC_INT (spec)->minimum,
                                                        G_PARAM_SPEC_INT (spec)->maximum, 1, 10, 0)
                                  : gtk_adjustment_new (0, G_PARAM_SPEC_DOUBLE (spec)->minimum,
                                                        G_PARAM_SPEC_DOUBLE (spec)->maximum, 1, 10, 0);

  g_object_bind_property (config, name, adjustment, "value", G_BINDING_BIDIRECTIONAL | G_BINDING_SYNC_CREATE);

  return adjustment;
}

GtkWidget *
gw_control_number (GObject *config, const char *name, GtkSizeGroup *labels)
{
  return gw_control_slider (config, name, bound_adjustment (config, name), 0, labels);
}

GtkWidget *
gw_control_spin (GObject *config, const char *name, GtkSizeGroup *labels)
{
  return new_row (argument (config, name), gtk_spin_button_new (bound_adjustment (config, name), 1, 0),
                  labels);
}

static gboolean
show_automatic (GtkSpinButton *spin, gpointer data)
{
  GtkAdjustment *adjustment = gtk_spin_button_get_adjustment (spin);

  if (gtk_adjustment_get_value (adjustment) > gtk_adjustment_get_lower (adjustment))
    return FALSE;
  gtk_entry_set_text (GTK_ENTRY (spin), _ ("automatic"));

  return TRUE;
}

/* What is no number was not changed. */
static int
read_automatic (GtkSpinButton *spin, double *value, gpointer data)
{
  if (!g_str_equal (gtk_entry_get_text (GTK_ENTRY (spin)), _ ("automatic")))
    return FALSE;
  *value = gtk_adjustment_get_lower (gtk_spin_button_get_adjustment (spin));

  return TRUE;
}

GtkWidget *
gw_control_automatic (GObject *config, const char *name, GtkSizeGroup *labels)
{
  GtkWidget *spin = gtk_spin_button_new (NULL, 1, 1);

  gtk_entry_set_width_chars (GTK_ENTRY (spin), 12);
  g_signal_connect (spin, "output", G_CALLBACK (show_automatic), NULL);
  g_signal_connect (spin, "input", G_CALLBACK (read_automatic), NULL);
  gtk_spin_button_set_adjustment (GTK_SPIN_BUTTON (spin), bound_adjustment (config, name));

  return new_row (argument (config, name), spin, labels);
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
gw_control_choice (GimpProcedureDialog *dialog, const char *name, GtkSizeGroup *labels)
{
  GtkWidget *choice = gimp_procedure_dialog_get_widget (dialog, name, G_TYPE_NONE);
  GtkWidget *label = gimp_labeled_get_label (GIMP_LABELED (choice));
  GtkWidget *control = gtk_label_get_mnemonic_widget (GTK_LABEL (label));

  gtk_size_group_add_widget (labels, label);
  if (control)
    atk_object_set_name (gtk_widget_get_accessible (control), gtk_label_get_text (GTK_LABEL (label)));

  return choice;
}

GtkWidget *
gw_control_model (GObject *config, GtkSizeGroup *labels)
{
  g_auto (GStrv) names = gw_models_list ();
  GtkWidget *combo, *row;

  if (g_strv_length (names) < 2)
    return NULL;

  combo = gtk_combo_box_text_new ();
  for (char **name = names; *name; name++)
    gtk_combo_box_text_append (GTK_COMBO_BOX_TEXT (combo), *name, *name);
  g_object_bind_property (config, "model", combo, "active-id",
                          G_BINDING_BIDIRECTIONAL | G_BINDING_SYNC_CREATE);
  row = new_row (argument (config, "model"), combo, labels);
  gtk_box_set_child_packing (GTK_BOX (row), combo, TRUE, TRUE, 0, GTK_PACK_END);

  return row;
}

GtkWidget *
gw_control_text (const char *text)
{
  GtkWidget *label = gtk_label_new (text);

  gtk_label_set_line_wrap (GTK_LABEL (label), TRUE);
  gtk_label_set_max_width_chars (GTK_LABEL (label), TEXT_WIDTH);
  gtk_label_set_xalign (GTK_LABEL (label), 0);

  return label;
}

GtkWidget *
gw_control_status (void)
{
  GtkWidget *label = gtk_label_new ("");
  g_autoptr (PangoLayout) layout = gtk_widget_create_pango_layout (label, "");
  int height;

  pango_layout_get_pixel_size (layout, NULL, &height);
  gtk_widget_set_size_request (label, -1, STATUS_LINES * height);
  gtk_label_set_width_chars (GTK_LABEL (label), STATUS_WIDTH);
  gtk_label_set_max_width_chars (GTK_LABEL (label), STATUS_WIDTH);
  gtk_label_set_line_wrap (GTK_LABEL (label), TRUE);
  gtk_label_set_lines (GTK_LABEL (label), STATUS_LINES);
  gtk_label_set_ellipsize (GTK_LABEL (label), PANGO_ELLIPSIZE_END);
  gtk_label_set_xalign (GTK_LABEL (label), 0);
  gtk_label_set_yalign (GTK_LABEL (label), 0);

  return label;
}

/* Rows of the dialog that set one argument of the procedure each.  Label and tooltip are the argument's own;
 * screen readers get the label, too.  The labels of a group are of one width.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#pragma once

#include <libgimp/gimpui.h>

G_BEGIN_DECLS

/* A label, a slider and a number. */
GtkWidget *gw_control_slider (GObject *config, const char *name, GtkAdjustment *adjustment, int digits,
                              GtkSizeGroup *labels);

/* The same, bound to the number that the argument is, over all its range. */
GtkWidget *gw_control_number (GObject *config, const char *name, GtkSizeGroup *labels);

/* A label and a number of any size. */
GtkWidget *gw_control_spin (GObject *config, const char *name, GtkSizeGroup *labels);

/* The same, for a fraction, the least of which means that it is chosen automatically. */
GtkWidget *gw_control_automatic (GObject *config, const char *name, GtkSizeGroup *labels);

GtkWidget *gw_control_switch (GObject *config, const char *name);

GtkWidget *gw_control_choice (GimpProcedureDialog *dialog, const char *name, GtkSizeGroup *labels);

/* The installed models to choose from; %NULL if there is but one. */
GtkWidget *gw_control_model (GObject *config, GtkSizeGroup *labels);

/* A sentence below them. */
GtkWidget *gw_control_text (const char *text);

/* What is said below a preview, of one size whatever it is, or the preview would have to give way. */
GtkWidget *gw_control_status (void);

G_END_DECLS

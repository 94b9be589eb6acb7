/* What the procedures have in common: how they are made, and what they refuse.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#pragma once

#include <libgimp/gimp.h>

G_BEGIN_DECLS

/* @run may use GEGL; it gets no data. */
GimpProcedure *gw_procedure_new (GimpPlugIn *plug_in, const char *name, GimpRunImageFunc run);

/* Adds the arguments that tell what is known of the noise; gw_settings_noise() reads them. */
void gw_procedure_add_noise (GimpProcedure *procedure);

void gw_procedure_add_model (GimpProcedure *procedure);

/* The one layer to work on, or %NULL. */
GimpDrawable *gw_only_layer (GimpDrawable **drawables, GError **error);

/* Sets the error; returns %FALSE. */
gboolean gw_refuse (GError **error, const char *format, ...) G_GNUC_PRINTF (2, 3);

/* Refuses a dialog where there is no display. */
gboolean gw_check_display (GError **error);

/* A #GwProgress: in GIMP's status bar. */
void gw_show_progress (double fraction, gpointer data);

G_END_DECLS

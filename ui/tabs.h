/* The tabs of the dialog: noise, strength, layers, samples.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#pragma once

#include <libgimp/gimpui.h>

#include "photo-noise.h"

G_BEGIN_DECLS

typedef struct _GwTabs GwTabs;

/* @channels: of the photo.  To be freed when the dialog has been destroyed. */
GwTabs *gw_tabs_new (GimpProcedureDialog *dialog, GObject *config, int channels);
void gw_tabs_free (GwTabs *tabs);

GtkWidget *gw_tabs_get_widget (GwTabs *tabs);

/* Noise level over brightness, as measured and as used. */
GtkWidget *gw_tabs_get_plot (GwTabs *tabs);

/* The noise has been measured. */
void gw_tabs_set_measured (GwTabs *tabs, const GwPhotoNoise *noise);

/* What is said of the time that drawing samples takes. */
void gw_tabs_set_duration (GwTabs *tabs, const char *text);

G_END_DECLS

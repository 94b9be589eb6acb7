/* The part of the dialog that is about the noise: what was measured, and what to use instead.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#pragma once

#include <libgimp/gimpui.h>

#include "photo-noise.h"

G_BEGIN_DECLS

typedef struct _GwNoiseControls GwNoiseControls;

/* To be freed when the dialog has been destroyed. */
GwNoiseControls *
gw_noise_controls_new (GimpProcedureDialog *dialog, GObject *config, GtkSizeGroup *labels, int channels);
void gw_noise_controls_free (GwNoiseControls *controls);

GtkWidget *gw_noise_controls_get_widget (GwNoiseControls *controls);

/* Noise level over brightness, as measured and as used. */
GtkWidget *gw_noise_controls_get_plot (GwNoiseControls *controls);

/* It has been measured. */
void gw_noise_controls_set_measured (GwNoiseControls *controls, const GwPhotoNoise *noise);

G_END_DECLS

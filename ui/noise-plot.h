/* A small plot of the noise level over brightness: as measured in the photo, and the one in use.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#pragma once

#include <gtk/gtk.h>

#include "photo-noise.h"

G_BEGIN_DECLS

/* @noise: measured, and assumed, of a photo of @channels channels.  Shown until it is set again; nothing
 *         is before that. */
GtkWidget *gw_noise_plot_new (void);
void gw_noise_plot_set (GtkWidget *plot, const GwPhotoNoise *noise, int channels);

G_END_DECLS

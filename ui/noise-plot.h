/* A small plot of the noise level over brightness: as measured in the photo, and the one in use.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#pragma once

#include <gtk/gtk.h>

#include "photo-noise.h"

G_BEGIN_DECLS

/* @noise: what gw_photo_noise_measure() found in a photo of @channels channels.  @levels: white noise in 8-bit levels that is
 * used instead, or 0.  Shown until it is set again; nothing is before that. */
GtkWidget *gw_noise_plot_new (void);
void gw_noise_plot_set (GtkWidget *plot, const GwPhotoNoise *noise, int channels, double levels);

G_END_DECLS

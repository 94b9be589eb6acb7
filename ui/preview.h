/* The preview: a part of the photo at its own size, noisy, denoised, both side by side, or its uncertainty;
 * and a map of the whole photo that shows where.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#pragma once

#include <gtk/gtk.h>

#include <gegl.h>

G_BEGIN_DECLS

typedef enum
{
  GW_VIEW_DENOISED,
  GW_VIEW_UNCERTAINTY,
  GW_VIEW_NOISY,
  GW_VIEW_SPLIT /* noisy on the left of a divider that can be dragged */
} GwView;

typedef struct _GwPreview GwPreview;

/* Somebody has moved, resized or zoomed the preview; a moment after the last of such changes. */
typedef void (*GwPreviewMoved) (gpointer data);
/* A key asks for another view. */
typedef void (*GwPreviewView) (GwView view, gpointer data);

/**
 * gw_preview_new:
 * @photo: must not change
 * @x, @y: the pixel to begin with, in the middle
 *
 * The two widgets belong to their containers.  To be freed when they are destroyed.
 */
GwPreview *gw_preview_new (GeglBuffer *photo, double x, double y, GwPreviewMoved moved, GwPreviewView view,
                           gpointer data);
void gw_preview_free (GwPreview *preview);
GtkWidget *gw_preview_get_area (GwPreview *preview);
GtkWidget *gw_preview_get_map (GwPreview *preview);

/* The part of the photo that is seen. */
GeglRectangle gw_preview_get_region (GwPreview *preview);

void gw_preview_set_view (GwPreview *preview, GwView view);
void gw_preview_set_zoom (GwPreview *preview, int zoom);

/**
 * gw_preview_show:
 * @region: of the photo
 * @result: a picture of it, of whatever the view is to show beside the noisy photo
 *
 * It stays until another comes, wherever the preview moves.
 */
void gw_preview_show (GwPreview *preview, const GeglRectangle *region, GeglBuffer *result);

G_END_DECLS

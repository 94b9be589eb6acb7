/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "preview.h"

#include <math.h>
#include <glib/gi18n-lib.h>

#define SMALLEST 480   /* pixels a side */
#define MAP 150        /* pixels, longer side */
#define PAUSE 150      /* milliseconds without a change after which the preview is computed */
#define MAP_DELAY 500  /* milliseconds after which the map is made */
#define GRIP 8         /* pixels to either side of the divider where it can be taken */
#define CLICK 3        /* pixels that the pointer may move in a click */
#define LARGEST_ZOOM 4 /* screen pixels a pixel, each way */

typedef enum
{
  DRAG_NONE,
  DRAG_PHOTO,
  DRAG_DIVIDER
} Drag;

struct _GwPreview
{
  GeglBuffer *photo;
  GtkWidget *area, *map;
  cairo_surface_t *thumbnail;
  int width, height; /* of the area */
  GwPreviewMoved moved;
  GwPreviewView chosen;
  gpointer data;

  double x, y; /* of the photo, in the middle */
  int zoom;    /* screen pixels a pixel, each way */
  GwView view;
  double divider; /* share of the width on its left */

  GeglRectangle region; /* that the result is of */
  cairo_surface_t *result;

  Drag drag;
  double from_x, from_y;   /* pointer */
  double start_x, start_y; /* photo */
  guint pause, scaling;
};

/* ---- Geometry -------------------------------------------------------------------------------------------- */

static const GeglRectangle *
extent (const GwPreview *preview)
{
  return gegl_buffer_get_extent (preview->photo);
}

/* Along one axis: the first pixel seen, and how many, of a photo from @start on with @length pixels. */
static void
window (double centre, int screen, int zoom, int start, int length, int *first, int *count)
{
  *count = MIN ((screen + zoom - 1) / zoom, length);
  *first = CLAMP ((int) floor (centre - *count / 2.0 + 0.5), start, start + length - *count);
}

GeglRectangle
gw_preview_get_region (GwPreview *preview)
{
  const GeglRectangle *whole = extent (preview);
  GeglRectangle region;

  window (preview->x, preview->width, preview->zoom, whole->x, whole->width, &region.x, &region.width);
  window (preview->y, preview->height, preview->zoom, whole->y, whole->height, &region.y, &region.height);

  return region;
}

/* Where on the screen the region begins: a small photo is in the middle. */
static void
origin (GwPreview *preview, const GeglRectangle *region, double *x, double *y)
{
  *x = MAX (preview->width - region->width * preview->zoom, 0) / 2;
  *y = MAX (preview->height - region->height * preview->zoom, 0) / 2;
}

static gboolean
pause_over (gpointer data)
{
  GwPreview *preview = data;

  preview->pause = 0;
  preview->moved (preview->data);

  return G_SOURCE_REMOVE;
}

static void
changed (GwPreview *preview)
{
  g_clear_handle_id (&preview->pause, g_source_remove);
  preview->pause = g_timeout_add (PAUSE, pause_over, preview);
  gtk_widget_queue_draw (preview->area);
  gtk_widget_queue_draw (preview->map);
}

static void
resized (GwPreview *preview, const GdkRectangle *allocation)
{
  if (allocation->width == preview->width && allocation->height == preview->height)
    return;
  preview->width = allocation->width;
  preview->height = allocation->height;
  changed (preview);
}

/* What lies beyond the edge cannot be the middle, or dragging would first have to bring it back. */
static void
move_to (GwPreview *preview, double x, double y)
{
  const GeglRectangle region = gw_preview_get_region (preview);
  const GeglRectangle *whole = extent (preview);

  preview->x = CLAMP (x, whole->x + region.width / 2.0, whole->x + whole->width - region.width / 2.0);
  preview->y = CLAMP (y, whole->y + region.height / 2.0, whole->y + whole->height - region.height / 2.0);
  changed (preview);
}

/* ---- Drawing --------------------------------------------------------------------------------------------- */

static cairo_surface_t *
to_surface (GeglBuffer *buffer, const GeglRectangle *region, double scale)
{
  cairo_surface_t *surface = cairo_image_surface_create (CAIRO_FORMAT_ARGB32, region->width, region->height);

  gegl_buffer_get (buffer, region, scale, babl_format ("cairo-ARGB32"),
                   cairo_image_surface_get_data (surface), cairo_image_surface_get_stride (surface),
                   GEGL_ABYSS_CLAMP);
  cairo_surface_mark_dirty (surface);

  return surface;
}

static void
paint (cairo_t *cr, cairo_surface_t *surface, double x, double y)
{
  cairo_set_source_surface (cr, surface, x, y);
  cairo_pattern_set_filter (cairo_get_source (cr), CAIRO_FILTER_NEAREST);
  cairo_paint (cr);
}

static gboolean
draw_area (GtkWidget *area, cairo_t *cr, GwPreview *preview)
{
  const GeglRectangle region = gw_preview_get_region (preview);
  const int width = preview->width, height = preview->height;
  const double divider = rint (preview->divider * width);
  cairo_surface_t *noisy = to_surface (preview->photo, &region, 1.0);
  double x, y;

  origin (preview, &region, &x, &y);
  cairo_save (cr);
  cairo_translate (cr, x, y);
  cairo_scale (cr, preview->zoom, preview->zoom);
  paint (cr, noisy, 0, 0);
  cairo_restore (cr);
  cairo_surface_destroy (noisy);

  if (preview->result && preview->view != GW_VIEW_NOISY)
    {
      cairo_save (cr);
      if (preview->view == GW_VIEW_SPLIT)
        {
          cairo_rectangle (cr, divider, 0, width - divider, height);
          cairo_clip (cr);
        }
      cairo_translate (cr, x, y);
      cairo_scale (cr, preview->zoom, preview->zoom);
      paint (cr, preview->result, preview->region.x - region.x, preview->region.y - region.y);
      cairo_restore (cr);
    }

  if (preview->view == GW_VIEW_SPLIT)
    for (int side = 0; side < 2; side++) /* to be seen on light and on dark */
      {
        cairo_set_source_rgb (cr, side, side, side);
        cairo_rectangle (cr, divider - side, 0, 1, height);
        cairo_fill (cr);
      }
  if (gtk_widget_has_visible_focus (area))
    gtk_render_focus (gtk_widget_get_style_context (area), cr, 0, 0, width, height);
  g_debug ("drawn");

  return TRUE;
}

static void
map_size (const GwPreview *preview, double *scale, int *width, int *height)
{
  const GeglRectangle *whole = extent (preview);

  *scale = (double) MAP / MAX (whole->width, whole->height);
  *width = MAX (1, (int) (whole->width * *scale));
  *height = MAX (1, (int) (whole->height * *scale));
}

/* A large photo takes a while to be scaled, and the first look is waited for more. */
static gboolean
make_thumbnail (gpointer data)
{
  GwPreview *preview = data;
  const GeglRectangle *whole = extent (preview);
  double scale;
  int width, height;

  map_size (preview, &scale, &width, &height);
  preview->thumbnail = to_surface (preview->photo,
                                   GEGL_RECTANGLE (whole->x * scale, whole->y * scale, width, height), scale);
  preview->scaling = 0;
  gtk_widget_queue_draw (preview->map);

  return G_SOURCE_REMOVE;
}

static gboolean
draw_map (GtkWidget *map, cairo_t *cr, GwPreview *preview)
{
  const GeglRectangle region = gw_preview_get_region (preview);
  const GeglRectangle *whole = extent (preview);
  double scale;
  int width, height;

  map_size (preview, &scale, &width, &height);
  if (!preview->thumbnail)
    {
      if (!preview->scaling)
        preview->scaling = g_timeout_add (MAP_DELAY, make_thumbnail, preview);
      return TRUE;
    }
  paint (cr, preview->thumbnail, 0, 0);

  cairo_rectangle (cr, floor ((region.x - whole->x) * scale) + 0.5,
                   floor ((region.y - whole->y) * scale) + 0.5, MAX (floor (region.width * scale) - 1, 2),
                   MAX (floor (region.height * scale) - 1, 2));
  cairo_set_line_width (cr, 3);
  cairo_set_source_rgb (cr, 0, 0, 0);
  cairo_stroke_preserve (cr);
  cairo_set_line_width (cr, 1);
  cairo_set_source_rgb (cr, 1, 1, 1);
  cairo_stroke (cr);

  return TRUE;
}

/* ---- Pointer and keys ------------------------------------------------------------------------------------ */

static gboolean
is_on_divider (GwPreview *preview, double x)
{
  return preview->view == GW_VIEW_SPLIT && fabs (x - preview->divider * preview->width) <= GRIP;
}

static gboolean
press_area (GtkWidget *area, GdkEventButton *event, GwPreview *preview)
{
  if (event->button != GDK_BUTTON_PRIMARY || event->type != GDK_BUTTON_PRESS)
    return FALSE;

  gtk_widget_grab_focus (area);
  preview->drag = is_on_divider (preview, event->x) ? DRAG_DIVIDER : DRAG_PHOTO;
  preview->from_x = event->x;
  preview->from_y = event->y;
  move_to (preview, preview->x, preview->y);
  preview->start_x = preview->x;
  preview->start_y = preview->y;

  return TRUE;
}

static gboolean
drag_area (GtkWidget *area, GdkEventMotion *event, GwPreview *preview)
{
  const char *cursor = preview->drag == DRAG_PHOTO         ? "grabbing"
                       : is_on_divider (preview, event->x) ? "col-resize"
                                                           : "grab";
  g_autoptr (GdkCursor) shape = gdk_cursor_new_from_name (gtk_widget_get_display (area), cursor);

  gdk_window_set_cursor (gtk_widget_get_window (area), shape);
  if (preview->drag == DRAG_PHOTO)
    move_to (preview, preview->start_x - (event->x - preview->from_x) / preview->zoom,
             preview->start_y - (event->y - preview->from_y) / preview->zoom);
  else if (preview->drag == DRAG_DIVIDER)
    {
      preview->divider = CLAMP (event->x / preview->width, 0, 1);
      gtk_widget_queue_draw (area);
    }
  return TRUE;
}

/* A click without moving brings what was clicked to the middle. */
static gboolean
release_area (GtkWidget *area, GdkEventButton *event, GwPreview *preview)
{
  const double off_x = event->x - preview->width / 2.0;
  const double off_y = event->y - preview->height / 2.0;

  if (preview->drag == DRAG_PHOTO && hypot (event->x - preview->from_x, event->y - preview->from_y) <= CLICK)
    move_to (preview, preview->start_x + off_x / preview->zoom, preview->start_y + off_y / preview->zoom);
  preview->drag = DRAG_NONE;

  return TRUE;
}

static gboolean
scroll_area (GtkWidget *area, GdkEventScroll *event, GwPreview *preview)
{
  if (event->direction != GDK_SCROLL_UP && event->direction != GDK_SCROLL_DOWN)
    return FALSE;
  gw_preview_set_zoom (preview, preview->zoom + (event->direction == GDK_SCROLL_UP ? 1 : -1));

  return TRUE;
}

static gboolean
press_key (GtkWidget *area, GdkEventKey *event, GwPreview *preview)
{
  const double step = 64.0 / preview->zoom;
  static const struct
  {
    guint key;
    GwView view;
  } views[] = { { GDK_KEY_1, GW_VIEW_NOISY },
                { GDK_KEY_2, GW_VIEW_DENOISED },
                { GDK_KEY_3, GW_VIEW_UNCERTAINTY },
                { GDK_KEY_4, GW_VIEW_SPLIT } };

  if (event->state & (GDK_CONTROL_MASK | GDK_MOD1_MASK))
    return FALSE;
  for (guint i = 0; i < G_N_ELEMENTS (views); i++)
    if (event->keyval == views[i].key)
      {
        preview->chosen (views[i].view, preview->data);
        return TRUE;
      }
  switch (event->keyval)
    {
    case GDK_KEY_space: /* there and back */
      preview->chosen (preview->view == GW_VIEW_NOISY ? GW_VIEW_DENOISED : GW_VIEW_NOISY, preview->data);
      return TRUE;
    case GDK_KEY_plus:
    case GDK_KEY_KP_Add:
      gw_preview_set_zoom (preview, preview->zoom + 1);
      return TRUE;
    case GDK_KEY_minus:
    case GDK_KEY_KP_Subtract:
      gw_preview_set_zoom (preview, preview->zoom - 1);
      return TRUE;
    case GDK_KEY_Left:
      move_to (preview, preview->x - step, preview->y);
      return TRUE;
    case GDK_KEY_Right:
      move_to (preview, preview->x + step, preview->y);
      return TRUE;
    case GDK_KEY_Up:
      move_to (preview, preview->x, preview->y - step);
      return TRUE;
    case GDK_KEY_Down:
      move_to (preview, preview->x, preview->y + step);
      return TRUE;
    default:
      return FALSE;
    }
}

static void
point_map (GwPreview *preview, double x, double y)
{
  const GeglRectangle *whole = extent (preview);
  double scale;
  int width, height;

  map_size (preview, &scale, &width, &height);
  move_to (preview, whole->x + x / scale, whole->y + y / scale);
}

static gboolean
press_map (GtkWidget *map, GdkEventButton *event, GwPreview *preview)
{
  point_map (preview, event->x, event->y);

  return TRUE;
}

static gboolean
drag_map (GtkWidget *map, GdkEventMotion *event, GwPreview *preview)
{
  point_map (preview, event->x, event->y);

  return TRUE;
}

/* ---- Public ---------------------------------------------------------------------------------------------- */

GwPreview *
gw_preview_new (GeglBuffer *photo, double x, double y, GwPreviewMoved moved, GwPreviewView view,
                gpointer data)
{
  GwPreview *preview = g_new0 (GwPreview, 1);
  double scale;
  int width, height;

  preview->photo = g_object_ref (photo);
  preview->x = x;
  preview->y = y;
  preview->zoom = 1;
  preview->divider = 0.5;
  preview->width = preview->height = SMALLEST; /* what it will be of, most likely */
  preview->moved = moved;
  preview->chosen = view;
  preview->data = data;

  preview->area = gtk_drawing_area_new ();
  gtk_widget_set_size_request (preview->area, SMALLEST, SMALLEST);
  gtk_widget_set_can_focus (preview->area, TRUE);
  gtk_widget_add_events (preview->area, GDK_BUTTON_PRESS_MASK | GDK_BUTTON_RELEASE_MASK
                                            | GDK_POINTER_MOTION_MASK | GDK_SCROLL_MASK | GDK_KEY_PRESS_MASK);
  /* No tooltip, which would hide what one wants to see. */
  atk_object_set_name (gtk_widget_get_accessible (preview->area), _ ("Preview"));
  atk_object_set_description (gtk_widget_get_accessible (preview->area),
                              _ ("Keys: 1 noisy, 2 denoised, 3 uncertainty, 4 noisy and denoised, space to "
                                 "and fro, + and − zoom, arrows move"));
  g_signal_connect (preview->area, "draw", G_CALLBACK (draw_area), preview);
  g_signal_connect_swapped (preview->area, "size-allocate", G_CALLBACK (resized), preview);
  g_signal_connect (preview->area, "button-press-event", G_CALLBACK (press_area), preview);
  g_signal_connect (preview->area, "motion-notify-event", G_CALLBACK (drag_area), preview);
  g_signal_connect (preview->area, "button-release-event", G_CALLBACK (release_area), preview);
  g_signal_connect (preview->area, "scroll-event", G_CALLBACK (scroll_area), preview);
  g_signal_connect (preview->area, "key-press-event", G_CALLBACK (press_key), preview);

  preview->map = gtk_drawing_area_new ();
  map_size (preview, &scale, &width, &height);
  gtk_widget_set_size_request (preview->map, width, height);
  gtk_widget_set_halign (preview->map, GTK_ALIGN_START);
  gtk_widget_set_valign (preview->map, GTK_ALIGN_START);
  gtk_widget_add_events (preview->map, GDK_BUTTON_PRESS_MASK | GDK_BUTTON1_MOTION_MASK);
  gtk_widget_set_tooltip_text (preview->map, _ ("The whole photo. Click to see that part in the preview"));
  atk_object_set_name (gtk_widget_get_accessible (preview->map), _ ("The whole photo"));
  g_signal_connect (preview->map, "draw", G_CALLBACK (draw_map), preview);
  g_signal_connect (preview->map, "button-press-event", G_CALLBACK (press_map), preview);
  g_signal_connect (preview->map, "motion-notify-event", G_CALLBACK (drag_map), preview);

  return preview;
}

void
gw_preview_free (GwPreview *preview)
{
  g_clear_handle_id (&preview->pause, g_source_remove);
  g_clear_handle_id (&preview->scaling, g_source_remove);
  g_clear_pointer (&preview->thumbnail, cairo_surface_destroy);
  g_clear_pointer (&preview->result, cairo_surface_destroy);
  g_object_unref (preview->photo);
  g_free (preview);
}

GtkWidget *
gw_preview_get_area (GwPreview *preview)
{
  return preview->area;
}

GtkWidget *
gw_preview_get_map (GwPreview *preview)
{
  return preview->map;
}

void
gw_preview_set_view (GwPreview *preview, GwView view)
{
  preview->view = view;
  gtk_widget_queue_draw (preview->area);
}

void
gw_preview_set_zoom (GwPreview *preview, int zoom)
{
  preview->zoom = CLAMP (zoom, 1, LARGEST_ZOOM);
  move_to (preview, preview->x, preview->y);
}

void
gw_preview_show (GwPreview *preview, const GeglRectangle *region, GeglBuffer *result)
{
  g_clear_pointer (&preview->result, cairo_surface_destroy);
  preview->region = *region;
  preview->result = to_surface (result, gegl_buffer_get_extent (result), 1.0);
  gtk_widget_queue_draw (preview->area);
}

/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "noise-plot.h"

#include <math.h>
#include <glib/gi18n-lib.h>

#define WIDTH 150
#define HEIGHT 100
#define MARGIN 4
#define DOT 1.7

typedef struct
{
  float measured[3][GW_KNOTS]; /* 8-bit levels */
  float assumed[3][GW_KNOTS];
  int channels; /* 0: nothing is known yet */
} Plot;

/* A round number that is not below @highest. */
static double
scale_end (double highest)
{
  static const double ends[] = { 1, 2, 3, 5, 10, 15, 20, 30, 50, 75, 100, 150 };

  for (guint i = 0; i < G_N_ELEMENTS (ends); i++)
    if (highest <= ends[i])
      return ends[i];

  return ceil (highest / 100) * 100;
}

/* What was measured as dots, what is used as a line. */
static void
draw_curve (cairo_t *cr, const Plot *plot, int channel, double width, double height, double end)
{
  for (int k = 0; k < GW_KNOTS; k++)
    cairo_line_to (cr, width * k / (GW_KNOTS - 1), height * (1 - plot->assumed[channel][k] / end));
  cairo_stroke (cr);
  for (int k = 0; k < GW_KNOTS; k++)
    {
      cairo_arc (cr, width * k / (GW_KNOTS - 1), height * (1 - plot->measured[channel][k] / end), DOT, 0,
                 2 * G_PI);
      cairo_fill (cr);
    }
}

static gboolean
draw (GtkWidget *widget, cairo_t *cr, Plot *plot)
{
  static const double colours[3][3] = { { 0.85, 0.25, 0.2 }, { 0.2, 0.6, 0.25 }, { 0.25, 0.45, 0.9 } };
  const double width = WIDTH - 2 * MARGIN, height = HEIGHT - 2 * MARGIN;
  GtkStyleContext *style = gtk_widget_get_style_context (widget);
  g_autoptr (PangoLayout) layout = NULL;
  g_autofree char *text = NULL;
  double end = 0;
  GdkRGBA ink;

  gtk_style_context_get_color (style, gtk_style_context_get_state (style), &ink);
  for (int c = 0; c < plot->channels; c++)
    for (int k = 0; k < GW_KNOTS; k++)
      end = MAX (end, MAX (plot->measured[c][k], plot->assumed[c][k]));
  end = scale_end (end);

  cairo_translate (cr, MARGIN, MARGIN);
  cairo_set_line_width (cr, 1);
  gdk_cairo_set_source_rgba (cr, &ink);
  cairo_move_to (cr, 0.5, 0);
  cairo_line_to (cr, 0.5, height - 0.5);
  cairo_line_to (cr, width, height - 0.5);
  cairo_stroke (cr);
  if (plot->channels == 0)
    return TRUE;

  text = g_strdup_printf (_ ("%g levels"), end);
  layout = gtk_widget_create_pango_layout (widget, text);
  cairo_move_to (cr, 4, 0);
  pango_cairo_show_layout (cr, layout);
  cairo_new_path (cr);

  for (int c = 0; c < plot->channels; c++)
    {
      if (plot->channels == 3)
        cairo_set_source_rgb (cr, colours[c][0], colours[c][1], colours[c][2]);
      draw_curve (cr, plot, c, width, height, end);
    }
  return TRUE;
}

GtkWidget *
gw_noise_plot_new (void)
{
  GtkWidget *widget = gtk_drawing_area_new ();
  Plot *plot = g_new0 (Plot, 1);

  gtk_widget_set_size_request (widget, WIDTH, HEIGHT);
  gtk_widget_set_valign (widget, GTK_ALIGN_START);
  gtk_widget_set_tooltip_text (widget, _ ("Noise level from black to white, as measured in the photo: "
                                          "red, green, blue. The line is what is used"));
  atk_object_set_name (gtk_widget_get_accessible (widget), _ ("Noise level over brightness"));
  g_object_set_data_full (G_OBJECT (widget), "plot", plot, g_free);
  g_signal_connect (widget, "draw", G_CALLBACK (draw), plot);

  return widget;
}

void
gw_noise_plot_set (GtkWidget *widget, const GwPhotoNoise *noise, int channels)
{
  Plot *plot = g_object_get_data (G_OBJECT (widget), "plot");

  plot->channels = channels;
  for (int c = 0; c < channels; c++)
    for (int k = 0; k < GW_KNOTS; k++)
      {
        plot->measured[c][k] = 255 * noise->measured.level[c][k];
        plot->assumed[c][k] = 255 * noise->assumed.level[c][k];
      }
  gtk_widget_queue_draw (widget);
}

/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "uncertainty.h"

#include <math.h>
#include <pango/pangocairo.h>
#include <glib/gi18n-lib.h>

/* ---- Scale ----------------------------------------------------------------------------------------------- */

#define BINS 4096
#define BEYOND 0.002 /* share of the pixels that may lie beyond the end of the scale */

/* The smallest of 1, 1.25, 1.5, 2 ... 8, 10, 12.5 ... that is not below @value. */
static double
round_up (double value)
{
  static const double steps[] = { 1, 1.25, 1.5, 2, 2.5, 3, 4, 5, 6, 8, 10 };
  const double decade = pow (10, floor (log10 (value)));

  for (guint i = 0; i < G_N_ELEMENTS (steps); i++)
    if (steps[i] * decade >= value * (1 - 1e-9))
      return steps[i] * decade;

  return 10 * decade;
}

double
gw_uncertainty_white (GeglBuffer *sd)
{
  g_autofree gint64 *counts = g_new0 (gint64, BINS);
  GeglBufferIterator *iter;
  float max = 0;
  gint64 beyond = 0, total = 0;
  int bin;

  iter = gegl_buffer_iterator_new (sd, NULL, 0, NULL, GEGL_ACCESS_READ, GEGL_ABYSS_NONE, 1);
  while (gegl_buffer_iterator_next (iter))
    for (int i = 0; i < iter->length; i++)
      max = MAX (max, ((const float *) iter->items[0].data)[i]);
  if (!(max > 0) || !isfinite (max))
    return 1;

  iter = gegl_buffer_iterator_new (sd, NULL, 0, NULL, GEGL_ACCESS_READ, GEGL_ABYSS_NONE, 1);
  while (gegl_buffer_iterator_next (iter))
    {
      for (int i = 0; i < iter->length; i++)
        counts[CLAMP ((int) (((const float *) iter->items[0].data)[i] / max * BINS), 0, BINS - 1)]++;
      total += iter->length;
    }
  for (bin = BINS - 1; bin > 0 && beyond + counts[bin] <= BEYOND * total; bin--)
    beyond += counts[bin];

  return round_up (255 * max * (bin + 1) / BINS);
}

/* ---- Colours --------------------------------------------------------------------------------------------- */

/* Polynomials through matplotlib's "magma" (Smith, van der Walt; CC0), fitted by Matt Zucker. */
void
gw_uncertainty_colour (float value, guint8 rgb[3])
{
  static const float c[7][3] = {
    { -0.002136485f, -0.000749655f, -0.005386128f }, { 0.2516605f, 0.6775232f, 2.4940264f },
    { 8.3537173f, -3.5777195f, 0.31446797f },        { -27.668733f, 14.264731f, -13.649213f },
    { 52.17614f, -27.943606f, 12.944169f },          { -50.768526f, 29.046583f, 4.234153f },
    { 18.655706f, -11.489774f, -5.6019615f },
  };
  const float t = CLAMP (value, 0, 1);

  for (int k = 0; k < 3; k++)
    {
      float sum = c[6][k];

      for (int i = 5; i >= 0; i--)
        sum = sum * t + c[i][k];
      rgb[k] = CLAMP (lrintf (255 * sum), 0, 255);
    }
}

/* ---- Picture --------------------------------------------------------------------------------------------- */

#define PAPER "R'G'B' u8"

static PangoLayout *
text_layout (cairo_t *cr, const char *text, double size)
{
  PangoLayout *layout = pango_cairo_create_layout (cr);
  PangoFontDescription *font = pango_font_description_from_string ("Sans");

  pango_font_description_set_absolute_size (font, size * PANGO_SCALE);
  pango_layout_set_font_description (layout, font);
  pango_layout_set_text (layout, text, -1);
  pango_font_description_free (font);

  return layout;
}

static void
show_text (cairo_t *cr, const char *text, double size, double x, double middle)
{
  g_autoptr (PangoLayout) layout = text_layout (cr, text, size);
  int height;

  pango_layout_get_pixel_size (layout, NULL, &height);
  cairo_move_to (cr, x, middle - 0.5 * height);
  pango_cairo_show_layout (cr, layout);
}

static int
text_width (cairo_t *cr, const char *text, double size)
{
  g_autoptr (PangoLayout) layout = text_layout (cr, text, size);
  int width;

  pango_layout_get_pixel_size (layout, &width, NULL);

  return width;
}

/* The scale, @height pixels high: a bar of all colours, ticks, and above it what they mean. */
static cairo_surface_t *
draw_scale (int height, double white)
{
  const double size = CLAMP (height / 36.0, 12, 48);
  const int top = 3.5 * size, bottom = height - size;
  cairo_surface_t *measure = cairo_image_surface_create (CAIRO_FORMAT_RGB24, 1, 1);
  cairo_t *cr = cairo_create (measure);
  /* translators: heading of a colour scale: the posterior standard deviation, in steps of 1/255 of white */
  const char *title[] = { _ ("Uncertainty"), _ ("sd, levels") };
  const int width
      = 2 * size + MAX (5 * size, MAX (text_width (cr, title[0], size), text_width (cr, title[1], size)));
  cairo_surface_t *surface = cairo_image_surface_create (CAIRO_FORMAT_RGB24, width, height);

  cairo_destroy (cr);
  cairo_surface_destroy (measure);
  cr = cairo_create (surface);
  cairo_set_source_rgb (cr, 1, 1, 1);
  cairo_paint (cr);

  for (int y = top; y < bottom; y++)
    {
      guint8 rgb[3];

      gw_uncertainty_colour ((bottom - 0.5 - y) / (bottom - top), rgb);
      cairo_set_source_rgb (cr, rgb[0] / 255.0, rgb[1] / 255.0, rgb[2] / 255.0);
      cairo_rectangle (cr, size, y, 1.5 * size, 1);
      cairo_fill (cr);
    }
  cairo_set_source_rgb (cr, 0, 0, 0);
  show_text (cr, title[0], size, size, 1.0 * size);
  show_text (cr, title[1], size, size, 2.2 * size);
  for (int i = 0; i <= 4; i++)
    {
      const double y = bottom - i * (bottom - top) / 4.0;
      g_autofree char *label = g_strdup_printf ("%.3g", white * i / 4);

      cairo_rectangle (cr, 2.5 * size, y - 0.5, 0.4 * size, 1);
      cairo_fill (cr);
      show_text (cr, label, size, 3.1 * size, y);
    }
  cairo_destroy (cr);
  cairo_surface_flush (surface);

  return surface;
}

static void
paint_map (GeglBuffer *sd, double white, GeglBuffer *picture)
{
  GeglBufferIterator *iter = gegl_buffer_iterator_new (
      picture, gegl_buffer_get_extent (sd), 0, babl_format (PAPER), GEGL_ACCESS_WRITE, GEGL_ABYSS_NONE, 2);

  gegl_buffer_iterator_add (iter, sd, NULL, 0, NULL, GEGL_ACCESS_READ, GEGL_ABYSS_NONE);
  while (gegl_buffer_iterator_next (iter))
    for (int i = 0; i < iter->length; i++)
      gw_uncertainty_colour (((const float *) iter->items[1].data)[i] * 255 / white,
                             (guint8 *) iter->items[0].data + 3 * i);
}

GeglBuffer *
gw_uncertainty_picture (GeglBuffer *sd, double white)
{
  const int map_width = gegl_buffer_get_width (sd);
  const int map_height = gegl_buffer_get_height (sd);
  const int height = CLAMP (map_height, 240, 2000); /* readable, and small enough for cairo */
  cairo_surface_t *scale = draw_scale (height, white);
  const int width = cairo_image_surface_get_width (scale);
  GeglBuffer *picture = gegl_buffer_new (GEGL_RECTANGLE (0, 0, map_width + width, MAX (map_height, height)),
                                         babl_format (PAPER));
  GeglColor *paper = gegl_color_new ("white");

  gegl_buffer_set_color (picture, NULL, paper);
  g_object_unref (paper);
  paint_map (sd, white, picture);
  gegl_buffer_set (picture, GEGL_RECTANGLE (map_width, 0, width, height), 0, babl_format ("cairo-RGB24"),
                   cairo_image_surface_get_data (scale), cairo_image_surface_get_stride (scale));
  cairo_surface_destroy (scale);

  return picture;
}

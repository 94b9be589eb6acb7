/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "uncertainty.h"

#include <math.h>
#include <pango/pangocairo.h>
#include <glib/gi18n-lib.h>

/* ---- Quantities ------------------------------------------------------------------------------------------ */

#define INTERVAL (2 * 1.96) /* standard deviations that hold 95 % */
#define NEIGHBOURHOOD 3.0   /* pixels: standard deviation of the window that contrast is local to */

const char *
gw_quantity_name (GwQuantity quantity)
{
  static const char *names[]
      = { "none", "standard deviation", "variance", "95 % interval", "relative to contrast" };

  return names[quantity];
}

const char *
gw_quantity_unit (GwQuantity quantity)
{
  static const char *units[] = { "", "levels", "levels^2", "levels", "share" };

  return units[quantity];
}

const char *
gw_quantity_title (GwQuantity quantity)
{
  /* xgettext:no-c-format */
  const char *interval = _ ("Uncertainty, 95 % interval");
  const char *titles[]
      = { "", _ ("Uncertainty, sd"), _ ("Uncertainty, variance"), interval, _ ("Uncertainty over contrast") };

  return titles[quantity];
}

char *
gw_quantity_format (GwQuantity quantity, double value)
{
  switch (quantity)
    {
    case GW_QUANTITY_VARIANCE:
      return g_strdup_printf (_ ("%.4g levels²"), value);
    case GW_QUANTITY_RELATIVE:
      return g_strdup_printf (_ ("%.3g %%"), 100 * value);
    default:
      return g_strdup_printf (_ ("%.4g levels"), value);
    }
}

double
gw_quantity_to_sd (GwQuantity quantity, double value)
{
  return quantity == GW_QUANTITY_RELATIVE   ? -1
         : quantity == GW_QUANTITY_VARIANCE ? sqrt (MAX (value, 0))
         : quantity == GW_QUANTITY_INTERVAL ? value / INTERVAL
                                            : value;
}

int
gw_quantity_reach (GwQuantity quantity)
{
  return quantity == GW_QUANTITY_RELATIVE ? 4 * NEIGHBOURHOOD : 0;
}

/* Luminance, its square, and the variance, in the place of red, green and blue, since a blur takes all
 * three at once. */
static GeglBuffer *
moments (const GwDenoised *denoised)
{
  const Babl *format = babl_format_with_space ("Y' float", gegl_buffer_get_format (denoised->denoised));
  GeglBuffer *result = gegl_buffer_new (gegl_buffer_get_extent (denoised->sd), babl_format ("RGB float"));
  GeglBufferIterator *iter
      = gegl_buffer_iterator_new (result, NULL, 0, NULL, GEGL_ACCESS_WRITE, GEGL_ABYSS_NONE, 3);

  gegl_buffer_iterator_add (iter, denoised->denoised, NULL, 0, format, GEGL_ACCESS_READ, GEGL_ABYSS_NONE);
  gegl_buffer_iterator_add (iter, denoised->sd, NULL, 0, NULL, GEGL_ACCESS_READ, GEGL_ABYSS_NONE);
  while (gegl_buffer_iterator_next (iter))
    for (int i = 0; i < iter->length; i++)
      {
        const float value = ((const float *) iter->items[1].data)[i],
                    sd = ((const float *) iter->items[2].data)[i];
        float *out = (float *) iter->items[0].data + 3 * i;

        out[0] = isfinite (value) ? value : 0;
        out[1] = out[0] * out[0];
        out[2] = sd * sd;
      }
  return result;
}

static GeglBuffer *
blur (GeglBuffer *buffer)
{
  g_autoptr (GeglNode) graph = gegl_node_new ();
  GeglNode *source = gegl_node_new_child (graph, "operation", "gegl:buffer-source", "buffer", buffer, NULL);
  GeglNode *gaussian = gegl_node_new_child (graph, "operation", "gegl:gaussian-blur", "std-dev-x",
                                            NEIGHBOURHOOD, "std-dev-y", NEIGHBOURHOOD, "abyss-policy",
                                            1 /* clamp */, "clip-extent", TRUE, NULL);
  GeglBuffer *result = NULL;
  GeglNode *sink = gegl_node_new_child (graph, "operation", "gegl:buffer-sink", "buffer", &result, NULL);

  gegl_node_link_many (source, gaussian, sink, NULL);
  gegl_node_process (sink);

  return result;
}

/* The variance over that of all that is seen in the neighbourhood: the denoised photo's and itself. */
static GeglBuffer *
relative_map (const GwDenoised *denoised)
{
  g_autoptr (GeglBuffer) sharp = moments (denoised);
  g_autoptr (GeglBuffer) blurred = blur (sharp);
  GeglBuffer *map = gegl_buffer_new (gegl_buffer_get_extent (denoised->sd), babl_format ("Y float"));
  GeglBufferIterator *iter
      = gegl_buffer_iterator_new (map, NULL, 0, NULL, GEGL_ACCESS_WRITE, GEGL_ABYSS_NONE, 2);

  gegl_buffer_iterator_add (iter, blurred, gegl_buffer_get_extent (map), 0, babl_format ("RGB float"),
                            GEGL_ACCESS_READ, GEGL_ABYSS_NONE);
  while (gegl_buffer_iterator_next (iter))
    for (int i = 0; i < iter->length; i++)
      {
        const float *in = (const float *) iter->items[1].data + 3 * i;
        const float contrast = MAX (in[1] - in[0] * in[0], 0);

        ((float *) iter->items[0].data)[i] = in[2] > 0 ? sqrtf (in[2] / (in[2] + contrast)) : 0;
      }
  return map;
}

GeglBuffer *
gw_uncertainty_map (GwQuantity quantity, const GwDenoised *denoised)
{
  GeglBuffer *map;
  GeglBufferIterator *iter;

  if (quantity == GW_QUANTITY_RELATIVE)
    return relative_map (denoised);
  map = gegl_buffer_new (gegl_buffer_get_extent (denoised->sd), babl_format ("Y float"));
  iter = gegl_buffer_iterator_new (map, NULL, 0, NULL, GEGL_ACCESS_WRITE, GEGL_ABYSS_NONE, 2);
  gegl_buffer_iterator_add (iter, denoised->sd, NULL, 0, NULL, GEGL_ACCESS_READ, GEGL_ABYSS_NONE);
  while (gegl_buffer_iterator_next (iter))
    for (int i = 0; i < iter->length; i++)
      {
        const float sd = 255 * ((const float *) iter->items[1].data)[i];

        ((float *) iter->items[0].data)[i] = quantity == GW_QUANTITY_VARIANCE   ? sd * sd
                                             : quantity == GW_QUANTITY_INTERVAL ? INTERVAL * sd
                                                                                : sd;
      }
  return map;
}

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
gw_uncertainty_end (GwQuantity quantity, GeglBuffer *map)
{
  g_autofree gint64 *counts = g_new0 (gint64, BINS);
  GeglBufferIterator *iter;
  float max = 0;
  gint64 beyond = 0, total = 0;
  int bin;

  if (quantity == GW_QUANTITY_RELATIVE)
    return 1;
  iter = gegl_buffer_iterator_new (map, NULL, 0, NULL, GEGL_ACCESS_READ, GEGL_ABYSS_NONE, 1);
  while (gegl_buffer_iterator_next (iter))
    for (int i = 0; i < iter->length; i++)
      max = MAX (max, ((const float *) iter->items[0].data)[i]);
  if (!(max > 0) || !isfinite (max))
    return 1;

  iter = gegl_buffer_iterator_new (map, NULL, 0, NULL, GEGL_ACCESS_READ, GEGL_ABYSS_NONE, 1);
  while (gegl_buffer_iterator_next (iter))
    {
      for (int i = 0; i < iter->length; i++)
        counts[CLAMP ((int) (((const float *) iter->items[0].data)[i] / max * BINS), 0, BINS - 1)]++;
      total += iter->length;
    }
  for (bin = BINS - 1; bin > 0 && beyond + counts[bin] <= BEYOND * total; bin--)
    beyond += counts[bin];

  return round_up (max * (bin + 1) / BINS);
}

/* ---- Colours --------------------------------------------------------------------------------------------- */

void
gw_uncertainty_paint (GeglBuffer *map, double end, GwColours colours, GeglBuffer *picture)
{
  const Babl *format = babl_format_with_space ("R'G'B' float", gegl_buffer_get_format (picture));
  const Babl *grey = babl_format_with_space ("Y' float", gegl_buffer_get_format (picture));
  const gboolean coloured = colours != GW_COLOURS_GREY && gw_photo_channels (picture) == 3;
  GeglBufferIterator *iter
      = gegl_buffer_iterator_new (picture, gegl_buffer_get_extent (map), 0, coloured ? format : grey,
                                  GEGL_ACCESS_WRITE, GEGL_ABYSS_NONE, 2);

  gegl_buffer_iterator_add (iter, map, NULL, 0, NULL, GEGL_ACCESS_READ, GEGL_ABYSS_NONE);
  while (gegl_buffer_iterator_next (iter))
    for (int i = 0; i < iter->length; i++)
      {
        const float share = ((const float *) iter->items[1].data)[i] / end;

        if (coloured)
          gw_colours_paint (colours, share, (float *) iter->items[0].data + 3 * i);
        else
          ((float *) iter->items[0].data)[i] = share;
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

static cairo_surface_t *
draw_scale (GwQuantity quantity, double end, GwColours colours, int height)
{
  const double size = CLAMP (height / 36.0, 12, 48);
  const int top = 3.5 * size, bottom = height - size;
  cairo_surface_t *measure = cairo_image_surface_create (CAIRO_FORMAT_RGB24, 1, 1);
  cairo_t *cr = cairo_create (measure);
  const double unit = quantity == GW_QUANTITY_RELATIVE ? 100 : 1;
  const char *title[] = { gw_quantity_title (quantity), quantity == GW_QUANTITY_RELATIVE   ? "%"
                                                        : quantity == GW_QUANTITY_VARIANCE ? _ ("levels²")
                                                                                           : _ ("levels") };
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
      float rgb[3];

      gw_colours_paint (colours, (bottom - 0.5 - y) / (bottom - top), rgb);
      cairo_set_source_rgb (cr, rgb[0], rgb[1], rgb[2]);
      cairo_rectangle (cr, size, y, 1.5 * size, 1);
      cairo_fill (cr);
    }
  cairo_set_source_rgb (cr, 0, 0, 0);
  show_text (cr, title[0], size, size, 1.0 * size);
  show_text (cr, title[1], size, size, 2.2 * size);
  for (int i = 0; i <= 4; i++)
    {
      const double y = bottom - i * (bottom - top) / 4.0;
      g_autofree char *label = g_strdup_printf ("%.3g", unit * end * i / 4);

      cairo_rectangle (cr, 2.5 * size, y - 0.5, 0.4 * size, 1);
      cairo_fill (cr);
      show_text (cr, label, size, 3.1 * size, y);
    }
  cairo_destroy (cr);
  cairo_surface_flush (surface);

  return surface;
}

GeglBuffer *
gw_uncertainty_scale (GwQuantity quantity, double end, GwColours colours, int height)
{
  cairo_surface_t *surface = draw_scale (quantity, end, colours, CLAMP (height, 240, 2000)); /* readable */
  GeglBuffer *picture = gegl_buffer_new (GEGL_RECTANGLE (0, 0, cairo_image_surface_get_width (surface),
                                                         cairo_image_surface_get_height (surface)),
                                         babl_format (PAPER));

  gegl_buffer_set (picture, NULL, 0, babl_format ("cairo-RGB24"), cairo_image_surface_get_data (surface),
                   cairo_image_surface_get_stride (surface));
  cairo_surface_destroy (surface);

  return picture;
}

GeglBuffer *
gw_uncertainty_picture (GwQuantity quantity, GeglBuffer *map, GwColours colours)
{
  const int width = gegl_buffer_get_width (map), height = gegl_buffer_get_height (map);
  const double end = gw_uncertainty_end (quantity, map);
  g_autoptr (GeglBuffer) scale = gw_uncertainty_scale (quantity, end, colours, height);
  const GeglRectangle *size = gegl_buffer_get_extent (scale);
  GeglBuffer *picture = gegl_buffer_new (
      GEGL_RECTANGLE (0, 0, width + size->width, MAX (height, size->height)), babl_format (PAPER));
  GeglColor *paper = gegl_color_new ("white");

  gegl_buffer_set_color (picture, NULL, paper);
  g_object_unref (paper);
  gw_uncertainty_paint (map, end, colours, picture);
  gegl_buffer_copy (scale, NULL, GEGL_ABYSS_NONE, picture, GEGL_RECTANGLE (width, 0, 0, 0));

  return picture;
}

/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "readout.h"

#include <math.h>
#include <string.h>
#include <glib/gi18n-lib.h>
#include <json-glib/json-glib.h>

#include "layers.h"
#include "procedure.h"

/* How an uncertainty layer is to be read. */
typedef struct
{
  double white; /* what the lightest colour stands for */
  GwQuantity quantity;
  GwColours colours;
} Scale;

/* What an uncertainty layer says of itself. */
static gboolean
read_scale (GimpDrawable *layer, Scale *scale, GError **error)
{
  g_autofree char *name = gimp_item_get_name (GIMP_ITEM (layer));
  GimpParasite *parasite = gimp_item_get_parasite (GIMP_ITEM (layer), GW_PARASITE);
  g_autoptr (JsonParser) parser = json_parser_new ();
  guint32 size = 0;
  const char *text = parasite ? gimp_parasite_get_data (parasite, &size) : NULL;

  *scale = (Scale) { 0 };
  if (text && size > 0 && json_parser_load_from_data (parser, text, strnlen (text, size), NULL)
      && JSON_NODE_HOLDS_OBJECT (json_parser_get_root (parser)))
    {
      JsonObject *object = json_node_get_object (json_parser_get_root (parser));
      const char *quantity = json_object_get_string_member_with_default (object, "quantity", "");
      const char *colour = json_object_get_string_member_with_default (object, "colours", "");

      scale->white = json_object_get_double_member_with_default (object, "white", 0);
      for (GwQuantity q = GW_QUANTITY_SD; q <= GW_QUANTITY_RELATIVE; q++)
        if (g_str_equal (quantity, gw_quantity_name (q)))
          scale->quantity = q;
      for (GwColours c = GW_COLOURS_GREY; c <= GW_COLOURS_CIVIDIS; c++)
        if (g_str_equal (colour, gw_colours_name (c)))
          scale->colours = c;
    }
  g_clear_pointer (&parasite, gimp_parasite_free);

  if (scale->white > 0 && scale->quantity == GW_QUANTITY_RELATIVE)
    g_set_error (
        error, GIMP_PLUG_IN_ERROR, 0,
        _ ("“%s” shows the uncertainty relative to the contrast around it, which is no number of levels; "
           "choose a layer with the standard deviation."),
        name);
  else if (!(scale->white > 0) || scale->quantity == GW_QUANTITY_NONE)
    g_set_error (error, GIMP_PLUG_IN_ERROR, 0,
                 _ ("“%s” is no uncertainty layer of Grainwise; choose the one that denoising made."), name);
  else
    return TRUE;

  return FALSE;
}

/* Root mean square and largest standard deviation, in 8-bit levels, over the pixels of @area (in the
 * layer); if wished only those that are selected. */
static gboolean
read_area (GimpImage *image, GimpDrawable *layer, const GeglRectangle *area, const Scale *scale,
           gboolean selected_only, double *sd, double *largest)
{
  g_autoptr (GeglBuffer) buffer = gimp_drawable_get_buffer (layer);
  g_autoptr (GeglBuffer) selection
      = gimp_drawable_get_buffer (GIMP_DRAWABLE (gimp_image_get_selection (image)));
  g_autofree float *colours = g_new (float, 3 * area->width);
  g_autofree float *selected = g_new (float, area->width);
  double sum = 0, weights = 0;
  int x, y;

  gimp_drawable_get_offsets (layer, &x, &y);
  *largest = 0;
  for (int row = 0; row < area->height; row++)
    {
      const GeglRectangle line = { area->x, area->y + row, area->width, 1 };
      const GeglRectangle there = { line.x + x, line.y + y, line.width, 1 };

      gegl_buffer_get (buffer, &line, 1.0,
                       babl_format_with_space ("R'G'B' float", gegl_buffer_get_format (buffer)), colours,
                       GEGL_AUTO_ROWSTRIDE, GEGL_ABYSS_NONE);
      gegl_buffer_get (selection, &there, 1.0, babl_format ("Y float"), selected, GEGL_AUTO_ROWSTRIDE,
                       GEGL_ABYSS_NONE);
      for (int i = 0; i < area->width; i++)
        {
          const float *colour = colours + 3 * i;
          const double share
              = scale->colours == GW_COLOURS_GREY ? colour[1] : gw_colours_read (scale->colours, colour);
          const double level = gw_quantity_to_sd (scale->quantity, share * scale->white);
          const double weight = selected_only ? selected[i] : 1;

          sum += weight * level * level;
          weights += weight;
          if (weight > 0)
            *largest = MAX (*largest, level);
        }
    }
  *sd = weights > 0 ? sqrt (sum / weights) : 0;

  return weights > 0;
}

static GimpValueArray *
run (GimpProcedure *procedure, GimpRunMode run_mode, GimpImage *image, GimpDrawable **drawables,
     GimpProcedureConfig *config, gpointer run_data)
{
  GError *error = NULL;
  GimpValueArray *values;
  GeglRectangle area;
  gboolean found, point;
  Scale scale;
  double sd, largest;
  int x, y, left, top;

  g_object_get (config, "x", &x, "y", &y, NULL);
  if (gimp_core_object_array_get_length ((GObject **) drawables) != 1)
    {
      g_set_error (&error, GIMP_PLUG_IN_ERROR, 0, _ ("Choose one uncertainty layer."));
      return gimp_procedure_new_return_values (procedure, GIMP_PDB_EXECUTION_ERROR, error);
    }
  point = x >= 0 && y >= 0;
  if (!point && (x >= 0 || y >= 0))
    {
      g_set_error (&error, GIMP_PLUG_IN_ERROR, 0,
                   _ ("Give both x and y for a point, or neither for the selection."));
      return gimp_procedure_new_return_values (procedure, GIMP_PDB_EXECUTION_ERROR, error);
    }
  if (!read_scale (drawables[0], &scale, &error))
    return gimp_procedure_new_return_values (procedure, GIMP_PDB_EXECUTION_ERROR, error);

  gimp_drawable_get_offsets (drawables[0], &left, &top);
  found = gimp_drawable_mask_intersect (drawables[0], &area.x, &area.y, &area.width, &area.height);
  if (point)
    {
      area = (GeglRectangle) { x - left, y - top, 1, 1 };
      found = area.x >= 0 && area.y >= 0 && area.x < gimp_drawable_get_width (drawables[0])
              && area.y < gimp_drawable_get_height (drawables[0]);
    }
  if (!found
      || !read_area (image, drawables[0], &area, &scale, !point && !gimp_selection_is_empty (image), &sd,
                     &largest))
    {
      g_set_error (&error, GIMP_PLUG_IN_ERROR, 0,
                   _ ("There is nothing to read: the selection or the point does not touch the layer."));
      return gimp_procedure_new_return_values (procedure, GIMP_PDB_EXECUTION_ERROR, error);
    }

  values = gimp_procedure_new_return_values (procedure, GIMP_PDB_SUCCESS, NULL);
  GIMP_VALUES_SET_DOUBLE (values, 1, sd);
  GIMP_VALUES_SET_DOUBLE (values, 2, largest);

  return values;
}

GimpProcedure *
gw_readout_create_procedure (GimpPlugIn *plug_in)
{
  GimpProcedure *procedure = gw_procedure_new (plug_in, GW_READ_PROC, run);

  gimp_procedure_set_documentation (
      procedure, _ ("Read numbers off an uncertainty layer"),
      _ ("Returns the standard deviation of the true value around the denoised one, in 8-bit levels, at a "
         "point of the "
         "image or over the selection, or over the whole layer if nothing is selected."),
      GW_READ_PROC);
  gimp_procedure_add_int_argument (procedure, "x", _ ("_X"),
                                   _ ("Column of the image; -1: over the selection"), -1, G_MAXINT, -1,
                                   G_PARAM_READWRITE);
  gimp_procedure_add_int_argument (procedure, "y", _ ("_Y"), _ ("Row of the image; -1: over the selection"),
                                   -1, G_MAXINT, -1, G_PARAM_READWRITE);
  gimp_procedure_add_double_return_value (procedure, "sd", _ ("Standard deviation"),
                                          _ ("Root mean square over the pixels, in 8-bit levels"), 0,
                                          G_MAXDOUBLE, 0, G_PARAM_READWRITE);
  gimp_procedure_add_double_return_value (procedure, "largest", _ ("Largest standard deviation"),
                                          _ ("Of any of the pixels, in 8-bit levels"), 0, G_MAXDOUBLE, 0,
                                          G_PARAM_READWRITE);

  return procedure;
}

/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "procedure.h"

#include <glib/gi18n-lib.h>
#include <gtk/gtk.h>

#include "models.h"
#include "settings.h"

static void
end (void)
{
  gegl_exit ();
  babl_exit ();
}

/* The first time that babl is to convert between two formats, it searches for the fastest way, which takes
 * some tenths of a second.  It keeps what it found in the user's cache, but only if it is told of the end
 * by all who began: GEGL, libgimp. */
static GimpValueArray *
run_procedure (GimpProcedure *procedure, GimpRunMode run_mode, GimpImage *image, GimpDrawable **drawables,
               GimpProcedureConfig *config, gpointer run_data)
{
  const GimpRunImageFunc run = (GimpRunImageFunc) run_data;
  GimpValueArray *values;

  gegl_init (NULL, NULL);
  values = run (procedure, run_mode, image, drawables, config, NULL);
  atexit (end); /* not before the run, for one that is broken off still uses them; not now, for GIMP waits */

  return values;
}

GimpProcedure *
gw_procedure_new (GimpPlugIn *plug_in, const char *name, GimpRunImageFunc run)
{
  GimpProcedure *procedure = gimp_image_procedure_new (plug_in, name, GIMP_PDB_PROC_TYPE_PLUGIN,
                                                       run_procedure, (gpointer) run, NULL);

  gimp_procedure_set_image_types (procedure, "RGB*, GRAY*");
  gimp_procedure_set_sensitivity_mask (procedure, GIMP_PROCEDURE_SENSITIVE_DRAWABLE);
  gimp_procedure_set_attribution (procedure, "Grainwise contributors", "Grainwise contributors", "2026");

  return procedure;
}

void
gw_procedure_add_noise (GimpProcedure *procedure)
{
  gimp_procedure_add_double_argument (
      procedure, "noise-level", _ ("_Noise level"),
      _ ("Standard deviation of the noise in 8-bit levels (white = 255); 0 = estimate it from the photo"), 0,
      100, 0, G_PARAM_READWRITE);
  gimp_procedure_add_choice_argument (
      procedure, "brightness", _ ("Over _brightness"), _ ("How the noise level goes with brightness"),
      gimp_choice_new_with_values ("measured", GW_BRIGHTNESS_MEASURED, _ ("Changes as measured"), NULL,
                                   "uniform", GW_BRIGHTNESS_UNIFORM, _ ("Uniform"), NULL, NULL),
      "measured", G_PARAM_READWRITE);
  gimp_procedure_add_double_argument (
      procedure, "grain-size", _ ("_Grain size"),
      _ ("Pixels that the noise is blurred over: 0 if it is independent from pixel to "
         "pixel; -1 = as measured"),
      -1, 4, -1, G_PARAM_READWRITE);
}

void
gw_procedure_add_model (GimpProcedure *procedure)
{
  gimp_procedure_add_string_argument (procedure, "model", _ ("Mo_del"),
                                      _ ("Name of an installed model, or a .safetensors file"),
                                      GW_DEFAULT_MODEL, G_PARAM_READWRITE);
}

gboolean
gw_refuse (GError **error, const char *format, ...)
{
  va_list arguments;

  va_start (arguments, format);
  g_clear_error (error);
  *error = g_error_new_valist (GIMP_PLUG_IN_ERROR, 0, format, arguments);
  va_end (arguments);

  return FALSE;
}

/* Image types and sensitivity only grey out the menu; a script can pass anything. */
static gboolean
check_drawable (GimpDrawable *drawable, GError **error)
{
  g_autofree char *name = gimp_item_get_name (GIMP_ITEM (drawable));

  if (!GIMP_IS_LAYER (drawable))
    return gw_refuse (error, _ ("Only layers can be denoised; “%s” is a channel or a mask."), name);
  if (gimp_item_is_group (GIMP_ITEM (drawable)))
    return gw_refuse (error, _ ("“%s” is a layer group; choose one of its layers, or merge the group first."),
                      name);
  if (!gimp_drawable_is_rgb (drawable) && !gimp_drawable_is_gray (drawable))
    return gw_refuse (
        error, _ ("Indexed images have too few colours to be denoised; convert the image to RGB first."));

  return TRUE;
}

GimpDrawable *
gw_only_layer (GimpDrawable **drawables, GError **error)
{
  if (gimp_core_object_array_get_length ((GObject **) drawables) != 1)
    {
      gw_refuse (error, _ ("Choose one layer; several at once cannot be denoised."));
      return NULL;
    }
  return check_drawable (drawables[0], error) ? drawables[0] : NULL;
}

void
gw_show_progress (double fraction, gpointer data)
{
  gimp_progress_update (fraction);
}

gboolean
gw_check_display (GError **error)
{
  /* gimp_ui_init() ends the process where there is no display. */
  return gtk_init_check (NULL, NULL)
         || gw_refuse (error,
                       _ ("The dialog cannot be opened: there is no display.  Use RUN-NONINTERACTIVE."));
}

/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "explore.h"

#include <glib/gi18n-lib.h>

#include "explorer.h"
#include "layers.h"
#include "procedure.h"
#include "settings.h"

#define MOST 512   /* pixels a side that can be selected */
#define MIDDLE 256 /* and that are taken where nothing is selected */

/* The part of the layer that is selected; of the middle if nothing is. */
static gboolean
find_region (GimpImage *image, GimpDrawable *drawable, GwExploration *exploration, GError **error)
{
  g_autofree char *name = gimp_item_get_name (GIMP_ITEM (drawable));
  GeglRectangle *region = &exploration->region;
  g_autoptr (GeglBuffer) selection = NULL;
  int x, y;

  if (!gimp_drawable_mask_intersect (drawable, &region->x, &region->y, &region->width, &region->height))
    return gw_refuse (error, _ ("The selection does not touch the layer “%s”."), name);
  if (gimp_selection_is_empty (image))
    {
      *region = (GeglRectangle) { region->x + MAX (region->width - MIDDLE, 0) / 2,
                                  region->y + MAX (region->height - MIDDLE, 0) / 2,
                                  MIN (region->width, MIDDLE), MIN (region->height, MIDDLE) };
      return TRUE;
    }
  if (region->width > MOST || region->height > MOST)
    return gw_refuse (error,
                      _ ("The selection is %d × %d pixels large; alternatives can be explored in at most "
                         "%d × %d.  Select the detail that is in doubt."),
                      region->width, region->height, MOST, MOST);

  gimp_drawable_get_offsets (drawable, &x, &y);
  selection = gimp_drawable_get_buffer (GIMP_DRAWABLE (gimp_image_get_selection (image)));
  exploration->weights = g_new (float, (gsize) region->width * region->height);
  gegl_buffer_get (selection, GEGL_RECTANGLE (region->x + x, region->y + y, region->width, region->height),
                   1.0, babl_format ("Y float"), exploration->weights, GEGL_AUTO_ROWSTRIDE, GEGL_ABYSS_NONE);

  return TRUE;
}

static gboolean
prepare (GimpImage *image, GimpDrawable **drawables, GwExploration *exploration, GError **error)
{
  GimpDrawable *drawable = gw_only_layer (drawables, error);

  return drawable && find_region (image, drawable, exploration, error);
}

/* Without a dialog: the one component that was asked for. */
static gboolean
explore (GeglBuffer *photo, GimpProcedureConfig *config, GwExploration *exploration, GError **error)
{
  const GwRun run = { .threads = gimp_get_num_processors (), .progress = gw_show_progress };
  const GwNoiseTold told = gw_settings_noise (config);
  double amount;
  int component;

  g_object_get (config, "component", &component, "amount", &amount, NULL);
  gimp_progress_init (_ ("Looking for alternatives"));
  if (!gw_explore (photo, gw_settings_model (config), &told, &run, exploration, error))
    return FALSE;
  gimp_progress_end ();
  if (component > exploration->components.n)
    return gw_refuse (error, _ ("The selection is so small that it has components up to number %d only."),
                      exploration->components.n);
  exploration->amounts[component - 1] = amount;

  return TRUE;
}

static GimpLayer *
add_layer (GimpImage *image, GimpLayer *layer, GeglBuffer *photo, const GwExploration *exploration,
           GError **error)
{
  g_autoptr (GeglBuffer) buffer
      = gw_photo_alternative (photo, &exploration->region, &exploration->components, exploration->amounts);
  const GwAlternative alternative = { .buffer = buffer,
                                      .components = &exploration->components,
                                      .amounts = exploration->amounts,
                                      .noise = &exploration->noise,
                                      .model = gw_model_get_card (exploration->model),
                                      .x = exploration->region.x,
                                      .y = exploration->region.y };

  return gw_layers_add_alternative (image, layer, &alternative, error);
}

static GimpValueArray *
run (GimpProcedure *procedure, GimpRunMode run_mode, GimpImage *image, GimpDrawable **drawables,
     GimpProcedureConfig *config, gpointer run_data)
{
  g_auto (GwExploration) exploration = { 0 };
  g_autoptr (GeglBuffer) photo = NULL;
  GimpLayer *layer = NULL;
  GimpValueArray *values;
  GError *error = NULL;

  if (!prepare (image, drawables, &exploration, &error))
    return gimp_procedure_new_return_values (procedure, GIMP_PDB_EXECUTION_ERROR, error);

  photo = gimp_drawable_get_buffer (drawables[0]);
  if (run_mode == GIMP_RUN_INTERACTIVE)
    {
      if (!gw_check_display (&error))
        return gimp_procedure_new_return_values (procedure, GIMP_PDB_EXECUTION_ERROR, error);
      if (!gw_explorer_run (procedure, config, drawables[0], &exploration))
        return gimp_procedure_new_return_values (procedure, GIMP_PDB_CANCEL, NULL);
    }
  else if (!explore (photo, config, &exploration, &error))
    return gimp_procedure_new_return_values (procedure, GIMP_PDB_EXECUTION_ERROR, error);

  if (!(layer = add_layer (image, GIMP_LAYER (drawables[0]), photo, &exploration, &error)))
    return gimp_procedure_new_return_values (procedure, GIMP_PDB_EXECUTION_ERROR, error);
  if (run_mode != GIMP_RUN_NONINTERACTIVE)
    gimp_displays_flush ();

  values = gimp_procedure_new_return_values (procedure, GIMP_PDB_SUCCESS, NULL);
  GIMP_VALUES_SET_LAYER (values, 1, layer);

  return values;
}

GimpProcedure *
gw_explore_create_procedure (GimpPlugIn *plug_in)
{
  GimpProcedure *procedure = gw_procedure_new (plug_in, GW_EXPLORE_PROC, run);

  gimp_procedure_set_menu_label (procedure, _ ("_Explore Alternatives..."));
  gimp_procedure_add_menu_path (procedure, "<Image>/Filters/Enhance");
  gimp_procedure_set_documentation (
      procedure, _ ("Show what else a selected detail can have been, before noise hid it"),
      _ ("Finds the posterior principal components of the selection (Manor, Michaeli 2024): the ways in "
         "which "
         "the photo behind the noise can differ most from the denoised one. Returns a layer with the "
         "denoised selection, moved along one of them; its parasite \"grainwise\" tells all standard "
         "deviations, and the mean colour with its standard error. Where nothing is selected, it is about "
         "the middle of the layer."),
      GW_EXPLORE_PROC);

  gimp_procedure_add_int_argument (procedure, "component", _ ("_Component"),
                                   _ ("Along which the denoised photo is moved; 1 is the widest"), 1,
                                   GW_ALTERNATIVES, 1, G_PARAM_READWRITE);
  gimp_procedure_add_double_argument (procedure, "amount", _ ("_Amount"),
                                      _ ("How far, in standard deviations; + is the lighter side"), -10, 10,
                                      1, G_PARAM_READWRITE);
  gw_procedure_add_noise (procedure);
  gw_procedure_add_model (procedure);
  gimp_procedure_add_layer_return_value (procedure, "alternative", _ ("Alternative"),
                                         _ ("The layer with the alternative"), FALSE, G_PARAM_READWRITE);

  return procedure;
}

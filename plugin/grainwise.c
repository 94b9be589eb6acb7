/* The GIMP plug-in: its procedures, and the way from a call to the layers.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#include <libgimp/gimp.h>
#include <glib/gi18n-lib.h>

#include "config.h"
#include "dialog.h"
#include "explore.h"
#include "layers.h"
#include "models.h"
#include "photo-noise.h"
#include "preview.h"
#include "procedure.h"
#include "readout.h"
#include "settings.h"

#define DENOISE_PROC "plug-in-grainwise-denoise"
#define ESTIMATE_PROC "plug-in-grainwise-estimate-noise"
#define HELP_DOMAIN "urn:grainwise:help" /* the XML namespace in help/LANGUAGE/gimp-help.xml */

struct _Grainwise
{
  GimpPlugIn parent_instance;
};

#define TYPE_GRAINWISE (grainwise_get_type ())
G_DECLARE_FINAL_TYPE (Grainwise, grainwise, GRAIN, WISE, GimpPlugIn)

static GList *grainwise_query_procedures (GimpPlugIn *plug_in);
static GimpProcedure *grainwise_create_procedure (GimpPlugIn *plug_in, const gchar *name);
static GimpValueArray *run_denoise (GimpProcedure *procedure, GimpRunMode run_mode, GimpImage *image,
                                    GimpDrawable **drawables, GimpProcedureConfig *config, gpointer run_data);
static GimpValueArray *
run_estimate (GimpProcedure *procedure, GimpRunMode run_mode, GimpImage *image, GimpDrawable **drawables,
              GimpProcedureConfig *config, gpointer run_data);

G_DEFINE_TYPE (Grainwise, grainwise, GIMP_TYPE_PLUG_IN)

GIMP_MAIN (TYPE_GRAINWISE)

static void
grainwise_class_init (GrainwiseClass *klass)
{
  GimpPlugInClass *plug_in_class = GIMP_PLUG_IN_CLASS (klass);

  g_setenv ("BABL_LUT", "0", FALSE); /* before libgimp begins: tables of 64 MB that make no photo faster */
  plug_in_class->query_procedures = grainwise_query_procedures;
  plug_in_class->create_procedure = grainwise_create_procedure;
  /* set_i18n's default is right: the domain "grainwise" in the folder locale/ beside the plug-in. */
}

/* A file or folder that is installed beside the plug-in. */
static GFile *
beside_plug_in (const char *name)
{
  g_autofree char *folder = g_path_get_dirname (gimp_get_progname ());

  return g_file_new_build_filename (folder, name, NULL);
}

/* The models that lie beside the plug-in, wherever its folder was moved to. */
static void
grainwise_init (Grainwise *grainwise)
{
  g_autoptr (GFile) models = beside_plug_in ("models");

  if (g_file_query_exists (models, NULL))
    g_setenv ("GRAINWISE_MODELS", g_file_peek_path (models), FALSE);
}

static GList *
grainwise_query_procedures (GimpPlugIn *plug_in)
{
  static const char *names[] = { DENOISE_PROC, GW_EXPLORE_PROC, ESTIMATE_PROC, GW_READ_PROC };
  g_autoptr (GFile) help = beside_plug_in ("help");
  GList *list = NULL;

  gimp_plug_in_set_help_domain (plug_in, HELP_DOMAIN, help);
  for (guint i = 0; i < G_N_ELEMENTS (names); i++)
    list = g_list_append (list, g_strdup (names[i]));

  return list;
}

static GimpProcedure *
create_estimate (GimpPlugIn *plug_in)
{
  GimpProcedure *procedure = gw_procedure_new (plug_in, ESTIMATE_PROC, run_estimate);

  gimp_procedure_set_documentation (
      procedure, _ ("Estimate the noise of a photo"),
      _ ("Measures the noise that denoising takes away where it is told no noise level."), ESTIMATE_PROC);
  gimp_procedure_add_double_return_value (procedure, "noise-level", _ ("Noise level"),
                                          _ ("Standard deviation of the noise in 8-bit levels (white = 255)"),
                                          0, G_MAXDOUBLE, 0, G_PARAM_READWRITE);
  gimp_procedure_add_double_array_return_value (
      procedure, "level-over-brightness", _ ("Noise level over brightness"),
      _ ("For each channel nine levels, from black to white"), G_PARAM_READWRITE);
  gimp_procedure_add_double_array_return_value (
      procedure, "grain", _ ("Grain"),
      _ ("How much more noise there is than white noise has, less 1: in pixels, in 2×2 and 4×4 of them, of "
         "luminance, then of colour"),
      G_PARAM_READWRITE);
  gimp_procedure_add_double_return_value (
      procedure, "level-error", _ ("Error of the level"),
      _ ("How far the level may be off, relative to itself: 0.1 for give or take 10 %"), 0, G_MAXDOUBLE, 0,
      G_PARAM_READWRITE);

  return procedure;
}

static void
add_strength_arguments (GimpProcedure *procedure)
{
  gimp_procedure_add_double_argument (procedure, "luminance-strength", _ ("Lum_inance"),
                                      _ ("How much of the noise in brightness is taken away, in percent"), 0,
                                      100, 100, G_PARAM_READWRITE);
  gimp_procedure_add_double_argument (procedure, "colour-strength", _ ("Colo_ur"),
                                      _ ("How much of the noise in colour is taken away, in percent"), 0, 100,
                                      100, G_PARAM_READWRITE);
  gimp_procedure_add_double_argument (procedure, "keep-grain", _ ("_Keep grain where unsure"),
                                      _ ("Leaves noise where the denoised photo may be wrong, in percent: at "
                                         "100 as strong as the uncertainty is"),
                                      0, 100, 0, G_PARAM_READWRITE);
}

static void
add_layer_arguments (GimpProcedure *procedure)
{
  /* xgettext:no-c-format */
  const char *interval = _ ("95 % interval");

  gimp_procedure_add_choice_argument (
      procedure, "output", _ ("Ou_tput"), _ ("Where the denoised photo goes"),
      gimp_choice_new_with_values ("new-layer", GW_OUTPUT_NEW_LAYER, _ ("New layer above"), NULL, "replace",
                                   GW_OUTPUT_REPLACE, _ ("Replace the layer's pixels"), NULL, NULL),
      "new-layer", G_PARAM_READWRITE);
  gimp_procedure_add_choice_argument (
      procedure, "uncertainty", _ ("Uncertaint_y layer"),
      _ ("What the second layer shows of the possible error"),
      gimp_choice_new_with_values (
          "none", GW_QUANTITY_NONE, _ ("None"), NULL, "standard-deviation", GW_QUANTITY_SD,
          _ ("Standard deviation"), _ ("The error to be expected"), "variance", GW_QUANTITY_VARIANCE,
          _ ("Variance"), _ ("Its square"), "interval", GW_QUANTITY_INTERVAL, interval,
          _ ("Width of the range that holds the true value 95 times of 100"), "relative",
          GW_QUANTITY_RELATIVE, _ ("Relative to contrast"),
          _ ("Is this detail real? Black: it is; white: what is seen may be noise"), NULL),
      "standard-deviation", G_PARAM_READWRITE);
  gimp_procedure_add_choice_argument (
      procedure, "colours", _ ("Colour ma_p"),
      _ ("Of the uncertainty layer; all can be read without colour vision, too"),
      gimp_choice_new_with_values ("grey", GW_COLOURS_GREY, _ ("Grey"), NULL, "magma", GW_COLOURS_MAGMA,
                                   "Magma", NULL, "viridis", GW_COLOURS_VIRIDIS, "Viridis", NULL, "cividis",
                                   GW_COLOURS_CIVIDIS, "Cividis", NULL, NULL),
      "grey", G_PARAM_READWRITE);
  gimp_procedure_add_double_argument (procedure, "scale-end", _ ("Scale ends _at"),
                                      _ ("What the lightest colour stands for: levels, levels² of a "
                                         "variance, percent of contrast; 0 = chosen to fit"),
                                      0, 100000, 0, G_PARAM_READWRITE);
  gimp_procedure_add_boolean_argument (procedure, "show-uncertainty", _ ("Sho_w the uncertainty layer"),
                                       _ ("It covers the photo; otherwise it is hidden at first"), FALSE,
                                       G_PARAM_READWRITE);
  gimp_procedure_add_boolean_argument (procedure, "scale-bar", _ ("Layer with the scale _bar"),
                                       _ ("A small picture of the colours and what they stand for"), FALSE,
                                       G_PARAM_READWRITE);
  gimp_procedure_add_boolean_argument (
      procedure, "mask", _ ("Uncertainty as layer mas_k"),
      _ ("Hides the denoised layer as far as it is unsure, so that the noisy photo shows there"), FALSE,
      G_PARAM_READWRITE);
  gimp_procedure_add_boolean_argument (procedure, "group", _ ("New layers in a _group"),
                                       _ ("Keeps what belongs together together"), FALSE, G_PARAM_READWRITE);
}

static void
add_sample_arguments (GimpProcedure *procedure)
{
  gimp_procedure_add_int_argument (procedure, "samples", _ ("_Number of samples"),
                                   _ ("Other photos that this noise could have hidden, each as a layer"), 0,
                                   64, 0, G_PARAM_READWRITE);
  gimp_procedure_add_int_argument (procedure, "steps", _ ("S_teps"),
                                   _ ("Runs of the model for each sample; half as many will do for a look"),
                                   1, 200, GW_DEFAULT_STEPS, G_PARAM_READWRITE);
  gimp_procedure_add_int_argument (procedure, "seed", _ ("S_eed"),
                                   _ ("The same seed draws the same samples again"), 0, G_MAXINT, 0,
                                   G_PARAM_READWRITE);
  gimp_procedure_add_choice_argument (
      procedure, "sampler", _ ("Sa_mpler"), _ ("How samples are drawn"),
      gimp_choice_new_with_values ("reverse", GW_SAMPLER_REVERSE, _ ("Reverse diffusion"),
                                   _ ("Takes the noise away in steps"), "langevin", GW_SAMPLER_LANGEVIN,
                                   _ ("Langevin"), _ ("Walks at random at every step, too"), "ozaki",
                                   GW_SAMPLER_OZAKI, _ ("Langevin, Ozaki"),
                                   _ ("The same with larger steps, by the second-order score"), NULL),
      "reverse", G_PARAM_READWRITE);
  gimp_procedure_add_double_argument (
      procedure, "step-size", _ ("Step s_ize"),
      _ ("Of Langevin's walks; 0 = chosen to fit, 1 just forgets a pixel's noise"), 0, 10, 0,
      G_PARAM_READWRITE);
  gimp_procedure_add_choice_argument (
      procedure, "source", _ ("Denoised photo _from"),
      _ ("Where the denoised photo and its uncertainty come from"),
      gimp_choice_new_with_values ("network", GW_SOURCE_NETWORK, _ ("The network"), NULL, "samples",
                                   GW_SOURCE_SAMPLES, _ ("Mean of the samples"), NULL, NULL),
      "network", G_PARAM_READWRITE);
}

static GimpProcedure *
create_denoise (GimpPlugIn *plug_in)
{
  GimpProcedure *procedure = gw_procedure_new (plug_in, DENOISE_PROC, run_denoise);
  g_autoptr (GFile) icon = beside_plug_in ("grainwise.svg");

  gimp_procedure_set_menu_label (procedure, _ ("_Denoise with Confidence..."));
  gimp_procedure_add_menu_path (procedure, "<Image>/Filters/Enhance");
  gimp_procedure_set_icon_file (procedure, icon);
  gimp_procedure_set_documentation (
      procedure, _ ("Remove noise from a photo, and show where the result can be trusted"),
      _ ("Estimates the photo behind the noise, and for every pixel how far the truth may lie from it, by a "
         "score model (Meng, Song, Li, Ermon 2021). Returns the layer with the denoised photo and the one "
         "with the "
         "uncertainty, which is hidden at first; its name tells the scale, its parasite \"grainwise\" all "
         "the rest."),
      DENOISE_PROC);

  gw_procedure_add_noise (procedure);
  add_strength_arguments (procedure);
  add_layer_arguments (procedure);
  add_sample_arguments (procedure);
  gw_procedure_add_model (procedure);
  gimp_procedure_add_choice_aux_argument (
      procedure, "view", _ ("_View"),
      _ ("What the preview shows. Keys in the preview: 1 noisy, 2 denoised, 3 uncertainty, 4 noisy and "
         "denoised, space to and fro, + and − zoom, arrows move"),
      gimp_choice_new_with_values ("denoised", GW_VIEW_DENOISED, _ ("Denoised"), NULL, "uncertainty",
                                   GW_VIEW_UNCERTAINTY, _ ("Uncertainty"), NULL, "noisy", GW_VIEW_NOISY,
                                   _ ("Noisy"), NULL, "split", GW_VIEW_SPLIT, _ ("Noisy and denoised"), NULL,
                                   NULL),
      "denoised", G_PARAM_READWRITE);

  gimp_procedure_add_layer_return_value (procedure, "denoised", _ ("Denoised layer"),
                                         _ ("The layer with the denoised photo"), FALSE, G_PARAM_READWRITE);
  gimp_procedure_add_layer_return_value (procedure, "uncertainty-layer", _ ("Uncertainty layer"),
                                         _ ("The layer with the uncertainty, if there is one"), TRUE,
                                         G_PARAM_READWRITE);
  gimp_procedure_add_core_object_array_return_value (procedure, "sample-layers", _ ("Samples"),
                                                     _ ("The layers with the samples"), GIMP_TYPE_LAYER,
                                                     G_PARAM_READWRITE);

  return procedure;
}

static GimpProcedure *
grainwise_create_procedure (GimpPlugIn *plug_in, const gchar *name)
{
  return g_str_equal (name, DENOISE_PROC)      ? create_denoise (plug_in)
         : g_str_equal (name, GW_EXPLORE_PROC) ? gw_explore_create_procedure (plug_in)
         : g_str_equal (name, ESTIMATE_PROC)   ? create_estimate (plug_in)
         : g_str_equal (name, GW_READ_PROC)    ? gw_readout_create_procedure (plug_in)
                                               : NULL;
}

/* ---- Running --------------------------------------------------------------------------------------------- */

static gboolean
check_replaceable (GimpDrawable *drawable, GError **error)
{
  g_autofree char *name = gimp_item_get_name (GIMP_ITEM (drawable));

  for (GimpItem *item = GIMP_ITEM (drawable); item; item = gimp_item_get_parent (item))
    if (gimp_item_get_lock_content (item))
      return gw_refuse (
          error, _ ("The pixels of “%s” are locked; unlock them, or choose a new layer as output."), name);
  if (gimp_item_is_text_layer (GIMP_ITEM (drawable)))
    return gw_refuse (error, _ ("“%s” is a text layer; choose a new layer as output."), name);

  return TRUE;
}

static GwLayout
chosen_layout (GimpProcedureConfig *config)
{
  GwLayout layout
      = { .replace = gimp_procedure_config_get_choice_id (config, "output") == GW_OUTPUT_REPLACE };

  gw_settings_uncertainty (config, &layout.quantity, &layout.colours, &layout.end);
  g_object_get (config, "show-uncertainty", &layout.visible, "scale-bar", &layout.scale_bar, "mask",
                &layout.mask, "group", &layout.group, NULL);

  return layout;
}

/* What is left to do when the network is through: strength, and the map to be shown. */
static gboolean
add_layers (GimpImage *image, GimpLayer *layer, GeglBuffer *photo, const GeglRectangle *region,
            const GwDenoised *denoised, GwResult *result, GwLayout *layout, GwNewLayers *layers,
            GError **error)
{
  g_autoptr (GeglBuffer) blended = NULL;
  g_autoptr (GeglBuffer) map = NULL;
  double added = 0;

  if (denoised->unsure)
    blended = gw_strength_blend (&result->strength, photo, region, denoised, &added);
  if (denoised->sd)
    {
      map = gw_uncertainty_map (layout->quantity, denoised);
      if (layout->end <= 0)
        layout->end = gw_uncertainty_end (layout->quantity, map);
    }
  if (gimp_image_get_base_type (image) == GIMP_GRAY)
    layout->colours = GW_COLOURS_GREY; /* there are no others */
  result->denoised = blended ? blended : denoised->denoised;
  result->map = map;
  result->unsure = denoised->unsure;
  result->mean_variance = denoised->mean_variance + added;
  result->doubtful = denoised->doubtful;
  result->x = region->x;
  result->y = region->y;

  return gw_layers_add (image, layer, result, layout, layers, error);
}

/* Puts the samples' mean and standard deviation into the place of the network's. */
static void
take_summary (GwDenoised *denoised, GwSamples *samples)
{
  GwDenoised *summary = &samples->summary;

  g_set_object (&denoised->denoised, summary->denoised);
  g_set_object (&denoised->sd, summary->sd);
  denoised->mean_sd = summary->mean_sd;
  denoised->mean_variance
      = summary->mean_variance * (samples->n + 1) / samples->n; /* their mean's own error, too */
  denoised->doubtful = summary->doubtful;
}

static gboolean
denoise (GimpImage *image, GimpDrawable *drawable, GimpProcedureConfig *config, GwNewLayers *layers,
         GError **error)
{
  g_autoptr (GwModel) model = NULL;
  g_autoptr (GeglBuffer) photo = NULL;
  g_auto (GwDenoised) denoised = { 0 };
  g_auto (GwSamples) samples = { 0 };
  g_autofree char *layer_name = gimp_item_get_name (GIMP_ITEM (drawable));
  const GwRun run = { .threads = gimp_get_num_processors (), .progress = gw_show_progress };
  const GwNoiseTold told = gw_settings_noise (config);
  const GwDrawing drawing = gw_settings_drawing (config);
  GwResult result = { .strength = gw_settings_strength (config), .drawing = &drawing, .samples = &samples };
  GwLayout layout = chosen_layout (config);
  const GwMap map = layout.quantity == GW_QUANTITY_NONE ? GW_MAP_NONE : GW_MAP_COLOUR;
  GeglRectangle region;
  GwPhotoNoise noise;
  gboolean success;

  if (layout.replace && layout.mask)
    return gw_refuse (error,
                      _ ("Only a new layer can get a mask; choose a new layer as output, or no mask."));
  if (drawing.summarise && drawing.n < 2)
    return gw_refuse (error, _ ("The mean of samples takes two or more of them; set their number."));
  if (drawing.n > 0 && drawing.sampling.corrections > 0 && !drawing.sampling.ozaki
      && drawing.sampling.step_size >= 2)
    return gw_refuse (
        error, _ ("Langevin's walk diverges with steps of 2 and more; choose smaller ones, or Ozaki's."));
  if (layout.replace && !check_replaceable (drawable, error))
    return FALSE;
  if (!gimp_drawable_mask_intersect (drawable, &region.x, &region.y, &region.width, &region.height))
    return gw_refuse (error, _ ("The selection does not touch the layer “%s”."), layer_name);
  if (!(model = gw_models_load (gw_settings_model (config), error)))
    return FALSE;

  gimp_progress_init (_ ("Denoising"));
  photo = gimp_drawable_get_buffer (drawable);
  if (!gw_photo_noise_measure (photo, &run, &noise, error))
    return FALSE;
  gw_photo_noise_assume (&noise, &told);
  if (!gw_photo_noise_check (photo, model, &run, &noise, error)
      || !gw_photo_denoise (photo, &region, model, &noise.assumed, map,
                            layout.mask || drawing.summarise || !gw_strength_is_full (&result.strength), &run,
                            &denoised, error))
    return FALSE;
  if (drawing.n > 0)
    {
      gimp_progress_init (_ ("Drawing samples"));
      if (!gw_photo_sample (photo, &region, model, &noise.assumed, &drawing.sampling, drawing.n, map, &run,
                            &samples, error))
        return FALSE;
    }
  if (drawing.summarise)
    take_summary (&denoised, &samples);

  result.noise = &noise;
  result.model = gw_model_get_card (model);
  success
      = add_layers (image, GIMP_LAYER (drawable), photo, &region, &denoised, &result, &layout, layers, error);
  gimp_progress_end ();

  return success;
}

static void
take_numbers (GimpValueArray *values, int index, const float *numbers, int n, double unit)
{
  g_autofree double *doubles = g_new (double, n);

  for (int i = 0; i < n; i++)
    doubles[i] = numbers[i] * unit;
  gimp_value_set_double_array (gimp_value_array_index (values, index), doubles, n);
}

static GimpValueArray *
run_estimate (GimpProcedure *procedure, GimpRunMode run_mode, GimpImage *image, GimpDrawable **drawables,
              GimpProcedureConfig *config, gpointer run_data)
{
  const GwRun run = { .threads = gimp_get_num_processors () };
  g_autoptr (GeglBuffer) photo = NULL;
  GimpDrawable *drawable;
  GimpValueArray *values;
  GError *error = NULL;
  GwPhotoNoise noise;
  int channels;

  if (!(drawable = gw_only_layer (drawables, &error)))
    return gimp_procedure_new_return_values (procedure, GIMP_PDB_EXECUTION_ERROR, error);
  photo = gimp_drawable_get_buffer (drawable);
  if (!gw_photo_noise_measure (photo, &run, &noise, &error))
    return gimp_procedure_new_return_values (procedure, GIMP_PDB_EXECUTION_ERROR, error);

  channels = gw_photo_channels (photo);
  values = gimp_procedure_new_return_values (procedure, GIMP_PDB_SUCCESS, NULL);
  GIMP_VALUES_SET_DOUBLE (values, 1, noise.measured_levels);
  take_numbers (values, 2, noise.measured.level[0], channels * GW_KNOTS, 255);
  take_numbers (values, 3, noise.measured.grain, channels == 1 ? GW_OCTAVES : 2 * GW_OCTAVES, 1);
  GIMP_VALUES_SET_DOUBLE (values, 4, noise.measured.level_error);

  return values;
}

static GimpValueArray *
run_denoise (GimpProcedure *procedure, GimpRunMode run_mode, GimpImage *image, GimpDrawable **drawables,
             GimpProcedureConfig *config, gpointer run_data)
{
  g_auto (GwNewLayers) layers = { 0 };
  GimpValueArray *values;
  GError *error = NULL;

  if (!gw_only_layer (drawables, &error))
    return gimp_procedure_new_return_values (procedure, GIMP_PDB_EXECUTION_ERROR, error);

  if (run_mode == GIMP_RUN_INTERACTIVE)
    {
      if (!gw_check_display (&error))
        return gimp_procedure_new_return_values (procedure, GIMP_PDB_EXECUTION_ERROR, error);
      if (!gw_dialog_run (procedure, config, drawables[0]))
        return gimp_procedure_new_return_values (procedure, GIMP_PDB_CANCEL, NULL);
    }

  if (!denoise (image, drawables[0], config, &layers, &error))
    return gimp_procedure_new_return_values (procedure, GIMP_PDB_EXECUTION_ERROR, error);

  if (run_mode != GIMP_RUN_NONINTERACTIVE)
    gimp_displays_flush ();

  values = gimp_procedure_new_return_values (procedure, GIMP_PDB_SUCCESS, NULL);
  GIMP_VALUES_SET_LAYER (values, 1, layers.denoised);
  GIMP_VALUES_SET_LAYER (values, 2, layers.uncertainty);
  GIMP_VALUES_SET_CORE_OBJECT_ARRAY (values, 3, (GObject **) layers.samples);

  return values;
}

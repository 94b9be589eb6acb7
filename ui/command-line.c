/* grainwise: the command line.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#include <locale.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>
#include <glib/gi18n-lib.h>

#include "config.h"
#include "json.h"
#include "models.h"
#include "photo-file.h"
#include "photo-noise.h"
#include "uncertainty.h"

enum
{
  EXIT_WRONG_USE = 2, /* beside EXIT_SUCCESS and EXIT_FAILURE */
  MOST_SAMPLES = 999,
  MOST_STEPS = 999,
  UNSET = G_MININT
};

static int
fail (GError *error)
{
  g_printerr ("grainwise: %s\n", error->message);
  g_error_free (error);

  return EXIT_FAILURE;
}

static int
wrong_use (const char *message)
{
  g_printerr ("grainwise: %s\n%s\n", message, _ ("Try “grainwise --help”."));

  return EXIT_WRONG_USE;
}

/* Returns: %FALSE after having said what is wrong. */
static gboolean
parse_options (int argc, char **argv, const char *parameters, const char *summary,
               const GOptionEntry *entries)
{
  g_autoptr (GOptionContext) context = g_option_context_new (parameters);
  g_autoptr (GError) error = NULL;

  g_option_context_set_summary (context, summary);
  g_option_context_add_main_entries (context, entries, GETTEXT_PACKAGE);
  if (g_option_context_parse (context, &argc, &argv, &error))
    return TRUE;
  wrong_use (error->message);

  return FALSE;
}

static void
print_json (JsonBuilder *builder)
{
  g_autoptr (JsonNode) root = json_builder_get_root (builder);
  g_autofree char *text = json_to_string (root, TRUE);

  g_print ("%s\n", text);
}

static void
add_int (JsonBuilder *builder, const char *name, gint64 value)
{
  json_builder_set_member_name (builder, name);
  json_builder_add_int_value (builder, value);
}

static GeglBuffer *
load_photo (const char *path, GObject **metadata, GError **error)
{
  g_autoptr (GeglBuffer) photo = gw_photo_file_load (path, metadata, error);

  if (!photo)
    return NULL;
  if (!gw_photo_check (photo, error))
    {
      g_prefix_error (error, "“%s”: ", path);
      return NULL;
    }
  return g_steal_pointer (&photo);
}

/* ---- grainwise denoise ------------------------------------------------------------------------------------- */

typedef struct
{
  char *in, *out;
  double noise_levels; /* negative: estimate */
  char *uncertainty;
  char *model;
  int samples;
  GwSampler sampler;
  int steps;
  gint64 seed;
  char *sample_prefix;
  int threads;
  gboolean json;
} DenoiseOptions;

typedef struct
{
  GTimer *timer;
  const char *what;
  double shown; /* seconds at which the bar was drawn last */
} ProgressBar;

#define BAR_WIDTH 40

static void
draw_progress (double fraction, gpointer data)
{
  ProgressBar *bar = data;
  const double seconds = g_timer_elapsed (bar->timer, NULL);
  const int full = fraction * BAR_WIDTH;

  if (seconds < bar->shown + 0.1 && fraction < 1)
    return;
  bar->shown = seconds;
  g_printerr ("\r%s [%.*s%.*s] %3.0f %%", bar->what, full, "########################################",
              BAR_WIDTH - full, "                                        ", 100 * fraction);
  if (fraction >= 1)
    g_printerr ("\r\033[K");
}

static gboolean
save_uncertainty (const char *path, GeglBuffer *sd, GError **error)
{
  if (gw_photo_file_is_numeric (path))
    return gw_photo_file_save_numbers (sd, path, error);

  const GwDenoised denoised = { .sd = sd };
  g_autoptr (GeglBuffer) map = gw_uncertainty_map (GW_QUANTITY_SD, &denoised);
  g_autoptr (GeglBuffer) picture = gw_uncertainty_picture (GW_QUANTITY_SD, map, GW_COLOURS_MAGMA);

  return gw_photo_file_save (picture, path, NULL, NULL, error);
}

static gint64
peak_memory (void)
{
  struct rusage usage;

  getrusage (RUSAGE_SELF, &usage);

  return (gint64) usage.ru_maxrss * 1024;
}

static char *
sample_path (const DenoiseOptions *options, int number)
{
  return g_strdup_printf ("%s-%d.tif", options->sample_prefix, number + 1);
}

typedef struct
{
  double seconds; /* that drawing took */
  double sd;      /* of the samples, root mean square */
} SampleFigures;

/* Draws and writes the samples. */
static gboolean
save_samples (const DenoiseOptions *options, GeglBuffer *photo, GObject *metadata, const GwModel *model,
              const GwNoise *noise, GwRun *run, SampleFigures *figures, GError **error)
{
  const GwSampling sampling = gw_sampling (options->sampler, options->steps, options->seed);
  g_autoptr (GTimer) timer = g_timer_new ();
  ProgressBar bar = { timer, _ ("Drawing samples"), 0 };
  g_auto (GwSamples) samples = { 0 };

  if (run->progress)
    run->progress_data = &bar;
  if (!gw_photo_sample (photo, NULL, model, noise, &sampling, options->samples, GW_MAP_NONE, run, &samples,
                        error))
    return FALSE;
  figures->seconds = g_timer_elapsed (timer, NULL);
  figures->sd = sqrt (samples.summary.mean_variance);
  for (int i = 0; i < samples.n; i++)
    {
      g_autofree char *path = sample_path (options, i);

      if (!gw_photo_file_save (samples.samples[i], path, metadata, options->in, error))
        return FALSE;
    }
  return TRUE;
}

static void
report (const DenoiseOptions *options, GeglBuffer *photo, const GwPhotoNoise *noise, const GwModel *model,
        const GwDenoised *result, double seconds, const SampleFigures *samples)
{
  const int width = gegl_buffer_get_width (photo), height = gegl_buffer_get_height (photo);
  const double megapixels = 1e-6 * width * height;
  const double psnr = -10 * log10 (result->mean_variance);

  if (options->json)
    {
      g_autoptr (JsonBuilder) builder = json_builder_new ();

      json_builder_begin_object (builder);
      add_int (builder, "width", width);
      add_int (builder, "height", height);
      gw_photo_noise_add_json (noise, builder);
      gw_json_add_text (builder, "model", gw_model_get_card (model)->name);
      gw_json_add_text (builder, "model_version", gw_model_get_card (model)->version);
      gw_json_add_number (builder, "seconds", seconds);
      gw_json_add_number (builder, "megapixels_per_second", megapixels / seconds);
      add_int (builder, "peak_memory_bytes", peak_memory ());
      gw_json_add_number (builder, "mean_sd_levels", 255 * result->mean_sd);
      gw_json_add_number (builder, "predicted_psnr", psnr);
      gw_json_add_number (builder, "doubtful", result->doubtful);
      if (options->samples > 0)
        {
          add_int (builder, "samples", options->samples);
          gw_json_add_number (builder, "sample_seconds", samples->seconds);
          if (options->samples > 1)
            gw_json_add_number (builder, "sample_sd_levels", 255 * samples->sd);
        }
      json_builder_end_object (builder);
      print_json (builder);
    }
  else
    {
      g_autofree char *verdict = gw_photo_noise_verdict (noise);

      g_print (noise->estimated ? _ ("Noise: %.2f levels (estimated)\n") : _ ("Noise: %.2f levels\n"),
               noise->levels);
      if (!noise->estimated || noise->assumed.misfit > 0)
        g_print ("%s\n", verdict);
      g_print (_ ("Uncertainty left: %.2f levels (%.2f dB)\n"), 255 * result->mean_sd, psnr);
      g_print (_ ("%d × %d pixels in %.2f s, %.2f megapixels per second\n"), width, height, seconds,
               megapixels / seconds);
      if (options->samples > 0)
        g_print (_ ("Samples: %d in %.2f s\n"), options->samples, samples->seconds);
    }
}

static gboolean
denoise (const DenoiseOptions *options, GError **error)
{
  g_autoptr (GTimer) timer = g_timer_new ();
  g_autoptr (GwModel) model = NULL;
  g_autoptr (GeglBuffer) photo = NULL;
  g_autoptr (GObject) metadata = NULL;
  g_auto (GwDenoised) result = { 0 };
  ProgressBar bar = { timer, _ ("Denoising"), 0 };
  GwRun run = { .threads = options->threads };
  GwMap map = !options->uncertainty                             ? GW_MAP_NONE
              : gw_photo_file_is_numeric (options->uncertainty) ? GW_MAP_CHANNELS
                                                                : GW_MAP_COLOUR;
  const gboolean told = options->noise_levels >= 0;
  const GwNoiseTold white = { options->noise_levels, TRUE, 0 }, nothing = { -1, FALSE, -1 };
  GwPhotoNoise noise;
  SampleFigures samples = { 0 };
  double seconds;

  if (!gw_photo_file_can_save (options->out, error)
      || (options->uncertainty && !gw_photo_file_can_save (options->uncertainty, error)))
    return FALSE;
  if (!(model = gw_models_load (options->model, error)))
    return FALSE;
  if (!(photo = load_photo (options->in, &metadata, error)))
    return FALSE;

  g_timer_start (timer);
  if (!gw_photo_noise_measure (photo, &run, &noise, error))
    return FALSE;
  gw_photo_noise_assume (&noise, told ? &white : &nothing);
  if (!gw_photo_noise_check (photo, model, &run, &noise, error))
    return FALSE;

  if (isatty (STDERR_FILENO))
    {
      run.progress = draw_progress;
      run.progress_data = &bar;
    }
  if (!gw_photo_denoise (photo, NULL, model, &noise.assumed, map, FALSE, &run, &result, error))
    return FALSE;
  seconds = g_timer_elapsed (timer, NULL);

  /* OUT last: whatever goes wrong, an existing one stays as it was. */
  if (options->uncertainty && !save_uncertainty (options->uncertainty, result.sd, error))
    return FALSE;
  if (options->samples > 0
      && !save_samples (options, photo, metadata, model, &noise.assumed, &run, &samples, error))
    return FALSE;
  if (!gw_photo_file_save (result.denoised, options->out, metadata, options->in, error))
    return FALSE;

  report (options, photo, &noise, model, &result, seconds, &samples);

  return TRUE;
}

static gboolean
same_file (const char *a, const char *b)
{
  g_autoptr (GFile) file_a = g_file_new_for_commandline_arg (a);
  g_autoptr (GFile) file_b = g_file_new_for_commandline_arg (b);

  return g_file_equal (file_a, file_b);
}

/* Returns: what is wrong with the options for samples, or NULL. */
static const char *
check_samples (DenoiseOptions *options, const char *sampler)
{
  static const char *samplers[] = { "reverse", "langevin", "ozaki", NULL };

  if (options->samples < 0 || options->samples > MOST_SAMPLES)
    return _ ("The number of samples must be from 1 to 999.");
  if (options->samples == 0
      && (sampler || options->steps != UNSET || options->seed != UNSET || options->sample_prefix))
    return _ ("Say how many samples there shall be, with --samples.");
  if (options->samples > 0 && !(options->sample_prefix && *options->sample_prefix))
    return _ ("Say where the samples shall be written, with --sample-prefix.");
  if (sampler && !g_strv_contains (samplers, sampler))
    return _ ("The sampler must be “reverse”, “langevin” or “ozaki”.");
  for (int i = 0; sampler && samplers[i]; i++)
    if (g_str_equal (sampler, samplers[i]))
      options->sampler = (GwSampler) i;
  if (options->steps == UNSET)
    options->steps = GW_DEFAULT_STEPS;
  if (options->steps < 1 || options->steps > MOST_STEPS)
    return _ ("The number of steps must be from 1 to 999.");
  if (options->seed == UNSET)
    options->seed = 0;
  for (int i = 0; i < options->samples; i++)
    {
      g_autofree char *path = sample_path (options, i);

      if (same_file (path, options->in) || same_file (path, options->out)
          || (options->uncertainty && same_file (path, options->uncertainty)))
        return _ ("A sample would overwrite another file; give --sample-prefix another name.");
    }
  return NULL;
}

static int
denoise_main (int argc, char **argv)
{
  DenoiseOptions options = { .noise_levels = -1, .steps = UNSET, .seed = UNSET };
  g_autofree char *sampler = NULL, *sample_prefix = NULL;
  const char *complaint;
  g_autofree char *noise = NULL;
  g_auto (GStrv) files = NULL;
  g_autofree char *uncertainty = NULL;
  g_autofree char *model = g_strdup (GW_DEFAULT_MODEL);
  g_autofree char *steps_help
      = g_strdup_printf (_ ("Passes of the model for each (default: %d)"), GW_DEFAULT_STEPS);
  GError *error = NULL;
  const GOptionEntry entries[] = {
    { "noise", 'n', 0, G_OPTION_ARG_STRING, &noise,
      _ ("White noise of this standard deviation in 8-bit levels, 0 to 100 (default: the noise estimated "
         "from the photo)"),
      _ ("SIGMA") },
    { "uncertainty", 'u', 0, G_OPTION_ARG_FILENAME, &uncertainty,
      _ ("Write the posterior standard deviation: .tif or .exr as 32-bit numbers (1 = white), .png, .jpg or "
         ".webp as a picture with its scale"),
      _ ("FILE") },
    { "model", 'm', 0, G_OPTION_ARG_FILENAME, &model,
      _ ("Model, by name or as a .safetensors file (default: best)"), _ ("NAME|FILE") },
    { "samples", 's', 0, G_OPTION_ARG_INT, &options.samples,
      _ ("Draw that many photos that the noise could have hidden, as 32-bit TIFF"), _ ("K") },
    { "sample-prefix", 'p', 0, G_OPTION_ARG_FILENAME, &sample_prefix,
      _ ("Write them to P-1.tif, P-2.tif ..."), _ ("P") },
    { "sampler", 0, 0, G_OPTION_ARG_STRING, &sampler,
      _ ("How they are drawn: reverse (default), langevin or ozaki"), _ ("NAME") },
    { "steps", 0, 0, G_OPTION_ARG_INT, &options.steps, steps_help, _ ("N") },
    { "seed", 0, 0, G_OPTION_ARG_INT64, &options.seed, _ ("Another seed draws others (default: 0)"),
      _ ("S") },
    { "threads", 't', 0, G_OPTION_ARG_INT, &options.threads, _ ("Threads (default: one for each processor)"),
      _ ("N") },
    { "json", 0, 0, G_OPTION_ARG_NONE, &options.json, _ ("Print the result's figures as JSON"), NULL },
    { G_OPTION_REMAINING, 0, 0, G_OPTION_ARG_FILENAME_ARRAY, &files, NULL, NULL },
    { NULL }
  };

  if (!parse_options (argc, argv, _ ("IN OUT"),
                      _ ("Denoises the photo IN, writes it to OUT, and tells where it can be trusted."),
                      entries))
    return EXIT_WRONG_USE;
  if (!files || g_strv_length (files) != 2)
    return wrong_use (_ ("“denoise” takes two files, IN and OUT."));
  if (noise)
    {
      char *end;

      options.noise_levels = g_ascii_strtod (noise, &end);
      if (*end || end == noise || strpbrk (noise, "xX")
          || !(options.noise_levels >= 0 && options.noise_levels <= 100))
        return wrong_use (_ ("The noise level must be a number from 0 to 100."));
    }
  if (uncertainty && (same_file (uncertainty, files[0]) || same_file (uncertainty, files[1])))
    return wrong_use (_ ("The uncertainty would overwrite the photo; give it a file of its own."));
  if (options.threads < 0 || options.threads > 1024)
    return wrong_use (_ ("The number of threads must be from 1 to 1024."));

  options.in = files[0];
  options.out = files[1];
  options.uncertainty = uncertainty;
  options.model = model;
  options.sample_prefix = sample_prefix;
  if ((complaint = check_samples (&options, sampler)))
    return wrong_use (complaint);

  return denoise (&options, &error) ? EXIT_SUCCESS : fail (error);
}

/* ---- grainwise estimate ------------------------------------------------------------------------------------ */

static void
add_numbers (JsonBuilder *builder, const char *name, const float *numbers, int n, double unit)
{
  if (name)
    json_builder_set_member_name (builder, name);
  json_builder_begin_array (builder);
  for (int i = 0; i < n; i++)
    json_builder_add_double_value (builder, numbers[i] * unit);
  json_builder_end_array (builder);
}

static void
print_noise (const GwPhotoNoise *photo_noise, int channels, gboolean json)
{
  const GwNoise *noise = &photo_noise->measured;
  const char *names[] = { _ ("red"), _ ("green"), _ ("blue") };
  const int octaves = channels == 1 ? GW_OCTAVES : 2 * GW_OCTAVES;

  if (json)
    {
      g_autoptr (JsonBuilder) builder = json_builder_new ();

      json_builder_begin_object (builder);
      gw_json_add_number (builder, "noise_level", photo_noise->measured_levels);
      gw_json_add_number (builder, "level_error", noise->level_error);
      json_builder_set_member_name (builder, "level_over_brightness");
      json_builder_begin_array (builder);
      for (int c = 0; c < channels; c++)
        add_numbers (builder, NULL, noise->level[c], GW_KNOTS, 255);
      json_builder_end_array (builder);
      add_numbers (builder, "grain", noise->grain, octaves, 1);
      json_builder_end_object (builder);
      print_json (builder);
      return;
    }

  g_print (_ ("Noise: %.2f levels, give or take %.0f %%\n"), photo_noise->measured_levels,
           100 * noise->level_error);
  g_print ("%s", _ ("From black to white:"));
  for (int c = 0; c < channels; c++)
    {
      g_print ("\n  %s", channels == 1 ? _ ("grey") : names[c]);
      for (int k = 0; k < GW_KNOTS; k++)
        g_print (" %5.2f", 255 * noise->level[c][k]);
    }
  g_print ("\n%s", _ ("Grain (more noise than white noise has, in pixels, 2×2 and 4×4 of them):"));
  for (int k = 0; k < octaves; k++)
    {
      if (k % GW_OCTAVES == 0)
        g_print ("\n  %s", k == 0 ? _ ("luminance") : _ ("colour"));
      g_print (" %+.0f %%", 100 * noise->grain[k]);
    }
  g_print ("\n");
}

static int
estimate_main (int argc, char **argv)
{
  gboolean json = FALSE;
  g_auto (GStrv) files = NULL;
  g_autoptr (GeglBuffer) photo = NULL;
  g_autoptr (GObject) metadata = NULL;
  GwPhotoNoise noise;
  GError *error = NULL;
  const GOptionEntry entries[]
      = { { "json", 0, 0, G_OPTION_ARG_NONE, &json, _ ("Print the estimate as JSON"), NULL },
          { G_OPTION_REMAINING, 0, 0, G_OPTION_ARG_FILENAME_ARRAY, &files, NULL, NULL },
          { NULL } };

  if (!parse_options (argc, argv, _ ("IN"), _ ("Estimates the noise of the photo IN."), entries))
    return EXIT_WRONG_USE;
  if (!files || g_strv_length (files) != 1)
    return wrong_use (_ ("“estimate” takes one file, IN."));

  if (!(photo = load_photo (files[0], &metadata, &error))
      || !gw_photo_noise_measure (photo, NULL, &noise, &error))
    return fail (error);
  print_noise (&noise, gw_photo_channels (photo), json);

  return EXIT_SUCCESS;
}

/* ---- grainwise info ---------------------------------------------------------------------------------------- */

static void
print_card (const GwModelCard *card, gboolean json)
{
  const struct
  {
    const char *name, *label, *value;
  } texts[] = {
    { "name", _ ("Model"), card->name },
    { "version", _ ("Version"), card->version },
    { "architecture", _ ("Architecture"), card->architecture },
    { "noise_range_levels", _ ("Noise levels trained on"), card->noise_range_levels },
    { "encoding", _ ("Encoding"), card->encoding },
    { "training", _ ("Training"), card->training },
    { "licence", _ ("Licence"), card->licence },
  };
  g_autoptr (JsonBuilder) builder = json_builder_new ();

  json_builder_begin_object (builder);
  for (guint i = 0; i < G_N_ELEMENTS (texts); i++)
    {
      gw_json_add_text (builder, texts[i].name, texts[i].value);
      if (!json)
        g_print ("%s: %s\n", texts[i].label, texts[i].value);
    }
  add_int (builder, "parameters", card->parameters);
  gw_json_add_number (builder, "multiply_adds_per_pixel", card->multiply_adds_per_pixel);
  add_int (builder, "radius", card->radius);
  json_builder_end_object (builder);

  if (json)
    print_json (builder);
  else
    g_print (_ ("Parameters: %lld\nMultiply-adds per pixel: %.0f\nRadius: %d pixels\n"),
             (long long) card->parameters, card->multiply_adds_per_pixel, card->radius);
}

static int
info_main (int argc, char **argv)
{
  gboolean json = FALSE;
  g_auto (GStrv) names = NULL;
  g_autoptr (GwModel) model = NULL;
  GError *error = NULL;
  const GOptionEntry entries[]
      = { { "json", 0, 0, G_OPTION_ARG_NONE, &json, _ ("Print the card as JSON"), NULL },
          { G_OPTION_REMAINING, 0, 0, G_OPTION_ARG_FILENAME_ARRAY, &names, NULL, NULL },
          { NULL } };

  if (!parse_options (argc, argv, _ ("[MODEL]"), _ ("Prints what a model says of itself."), entries))
    return EXIT_WRONG_USE;
  if (names && g_strv_length (names) > 1)
    return wrong_use (_ ("“info” takes one model at most."));

  if (!(model = gw_models_load (names ? names[0] : GW_DEFAULT_MODEL, &error)))
    return fail (error);
  print_card (gw_model_get_card (model), json);

  return EXIT_SUCCESS;
}

/* ------------------------------------------------------------------------------------------------------------ */

static void
print_help (void)
{
  g_print ("%s\n\n  grainwise denoise %s\n      [--noise %s] [--uncertainty %s] [--model %s] [--threads %s] "
           "[--json]\n      [--samples %s --sample-prefix %s [--sampler %s] [--steps %s] [--seed %s]]\n"
           "  grainwise estimate %s [--json]\n"
           "  grainwise info %s [--json]\n  grainwise --version\n\n%s\n",
           _ ("Denoises photos, and tells where the result can be trusted."), _ ("IN OUT"), _ ("SIGMA"),
           _ ("FILE"), _ ("NAME|FILE"), _ ("N"), _ ("K"), _ ("P"), _ ("NAME"), _ ("N"), _ ("S"), _ ("IN"),
           _ ("[MODEL]"), _ ("“grainwise COMMAND --help” explains a command."));
}

int
main (int argc, char **argv)
{
  const struct
  {
    const char *name;
    int (*run) (int argc, char **argv);
  } commands[] = { { "denoise", denoise_main }, { "estimate", estimate_main }, { "info", info_main } };
  const char *first = argc > 1 ? argv[1] : "";
  int status;

  setlocale (LC_ALL, "");
  bindtextdomain (GETTEXT_PACKAGE, GRAINWISE_DIR "/locale");
  bind_textdomain_codeset (GETTEXT_PACKAGE, "UTF-8");

  if (g_str_equal (first, "--version"))
    {
      g_print ("grainwise " GRAINWISE_VERSION "\n");
      return EXIT_SUCCESS;
    }
  if (g_str_equal (first, "--help") || g_str_equal (first, "-h"))
    {
      print_help ();
      return EXIT_SUCCESS;
    }
  for (guint i = 0; i < G_N_ELEMENTS (commands); i++)
    if (g_str_equal (first, commands[i].name))
      {
        g_autofree char *program = g_strconcat ("grainwise ", first, NULL);

        g_setenv ("BABL_LUT", "0", FALSE); /* a quarter of a gigabyte that makes no photo faster */
        gegl_init (NULL, NULL);
        g_set_prgname (program); /* for its --help */
        status = commands[i].run (argc - 1, argv + 1);
        gegl_exit ();
        if (fflush (stdout) != 0)
          {
            perror ("grainwise");
            return EXIT_FAILURE;
          }
        return status;
      }
  return wrong_use (*first ? _ ("There is no such command.") : _ ("What shall be done?"));
}

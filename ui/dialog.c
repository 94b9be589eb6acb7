/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "dialog.h"

#include <math.h>
#include <glib/gi18n-lib.h>

#include "controls.h"
#include "models.h"
#include "preview.h"
#include "settings.h"
#include "tabs.h"

typedef struct
{
  GimpProcedureConfig *config;
  GeglBuffer *photo;  /* a private copy, because libgimp must not be used from two threads */
  GHashTable *models; /* name -> GwModel; kept until the end, since a preview may still run with an old one */
  GMutex loading;     /* the tasks share them */

  GwPhotoNoise noise; /* of the whole photo */
  gboolean measured;
  const char *checked_model; /* that the noise was last checked with, and what it was told */
  GwNoiseTold checked;

  GwPreview *preview;
  GwTabs *tabs;
  GtkWidget *status; /* below the preview */
  double pixels;     /* to be denoised */
  double pace;       /* seconds that the network takes for a pixel; 0: not known yet */

  GwDenoised shown; /* what the preview shows, of this region; there may be nothing yet */
  GeglRectangle region;
  gboolean fresh; /* and it is what was asked for last */
  double added;   /* to its error by blending */
  double end;     /* of its uncertainty's scale */

  GCancellable *measuring, *checking;
  GCancellable *computing; /* of the newest preview */
  int running;             /* tasks that have not come back */
} Dialog;

static void update (gpointer data);

/* ---- What the preview says ------------------------------------------------------------------------------- */

static GwView
chosen_view (Dialog *dialog)
{
  return gimp_procedure_config_get_choice_id (dialog->config, "view");
}

/* The uncertainty is there to be looked at even where no layer of it is wished. */
static void
chosen_uncertainty (Dialog *dialog, GwQuantity *quantity, GwColours *colours, double *end)
{
  gw_settings_uncertainty (dialog->config, quantity, colours, end);
  if (*quantity == GW_QUANTITY_NONE)
    *quantity = GW_QUANTITY_SD;
}

static void
say (Dialog *dialog, const char *text)
{
  gtk_label_set_text (GTK_LABEL (dialog->status), text);
}

static char *
describe_uncertainty (Dialog *dialog)
{
  g_autofree char *end = NULL;
  GwQuantity quantity;
  GwColours colours;
  double chosen_end;

  chosen_uncertainty (dialog, &quantity, &colours, &chosen_end);
  end = gw_quantity_format (quantity, dialog->end);

  /* translators: the first is such as "Uncertainty, sd" */
  return g_strdup_printf (
      _ ("%s, white = %s.\nStandard deviation here: %.1f levels on average; %.0f %% is doubtful."),
      gw_quantity_title (quantity), end, 255 * dialog->shown.mean_sd, 100 * dialog->shown.doubtful);
}

static char *
describe_result (Dialog *dialog)
{
  const double square = dialog->shown.mean_variance + dialog->added;

  if (dialog->checked_model)
    {
      g_autofree char *expectation = gw_photo_noise_expectation (&dialog->noise, dialog->added);
      g_autofree char *verdict = gw_photo_noise_verdict (&dialog->noise);

      return g_strconcat (expectation, "\n", verdict, NULL);
    }
  return g_strdup_printf (_ ("Noise about %.1f levels. Expected error here %.1f levels (%.1f dB).\n"
                             "Checking whether the photo agrees…"),
                          dialog->noise.levels, 255 * sqrt (square), -10 * log10 (MAX (square, 1e-12)));
}

static void
say_result (Dialog *dialog)
{
  const GwView view = chosen_view (dialog);
  g_autofree char *text = NULL;

  if (view == GW_VIEW_NOISY)
    text = g_strdup (_ ("The photo as it is"));
  else if (!dialog->fresh)
    text = g_strdup (dialog->measured ? _ ("Denoising…") : _ ("Measuring the noise…"));
  else
    text = view == GW_VIEW_UNCERTAINTY ? describe_uncertainty (dialog) : describe_result (dialog);
  say (dialog, text);
}

/* A task has ended.  Returns whether it succeeded; if not, says why, unless it was cancelled. */
static gboolean
came_back (Dialog *dialog, GAsyncResult *async)
{
  g_autoptr (GError) error = NULL;

  dialog->running--;
  if (g_task_propagate_boolean (G_TASK (async), &error))
    return !g_cancellable_is_cancelled (g_task_get_cancellable (G_TASK (async)));
  if (!g_error_matches (error, G_IO_ERROR, G_IO_ERROR_CANCELLED))
    say (dialog, error->message);

  return FALSE;
}

static void
start_task (Dialog *dialog, GCancellable *cancellable, GTaskThreadFunc work, GAsyncReadyCallback done,
            gpointer data, GDestroyNotify free)
{
  g_autoptr (GTask) task = g_task_new (NULL, cancellable, done, dialog);

  g_task_set_task_data (task, data, free);
  dialog->running++;
  g_task_run_in_thread (task, work);
}

/* @error: a pointer, since it is set while the arguments are worked out */
static void
end_task (GTask *task, gboolean success, GError **error)
{
  if (success)
    g_task_return_boolean (task, TRUE);
  else
    g_task_return_error (task, *error);
}

/* What a task works with, and what comes of it. */
typedef struct
{
  Dialog *dialog; /* to get the model from */
  const char *model;
  GeglBuffer *photo;
  GeglRectangle region;
  gboolean glance;     /* the noise is not measured yet: make do with a rough estimate */
  gboolean first_look; /* something better will follow */
  GwNoiseTold told;
  GwPhotoNoise noise;
  GwDenoised result;
  double pace; /* seconds a pixel */
} Request;

static void
request_free (gpointer data)
{
  Request *request = data;

  g_object_unref (request->photo);
  gw_denoised_clear (&request->result);
  g_free (request);
}

/* What is seen, and what of its surroundings the map of its uncertainty needs. */
static GeglRectangle
wanted_region (Dialog *dialog)
{
  GeglRectangle region = gw_preview_get_region (dialog->preview);
  GwQuantity quantity;
  GwColours colours;
  double end;
  int reach;

  chosen_uncertainty (dialog, &quantity, &colours, &end);
  reach = gw_quantity_reach (quantity);
  region = *GEGL_RECTANGLE (region.x - reach, region.y - reach, region.width + 2 * reach,
                            region.height + 2 * reach);
  gegl_rectangle_intersect (&region, &region, gegl_buffer_get_extent (dialog->photo));

  return region;
}

static Request *
request_new (Dialog *dialog, const char *model)
{
  Request *request = g_new0 (Request, 1);

  request->dialog = dialog;
  request->model = model;
  request->photo = g_object_ref (dialog->photo);
  request->region = wanted_region (dialog);
  request->told = gw_settings_noise (dialog->config);
  request->noise = dialog->noise;

  return request;
}

/* For tasks, since a model takes a while to load. */
static const GwModel *
get_model (const Request *request, GError **error)
{
  Dialog *dialog = request->dialog;
  g_autoptr (GMutexLocker) locker = g_mutex_locker_new (&dialog->loading);
  GwModel *model = g_hash_table_lookup (dialog->models, request->model);

  if (!model && (model = gw_models_load (request->model, error)))
    g_hash_table_insert (dialog->models, (char *) request->model, model);

  return model;
}

/* ---- Whether the photo's noise is as assumed ------------------------------------------------------------- */

static gboolean
is_checked (Dialog *dialog, const char *model)
{
  const GwNoiseTold told = gw_settings_noise (dialog->config);

  return model == dialog->checked_model && told.levels == dialog->checked.levels
         && told.uniform == dialog->checked.uniform && told.grain == dialog->checked.grain;
}

static void
check (GTask *task, gpointer source, gpointer data, GCancellable *cancellable)
{
  const GwRun run = { .threads = gimp_get_num_processors (), .cancellable = cancellable };
  Request *request = data;
  GError *error = NULL;
  const GwModel *model = get_model (request, &error);

  end_task (task, model && gw_photo_noise_check (request->photo, model, &run, &request->noise, &error),
            &error);
}

static void renew (Dialog *dialog, const char *model, gboolean first_look);

static void
checked (GObject *source, GAsyncResult *async, gpointer data)
{
  Dialog *dialog = data;
  const Request *request = g_task_get_task_data (G_TASK (async));

  if (dialog->checking == g_task_get_cancellable (G_TASK (async)))
    g_clear_object (&dialog->checking);
  if (!came_back (dialog, async))
    return;
  dialog->noise = request->noise;
  dialog->checked_model = request->model;
  dialog->checked = request->told;
  if (dialog->noise.assumed.misfit <= 0)
    say_result (dialog);
  else if (dialog->fresh) /* the uncertainty is wider than what is seen; the photo stays */
    renew (dialog, request->model, FALSE);
  else
    update (dialog);
}

/* ---- The preview ----------------------------------------------------------------------------------------- */

static GeglBuffer *
paint_uncertainty (Dialog *dialog)
{
  const char *format = gw_photo_channels (dialog->photo) == 1 ? "Y' u8" : "R'G'B' u8";
  g_autoptr (GeglBuffer) map = NULL;
  GeglBuffer *picture;
  GwQuantity quantity;
  GwColours colours;

  chosen_uncertainty (dialog, &quantity, &colours, &dialog->end);
  map = gw_uncertainty_map (quantity, &dialog->shown);
  if (dialog->end <= 0)
    dialog->end = gw_uncertainty_end (quantity, map);
  picture = gegl_buffer_new (gegl_buffer_get_extent (map), babl_format (format));
  gw_uncertainty_paint (map, dialog->end, colours, picture);

  return picture;
}

/* What the network found, as it is chosen to be shown. */
static void
show (Dialog *dialog)
{
  if (dialog->shown.denoised)
    {
      const GwStrength strength = gw_settings_strength (dialog->config);
      g_autoptr (GeglBuffer) result = chosen_view (dialog) == GW_VIEW_UNCERTAINTY
                                          ? paint_uncertainty (dialog)
                                          : gw_strength_blend (&strength, dialog->photo, &dialog->region,
                                                               &dialog->shown, &dialog->added);

      gw_preview_show (dialog->preview, &dialog->region, result);
    }
  say_result (dialog);
}

static void
compute (GTask *task, gpointer source, gpointer data, GCancellable *cancellable)
{
  const GwRun run = { .threads = gimp_get_num_processors (), .cancellable = cancellable };
  Request *request = data;
  GError *error = NULL;
  const GwModel *model = get_model (request, &error);
  const gint64 start = g_get_monotonic_time ();
  gboolean success = model != NULL;

  if (success && request->glance)
    {
      success = gw_photo_noise_glance (request->photo, &request->region, &run, &request->noise, &error);
      gw_photo_noise_assume (&request->noise, &request->told);
    }
  success = success
            && gw_photo_denoise (request->photo, &request->region, model, &request->noise.assumed,
                                 GW_MAP_COLOUR, TRUE, &run, &request->result, &error);
  if (success)
    {
      const GeglRectangle extent = gw_photo_extent (request->photo, &request->region, model);

      request->pace = 1e-6 * (g_get_monotonic_time () - start) / ((double) extent.width * extent.height);
    }
  end_task (task, success, &error);
}

/* How long the samples will take, as soon as that can be told. */
static void
say_duration (Dialog *dialog)
{
  const GwDrawing drawing = gw_settings_drawing (dialog->config);
  const double seconds = drawing.n * gw_sampling_passes (&drawing.sampling) * dialog->pixels * dialog->pace;
  g_autofree char *text = NULL;

  if (drawing.n == 0)
    text = g_strdup (
        _ ("Samples are other photos that this noise could have hidden: what all of them show is there, what "
           "only some show is guessed."));
  else if (dialog->pace > 0)
    text = seconds < 90 ? g_strdup_printf (_ ("These samples will take about %.0f s."), MAX (seconds, 1))
                        : g_strdup_printf (_ ("These samples will take about %.0f min."), seconds / 60);
  gw_tabs_set_duration (dialog->tabs, text ? text : "");
}

static void computed (GObject *source, GAsyncResult *async, gpointer data);
static void start_measuring (Dialog *dialog);

static void
start_computing (Dialog *dialog, const char *model, gboolean first_look)
{
  Request *request = request_new (dialog, model);

  request->first_look = first_look;
  request->glance = !dialog->measured;
  start_task (dialog, dialog->computing, compute, computed, request, request_free);
}

static void
computed (GObject *source, GAsyncResult *async, gpointer data)
{
  Dialog *dialog = data;
  Request *request = g_task_get_task_data (G_TASK (async));
  const char *model = gw_settings_model (dialog->config);

  if (!came_back (dialog, async))
    return;
  gw_denoised_clear (&dialog->shown);
  dialog->shown = request->result;
  request->result = (GwDenoised) { 0 };
  dialog->region = request->region;
  dialog->fresh = !request->first_look;
  show (dialog);
  g_debug (dialog->fresh ? "preview" : "first look");
  if (dialog->fresh)
    {
      dialog->pace = request->pace;
      say_duration (dialog);
    }

  if (request->glance)
    {
      if (!dialog->measuring)
        start_measuring (dialog);
    }
  else if (request->first_look)
    start_computing (dialog, model, FALSE);
  else if (!is_checked (dialog, model) && !dialog->checking)
    {
      dialog->checking = g_cancellable_new ();
      start_task (dialog, dialog->checking, check, checked, request_new (dialog, model), request_free);
    }
}

static void
cancel (GCancellable **cancellable)
{
  g_cancellable_cancel (*cancellable);
  g_clear_object (cancellable);
}

/* What was shown is not of here any more. */
static void
renew (Dialog *dialog, const char *model, gboolean first_look)
{
  cancel (&dialog->computing);
  dialog->fresh = FALSE;
  say_result (dialog);
  dialog->computing = g_cancellable_new ();
  start_computing (dialog, model, first_look);
}

/* Has what is seen computed.  The better model takes a second, so the faster one gives a first look, even
 * before the noise has been measured: that begins after the first of them all, which would else have to
 * share the processor with it. */
static void
update (gpointer data)
{
  Dialog *dialog = data;
  const char *model = gw_settings_model (dialog->config);
  const char *quick = g_intern_static_string (GW_ESTIMATE_MODEL);
  const GwNoiseTold told = gw_settings_noise (dialog->config);

  g_debug ("change");
  if (dialog->measured && !is_checked (dialog, model))
    {
      cancel (&dialog->checking);
      dialog->checked_model = NULL;
      gw_photo_noise_assume (&dialog->noise, &told);
    }
  renew (dialog, quick, !dialog->measured || quick != model);
}

static void
config_changed (GObject *config, GParamSpec *pspec, Dialog *dialog)
{
  static const char *const network[] = { "noise-level", "brightness", "grain-size", "model", NULL };
  const GeglRectangle wanted = wanted_region (dialog);
  static const char *const shown[] = {
    "luminance-strength", "colour-strength", "keep-grain", "uncertainty", "colours", "scale-end", NULL
  };
  static const char *const drawn[] = { "samples", "sampler", "steps", NULL };

  if (g_str_equal (pspec->name, "view"))
    {
      gw_preview_set_view (dialog->preview, chosen_view (dialog));
      show (dialog);
    }
  else if (g_strv_contains (network, pspec->name)
           || (g_str_equal (pspec->name, "uncertainty")
               && !gegl_rectangle_contains (&dialog->region, &wanted)))
    update (dialog);
  else if (g_strv_contains (shown, pspec->name))
    show (dialog);
  else if (g_strv_contains (drawn, pspec->name))
    say_duration (dialog);
}

/* A key in the preview. */
static void
view_chosen (GwView view, gpointer data)
{
  static const char *names[] = { "denoised", "uncertainty", "noisy", "split" };
  Dialog *dialog = data;

  g_object_set (dialog->config, "view", names[view], NULL);
}

/* ---- Measuring ------------------------------------------------------------------------------------------- */

static void
measure (GTask *task, gpointer source, gpointer data, GCancellable *cancellable)
{
  const GwRun run = { .threads = gimp_get_num_processors (), .cancellable = cancellable };
  Request *request = data;
  GError *error = NULL;

  end_task (task, gw_photo_noise_measure (request->photo, &run, &request->noise, &error), &error);
}

static void
measured (GObject *source, GAsyncResult *async, gpointer data)
{
  Dialog *dialog = data;
  const Request *request = g_task_get_task_data (G_TASK (async));

  if (!came_back (dialog, async))
    return;
  dialog->noise = request->noise;
  dialog->measured = TRUE;
  gw_tabs_set_measured (dialog->tabs, &dialog->noise);
  update (dialog);
}

static void
start_measuring (Dialog *dialog)
{
  dialog->measuring = g_cancellable_new ();
  start_task (dialog, dialog->measuring, measure, measured, request_new (dialog, NULL), request_free);
}

/* ---- The dialog ------------------------------------------------------------------------------------------ */

static void
add_preview (Dialog *dialog, GtkBox *box)
{
  g_autofree char *doubtful
      = g_strdup_printf (_ ("Doubtful is a pixel whose expected error is more than %.0f levels: its "
                            "true colour may well be %.0f levels off."),
                         255 * GW_DOUBTFUL, 2 * 255 * GW_DOUBTFUL);

  dialog->status = gw_control_status ();
  gtk_widget_set_tooltip_text (dialog->status, doubtful);

  gtk_box_pack_start (box, gw_preview_get_area (dialog->preview), TRUE, TRUE, 0);
  gtk_box_pack_start (box, dialog->status, FALSE, FALSE, 0);
  say_result (dialog);
}

static void
fill (Dialog *dialog, GimpProcedureDialog *gimp_dialog)
{
  GtkBox *columns = GTK_BOX (gtk_box_new (GTK_ORIENTATION_HORIZONTAL, 18));
  GtkBox *left = GTK_BOX (gtk_box_new (GTK_ORIENTATION_VERTICAL, 6));
  GtkBox *right = GTK_BOX (gtk_box_new (GTK_ORIENTATION_VERTICAL, 9));
  GtkBox *pictures = GTK_BOX (gtk_box_new (GTK_ORIENTATION_HORIZONTAL, 12));
  g_autoptr (GtkSizeGroup) labels = gtk_size_group_new (GTK_SIZE_GROUP_HORIZONTAL);

  add_preview (dialog, left);
  dialog->tabs = gw_tabs_new (gimp_dialog, G_OBJECT (dialog->config), gw_photo_channels (dialog->photo));
  say_duration (dialog);
  gtk_box_pack_start (pictures, gw_preview_get_map (dialog->preview), FALSE, FALSE, 0);
  gtk_box_pack_end (pictures, gw_tabs_get_plot (dialog->tabs), FALSE, FALSE, 0);
  gtk_box_pack_start (right, GTK_WIDGET (pictures), FALSE, FALSE, 0);
  gtk_box_pack_start (right, gw_control_choice (gimp_dialog, "view", labels), FALSE, FALSE, 0);
  gtk_box_pack_start (right, gw_tabs_get_widget (dialog->tabs), TRUE, TRUE, 0);
  gtk_box_pack_start (
      right,
      gw_control_text (_ (
          "The uncertainty layer shows how far the true colour may lie from the denoised one: dark where the "
          "result can be trusted, light where detail was lost in the noise.")),
      FALSE, FALSE, 0);

  gtk_box_pack_start (columns, GTK_WIDGET (left), TRUE, TRUE, 0);
  gtk_box_pack_start (columns, GTK_WIDGET (right), FALSE, FALSE, 0);
  gtk_container_set_border_width (GTK_CONTAINER (columns), 12);
  gtk_box_pack_start (GTK_BOX (gtk_dialog_get_content_area (GTK_DIALOG (gimp_dialog))), GTK_WIDGET (columns),
                      TRUE, TRUE, 0);
  gtk_widget_show_all (GTK_WIDGET (columns));
}

/* The middle of what is selected. */
static GwPreview *
new_preview (Dialog *dialog, GimpDrawable *drawable)
{
  int x = 0, y = 0, width = 0, height = 0;

  gimp_drawable_mask_intersect (drawable, &x, &y, &width, &height);
  dialog->pixels = (double) width * height;

  return gw_preview_new (dialog->photo, x + width / 2.0, y + height / 2.0, update, view_chosen, dialog);
}

/* babl's first search for a way takes some tenths of a second: time in which GTK gets ready. */
static gpointer
find_conversion (gpointer format)
{
  babl_fish (format, babl_format ("cairo-ARGB32"));

  return NULL;
}

gboolean
gw_dialog_run (GimpProcedure *procedure, GimpProcedureConfig *config, GimpDrawable *drawable)
{
  Dialog dialog = { .config = config };
  g_autoptr (GeglBuffer) buffer = NULL;
  GThread *finding
      = g_thread_new ("conversion", find_conversion, (gpointer) gimp_drawable_get_format (drawable));
  GtkWidget *gimp_dialog;
  gboolean ok;

  gimp_ui_init (GW_DIALOG_ROLE);

  buffer = gimp_drawable_get_buffer (drawable);
  dialog.photo = gegl_buffer_new (gegl_buffer_get_extent (buffer), gegl_buffer_get_format (buffer));
  gegl_buffer_copy (buffer, NULL, GEGL_ABYSS_NONE, dialog.photo, NULL);
  dialog.models = g_hash_table_new_full (g_str_hash, g_str_equal, NULL, (GDestroyNotify) gw_model_free);
  g_mutex_init (&dialog.loading);
  dialog.preview = new_preview (&dialog, drawable);
  dialog.computing = g_cancellable_new ();
  start_computing (&dialog, g_intern_static_string (GW_ESTIMATE_MODEL), TRUE); /* while the dialog is made */

  g_object_set (config, "view", "denoised", NULL); /* not what happened to be looked at last */
  gimp_dialog = gimp_procedure_dialog_new (procedure, config, _ ("Denoise with Confidence"));
  gimp_dialog_set_alternative_button_order (GTK_DIALOG (gimp_dialog), GTK_RESPONSE_OK, GTK_RESPONSE_CANCEL,
                                            -1);
  gimp_window_set_transient (GTK_WINDOW (gimp_dialog));
  fill (&dialog, GIMP_PROCEDURE_DIALOG (gimp_dialog));
  g_signal_connect (config, "notify", G_CALLBACK (config_changed), &dialog);

  gtk_widget_show (gimp_dialog);
  g_debug ("open"); /* this, and others like it, tell tests/benchmark_gimp.py the time */
  ok = gimp_procedure_dialog_run (GIMP_PROCEDURE_DIALOG (gimp_dialog));

  g_signal_handlers_disconnect_by_data (config, &dialog);
  cancel (&dialog.measuring);
  cancel (&dialog.computing);
  cancel (&dialog.checking);
  while (dialog.running > 0)
    g_main_context_iteration (NULL, TRUE);
  gtk_widget_destroy (gimp_dialog);

  g_thread_join (finding);
  gw_tabs_free (dialog.tabs);
  gw_preview_free (dialog.preview);
  gw_denoised_clear (&dialog.shown);
  g_hash_table_unref (dialog.models);
  g_mutex_clear (&dialog.loading);
  g_object_unref (dialog.photo);

  return ok;
}

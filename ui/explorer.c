/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "explorer.h"

#include <math.h>
#include <glib/gi18n-lib.h>

#include "controls.h"
#include "models.h"
#include "preview.h"
#include "settings.h"

#define AREA 480  /* pixels of the screen that a region is enlarged to, at most */
#define MOST_SD 3 /* of a component, either way */
#define TICK 100  /* milliseconds from one look at the progress to the next */

/* ---- What is found ----------------------------------------------------------------------------------------- */

void
gw_exploration_clear (GwExploration *exploration)
{
  g_clear_pointer (&exploration->weights, g_free);
  g_clear_pointer (&exploration->model, gw_model_free);
  gw_components_clear (&exploration->components);
}

static gboolean
load (GwExploration *exploration, const char *name, GError **error)
{
  if (exploration->model && exploration->model_name == name)
    return TRUE;
  g_clear_pointer (&exploration->model, gw_model_free);
  exploration->model_name = name;

  return (exploration->model = gw_models_load (name, error)) != NULL;
}

gboolean
gw_explore (GeglBuffer *photo, const char *model, const GwNoiseTold *told, const GwRun *run,
            GwExploration *exploration, GError **error)
{
  const GwRun quiet = { .threads = run->threads, .cancellable = run->cancellable };

  gw_components_clear (&exploration->components);
  if (!load (exploration, model, error))
    return FALSE;
  if (!exploration->measured && !gw_photo_noise_measure (photo, &quiet, &exploration->noise, error))
    return FALSE;
  exploration->measured = TRUE;
  gw_photo_noise_assume (&exploration->noise, told);

  return gw_photo_noise_check (photo, exploration->model, &quiet, &exploration->noise, error)
         && gw_photo_components (photo, &exploration->region, exploration->weights, exploration->model,
                                 &exploration->noise.assumed, GW_ALTERNATIVES, run, &exploration->components,
                                 error);
}

/* ---- The dialog -------------------------------------------------------------------------------------------- */

typedef struct
{
  GimpProcedureConfig *config;
  GwExploration *found;
  GeglBuffer *photo; /* a private copy, because libgimp must not be used from two threads */

  GwPreview *preview;
  GtkWidget *dialog, *status, *bar, *sliders;
  GtkWidget *labels[GW_ALTERNATIVES];
  GtkAdjustment *amounts[GW_ALTERNATIVES];

  GCancellable *cancellable; /* of the search that runs */
  gboolean again;            /* another search was asked for meanwhile */
  GwNoiseTold told;          /* to that search */
  const char *model;
  int progress; /* in percent, of the thread's; atomic */
  guint tick;
} Explorer;

static char *
describe_colour (const GwComponents *components)
{
  const double *mean = components->colour, *error = components->colour_error;

  if (components->channels == 1)
    return g_strdup_printf (_ ("The mean value here is %.1f ± %.2f levels (standard error)."), 255 * mean[0],
                            255 * error[0]);

  return g_strdup_printf (
      _ ("The mean colour here is R %.1f G %.1f B %.1f ± %.2f %.2f %.2f levels (standard error)."),
      255 * mean[0], 255 * mean[1], 255 * mean[2], 255 * error[0], 255 * error[1], 255 * error[2]);
}

/* The state that the sliders are in. */
static void
show (Explorer *explorer)
{
  GwExploration *found = explorer->found;
  g_autoptr (GeglBuffer) alternative = NULL;

  if (explorer->cancellable || !found->components.mean) /* the thread is at work with them */
    return;
  for (int k = 0; k < found->components.n; k++)
    found->amounts[k] = gtk_adjustment_get_value (explorer->amounts[k]);
  alternative = gw_photo_alternative (explorer->photo, &found->region, &found->components, found->amounts);
  gw_preview_show (explorer->preview, &found->region, alternative);
}

static void
reset (Explorer *explorer)
{
  for (int k = 0; k < GW_ALTERNATIVES; k++)
    gtk_adjustment_set_value (explorer->amounts[k], 0);
}

static void
show_components (Explorer *explorer)
{
  const GwComponents *components = &explorer->found->components;
  g_autofree char *colour = describe_colour (components);

  for (int k = 0; k < GW_ALTERNATIVES; k++)
    {
      g_autofree char *text = k < components->n
                                  ? g_strdup_printf (_ ("Component _%d: up to ± %.1f levels"), k + 1,
                                                     255 * gw_components_change (components, k))
                                  : g_strdup_printf (_ ("Component _%d: there is none"), k + 1);

      gtk_label_set_text_with_mnemonic (GTK_LABEL (explorer->labels[k]), text);
    }
  gtk_label_set_text (GTK_LABEL (explorer->status), colour);
}

/* ---- The search, in a thread of its own -------------------------------------------------------------------- */

static void
note_progress (double fraction, gpointer data)
{
  Explorer *explorer = data;

  g_atomic_int_set (&explorer->progress, (int) (100 * fraction));
}

static gboolean
show_progress (gpointer data)
{
  Explorer *explorer = data;

  gtk_progress_bar_set_fraction (GTK_PROGRESS_BAR (explorer->bar),
                                 g_atomic_int_get (&explorer->progress) / 100.0);

  return G_SOURCE_CONTINUE;
}

static void
search (GTask *task, gpointer source, gpointer data, GCancellable *cancellable)
{
  Explorer *explorer = data;
  const GwRun run = { .threads = gimp_get_num_processors (),
                      .cancellable = cancellable,
                      .progress = note_progress,
                      .progress_data = explorer };
  GError *error = NULL;

  if (gw_explore (explorer->photo, explorer->model, &explorer->told, &run, explorer->found, &error))
    g_task_return_boolean (task, TRUE);
  else
    g_task_return_error (task, error);
}

/* The denoised region, by the faster model, and at first as the noise seems to be there: to be looked at
 * while the search runs. */
static void
glance (GTask *task, gpointer source, gpointer data, GCancellable *cancellable)
{
  Explorer *explorer = data;
  const GeglRectangle *region = &explorer->found->region;
  const GwRun run = { .threads = gimp_get_num_processors (), .cancellable = cancellable };
  g_autoptr (GwModel) model = NULL;
  g_auto (GwDenoised) look = { 0 };
  GwPhotoNoise noise = explorer->found->noise;
  GError *error = NULL;

  if ((model = gw_models_load (GW_ESTIMATE_MODEL, &error))
      && (explorer->found->measured || gw_photo_noise_glance (explorer->photo, region, &run, &noise, &error)))
    {
      gw_photo_noise_assume (&noise, &explorer->told);
      gw_photo_denoise (explorer->photo, region, model, &noise.assumed, GW_MAP_NONE, FALSE, &run, &look,
                        &error);
    }
  if (error)
    g_task_return_error (task, error);
  else
    g_task_return_pointer (task, g_steal_pointer (&look.denoised), g_object_unref);
}

static void start (Explorer *explorer);
static void start_task (Explorer *explorer, GTaskThreadFunc work, GAsyncReadyCallback done);

static void
set_found (Explorer *explorer, gboolean found)
{
  gtk_dialog_set_response_sensitive (GTK_DIALOG (explorer->dialog), GTK_RESPONSE_OK, found);
  gtk_widget_set_sensitive (explorer->sliders, found);
  gtk_widget_set_opacity (explorer->bar, found ? 0 : 1); /* hidden, it would leave its place to others */
}

/* A task came to nothing. */
static void
failed (Explorer *explorer, const GError *error)
{
  if (explorer->again)
    start (explorer);
  else if (!g_error_matches (error, G_IO_ERROR, G_IO_ERROR_CANCELLED))
    gtk_label_set_text (GTK_LABEL (explorer->status), error->message);
}

static void
searched (GObject *source, GAsyncResult *async, gpointer data)
{
  Explorer *explorer = data;
  g_autoptr (GError) error = NULL;

  g_clear_object (&explorer->cancellable);
  g_clear_handle_id (&explorer->tick, g_source_remove);
  if (!g_task_propagate_boolean (G_TASK (async), &error) || explorer->again)
    {
      failed (explorer, error);
      return;
    }
  set_found (explorer, TRUE);
  show_components (explorer);
  show (explorer);
}

static void
glanced (GObject *source, GAsyncResult *async, gpointer data)
{
  Explorer *explorer = data;
  g_autoptr (GError) error = NULL;
  g_autoptr (GeglBuffer) look = g_task_propagate_pointer (G_TASK (async), &error);

  g_clear_object (&explorer->cancellable);
  if (!look || explorer->again)
    {
      failed (explorer, error);
      return;
    }
  gw_preview_show (explorer->preview, &explorer->found->region, look);
  start_task (explorer, search, searched);
  explorer->tick = g_timeout_add (TICK, show_progress, explorer);
}

static void
start_task (Explorer *explorer, GTaskThreadFunc work, GAsyncReadyCallback done)
{
  g_autoptr (GTask) task = NULL;

  explorer->cancellable = g_cancellable_new ();
  task = g_task_new (NULL, explorer->cancellable, done, explorer);
  g_task_set_task_data (task, explorer, NULL);
  g_task_run_in_thread (task, work);
}

static void
start (Explorer *explorer)
{
  explorer->again = FALSE;
  explorer->told = gw_settings_noise (explorer->config);
  explorer->model = gw_settings_model (explorer->config);
  g_atomic_int_set (&explorer->progress, 0);
  show_progress (explorer);
  set_found (explorer, FALSE);
  gtk_label_set_text (GTK_LABEL (explorer->status), _ ("Looking for alternatives…"));
  start_task (explorer, glance, glanced);
}

/* The thread works with what is shown, so one ends before another begins. */
static void
search_again (Explorer *explorer)
{
  if (explorer->cancellable)
    {
      explorer->again = TRUE;
      g_cancellable_cancel (explorer->cancellable);
    }
  else
    start (explorer);
}

/* ---- Widgets ----------------------------------------------------------------------------------------------- */

static void
moved (gpointer data)
{
}

static void
view_chosen (GwView view, gpointer data)
{
  Explorer *explorer = data;

  if (view != GW_VIEW_UNCERTAINTY) /* there is no picture of it */
    gw_preview_set_view (explorer->preview, view);
}

static void
add_slider (Explorer *explorer, int k)
{
  g_autofree char *name = g_strdup_printf (_ ("Component %d"), k + 1);
  g_autofree char *text = g_strdup_printf (_ ("Component _%d"), k + 1);
  GtkWidget *scale;

  explorer->amounts[k] = gtk_adjustment_new (0, -MOST_SD, MOST_SD, 0.1, 1, 0);
  explorer->labels[k] = gtk_label_new_with_mnemonic (text);
  gtk_label_set_xalign (GTK_LABEL (explorer->labels[k]), 0);
  scale = gtk_scale_new (GTK_ORIENTATION_HORIZONTAL, explorer->amounts[k]);
  for (int sd = -MOST_SD; sd <= MOST_SD; sd++)
    gtk_scale_add_mark (GTK_SCALE (scale), sd, GTK_POS_BOTTOM, NULL);
  gtk_scale_set_has_origin (GTK_SCALE (scale), FALSE);
  gtk_scale_set_digits (GTK_SCALE (scale), 1);
  gtk_scale_set_value_pos (GTK_SCALE (scale), GTK_POS_RIGHT);
  gtk_widget_set_tooltip_text (scale, _ ("How far to go along this component, in standard deviations"));
  gtk_label_set_mnemonic_widget (GTK_LABEL (explorer->labels[k]), scale);
  atk_object_set_name (gtk_widget_get_accessible (scale), name);
  gtk_box_pack_start (GTK_BOX (explorer->sliders), explorer->labels[k], FALSE, FALSE, 0);
  gtk_box_pack_start (GTK_BOX (explorer->sliders), scale, FALSE, FALSE, 0);
  g_signal_connect_swapped (explorer->amounts[k], "value-changed", G_CALLBACK (show), explorer);
}

static void
fill (Explorer *explorer)
{
  g_autoptr (GtkSizeGroup) labels = gtk_size_group_new (GTK_SIZE_GROUP_HORIZONTAL);
  GtkWidget *columns = gtk_box_new (GTK_ORIENTATION_HORIZONTAL, 18);
  GtkWidget *left = gtk_box_new (GTK_ORIENTATION_VERTICAL, 6);
  GtkWidget *right = gtk_box_new (GTK_ORIENTATION_VERTICAL, 12);
  GtkWidget *button = gtk_button_new_with_mnemonic (_ ("Back to the _mean"));
  GtkWidget *model = gw_control_model (G_OBJECT (explorer->config), labels);

  explorer->status = gw_control_status ();
  explorer->bar = gtk_progress_bar_new ();
  explorer->sliders = gtk_box_new (GTK_ORIENTATION_VERTICAL, 3);
  for (int k = 0; k < GW_ALTERNATIVES; k++)
    add_slider (explorer, k);
  gtk_widget_set_halign (button, GTK_ALIGN_START);
  gtk_box_pack_start (GTK_BOX (explorer->sliders), button, FALSE, FALSE, 0);
  g_signal_connect_swapped (button, "clicked", G_CALLBACK (reset), explorer);

  gtk_box_pack_start (GTK_BOX (left), gw_preview_get_area (explorer->preview), TRUE, TRUE, 0);
  gtk_box_pack_start (GTK_BOX (left), explorer->status, FALSE, FALSE, 0);
  gtk_box_pack_start (GTK_BOX (left), explorer->bar, FALSE, FALSE, 0);
  gtk_box_pack_start (
      GTK_BOX (right),
      gw_control_text (
          _ ("What the noise has hidden here may have been different. Each component is a way in which "
             "it can have been, the widest first; one standard deviation is usual, three is rare.")),
      FALSE, FALSE, 0);
  gtk_box_pack_start (GTK_BOX (right), explorer->sliders, FALSE, FALSE, 0);
  gtk_box_pack_start (GTK_BOX (right),
                      gw_control_automatic (G_OBJECT (explorer->config), "noise-level", labels), FALSE, FALSE,
                      0);
  if (model)
    gtk_box_pack_start (GTK_BOX (right), model, FALSE, FALSE, 0);
  gtk_box_pack_start (GTK_BOX (right), gw_control_text (_ ("OK keeps what is seen as a new layer.")), FALSE,
                      FALSE, 0);
  gtk_box_pack_start (GTK_BOX (columns), left, TRUE, TRUE, 0);
  gtk_box_pack_start (GTK_BOX (columns), right, FALSE, FALSE, 0);
  gtk_container_set_border_width (GTK_CONTAINER (columns), 12);
  gtk_box_pack_start (GTK_BOX (gtk_dialog_get_content_area (GTK_DIALOG (explorer->dialog))), columns, TRUE,
                      TRUE, 0);
  gtk_widget_show_all (columns);
}

static GwPreview *
new_preview (Explorer *explorer)
{
  const GeglRectangle *region = &explorer->found->region;
  GwPreview *preview = gw_preview_new (explorer->photo, region->x + region->width / 2.0,
                                       region->y + region->height / 2.0, moved, view_chosen, explorer);

  gw_preview_set_zoom (preview, AREA / MAX (region->width, region->height));

  return preview;
}

/* What repeats the choice: the component that was moved most. */
static void
remember (Explorer *explorer)
{
  const double *amounts = explorer->found->amounts;
  int most = 0;

  for (int k = 1; k < GW_ALTERNATIVES; k++)
    if (fabs (amounts[k]) > fabs (amounts[most]))
      most = k;
  g_object_set (explorer->config, "component", most + 1, "amount", amounts[most], NULL);
}

gboolean
gw_explorer_run (GimpProcedure *procedure, GimpProcedureConfig *config, GimpDrawable *drawable,
                 GwExploration *exploration)
{
  Explorer explorer = { .config = config, .found = exploration };
  g_autoptr (GeglBuffer) buffer = NULL;
  gboolean ok;

  gimp_ui_init (GW_EXPLORER_ROLE);

  buffer = gimp_drawable_get_buffer (drawable);
  explorer.photo = gegl_buffer_new (gegl_buffer_get_extent (buffer), gegl_buffer_get_format (buffer));
  gegl_buffer_copy (buffer, NULL, GEGL_ABYSS_NONE, explorer.photo, NULL);
  explorer.preview = new_preview (&explorer);

  explorer.dialog = gimp_procedure_dialog_new (procedure, config, _ ("Explore Alternatives"));
  gimp_dialog_set_alternative_button_order (GTK_DIALOG (explorer.dialog), GTK_RESPONSE_OK,
                                            GTK_RESPONSE_CANCEL, -1);
  gimp_window_set_transient (GTK_WINDOW (explorer.dialog));
  fill (&explorer);
  g_signal_connect_swapped (config, "notify::noise-level", G_CALLBACK (search_again), &explorer);
  g_signal_connect_swapped (config, "notify::model", G_CALLBACK (search_again), &explorer);

  gtk_widget_show (explorer.dialog);
  start (&explorer);
  ok = gimp_procedure_dialog_run (GIMP_PROCEDURE_DIALOG (explorer.dialog));

  g_signal_handlers_disconnect_by_data (config, &explorer);
  explorer.again = FALSE;
  g_cancellable_cancel (explorer.cancellable);
  while (explorer.cancellable)
    g_main_context_iteration (NULL, TRUE);
  if (ok)
    remember (&explorer);
  gtk_widget_destroy (explorer.dialog);
  gw_preview_free (explorer.preview);
  g_object_unref (explorer.photo);

  return ok;
}

/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "dialog.h"

#include <math.h>
#include <glib/gi18n-lib.h>

#include "models.h"
#include "noise-plot.h"
#include "photo-noise.h"
#include "preview.h"
#include "uncertainty.h"

#define LOWEST 0.1 /* noise level that can be set by hand, in 8-bit levels */
#define HIGHEST 100
#define STATUS_WIDTH 60 /* characters */

typedef struct
{
  GObject *config;
  GeglBuffer *photo;  /* a private copy, because libgimp must not be used from two threads */
  GHashTable *models; /* name -> GwModel; kept until the end, since a preview may still run with an old one */

  GwPhotoNoise noise; /* of the whole photo */
  gboolean measured;
  const GwModel *checked_model; /* that it was last checked for, and at what noise level */
  double checked_level;

  GwPreview *preview;
  double mean_sd, mean_variance, white; /* of what the preview shows; white is 0 if that is nothing yet */
  GtkWidget *status;                    /* below the preview */
  GtkWidget *automatic;                 /* "estimate" */
  GtkWidget *level;                     /* a row */
  GtkAdjustment *adjustment;            /* of the level that is used, in 8-bit levels */
  double manual;                        /* level to return to when "estimate" is switched off */
  GtkWidget *plot;

  GCancellable *measuring;
  GCancellable *computing; /* of the newest preview */
  int running;             /* tasks that have not come back */
} Dialog;

/* ---- What the preview says ------------------------------------------------------------------------------- */

static GwView
chosen_view (Dialog *dialog)
{
  return gimp_procedure_config_get_choice_id (GIMP_PROCEDURE_CONFIG (dialog->config), "view");
}

static void
say (Dialog *dialog, const char *text)
{
  gtk_label_set_text (GTK_LABEL (dialog->status), text);
}

static void
say_result (Dialog *dialog)
{
  const GwView view = chosen_view (dialog);
  g_autofree char *verdict = NULL;
  g_autofree char *text = NULL;

  if (view == GW_VIEW_NOISY)
    {
      say (dialog, _ ("The photo as it is"));
      return;
    }
  if (dialog->white == 0)
    {
      say (dialog, dialog->measured ? _ ("Denoising…") : _ ("Measuring the noise…"));
      return;
    }
  verdict = gw_photo_noise_verdict (&dialog->noise);
  if (view == GW_VIEW_UNCERTAINTY)
    text = g_strdup_printf (_ ("Uncertainty here: %.1f levels on average; white = %.3g levels"),
                            255 * dialog->mean_sd, dialog->white);
  else
    text = g_strdup_printf (_ ("Noise %.1f levels; expected error here %.1f levels (%.1f dB).\n%s"),
                            dialog->noise.levels, 255 * sqrt (dialog->mean_variance),
                            -10 * log10 (dialog->mean_variance), verdict);
  say (dialog, text);
}

/* A task has ended.  Returns whether it succeeded; if not, says why, unless it was cancelled. */
static gboolean
came_back (Dialog *dialog, GAsyncResult *async)
{
  g_autoptr (GError) error = NULL;

  dialog->running--;
  if (g_task_propagate_boolean (G_TASK (async), &error))
    return TRUE;
  if (!g_error_matches (error, G_IO_ERROR, G_IO_ERROR_CANCELLED))
    say (dialog, error->message);

  return FALSE;
}

/* ---- Computing it ---------------------------------------------------------------------------------------- */

/* One preview. */
typedef struct
{
  GeglBuffer *photo;
  GeglRectangle region;
  const GwModel *model;
  double level;       /* as chosen */
  GwPhotoNoise noise; /* that follows from it */
  gboolean checked;   /* it is known already */
  GwDenoised result;
} Request;

static void
request_free (gpointer data)
{
  Request *request = data;

  g_object_unref (request->photo);
  gw_denoised_clear (&request->result);
  g_free (request);
}

static void
compute (GTask *task, gpointer source, gpointer task_data, GCancellable *cancellable)
{
  Request *request = task_data;
  const GwRun run = { .threads = gimp_get_num_processors (), .cancellable = cancellable };
  GError *error = NULL;

  if ((request->checked
       || gw_photo_noise_assume (request->photo, request->model, request->level > 0 ? request->level : -1,
                                 &run, &request->noise, &error))
      && gw_photo_denoise (request->photo, &request->region, request->model, &request->noise.assumed,
                           GW_MAP_COLOUR, &run, &request->result, &error))
    g_task_return_boolean (task, TRUE);
  else
    g_task_return_error (task, error);
}

static void
computed (GObject *source, GAsyncResult *async, gpointer data)
{
  Dialog *dialog = data;
  Request *request = g_task_get_task_data (G_TASK (async));

  if (!came_back (dialog, async))
    return;
  if (g_cancellable_is_cancelled (g_task_get_cancellable (G_TASK (async)))) /* a newer one is on its way */
    return;

  dialog->noise = request->noise;
  dialog->checked_model = request->model;
  dialog->checked_level = request->level;
  dialog->mean_sd = request->result.mean_sd;
  dialog->mean_variance = request->result.mean_variance;
  dialog->white = gw_uncertainty_white (request->result.sd);
  gw_preview_show (dialog->preview, &request->region, &request->result, dialog->white);
  say_result (dialog);
}

static const GwModel *
chosen_model (Dialog *dialog, GError **error)
{
  g_autofree char *name = NULL;
  GwModel *model;

  g_object_get (dialog->config, "model", &name, NULL);
  model = g_hash_table_lookup (dialog->models, name);
  if (!model && (model = gw_models_load (name, error)))
    g_hash_table_insert (dialog->models, g_steal_pointer (&name), model);

  return model;
}

/* Has what is seen computed, unless the noise is not known yet. */
static void
update (gpointer data)
{
  Dialog *dialog = data;
  g_autoptr (GError) error = NULL;
  g_autoptr (GTask) task = NULL;
  const GwModel *model = chosen_model (dialog, &error);
  Request *request;

  g_cancellable_cancel (dialog->computing);
  g_clear_object (&dialog->computing);
  if (!model)
    {
      say (dialog, error->message);
      return;
    }
  dialog->white = 0; /* what was shown is not of here any more */
  say_result (dialog);
  if (!dialog->measured)
    return;

  request = g_new0 (Request, 1);
  request->photo = g_object_ref (dialog->photo);
  request->region = gw_preview_get_region (dialog->preview);
  request->model = model;
  request->noise = dialog->noise;
  g_object_get (dialog->config, "noise-level", &request->level, NULL);
  request->checked = model == dialog->checked_model && request->level == dialog->checked_level;

  dialog->computing = g_cancellable_new ();
  task = g_task_new (NULL, dialog->computing, computed, dialog);
  g_task_set_task_data (task, request, request_free);
  dialog->running++;
  g_task_run_in_thread (task, compute);
}

static void
config_changed (GObject *config, GParamSpec *pspec, Dialog *dialog)
{
  if (g_str_equal (pspec->name, "view"))
    {
      gw_preview_set_view (dialog->preview, chosen_view (dialog));
      say_result (dialog);
    }
  else if (g_str_equal (pspec->name, "noise-level") || g_str_equal (pspec->name, "model"))
    update (dialog);
}

/* A key in the preview. */
static void
view_chosen (GwView view, gpointer data)
{
  static const char *names[] = { "denoised", "uncertainty", "noisy", "split" };
  Dialog *dialog = data;

  g_object_set (dialog->config, "view", names[view], NULL);
}

/* ---- Noise level ----------------------------------------------------------------------------------------- */

/* The procedure's noise level is 0 for "estimate"; a switch says that more clearly. */
static void
automatic_toggled (GtkToggleButton *button, Dialog *dialog)
{
  const gboolean automatic = gtk_toggle_button_get_active (button);
  double level;

  g_object_get (dialog->config, "noise-level", &level, NULL);
  if (automatic && level > 0)
    dialog->manual = level;
  if (automatic != (level == 0))
    g_object_set (dialog->config, "noise-level", automatic ? 0.0 : MAX (dialog->manual, LOWEST), NULL);
}

/* The slider shows the level in use, which can be changed if it is set by hand. */
static void
level_changed (GObject *config, GParamSpec *pspec, Dialog *dialog)
{
  double level;

  g_object_get (config, "noise-level", &level, NULL);
  gtk_toggle_button_set_active (GTK_TOGGLE_BUTTON (dialog->automatic), level == 0);
  gtk_widget_set_sensitive (dialog->level, level > 0);
  if (level > 0 || dialog->measured)
    gtk_adjustment_set_value (dialog->adjustment, level > 0 ? level : dialog->noise.measured_levels);
  if (dialog->measured)
    gw_noise_plot_set (dialog->plot, &dialog->noise, gw_photo_channels (dialog->photo), level);
}

static void
adjusted (GtkAdjustment *adjustment, Dialog *dialog)
{
  const double value = gtk_adjustment_get_value (adjustment);
  double level;

  g_object_get (dialog->config, "noise-level", &level, NULL);
  if (level > 0 && level != value)
    g_object_set (dialog->config, "noise-level", value, NULL);
}

static void
measure (GTask *task, gpointer source, gpointer task_data, GCancellable *cancellable)
{
  const GwRun run = { .threads = gimp_get_num_processors (), .cancellable = cancellable };
  GwPhotoNoise *noise = task_data;
  GError *error = NULL;

  if (gw_photo_noise_measure (source, &run, noise, &error))
    g_task_return_boolean (task, TRUE);
  else
    g_task_return_error (task, error);
}

static void
measured (GObject *source, GAsyncResult *async, gpointer data)
{
  Dialog *dialog = data;
  g_autofree char *label = NULL;

  if (!came_back (dialog, async))
    return;
  dialog->noise = *(GwPhotoNoise *) g_task_get_task_data (G_TASK (async));
  dialog->measured = TRUE;
  if (dialog->manual == 0)
    dialog->manual = CLAMP (round (10 * dialog->noise.measured_levels) / 10, LOWEST, HIGHEST);
  label = g_strdup_printf (_ ("_Estimate the noise from the photo: %.1f levels, ± %.0f %%"),
                           dialog->noise.measured_levels, 100 * dialog->noise.measured.level_error);
  gtk_button_set_label (GTK_BUTTON (dialog->automatic), label);
  level_changed (dialog->config, NULL, dialog);
  update (dialog);
}

static void
start_measuring (Dialog *dialog)
{
  g_autoptr (GTask) task = NULL;

  dialog->measuring = g_cancellable_new ();
  task = g_task_new (dialog->photo, dialog->measuring, measured, dialog);
  g_task_set_task_data (task, g_new0 (GwPhotoNoise, 1), g_free);
  dialog->running++;
  g_task_run_in_thread (task, measure);
}

static GtkWidget *
level_row (Dialog *dialog)
{
  GtkWidget *row = gtk_box_new (GTK_ORIENTATION_HORIZONTAL, 6);
  GtkWidget *label = gtk_label_new_with_mnemonic (_ ("_Noise level"));
  GtkWidget *scale, *spin;

  dialog->adjustment = gtk_adjustment_new (LOWEST, LOWEST, HIGHEST, 0.1, 1, 0);
  scale = gtk_scale_new (GTK_ORIENTATION_HORIZONTAL, dialog->adjustment);
  spin = gtk_spin_button_new (dialog->adjustment, 0.1, 1);
  gtk_scale_set_draw_value (GTK_SCALE (scale), FALSE);
  gtk_label_set_mnemonic_widget (GTK_LABEL (label), spin);
  gtk_widget_set_tooltip_text (spin, _ ("Standard deviation of the noise in 8-bit levels (white = 255)"));
  atk_object_set_name (gtk_widget_get_accessible (spin), _ ("Noise level"));
  atk_object_set_name (gtk_widget_get_accessible (scale), _ ("Noise level"));
  gtk_box_pack_start (GTK_BOX (row), label, FALSE, FALSE, 0);
  gtk_box_pack_start (GTK_BOX (row), scale, TRUE, TRUE, 0);
  gtk_box_pack_start (GTK_BOX (row), spin, FALSE, FALSE, 0);
  g_signal_connect (dialog->adjustment, "value-changed", G_CALLBACK (adjusted), dialog);

  return row;
}

static void
add_noise_widgets (Dialog *dialog, GtkBox *box)
{
  dialog->automatic = gtk_check_button_new_with_mnemonic (_ ("_Estimate the noise from the photo"));
  gtk_widget_set_tooltip_text (dialog->automatic,
                               _ ("Measures the level and the grain of the noise in the whole layer. "
                                  "Switch it off to set the level by hand."));
  dialog->level = level_row (dialog);

  gtk_box_pack_start (box, dialog->automatic, FALSE, FALSE, 0);
  gtk_box_pack_start (box, dialog->level, FALSE, FALSE, 0);
  g_signal_connect (dialog->automatic, "toggled", G_CALLBACK (automatic_toggled), dialog);
  g_signal_connect (dialog->config, "notify::noise-level", G_CALLBACK (level_changed), dialog);
  level_changed (dialog->config, NULL, dialog);
}

/* ---- The dialog ------------------------------------------------------------------------------------------ */

/* A choice only where there is one. */
static void
add_model_widget (Dialog *dialog, GtkBox *box)
{
  g_auto (GStrv) names = gw_models_list ();
  GtkWidget *row, *label, *combo;

  if (g_strv_length (names) < 2)
    return;

  row = gtk_box_new (GTK_ORIENTATION_HORIZONTAL, 6);
  label = gtk_label_new_with_mnemonic (_ ("_Model:"));
  combo = gtk_combo_box_text_new ();
  for (char **name = names; *name; name++)
    gtk_combo_box_text_append (GTK_COMBO_BOX_TEXT (combo), *name, *name);
  gtk_label_set_mnemonic_widget (GTK_LABEL (label), combo);
  gtk_box_pack_start (GTK_BOX (row), label, FALSE, FALSE, 0);
  gtk_box_pack_start (GTK_BOX (row), combo, TRUE, TRUE, 0);
  gtk_box_pack_start (box, row, FALSE, FALSE, 0);
  g_object_bind_property (dialog->config, "model", combo, "active-id",
                          G_BINDING_BIDIRECTIONAL | G_BINDING_SYNC_CREATE);
}

/* The line below the preview is of one size whatever it says, or the preview would have to give way. */
static void
add_preview (Dialog *dialog, GtkBox *box)
{
  g_autoptr (PangoLayout) lines = NULL;
  int height;

  dialog->status = gtk_label_new ("");
  lines = gtk_widget_create_pango_layout (dialog->status, "1\n2\n3\n4");
  pango_layout_get_pixel_size (lines, NULL, &height);
  gtk_widget_set_size_request (dialog->status, -1, height);
  gtk_label_set_width_chars (GTK_LABEL (dialog->status), STATUS_WIDTH);
  gtk_label_set_max_width_chars (GTK_LABEL (dialog->status), STATUS_WIDTH);
  gtk_label_set_line_wrap (GTK_LABEL (dialog->status), TRUE);
  gtk_label_set_lines (GTK_LABEL (dialog->status), 3);
  gtk_label_set_ellipsize (GTK_LABEL (dialog->status), PANGO_ELLIPSIZE_END);
  gtk_label_set_xalign (GTK_LABEL (dialog->status), 0);
  gtk_label_set_yalign (GTK_LABEL (dialog->status), 0);

  gtk_box_pack_start (box, gw_preview_get_area (dialog->preview), TRUE, TRUE, 0);
  gtk_box_pack_start (box, dialog->status, FALSE, FALSE, 0);
}

/* A choice with its label; screen readers get the label, too. */
static void
add_choice (GimpProcedureDialog *gimp_dialog, const char *name, GtkBox *box)
{
  GtkWidget *choice = gimp_procedure_dialog_get_widget (gimp_dialog, name, G_TYPE_NONE);
  GtkLabel *label = GTK_LABEL (gimp_labeled_get_label (GIMP_LABELED (choice)));
  GtkWidget *control = gtk_label_get_mnemonic_widget (label);

  if (control)
    atk_object_set_name (gtk_widget_get_accessible (control), gtk_label_get_text (label));
  gtk_box_pack_start (box, choice, FALSE, FALSE, 0);
}

static void
fill (Dialog *dialog, GimpProcedureDialog *gimp_dialog)
{
  static const char *choices[] = { "view", "output", "uncertainty" };
  GtkBox *columns = GTK_BOX (gtk_box_new (GTK_ORIENTATION_HORIZONTAL, 18));
  GtkBox *left = GTK_BOX (gtk_box_new (GTK_ORIENTATION_VERTICAL, 6));
  GtkBox *right = GTK_BOX (gtk_box_new (GTK_ORIENTATION_VERTICAL, 12));
  GtkBox *pictures = GTK_BOX (gtk_box_new (GTK_ORIENTATION_HORIZONTAL, 12));
  GtkWidget *explanation = gtk_label_new (_ ("The uncertainty layer shows how far the true colour may lie "
                                             "from the denoised one: dark where the result "
                                             "can be trusted, light where detail was lost in the noise."));

  add_preview (dialog, left);
  dialog->plot = gw_noise_plot_new ();
  gtk_box_pack_start (pictures, gw_preview_get_map (dialog->preview), FALSE, FALSE, 0);
  gtk_box_pack_end (pictures, dialog->plot, FALSE, FALSE, 0);
  gtk_box_pack_start (right, GTK_WIDGET (pictures), FALSE, FALSE, 0);
  add_noise_widgets (dialog, right);
  for (guint i = 0; i < G_N_ELEMENTS (choices); i++)
    add_choice (gimp_dialog, choices[i], right);
  add_model_widget (dialog, right);
  gtk_label_set_line_wrap (GTK_LABEL (explanation), TRUE);
  gtk_label_set_max_width_chars (GTK_LABEL (explanation), 44);
  gtk_label_set_xalign (GTK_LABEL (explanation), 0);
  gtk_box_pack_start (right, explanation, FALSE, FALSE, 0);

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

  return gw_preview_new (dialog->photo, x + width / 2.0, y + height / 2.0, update, view_chosen, dialog);
}

gboolean
gw_dialog_run (GimpProcedure *procedure, GimpProcedureConfig *config, GimpDrawable *drawable)
{
  Dialog dialog = { .config = G_OBJECT (config) };
  g_autoptr (GeglBuffer) buffer = NULL;
  GtkWidget *gimp_dialog;
  gboolean ok;

  gimp_ui_init (GW_DIALOG_ROLE);

  buffer = gimp_drawable_get_buffer (drawable);
  dialog.photo = gegl_buffer_new (gegl_buffer_get_extent (buffer), gegl_buffer_get_format (buffer));
  gegl_buffer_copy (buffer, NULL, GEGL_ABYSS_NONE, dialog.photo, NULL);
  dialog.models = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, (GDestroyNotify) gw_model_free);
  dialog.preview = new_preview (&dialog, drawable);

  g_object_set (config, "view", "denoised", NULL); /* not what happened to be looked at last */
  gimp_dialog = gimp_procedure_dialog_new (procedure, config, _ ("Denoise with Confidence"));
  gimp_dialog_set_alternative_button_order (GTK_DIALOG (gimp_dialog), GTK_RESPONSE_OK, GTK_RESPONSE_CANCEL,
                                            -1);
  gimp_window_set_transient (GTK_WINDOW (gimp_dialog));
  fill (&dialog, GIMP_PROCEDURE_DIALOG (gimp_dialog));
  g_signal_connect (config, "notify", G_CALLBACK (config_changed), &dialog);

  gtk_widget_show (gimp_dialog);
  start_measuring (&dialog);
  ok = gimp_procedure_dialog_run (GIMP_PROCEDURE_DIALOG (gimp_dialog));

  g_signal_handlers_disconnect_by_data (config, &dialog);
  g_cancellable_cancel (dialog.measuring);
  g_cancellable_cancel (dialog.computing);
  while (dialog.running > 0)
    g_main_context_iteration (NULL, TRUE);
  gtk_widget_destroy (gimp_dialog);

  gw_preview_free (dialog.preview);
  g_clear_object (&dialog.measuring);
  g_clear_object (&dialog.computing);
  g_hash_table_unref (dialog.models);
  g_object_unref (dialog.photo);

  return ok;
}

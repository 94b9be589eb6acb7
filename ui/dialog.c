/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "dialog.h"

#include <math.h>
#include <string.h>
#include <glib/gi18n-lib.h>

#include "models.h"
#include "photo-noise.h"
#include "uncertainty.h"

#define PREVIEW_SIZE "480"
#define STATUS_WIDTH 56 /* characters, twice */

typedef struct
{
  GObject *config;
  GeglBuffer *photo;          /* a private copy, because libgimp must not be used from two threads */
  GwPhotoNoise noise;         /* of the whole photo */
  const GwModel *noise_model; /* that it was last checked for, and at what noise level */
  double noise_level;
  GHashTable *models; /* name -> GwModel; kept until the end, since a preview may still run with an old one */

  GtkWidget *preview;
  GtkWidget *status;    /* one line below the preview */
  GtkWidget *automatic; /* "estimate" */
  GtkWidget *level;
  double manual; /* level to return to when "estimate" is switched off */

  GCancellable *cancellable; /* of the newest preview */
  int running;               /* previews that have not come back */
} Dialog;

/* ---- Preview --------------------------------------------------------------------------------------------- */

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

/* The preview takes bytes with the drawable's own number of components. */
static void
draw_photo (GtkWidget *preview, GeglBuffer *buffer)
{
  const Babl *space = babl_format_get_space (gegl_buffer_get_format (buffer));
  const int grey = gw_photo_channels (buffer) == 1;
  const int alpha = babl_format_has_alpha (gegl_buffer_get_format (buffer));
  const char *name = grey ? (alpha ? "Y'A u8" : "Y' u8") : (alpha ? "R'G'B'A u8" : "R'G'B' u8");
  const int stride = gegl_buffer_get_width (buffer) * ((grey ? 1 : 3) + alpha);
  g_autofree guchar *bytes = g_malloc ((gsize) stride * gegl_buffer_get_height (buffer));

  gegl_buffer_get (buffer, NULL, 1.0, babl_format_with_space (name, space), bytes, GEGL_AUTO_ROWSTRIDE,
                   GEGL_ABYSS_NONE);
  gimp_preview_draw_buffer (GIMP_PREVIEW (preview), bytes, stride);
}

/* As the layer will show it: grey, white = the end of the scale. */
static void
draw_uncertainty (GtkWidget *preview, const Request *request, double white)
{
  const int width = request->region.width, height = request->region.height;
  const Babl *format = gegl_buffer_get_format (request->result.denoised);
  const int components = babl_format_get_n_components (format);
  const int alpha = babl_format_has_alpha (format);
  g_autofree float *sd = g_new (float, (gsize) width *height);
  g_autofree guchar *bytes = g_malloc ((gsize) width * height * components);

  gegl_buffer_get (request->result.sd, NULL, 1.0, NULL, sd, GEGL_AUTO_ROWSTRIDE, GEGL_ABYSS_NONE);
  for (gsize i = 0; i < (gsize) width * height; i++)
    {
      memset (bytes + i * components, lrint (MIN (255 * 255 * sd[i] / white, 255)), components - alpha);
      if (alpha)
        bytes[(i + 1) * components - 1] = 255;
    }
  gimp_preview_draw_buffer (GIMP_PREVIEW (preview), bytes, width * components);
}

static void
show_preview (GObject *source, GAsyncResult *async, gpointer data)
{
  Dialog *dialog = data;
  Request *request = g_task_get_task_data (G_TASK (async));
  g_autoptr (GError) error = NULL;
  g_autofree char *text = NULL;
  g_autofree char *view = NULL;
  double white;

  dialog->running--;
  if (!g_task_propagate_boolean (G_TASK (async), &error))
    {
      if (!g_error_matches (error, G_IO_ERROR, G_IO_ERROR_CANCELLED))
        gtk_label_set_text (GTK_LABEL (dialog->status), error->message);
      return;
    }
  if (g_cancellable_is_cancelled (g_task_get_cancellable (G_TASK (async)))) /* a newer one is on its way */
    return;
  dialog->noise = request->noise;
  dialog->noise_model = request->model;
  dialog->noise_level = request->level;

  g_object_get (dialog->config, "view", &view, NULL);
  if (g_str_equal (view, "uncertainty"))
    {
      white = gw_uncertainty_white (request->result.sd);
      draw_uncertainty (dialog->preview, request, white);
      text = g_strdup_printf (_ ("Uncertainty here: %.1f levels on average; white = %.3g levels"),
                              255 * request->result.mean_sd, white);
    }
  else
    {
      draw_photo (dialog->preview, request->result.denoised);
      text = g_strdup_printf (_ ("Noise %.1f levels; expected error here after denoising %.1f levels"),
                              request->noise.levels, 255 * sqrt (request->result.mean_variance));
    }
  gtk_label_set_text (GTK_LABEL (dialog->status), text);
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

static void
update_preview (GimpPreview *preview, Dialog *dialog)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (GTask) task = NULL;
  g_autofree char *view = NULL;
  const GwModel *model = chosen_model (dialog, &error);
  Request *request;

  g_cancellable_cancel (dialog->cancellable);
  g_clear_object (&dialog->cancellable);
  if (!model)
    {
      gtk_label_set_text (GTK_LABEL (dialog->status), error->message);
      return;
    }

  request = g_new0 (Request, 1);
  request->model = model;
  request->noise = dialog->noise;
  g_object_get (dialog->config, "noise-level", &request->level, NULL);
  request->checked = model == dialog->noise_model && request->level == dialog->noise_level;
  gimp_preview_get_position (preview, &request->region.x, &request->region.y);
  gimp_preview_get_size (preview, &request->region.width, &request->region.height);
  g_object_get (dialog->config, "view", &view, NULL);

  request->photo = g_object_ref (dialog->photo);

  if (g_str_equal (view, "noisy"))
    {
      g_autoptr (GeglBuffer) region
          = gegl_buffer_new (&request->region, gegl_buffer_get_format (dialog->photo));

      gegl_buffer_copy (dialog->photo, &request->region, GEGL_ABYSS_NONE, region, &request->region);
      draw_photo (dialog->preview, region);
      gtk_label_set_text (GTK_LABEL (dialog->status), _ ("The photo as it is"));
      request_free (request);
      return;
    }
  dialog->cancellable = g_cancellable_new ();
  task = g_task_new (NULL, dialog->cancellable, show_preview, dialog);
  g_task_set_task_data (task, request, request_free);
  gtk_label_set_text (GTK_LABEL (dialog->status), _ ("Denoising…"));
  dialog->running++;
  g_task_run_in_thread (task, compute);
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
    g_object_set (dialog->config, "noise-level", automatic ? 0.0 : dialog->manual, NULL);
}

static void
level_changed (GObject *config, GParamSpec *pspec, Dialog *dialog)
{
  double level;

  g_object_get (config, "noise-level", &level, NULL);
  gtk_toggle_button_set_active (GTK_TOGGLE_BUTTON (dialog->automatic), level == 0);
  gtk_widget_set_sensitive (dialog->level, level > 0);
}

static void
add_noise_widgets (Dialog *dialog, GimpProcedureDialog *gimp_dialog, GtkBox *box)
{
  const double estimated = dialog->noise.measured_levels;
  g_autofree char *label = g_strdup_printf (_ ("_Estimate the noise from the photo: %.1f levels"), estimated);
  GtkWidget *spin;

  dialog->manual = CLAMP (round (10 * estimated) / 10, 0.5, 100);
  dialog->automatic = gtk_check_button_new_with_mnemonic (label);
  gtk_widget_set_tooltip_text (dialog->automatic,
                               _ ("Measures the noise in the finest detail of the whole layer. "
                                  "Switch it off to set the level by hand."));
  dialog->level = gimp_procedure_dialog_get_scale_entry (gimp_dialog, "noise-level", 1.0);
  spin = gimp_label_spin_get_spin_button (GIMP_LABEL_SPIN (dialog->level));
  atk_object_set_name (gtk_widget_get_accessible (spin), _ ("Noise level"));

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

static void
add_preview (Dialog *dialog, GimpProcedureDialog *gimp_dialog, GimpDrawable *drawable, GtkBox *box)
{
  GtkCssProvider *css = gtk_css_provider_new ();
  g_autoptr (PangoLayout) lines = NULL;
  int height;

  dialog->preview = gimp_procedure_dialog_get_drawable_preview (gimp_dialog, "preview", drawable);
  dialog->status = gtk_label_new ("");

  /* The stock size is 200; a size request is undone when the style changes, the style property is not. */
  gtk_css_provider_load_from_data (css, "* { -GimpPreview-size: " PREVIEW_SIZE "; }", -1, NULL);
  gtk_style_context_add_provider (gtk_widget_get_style_context (dialog->preview), GTK_STYLE_PROVIDER (css),
                                  GTK_STYLE_PROVIDER_PRIORITY_APPLICATION);
  g_object_unref (css);

  /* Of one size whatever it says: if the preview had to give way to a longer line, it would be drawn anew, which says
   * something else, and so on. */
  lines = gtk_widget_create_pango_layout (dialog->status, "1\n2");
  pango_layout_get_pixel_size (lines, NULL, &height);
  gtk_widget_set_size_request (dialog->status, -1, height);
  gtk_label_set_width_chars (GTK_LABEL (dialog->status), STATUS_WIDTH);
  gtk_label_set_max_width_chars (GTK_LABEL (dialog->status), STATUS_WIDTH);
  gtk_label_set_line_wrap (GTK_LABEL (dialog->status), TRUE);
  gtk_label_set_lines (GTK_LABEL (dialog->status), 2);
  gtk_label_set_ellipsize (GTK_LABEL (dialog->status), PANGO_ELLIPSIZE_END);
  gtk_label_set_xalign (GTK_LABEL (dialog->status), 0);
  gtk_label_set_yalign (GTK_LABEL (dialog->status), 0);
  gtk_box_pack_start (box, dialog->preview, TRUE, TRUE, 0);
  gtk_box_pack_start (box, dialog->status, FALSE, FALSE, 0);

  g_signal_connect (dialog->preview, "invalidated", G_CALLBACK (update_preview), dialog);
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
fill (Dialog *dialog, GimpProcedureDialog *gimp_dialog, GimpDrawable *drawable)
{
  static const char *choices[] = { "view", "output", "uncertainty" };
  GtkBox *columns = GTK_BOX (gtk_box_new (GTK_ORIENTATION_HORIZONTAL, 18));
  GtkBox *left = GTK_BOX (gtk_box_new (GTK_ORIENTATION_VERTICAL, 6));
  GtkBox *right = GTK_BOX (gtk_box_new (GTK_ORIENTATION_VERTICAL, 12));
  GtkWidget *explanation = gtk_label_new (_ ("The uncertainty layer shows how far the true colour may lie "
                                             "from the denoised one: dark where the result "
                                             "can be trusted, light where detail was lost in the noise."));

  add_preview (dialog, gimp_dialog, drawable, left);
  add_noise_widgets (dialog, gimp_dialog, right);
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

gboolean
gw_dialog_run (GimpProcedure *procedure, GimpProcedureConfig *config, GimpDrawable *drawable)
{
  Dialog dialog = { .config = G_OBJECT (config) };
  g_autoptr (GeglBuffer) buffer = NULL;
  GtkWidget *gimp_dialog;
  gulong handler;
  gboolean ok;

  gimp_ui_init (GW_DIALOG_ROLE);

  buffer = gimp_drawable_get_buffer (drawable);
  dialog.photo = gegl_buffer_new (gegl_buffer_get_extent (buffer), gegl_buffer_get_format (buffer));
  gegl_buffer_copy (buffer, NULL, GEGL_ABYSS_NONE, dialog.photo, NULL);
  dialog.models = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, (GDestroyNotify) gw_model_free);
  gw_photo_noise_measure (dialog.photo, NULL, &dialog.noise,
                          NULL); /* without it the level is 0, and the run says why */

  g_object_set (config, "view", "denoised", NULL); /* not what happened to be looked at last */
  gimp_dialog = gimp_procedure_dialog_new (procedure, config, _ ("Denoise with Confidence"));
  gimp_dialog_set_alternative_button_order (GTK_DIALOG (gimp_dialog), GTK_RESPONSE_OK, GTK_RESPONSE_CANCEL,
                                            -1);
  gimp_window_set_transient (GTK_WINDOW (gimp_dialog));
  fill (&dialog, GIMP_PROCEDURE_DIALOG (gimp_dialog), drawable);
  handler = g_signal_connect_swapped (config, "notify", G_CALLBACK (gimp_preview_invalidate), dialog.preview);

  gtk_widget_show (gimp_dialog);
  ok = gimp_procedure_dialog_run (GIMP_PROCEDURE_DIALOG (gimp_dialog));

  g_signal_handler_disconnect (config, handler);
  g_signal_handlers_disconnect_by_data (config, &dialog);
  g_signal_handlers_disconnect_by_data (dialog.preview, &dialog);
  g_cancellable_cancel (dialog.cancellable);
  while (dialog.running > 0)
    g_main_context_iteration (NULL, TRUE);
  gtk_widget_destroy (gimp_dialog);

  g_clear_object (&dialog.cancellable);
  g_hash_table_unref (dialog.models);
  g_object_unref (dialog.photo);

  return ok;
}

/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "photo-file.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <gegl-metadata.h>
#include <gegl-metadatahash.h>
#include <gexiv2/gexiv2.h>
#include <glib/gstdio.h>
#include <glib/gi18n-lib.h>

#include "file-structure.h"
#include "grainwise.h"

#define JPEG_QUALITY 95

typedef struct
{
  const char *ending;
  const char *type;   /* of the content, for finding out what a file really is */
  const char *loader; /* GEGL operations */
  const char *saver;
  const char *grey, *rgb; /* formats of 32-bit floating point that the saver writes as they are, or NULL */
} Format;

static const Format formats[] = {
  { ".png", "image/png", "gegl:png-load", "gegl:png-save", NULL, NULL },
  { ".jpg", "image/jpeg", "gegl:jpg-load", "gegl:jpg-save", NULL, NULL },
  { ".jpeg", "image/jpeg", "gegl:jpg-load", "gegl:jpg-save", NULL, NULL },
  { ".tif", "image/tiff", "gegl:tiff-load", "gegl:tiff-save", "Y' float", "R'G'B' float" },
  { ".tiff", "image/tiff", "gegl:tiff-load", "gegl:tiff-save", "Y' float", "R'G'B' float" },
  { ".webp", "image/webp", "gegl:webp-load", "gegl:webp-save", NULL, NULL },
  { ".exr", "image/x-exr", "gegl:exr-load", "gegl:exr-save", "Y float", "RGB float" },
};

static const Format *
format_by_ending (const char *path)
{
  g_autofree char *lower = g_ascii_strdown (path, -1);

  for (guint i = 0; i < G_N_ELEMENTS (formats); i++)
    if (g_str_has_suffix (lower, formats[i].ending))
      return &formats[i];

  return NULL;
}

/* What the file is, whatever it is called. */
static const Format *
format_by_content (const char *path, GError **error)
{
  g_autofree char *shown = g_filename_display_name (path);
  g_autofree char *type = NULL;
  guchar start[64];
  gsize length;
  FILE *file;

  if (g_file_test (path, G_FILE_TEST_EXISTS) && !g_file_test (path, G_FILE_TEST_IS_REGULAR))
    {
      g_set_error (error, GW_ERROR, GW_ERROR_PHOTO, _ ("“%s” is a folder or a device, not a photo."), shown);
      return NULL;
    }
  if (!(file = g_fopen (path, "rb")))
    {
      const int number = errno;

      g_set_error (error, G_FILE_ERROR, g_file_error_from_errno (number), _ ("“%s” cannot be opened: %s"),
                   shown, g_strerror (number));
      return NULL;
    }
  length = fread (start, 1, sizeof (start), file);
  fclose (file);

  type = g_content_type_guess (NULL, start, length, NULL);
  if (length >= 4 && memcmp (start, "\x76\x2f\x31\x01", 4) == 0)
    g_set_str (&type, "image/x-exr");
  for (guint i = 0; i < G_N_ELEMENTS (formats); i++)
    {
      g_autofree char *wanted = g_content_type_from_mime_type (formats[i].type);

      if (g_content_type_equals (type, wanted))
        return &formats[i];
    }
  g_set_error (error, GW_ERROR, GW_ERROR_PHOTO, _ ("“%s” is no PNG, JPEG, TIFF, WebP or OpenEXR photo."),
               shown);

  return NULL;
}

/* ---- What GEGL says -------------------------------------------------------------------------------------- */

/* GEGL's loaders and savers tell of trouble by log messages only; the first one says what it was. */
typedef struct
{
  char *first;
  GLogFunc before;
} Messages;

static void
note_message (const char *domain, GLogLevelFlags level, const char *message, gpointer data)
{
  Messages *messages = data;

  if ((level & (G_LOG_LEVEL_WARNING | G_LOG_LEVEL_CRITICAL)) && !messages->first)
    messages->first = g_strchomp (g_strdup (message));
}

static void
messages_begin (Messages *messages)
{
  messages->first = NULL;
  messages->before = g_log_set_default_handler (note_message, messages);
}

static void
messages_end (Messages *messages)
{
  g_log_set_default_handler (messages->before, NULL);
}

static void
messages_clear (Messages *messages)
{
  g_free (messages->first);
}

G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (Messages, messages_clear)

/* libjpeg ends the process when it can do nothing else, and a user presses Ctrl-C.  Neither may leave half
 * a file or no word of what was wrong, so what is being done is known outside of all functions: the one
 * place of this program where that is so. */
static struct
{
  char *complaint; /* said if the process ends now */
  char *file;      /* removed if it ends now, or NULL */
} work;

static void
work_on_exit (void)
{
  if (work.file)
    unlink (work.file);
  if (work.complaint)
    g_printerr ("grainwise: %s\n", work.complaint);
}

static void
work_on_signal (int number)
{
  if (work.file)
    unlink (work.file);
  signal (number, SIG_DFL);
  raise (number);
}

static void
work_begin (const char *complaint_format, const char *shown, const char *file) G_GNUC_PRINTF (1, 0);

static void
work_begin (const char *complaint_format, const char *shown, const char *file)
{
  static gboolean watched = FALSE;

  if (!watched)
    {
      atexit (work_on_exit);
      signal (SIGINT, work_on_signal);
      signal (SIGTERM, work_on_signal);
      watched = TRUE;
    }
  work.complaint = g_strdup_printf (complaint_format, shown);
  work.file = g_strdup (file);
}

static void
work_end (void)
{
  g_clear_pointer (&work.complaint, g_free);
  g_clear_pointer (&work.file, g_free);
}

static void
set_metadata (GeglNode *node, const char *operation, GObject *metadata)
{
  if (metadata && gegl_operation_find_property (operation, "metadata"))
    gegl_node_set (node, "metadata", metadata, NULL);
}

/* The buffer's values, read as those of another colour space. */
static void
set_space (GeglBuffer *buffer, const Babl *space)
{
  if (space && !babl_space_is_cmyk (space))
    gegl_buffer_set_format (
        buffer, babl_format_with_space (babl_format_get_encoding (gegl_buffer_get_format (buffer)), space));
}

/* ---- Loading --------------------------------------------------------------------------------------------- */

GeglBuffer *
gw_photo_file_load (const char *path, GObject **metadata, GError **error)
{
  const Format *format = format_by_content (path, error);
  g_autofree char *shown = g_filename_display_name (path);
  g_auto (Messages) messages = { 0 };
  g_autoptr (GeglNode) graph = NULL;
  g_autoptr (GeglBuffer) buffer = NULL;
  GeglNode *load, *sink;

  if (!format)
    return NULL;
  if (!gw_file_is_whole (path, format->type))
    {
      g_set_error (error, GW_ERROR, GW_ERROR_PHOTO,
                   _ ("“%s” is truncated: the file ends before its picture does."), shown);
      return NULL;
    }

  work_begin (_ ("“%s” cannot be read: it is damaged"), shown, NULL);
  messages_begin (&messages);
  graph = gegl_node_new ();
  *metadata = G_OBJECT (gegl_metadata_hash_new ());
  load = gegl_node_new_child (graph, "operation", format->loader, "path", path, NULL);
  sink
      = gegl_node_new_child (graph, "operation", "gegl:buffer-sink", "buffer", &buffer, "format", NULL, NULL);
  set_metadata (load, format->loader, *metadata);
  gegl_node_link (load, sink);
  gegl_node_process (sink);
  messages_end (&messages);
  work_end ();

  if (!buffer || gegl_buffer_get_width (buffer) < 1 || gegl_buffer_get_height (buffer) < 1 || messages.first)
    {
      g_set_error (error, GW_ERROR, GW_ERROR_PHOTO, _ ("“%s” cannot be read: %s"), shown,
                   messages.first ? messages.first : _ ("it is damaged"));
      g_clear_object (metadata);
      return NULL;
    }
  if (g_str_equal (format->type, "image/webp"))
    set_space (buffer, gw_file_webp_space (path));

  return g_steal_pointer (&buffer);
}

/* ---- Saving ---------------------------------------------------------------------------------------------- */

gboolean
gw_photo_file_is_numeric (const char *path)
{
  const Format *format = format_by_ending (path);

  return format && format->rgb;
}

gboolean
gw_photo_file_can_save (const char *path, GError **error)
{
  g_autofree char *shown = g_filename_display_name (path);
  g_autofree char *folder = g_path_get_dirname (path);
  int number = 0;

  if (!format_by_ending (path))
    {
      g_set_error (error, GW_ERROR, GW_ERROR_PHOTO,
                   _ ("The ending of “%s” is none that can be written; use .png, .jpg, .tif, .webp or .exr."),
                   shown);
      return FALSE;
    }
  if (g_file_test (path, G_FILE_TEST_IS_DIR))
    number = EISDIR;
  else if (g_file_test (folder, G_FILE_TEST_EXISTS) && !g_file_test (folder, G_FILE_TEST_IS_DIR))
    number = ENOTDIR;
  else if (g_access (folder, W_OK) != 0)
    number = errno;
  if (number != 0)
    {

      g_set_error (error, G_FILE_ERROR, g_file_error_from_errno (number), _ ("“%s” cannot be written: %s"),
                   shown, g_strerror (number));
      return FALSE;
    }
  return TRUE;
}

/* Exif, IPTC and XMP: camera, date, author, and which side is up.  A file that can hold none is left as it
 * is. */
static void
copy_exif (const char *from, const char *to)
{
  g_autoptr (GExiv2Metadata) metadata = gexiv2_metadata_new ();

  if (!gexiv2_metadata_open_path (metadata, from, NULL))
    return;
  if (gexiv2_metadata_has_exif (metadata) || gexiv2_metadata_has_iptc (metadata)
      || gexiv2_metadata_has_xmp (metadata))
    gexiv2_metadata_save_file (metadata, to, NULL);
}

static void
save (GeglBuffer *buffer, const Format *format, const char *path, GObject *metadata)
{
  const Babl *pixels = gegl_buffer_get_format (buffer);
  const gboolean eight_bits = babl_format_get_type (pixels, 0) == babl_type ("u8");
  g_autoptr (GeglNode) graph = gegl_node_new ();
  GeglNode *source = gegl_node_new_child (graph, "operation", "gegl:buffer-source", "buffer", buffer, NULL);
  GeglNode *save = gegl_node_new_child (graph, "operation", format->saver, "path", path, NULL);

  if (g_str_equal (format->type, "image/png"))
    gegl_node_set (save, "bitdepth", eight_bits ? 8 : 16, NULL);
  else if (g_str_equal (format->type, "image/jpeg"))
    gegl_node_set (save, "quality", JPEG_QUALITY, "grayscale", babl_format_get_n_components (pixels) < 3,
                   NULL);
  set_metadata (save, format->saver, metadata);
  gegl_node_link (source, save);

  gegl_node_process (save);
}

/* Puts @unfinished in the place of @path, with its permissions; behind a symbolic link, in the place of
 * what it names. */
static gboolean
replace_file (const char *unfinished, const char *path, GError **error)
{
  g_autofree char *shown = g_filename_display_name (path);
  char *target = realpath (path, NULL);
  GStatBuf status;
  gboolean success;

  if (target && g_stat (target, &status) == 0)
    g_chmod (unfinished, status.st_mode & 07777);
  success = g_rename (unfinished, target ? target : path) == 0;
  if (!success)
    {
      const int number = errno;

      g_unlink (unfinished);
      g_set_error (error, G_FILE_ERROR, g_file_error_from_errno (number), _ ("“%s” cannot be written: %s"),
                   shown, g_strerror (number));
    }
  free (target);

  return success;
}

gboolean
gw_photo_file_save (GeglBuffer *buffer, const char *path, GObject *metadata, const char *original,
                    GError **error)
{
  const Format *format = format_by_ending (path);
  g_autofree char *shown = g_filename_display_name (path);
  g_autofree char *unfinished = NULL;
  g_auto (Messages) messages = { 0 };
  gboolean success;
  GStatBuf status;

  if (!gw_photo_file_can_save (path, error))
    return FALSE;

  /* In the same folder, so that it can be renamed; with the ending, since some savers look at it. */
  unfinished = g_strdup_printf ("%s.%u-unfinished%s", path, g_random_int (), format->ending);
  work_begin (_ ("“%s” cannot be written: is the disk full?"), shown, unfinished);
  messages_begin (&messages);
  save (buffer, format, unfinished, metadata);
  messages_end (&messages);
  if (messages.first || g_stat (unfinished, &status) != 0 || status.st_size == 0
      || !gw_file_is_whole (unfinished, format->type))
    {
      g_unlink (unfinished);
      g_set_error (error, GW_ERROR, GW_ERROR_PHOTO, _ ("“%s” cannot be written: %s"), shown,
                   messages.first ? messages.first : _ ("is the disk full?"));
      success = FALSE;
    }
  else
    {
      if (original)
        copy_exif (original, unfinished);
      success = replace_file (unfinished, path, error);
    }
  work_end ();

  return success;
}

gboolean
gw_photo_file_save_numbers (GeglBuffer *numbers, const char *path, GError **error)
{
  const Format *format = format_by_ending (path);
  const int n = babl_format_get_n_components (gegl_buffer_get_format (numbers));

  gegl_buffer_set_format (numbers, babl_format (n == 1 ? format->grey : format->rgb));

  return gw_photo_file_save (numbers, path, NULL, NULL, error);
}

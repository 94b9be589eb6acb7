/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "models.h"

#include <stdlib.h>
#include <string.h>
#include <glib/gi18n-lib.h>

#include "config.h"

#define ENDING ".safetensors"

static char *
models_folder (void)
{
  const char *set = g_getenv ("GRAINWISE_MODELS");

  return set ? g_strdup (set) : g_build_filename (GRAINWISE_DIR, "models", NULL);
}

static int
compare_names (const void *a, const void *b)
{
  return strcmp (*(char *const *) a, *(char *const *) b);
}

GStrv
gw_models_list (void)
{
  g_autofree char *folder = models_folder ();
  g_autoptr (GDir) directory = g_dir_open (folder, 0, NULL);
  g_autoptr (GStrvBuilder) names = g_strv_builder_new ();
  const char *file;
  GStrv list;

  while (directory && (file = g_dir_read_name (directory)))
    if (g_str_has_suffix (file, ENDING))
      {
        g_autofree char *name = g_strndup (file, strlen (file) - strlen (ENDING));

        g_strv_builder_add (names, name);
      }
  list = g_strv_builder_end (names);
  qsort (list, g_strv_length (list), sizeof (char *), compare_names);

  return list;
}

GwModel *
gw_models_load (const char *name, GError **error)
{
  g_autofree char *folder = models_folder ();
  g_autofree char *file = g_strconcat (name, ENDING, NULL);
  g_autofree char *path = g_build_filename (folder, file, NULL);

  if (strchr (name, G_DIR_SEPARATOR) || g_str_has_suffix (name, ENDING))
    return gw_model_load (name, error);

  if (!g_file_test (path, G_FILE_TEST_EXISTS))
    {
      g_auto (GStrv) names = gw_models_list ();
      g_autofree char *list = g_strjoinv (", ", names);

      g_set_error (
          error, GW_ERROR, GW_ERROR_MODEL,
          _ ("There is no model “%s” in “%s”.  Installed: %s.  Give one of these, or a .safetensors file."),
          name, folder, *names ? list : _ ("none"));
      return NULL;
    }
  return gw_model_load (path, error);
}

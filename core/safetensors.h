/* Reading .safetensors files: 8 bytes little-endian length, a JSON header, raw tensors.
 * https://github.com/huggingface/safetensors
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#pragma once

#include <glib.h>

typedef struct
{
  int n_dims;
  gint64 shape[4];
  gint64 n_values;
  float *values; /* whatever the file's type, float here; all finite */
} GwTensor;

typedef struct
{
  GHashTable *tensors;  /* name -> GwTensor */
  GHashTable *metadata; /* name -> string */
} GwSafetensors;

/* Reads @path whole.  Errors (GW_ERROR_MODEL, or G_FILE_ERROR) name the tensor or the byte. */
GwSafetensors *gw_safetensors_load (const char *path, GError **error);
void gw_safetensors_free (GwSafetensors *file);

G_DEFINE_AUTOPTR_CLEANUP_FUNC (GwSafetensors, gw_safetensors_free)

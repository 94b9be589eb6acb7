/* What GEGL's loaders and savers pass over in silence: whether a file is whole, and a WebP file's colour
 * profile.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#pragma once

#include <gegl.h>

G_BEGIN_DECLS

/* Whether a PNG, JPEG or WebP file (by its MIME @type; others always) goes on to the end of its picture. */
gboolean gw_file_is_whole (const char *path, const char *type);

/* The colour space of a WebP file's ICC profile; NULL if it has none. */
const Babl *gw_file_webp_space (const char *path);

G_END_DECLS

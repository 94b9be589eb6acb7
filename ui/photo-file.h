/* Photo files, through GEGL's loaders and savers.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#pragma once

#include <gegl.h>

G_BEGIN_DECLS

/* Reads a photo.  @metadata: (out): what GEGL keeps beside the pixels, for gw_photo_file_save(). */
GeglBuffer *gw_photo_file_load (const char *path, GObject **metadata, GError **error);

/**
 * gw_photo_file_save:
 * @path: its ending decides the format
 * @metadata: (nullable): from gw_photo_file_load()
 * @original: (nullable): a file whose Exif, IPTC and XMP are copied
 *
 * The file appears whole or not at all.  PNG has 8 bits where the buffer has, else 16; TIFF has the buffer's
 * own type.
 */
gboolean gw_photo_file_save (GeglBuffer *buffer, const char *path, GObject *metadata, const char *original,
                             GError **error);

/* Whether gw_photo_file_save() knows the ending of @path; to be asked before the work is done. */
gboolean gw_photo_file_can_save (const char *path, GError **error);

/* Whether the ending of @path means numbers (.tif, .tiff, .exr) rather than a picture. */
gboolean gw_photo_file_is_numeric (const char *path);

/* Writes a float buffer of one or three components to such a file, every value as it is. */
gboolean gw_photo_file_save_numbers (GeglBuffer *numbers, const char *path, GError **error);

G_END_DECLS

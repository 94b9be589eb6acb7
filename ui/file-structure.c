/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "file-structure.h"

#include <string.h>

/* PNG (ISO/IEC 15948): chunks, the last one is IEND and empty. */
static gboolean
png_is_whole (const guchar *bytes, gsize length)
{
  gsize at = 8;

  while (at + 12 <= length)
    {
      guint32 size;

      if (memcmp (bytes + at + 4, "IEND", 4) == 0)
        return TRUE;
      memcpy (&size, bytes + at, 4);
      at += 12 + (gsize) GUINT32_FROM_BE (size);
    }
  return FALSE;
}

/* JPEG (ITU T.81): segments up to the start of the scan, then data up to the marker "end of image". */
static gboolean
jpeg_is_whole (const guchar *bytes, gsize length)
{
  gsize at = 2;
  int marker = 0;

  while (at + 4 <= length && bytes[at] == 0xff && marker != 0xda)
    {
      marker = bytes[at + 1];
      at += marker == 0xff ? 1 : 2 + (bytes[at + 2] << 8 | bytes[at + 3]);
    }
  for (; at + 2 <= length; at++)
    if (bytes[at] == 0xff && bytes[at + 1] == 0xd9)
      return TRUE;

  return FALSE;
}

static guint32
little_endian (const guchar *bytes)
{
  guint32 value;

  memcpy (&value, bytes, 4);

  return GUINT32_FROM_LE (value);
}

/* WebP (RFC 9649): the length of all that follows is in its first chunk. */
static gboolean
webp_is_whole (const guchar *bytes, gsize length)
{
  return length >= 12 && (gsize) little_endian (bytes + 4) + 8 <= length;
}

gboolean
gw_file_is_whole (const char *path, const char *type)
{
  static const struct
  {
    const char *type;
    gboolean (*is_whole) (const guchar *bytes, gsize length);
  } kinds[]
      = { { "image/png", png_is_whole }, { "image/jpeg", jpeg_is_whole }, { "image/webp", webp_is_whole } };
  g_autofree char *bytes = NULL;
  gsize length;

  for (guint i = 0; i < G_N_ELEMENTS (kinds); i++)
    if (g_str_equal (type, kinds[i].type))
      return g_file_get_contents (path, &bytes, &length, NULL)
             && kinds[i].is_whole ((const guchar *) bytes, length);

  return TRUE;
}

const Babl *
gw_file_webp_space (const char *path)
{
  g_autofree char *contents = NULL;
  gsize length, at = 12;

  if (!g_file_get_contents (path, &contents, &length, NULL))
    return NULL;

  while (at + 8 <= length)
    {
      const gsize size = little_endian ((const guchar *) contents + at + 4);
      const char *error = NULL;

      if (memcmp (contents + at, "ICCP", 4) == 0 && at + 8 + size <= length)
        return babl_space_from_icc (contents + at + 8, size, BABL_ICC_INTENT_RELATIVE_COLORIMETRIC, &error);
      at += 8 + size + size % 2;
    }
  return NULL;
}

/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "strength.h"

#include <math.h>

gboolean
gw_strength_is_full (const GwStrength *strength)
{
  return strength->luminance >= 1 && strength->colour >= 1 && strength->keep_grain <= 0;
}

/* One pixel: the mean, and so much of what was taken away from it as is to be left. */
static double
blend (const GwStrength *strength, int channels, const float *noisy, const float *mean, float unsure,
       float *result)
{
  static const float weights[] = { 0.2126f, 0.7152f, 0.0722f };
  const double taken = 1 - strength->keep_grain * MIN (unsure, 1);
  const double luminance = 1 - strength->luminance * taken, colour = 1 - strength->colour * taken;
  double grey = 0, squares = 0;

  for (int c = 0; c < channels; c++)
    grey += (channels == 1 ? 1 : weights[c]) * (noisy[c] - mean[c]);
  for (int c = 0; c < channels; c++)
    {
      const double left = luminance * grey + colour * (noisy[c] - mean[c] - grey);

      result[c] = mean[c] + left;
      squares += left * left;
    }
  return squares / channels;
}

GeglBuffer *
gw_strength_blend (const GwStrength *strength, GeglBuffer *photo, const GeglRectangle *region,
                   const GwDenoised *denoised, double *added)
{
  const Babl *format = gegl_buffer_get_format (denoised->denoised);
  const int components = babl_format_get_n_components (format), channels = gw_photo_channels (photo);
  GeglBuffer *result
      = gegl_buffer_new (gegl_buffer_get_extent (denoised->denoised), gegl_buffer_get_format (photo));
  GeglBufferIterator *iter
      = gegl_buffer_iterator_new (result, NULL, 0, format, GEGL_ACCESS_WRITE, GEGL_ABYSS_NONE, 4);
  double sum = 0;

  gegl_buffer_iterator_add (iter, denoised->denoised, NULL, 0, format, GEGL_ACCESS_READ, GEGL_ABYSS_NONE);
  gegl_buffer_iterator_add (iter, photo, region, 0, format, GEGL_ACCESS_READ, GEGL_ABYSS_NONE);
  gegl_buffer_iterator_add (iter, denoised->unsure, NULL, 0, NULL, GEGL_ACCESS_READ, GEGL_ABYSS_NONE);
  while (gegl_buffer_iterator_next (iter))
    for (int i = 0; i < iter->length; i++)
      {
        float *pixel = (float *) iter->items[0].data + (gsize) i * components;
        const float *mean = (const float *) iter->items[1].data + (gsize) i * components;
        const float *noisy = (const float *) iter->items[2].data + (gsize) i * components;
        const double squares
            = blend (strength, channels, noisy, mean, ((const float *) iter->items[3].data)[i], pixel);

        if (components > channels)
          pixel[channels] = mean[channels];
        if (isfinite (squares))
          sum += squares;
      }
  *added = sum / ((double) region->width * region->height);

  return result;
}

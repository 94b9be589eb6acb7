/* Colours for numbers.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#include "colours.h"

#define KNOTS 17

/* Evenly spaced colours of matplotlib's maps: "magma" and "viridis" (Smith, van der Walt; CC0), "cividis"
 * (Nuñez, Anderton, Renslow 2018; CC0). */
static const guint32 maps[][KNOTS] = {
  [GW_COLOURS_MAGMA]
  = { 0x000004, 0x0a0822, 0x1d1146, 0x36106a, 0x50127c, 0x691c81, 0x822681, 0x9c2e7f, 0xb63779, 0xcf4170,
      0xe65163, 0xf5695c, 0xfb8761, 0xfea571, 0xfec387, 0xfde0a2, 0xfcfdbf },
  [GW_COLOURS_VIRIDIS]
  = { 0x440154, 0x48186a, 0x472d7b, 0x424086, 0x3b528b, 0x33638d, 0x2c728e, 0x26818e, 0x21908c, 0x1f9f88,
      0x28ae80, 0x3ebc74, 0x5dc963, 0x82d34c, 0xabdc32, 0xd5e21a, 0xfde725 },
  [GW_COLOURS_CIVIDIS]
  = { 0x00224e, 0x002e6a, 0x1a386f, 0x32436d, 0x434e6c, 0x52596d, 0x61656f, 0x6f7073, 0x7c7b78, 0x8b8778,
      0x9b9376, 0xaba072, 0xbbad6c, 0xccba64, 0xddc958, 0xefd748, 0xfee838 },
};

const char *
gw_colours_name (GwColours colours)
{
  static const char *names[] = { "grey", "magma", "viridis", "cividis" };

  return names[colours];
}

static float
channel (guint32 colour, int c)
{
  return (colour >> (16 - 8 * c) & 255) / 255.f;
}

void
gw_colours_paint (GwColours colours, float value, float rgb[3])
{
  const float t = CLAMP (value, 0, 1) * (KNOTS - 1);
  const int k = MIN ((int) t, KNOTS - 2);

  for (int c = 0; c < 3; c++)
    if (colours == GW_COLOURS_GREY)
      rgb[c] = t / (KNOTS - 1);
    else
      rgb[c] = (1 - (t - k)) * channel (maps[colours][k], c) + (t - k) * channel (maps[colours][k + 1], c);
}

static float
lightness (const float rgb[3])
{
  return 0.2126f * rgb[0] + 0.7152f * rgb[1] + 0.0722f * rgb[2];
}

/* By lightness, which grows with the value. */
float
gw_colours_read (GwColours colours, const float rgb[3])
{
  float low = 0, high = 1;

  for (int i = 0; i < 24; i++)
    {
      const float middle = 0.5f * (low + high);
      float there[3];

      gw_colours_paint (colours, middle, there);
      *(lightness (there) < lightness (rgb) ? &low : &high) = middle;
    }
  return 0.5f * (low + high);
}

/* Every kernel against its plain twin, on random input, at sizes around the edges.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#include <math.h>

#include "convolution.h"
#include "reference.h"
#include "winograd.h"

/* A padded copy: a zero pixel on either side of every row.  Returns the start of row 0's first pixel. */
static float *
padded (const float *image, int width, int height, int channels)
{
  float *copy = g_new0 (float, (gsize) (width + 2) * height * channels);

  for (int y = 0; y < height; y++)
    for (int i = 0; i < width * channels; i++)
      copy[((gsize) y * (width + 2) + 1) * channels + i] = image[(gsize) y * width * channels + i];

  return copy;
}

static const float *
row_of (const float *copy, int y, int width, int height, int channels)
{
  return y >= 0 && y < height ? copy + ((gsize) y * (width + 2) + 1) * channels : NULL;
}

typedef struct
{
  GwLayerKind kind;
  gboolean relu, bias, addend;
} Case;

static void
check_layer (const Case *test, int in, int out, int width, int height, float scale, GRand *rand)
{
  const gboolean up = test->kind == GW_LAYER_UP2, down = test->kind == GW_LAYER_DOWN2;
  const int taps = test->kind == GW_LAYER_CONV3 ? 9 : 4;
  const int source_width = down ? 2 * width : width, source_height = down ? 2 * height : height;
  const int out_width = up ? 2 * width : width, out_height = up ? 2 * height : height;
  g_autofree float *weights = random_floats (rand, taps * in * out);
  g_autofree float *bias = random_floats (rand, out);
  g_autofree float *source = random_floats (rand, (gsize) source_width * source_height * in);
  g_autofree float *addend = random_floats (rand, (gsize) out_width * out_height * out);
  GwLayer layer = { .kind = test->kind,
                    .addend = -1,
                    .relu = test->relu,
                    .in = in,
                    .out = out,
                    .weights = weights,
                    .bias = test->bias ? bias : NULL };

  for (gsize i = 0; i < (gsize) source_width * source_height * in; i++)
    source[i] *= scale;

  g_autofree float *expected
      = reference_layer (&layer, source, source_width, source_height, test->addend ? addend : NULL, 0);
  g_autofree float *rows = padded (source, source_width, source_height, in);
  g_autofree float *result = g_new (float, (gsize) out_width *out);
  const double bound = 2e-7 * taps * in * scale + 1e-6;

  for (int y = 0; y < out_height; y++)
    {
      const float *added = test->addend ? addend + (gsize) y * out_width * out : NULL;

      /* in two uneven stretches, as threads would */
      for (int part = 0; part < 2; part++)
        {
          const int x = part == 0 ? 0 : width / 3, n = part == 0 ? width / 3 : width - width / 3;

          if (n == 0)
            continue;
          if (test->kind == GW_LAYER_CONV3)
            gw_conv3 (&layer,
                      (const float *[]) { row_of (rows, y - 1, width, height, in),
                                          row_of (rows, y, width, height, in),
                                          row_of (rows, y + 1, width, height, in) },
                      added, result, x, n);
          else if (down)
            gw_down2 (&layer,
                      (const float *[]) { row_of (rows, 2 * y, source_width, source_height, in),
                                          row_of (rows, 2 * y + 1, source_width, source_height, in) },
                      added, result, x, n);
          else
            gw_up2 (&layer, row_of (rows, y / 2, width, height, in), y % 2, added, result, x, n);
        }
      for (int i = 0; i < out_width * out; i++)
        g_assert_cmpfloat (fabs (result[i] - expected[(gsize) y * out_width * out + i]), <=, bound);
    }
}

static void
test_layers (gconstpointer data)
{
  static const int widths[] = { 1, 2, 3, 5, 16, 31, 128, 131 }, channels[] = { 1, 3, 12, 24, 32, 64 };
  const Case *test = data;
  g_autoptr (GRand) rand = g_rand_new_with_seed (1);

  for (guint i = 0; i < G_N_ELEMENTS (widths); i++)
    for (guint j = 0; j < G_N_ELEMENTS (channels); j++)
      {
        check_layer (test, channels[j], channels[(j + i) % G_N_ELEMENTS (channels)], widths[i], 1 + i % 3, 1,
                     rand);
        check_layer (test, channels[j], channels[j], widths[i], 2, i % 2 ? 1e6 : 1e-6, rand);
      }
}

/* A copy as the tiles need it: zero pixels up to the end of the last tile. */
static float *
padded_to_tiles (const float *image, int width, int height, int channels, int stride)
{
  float *copy = g_new0 (float, (gsize) height *stride *channels);

  for (int y = 0; y < height; y++)
    for (int i = 0; i < width * channels; i++)
      copy[((gsize) y * stride + 1) * channels + i] = image[(gsize) y * width * channels + i];

  return copy;
}

static void
check_winograd (int in, int out, int width, int height, int top, double scale, gboolean all, GRand *rand)
{
  const int stride = (width + 3) / 4 * 4 + 2;
  g_autofree float *weights = random_floats (rand, 9 * in * out);
  g_autofree float *bias = random_floats (rand, out);
  g_autofree float *source = random_floats (rand, (gsize) width * height * in);
  g_autofree float *addend = random_floats (rand, (gsize) width * height * out);
  g_autofree float *result = g_new0 (float, (gsize) width *height *out);
  GwLayer layer = { .kind = GW_LAYER_CONV3,
                    .addend = -1,
                    .relu = all,
                    .in = in,
                    .out = out,
                    .weights = weights,
                    .bias = all ? bias : NULL };

  for (gsize i = 0; i < (gsize) width * height * in; i++)
    source[i] *= scale;
  layer.winograd = gw_winograd_weights (&layer);

  g_autofree float *transformed = layer.winograd;
  g_autofree float *scratch = g_new (float, gw_winograd_scratch (&layer));
  g_autofree float *copy = padded_to_tiles (source, width, height, in, stride);
  g_autofree float *expected = reference_layer (&layer, source, width, height, all ? addend : NULL, 0);

  for (int y = -top; y < height; y += GW_WINOGRAD_TILE)
    {
      const float *rows[6], *addends[4];
      float *outs[4];

      for (int i = 0; i < 6; i++)
        rows[i]
            = y + i - 1 >= 0 && y + i - 1 < height ? copy + ((gsize) (y + i - 1) * stride + 1) * in : NULL;
      for (int i = 0; i < 4; i++)
        {
          const gboolean inside = y + i >= 0 && y + i < height;

          outs[i] = inside ? result + (gsize) (y + i) * width * out : NULL;
          addends[i] = inside ? addend + (gsize) (y + i) * width * out : NULL;
        }
      for (int x = 0; x < width; x += GW_WINOGRAD_TILE * GW_WINOGRAD_TILES)
        gw_winograd_conv3 (&layer, rows, all ? addends : NULL, outs, x, width, scratch);
    }
  for (gsize i = 0; i < (gsize) width * height * out; i++)
    g_assert_cmpfloat (fabs (result[i] - expected[i]), <=, 2e-5 * scale * sqrt (9.0 * in) + 1e-6);
}

static void
test_winograd (void)
{
  static const int widths[] = { 1, 2, 3, 4, 5, 7, 31, 128, 129, 131, 260 };
  static const int channels[] = { 16, 32, 64, 256 };
  static const GwLayer odd = { .in = 24, .out = 32 };
  g_autoptr (GRand) rand = g_rand_new_with_seed (3);

  for (guint i = 0; i < G_N_ELEMENTS (widths); i++)
    for (guint j = 0; j < G_N_ELEMENTS (channels); j++)
      if (channels[j] * widths[i] < 20000) /* the reference is slow */
        {
          check_winograd (channels[j], channels[(i + j) % 3], widths[i], 1 + i, j % 4, 1, i % 2, rand);
          check_winograd (channels[j], 16, widths[i], 3, i % 4, i % 2 ? 1e6 : 1e-4, FALSE, rand);
        }
  g_assert_null (gw_winograd_weights (&odd)); /* plain products for these */
}

static void
test_asinh (void)
{
  g_autoptr (GRand) rand = g_rand_new_with_seed (2);
  const int width = 97, channels = 13, stride = 30;
  const GwLayer layer
      = { .kind = GW_LAYER_ASINH, .in = channels, .out = channels, .first_plane = 12, .n_planes = 12 };

  for (double size = 1e-6; size < 1e10; size *= 10)
    {
      g_autofree float *row = random_floats (rand, width * channels);
      g_autofree float *noise = random_floats (rand, width * stride);
      g_autofree float *result = g_new (float, width *channels);

      for (int i = 0; i < width * channels; i++)
        row[i] *= size;
      for (int i = 0; i < width * stride; i++)
        noise[i] = 1e-5 + fabs (noise[i]);

      g_autofree float *expected = reference_layer (&layer, row, width, 1, noise, stride);

      gw_asinh (&layer, row, noise, stride, result, 0, 50);
      gw_asinh (&layer, row, noise, stride, result, 50, width - 50);
      for (int i = 0; i < width * channels; i++)
        g_assert_cmpfloat (fabs (result[i] - expected[i]), <=, 4e-7 * (1 + fabs (expected[i])));
    }
}

int
main (int argc, char **argv)
{
  static const Case cases[] = {
    { GW_LAYER_CONV3, FALSE, FALSE, FALSE }, { GW_LAYER_CONV3, TRUE, FALSE, FALSE },
    { GW_LAYER_CONV3, FALSE, FALSE, TRUE },  { GW_LAYER_CONV3, TRUE, TRUE, TRUE },
    { GW_LAYER_DOWN2, FALSE, FALSE, FALSE }, { GW_LAYER_DOWN2, TRUE, TRUE, TRUE },
    { GW_LAYER_UP2, FALSE, FALSE, FALSE },   { GW_LAYER_UP2, FALSE, FALSE, TRUE },
    { GW_LAYER_UP2, TRUE, TRUE, TRUE },
  };

  g_test_init (&argc, &argv, NULL);
  for (guint i = 0; i < G_N_ELEMENTS (cases); i++)
    {
      static const char *names[] = { "input", "conv3", "down2", "up2" };
      g_autofree char *path
          = g_strdup_printf ("/convolution/%s%s%s%s", names[cases[i].kind], cases[i].relu ? "+relu" : "",
                             cases[i].bias ? "+bias" : "", cases[i].addend ? "+addend" : "");

      g_test_add_data_func (path, &cases[i], test_layers);
    }
  g_test_add_func ("/convolution/winograd", test_winograd);
  g_test_add_func ("/convolution/asinh", test_asinh);

  return g_test_run ();
}

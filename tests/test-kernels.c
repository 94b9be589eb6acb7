/* Every kernel of every instruction set that this processor has, against its plain twin, on random and
 * extreme input, at sizes around the edges, and nothing written beyond them.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#include <math.h>
#include <string.h>

#include "kernels.h"
#include "reference.h"

#define UNTOUCHED 12345.f

static float *
untouched (gsize n)
{
  float *values = g_new (float, n);

  for (gsize i = 0; i < n; i++)
    values[i] = UNTOUCHED;

  return values;
}

static float *
scaled_floats (GRand *rand, gsize n, double scale)
{
  float *values = random_floats (rand, n);

  for (gsize i = 0; i < n; i++)
    values[i] *= scale;

  return values;
}

/* ---- Products -------------------------------------------------------------------------------------------- */

/* What a product is added to. */
typedef enum
{
  NOTHING,
  ITSELF,
  ANOTHER,
  STARTS
} Start;

static void
check_multiply (const GwKernels *kernels, int n, int depth, int width, int columns, Start kind, double scale,
                GRand *rand)
{
  const int stride = depth + g_rand_int_range (rand, 0, 40),
            out_stride = columns + 16 * g_rand_int_range (rand, 0, 3);
  const int panel = kernels->panel ? kernels->panel : width;
  const int first = 16 * g_rand_int_range (rand, 0, (width - columns) / 16 + 1);
  g_autofree float *source = scaled_floats (rand, (gsize) n * stride, scale);
  g_autofree float *weights = random_floats (rand, (gsize) depth * width);
  g_autofree float *out = untouched ((gsize) n * out_stride);
  g_autofree float *alone = untouched (columns);
  g_autofree float *before = scaled_floats (rand, (gsize) n * out_stride, scale);
  const float *from = weights + (gsize) (first / panel) * depth * panel + first % panel;
  const float *start = kind == NOTHING ? NULL : kind == ITSELF ? out : before;

  if (kind == ITSELF)
    for (int i = 0; i < n; i++)
      memcpy (out + i * out_stride, before + i * out_stride, sizeof (float) * columns);
  kernels->multiply (source, stride, n, from, depth, width, columns, from, start, out, out_stride);

  for (int i = 0; i < n; i++)
    for (int c = 0; c < out_stride; c++)
      {
        double sum = start ? before[i * out_stride + c] : 0, size = fabs (sum);

        if (c >= columns)
          {
            g_assert_cmpfloat (out[i * out_stride + c], ==, UNTOUCHED);
            continue;
          }
        for (int k = 0; k < depth; k++)
          {
            const int column = first + c;
            const double product = (double) source[i * stride + k]
                                   * weights[(column / panel * depth + k) * (gsize) panel + column % panel];

            sum += product;
            size += fabs (product);
          }
        g_assert_cmpfloat (fabs (out[i * out_stride + c] - sum), <=, 1e-7 * sqrt (depth) * size);
      }

  /* the same bytes by itself */
  if (kernels->panel)
    {
      const int i = g_rand_int_range (rand, 0, n);

      kernels->multiply (source + i * stride, stride, 1, from, depth, width, columns, from,
                         start ? before + i * out_stride : NULL, alone, columns);
      g_assert_cmpmem (alone, sizeof (float) * columns, out + i * out_stride, sizeof (float) * columns);
    }
}

static void
test_multiply (gconstpointer data)
{
  static const int rows[] = { 1, 2, 3, 4, 5, 6, 7, 11, 12, 13, 15, 16, 17, 24, 31, 48, 61 };
  static const int depths[] = { 16, 32, 48, 112, 128, 144, 256, 272 };
  g_autoptr (GRand) rand = g_rand_new_with_seed (1);

  for (guint i = 0; i < G_N_ELEMENTS (rows); i++)
    for (guint j = 0; j < G_N_ELEMENTS (depths); j++)
      for (int columns = 16; columns <= 80; columns += 16)
        check_multiply (data, rows[i], depths[j], columns + 16 * g_rand_int_range (rand, 0, 3), columns,
                        (i + j) % STARTS, pow (10, g_rand_int_range (rand, -12, 13)), rand);
}

/* ---- Winograd's transforms ------------------------------------------------------------------------------- */

/* F(4x4, 3x3) of the points 0, 1, -1, 2, -2 and infinity (Lavin and Gray 2016) */
static const double source_transform[6][6]
    = { { 4, 0, -5, 0, 1, 0 },  { 0, -4, -4, 1, 1, 0 }, { 0, 4, -4, -1, 1, 0 },
        { 0, -2, -1, 2, 1, 0 }, { 0, 2, -1, -2, 1, 0 }, { 0, 4, 0, -5, 0, 1 } };
static const double result_transform[4][6]
    = { { 1, 1, 1, 1, 1, 0 }, { 0, 1, -1, 2, -2, 0 }, { 0, 1, 1, 4, 4, 0 }, { 0, 1, -1, 8, -8, 1 } };

static void
check_sources (const GwKernels *kernels, int tiles, int channels, double scale, GRand *rand)
{
  const gsize length = (gsize) (4 * tiles + 3 + 4) * channels, point_stride = (gsize) tiles * channels + 16;
  const int x = 4;
  g_autofree float *values = scaled_floats (rand, 6 * length, scale);
  g_autofree float *transformed = untouched (36 * point_stride);
  const float *rows[6];

  for (int i = 0; i < 6; i++)
    rows[i] = g_rand_int_range (rand, 0, 4) == 0 ? NULL : values + i * length;
  kernels->transform_sources (rows, x, tiles, channels, transformed, point_stride);

  for (int p = 0; p < 36; p++)
    for (gsize at = 0; at < point_stride; at++)
      {
        const int t = at / channels, c = at % channels;
        double sum = 0;

        if (t == tiles)
          {
            g_assert_cmpfloat (transformed[p * point_stride + at], ==, UNTOUCHED);
            continue;
          }
        for (int i = 0; i < 6; i++)
          for (int j = 0; rows[i] && j < 6; j++)
            sum += source_transform[p / 6][i] * source_transform[p % 6][j]
                   * rows[i][(x + 4 * t + j - 1) * channels + c];
        g_assert_cmpfloat (fabs (transformed[p * point_stride + at] - sum), <=, 1e-5 * scale);
      }
}

static void
check_results (const GwKernels *kernels, int tiles, int channels, int cut, gboolean all, double scale,
               GRand *rand)
{
  const gsize point_stride = (gsize) tiles * channels + 16;
  const int stride = channels + 16, x = 4, width = x + 4 * tiles - cut, room = x + 4 * tiles;
  g_autofree float *products = scaled_floats (rand, 36 * point_stride, scale);
  g_autofree float *bias = scaled_floats (rand, channels, scale);
  g_autofree float *added = scaled_floats (rand, (gsize) 4 * room * stride, scale);
  g_autofree float *result = untouched ((gsize) 4 * room * stride);
  const float *addends[4];
  float *out[4];

  for (int i = 0; i < 4; i++)
    {
      out[i] = g_rand_int_range (rand, 0, 4) == 0 ? NULL : result + (gsize) i * room * stride;
      addends[i] = out[i] ? added + (gsize) i * room * stride : NULL;
    }
  kernels->transform_results (products, point_stride, tiles, channels, all ? bias : NULL,
                              all ? addends : NULL, all, out, stride, x, width);

  for (int i = 0; i < 4; i++)
    for (int at = 0; at < room * stride; at++)
      {
        const int column = at / stride, c = at % stride, t = (column - x) / 4;
        const float value = result[i * room * stride + at];
        double sum = 0;

        if (!out[i] || column < x || column >= width || c >= channels)
          {
            g_assert_cmpfloat (value, ==, UNTOUCHED);
            continue;
          }
        for (int p = 0; p < 36; p++)
          sum += result_transform[i][p / 6] * result_transform[(column - x) % 4][p % 6]
                 * products[p * point_stride + t * channels + c];
        if (all)
          sum = MAX (sum + bias[c] + added[i * room * stride + at], 0);
        g_assert_cmpfloat (fabs (value - sum), <=, 6e-5 * scale);
      }
}

static void
test_transforms (gconstpointer data)
{
  g_autoptr (GRand) rand = g_rand_new_with_seed (2);

  for (int tiles = 1; tiles <= 25; tiles += 1 + tiles / 3)
    for (int channels = 16; channels <= 80; channels += 16)
      {
        const double scale = pow (10, g_rand_int_range (rand, -12, 13));

        check_sources (data, tiles, channels, scale, rand);
        for (int cut = 0; cut < 4; cut++)
          check_results (data, tiles, channels, cut, cut % 2, scale, rand);
      }
}

static void
test_asinh (gconstpointer data)
{
  const GwKernels *kernels = data;
  const int n = 16 * 7;
  g_autoptr (GRand) rand = g_rand_new_with_seed (3);

  for (double size = 1e-8; size < 1e11; size *= 10)
    {
      g_autofree float *row = scaled_floats (rand, n, size);
      g_autofree float *result = untouched (n + 1);
      const float scale = g_rand_double_range (rand, 0.1, 10);

      kernels->asinh (row, scale, result, n);
      g_assert_cmpfloat (result[n], ==, UNTOUCHED);
      for (int i = 0; i < n; i++)
        {
          const double expected = asinh ((double) row[i] * scale);

          g_assert_cmpfloat (fabs (result[i] - expected), <=, 4e-7 * (1 + fabs (expected)));
        }
    }
}

static void
test_exp (gconstpointer data)
{
  const GwKernels *kernels = data;
  const int n = 16 * 7;
  g_autoptr (GRand) rand = g_rand_new_with_seed (4);

  for (double size = 1e-8; size < 200; size *= 3)
    {
      g_autofree float *row = scaled_floats (rand, n, MIN (size, 80));
      g_autofree float *result = untouched (n + 1);

      row[0] = 0;
      kernels->exp (row, result, n);
      g_assert_cmpfloat (result[0], ==, 1);
      g_assert_cmpfloat (result[n], ==, UNTOUCHED);
      for (int i = 0; i < n; i++)
        g_assert_cmpfloat (fabs (result[i] / exp (row[i]) - 1), <=, 3e-7);
    }
}

static void
add_test (const GwKernels *kernels, const char *name, GTestDataFunc function)
{
  g_autofree char *path = g_strdup_printf ("/kernels/%s/%s", kernels->name, name);

  g_test_add_data_func (path, kernels, function);
}

int
main (int argc, char **argv)
{
  const GwKernels *kernels[4];

  g_test_init (&argc, &argv, NULL);
  for (int i = 0, n = gw_kernels_list (kernels); i < n; i++)
    {
      add_test (kernels[i], "multiply", test_multiply);
      add_test (kernels[i], "transforms", test_transforms);
      add_test (kernels[i], "asinh", test_asinh);
      add_test (kernels[i], "exp", test_exp);
    }
  return g_test_run ();
}

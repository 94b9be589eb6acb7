/* Compiled for each instruction set: GW_KERNELS is the name of what it defines.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#include "kernels.h"

#include <string.h>
#include <cblas.h>

#define STRING(name) STRING_OF (name)
#define STRING_OF(name) #name
#define INLINE static inline __attribute__ ((always_inline))
#define UNROLL _Pragma ("GCC unroll 16")

/* ROWS x PANELS vectors of sums stay in registers. */
#if defined(__AVX512F__)
enum
{
  LANES = 16,
  ROWS = 12,
  PANELS = 2
};
#elif defined(__AVX2__)
enum
{
  LANES = 8,
  ROWS = 6,
  PANELS = 1
};
#else
enum
{
  LANES = 4
};
#define USE_BLAS
#endif

enum
{
  DEPTH = 256,      /* of a product at once: its weights stay in the first-level cache */
  SECOND_LEVEL = 2, /* of the caches, to fetch to */
  T = GW_TILE,
  SOURCE = GW_TILE_SOURCE,
  VECTORS = GW_CHANNELS / LANES
};

typedef float Lanes __attribute__ ((vector_size (4 * LANES)));
typedef gint32 LaneBits __attribute__ ((vector_size (4 * LANES)));

INLINE Lanes
load (const float *from)
{
  Lanes lanes;

  memcpy (&lanes, from, sizeof (lanes));

  return lanes;
}

INLINE void
store (float *to, Lanes lanes)
{
  memcpy (to, &lanes, sizeof (lanes));
}

/* ---- Products -------------------------------------------------------------------------------------------- */

#ifdef USE_BLAS

static void
multiply (const float *source, int stride, int n, const float *weights, int depth, int width, int columns,
          const float *next, const float *start, float *out, int out_stride)
{
  for (int i = 0; start && start != out && i < n; i++)
    memcpy (out + (gsize) i * out_stride, start + (gsize) i * out_stride, sizeof (float) * columns);
  cblas_sgemm (CblasRowMajor, CblasNoTrans, CblasNoTrans, n, columns, depth, 1, source, stride, weights,
               width, start ? 1 : 0, out, out_stride);
}

#else

/* @first to @last: of the depth.  @rows and @panels are constants once inlined.  Every result is one chain
 * of fused multiply-adds, in order of depth.  @next: weights to fetch ahead, one panel of them; the next
 * block's source is fetched, too. */
INLINE void
multiply_block (const float *source, int stride, const float *weights, int depth, int first, int last,
                const float *start, float *out, int out_stride, int rows, int panels, const float *next)
{
  Lanes sums[ROWS][PANELS * VECTORS];
  const int vectors = panels * VECTORS;

  UNROLL
  for (int r = 0; r < rows; r++)
    {
      UNROLL
      for (int v = 0; v < vectors; v++)
        sums[r][v] = start ? load (start + (gsize) r * out_stride + v * LANES) : (Lanes) { 0 };
    }
  if (start && start != out) /* a skip's, from far away */
    {
      UNROLL
      for (int r = 0; r < rows; r++)
        {
          UNROLL
          for (int v = 0; v < vectors; v++)
            __builtin_prefetch (start + (gsize) (rows + r) * out_stride + v * LANES);
        }
    }
  for (int k = first; k < last; k++)
    {
      Lanes weight[PANELS * VECTORS];

      __builtin_prefetch (next + (gsize) k * GW_CHANNELS, 0, SECOND_LEVEL);
      __builtin_prefetch (source + (gsize) rows * stride + (gsize) k * rows);

      UNROLL
      for (int v = 0; v < vectors; v++)
        weight[v] = load (weights + ((gsize) (v / VECTORS) * depth + k) * GW_CHANNELS + v % VECTORS * LANES);
      UNROLL
      for (int r = 0; r < rows; r++)
        {
          const float value = source[(gsize) r * stride + k];

          UNROLL
          for (int v = 0; v < vectors; v++)
            sums[r][v] += value * weight[v];
        }
    }
  UNROLL
  for (int r = 0; r < rows; r++)
    {
      UNROLL
      for (int v = 0; v < vectors; v++)
        store (out + (gsize) r * out_stride + v * LANES, sums[r][v]);
    }
}

/* All rows of some panels, in blocks of nearly the same size, for the products of a few rows wait for each
 * other's sums.  Meanwhile @next is fetched: all matrices of a layer together are too large for the core's
 * own cache. */
INLINE void
multiply_panels (const float *source, int stride, int n, const float *weights, int depth, const float *next,
                 const float *start, float *out, int out_stride, int panels)
{
  for (int first = 0; first < depth; first += DEPTH, start = out)
    {
      const int last = MIN (first + DEPTH, depth);
      int blocks = (n + ROWS - 1) / ROWS;

      for (int i = 0, rows; i < n; i += rows, blocks--)
        {
          const float *block = source + (gsize) i * stride;
          const gsize at = (gsize) i * out_stride;
          const float *from = start ? start + at : NULL;
          const float *ahead = next + (gsize) (blocks % panels) * depth * GW_CHANNELS;

          rows = (n - i + blocks - 1) / blocks;
          switch (rows)
            {
#define CASE(number)                                                                                        \
  case number:                                                                                              \
    multiply_block (block, stride, weights, depth, first, last, from, out + at, out_stride, number, panels, \
                    ahead);                                                                                 \
    break;
              CASE (1)
              CASE (2)
              CASE (3)
              CASE (4)
              CASE (5)
              CASE (6)
#if defined(__AVX512F__)
              CASE (7)
              CASE (8)
              CASE (9)
              CASE (10)
              CASE (11)
              CASE (12)
#endif
#undef CASE
            }
        }
    }
}

static void
multiply (const float *source, int stride, int n, const float *weights, int depth, int width, int columns,
          const float *next, const float *start, float *out, int out_stride)
{
  for (int c = 0, panels; c < columns; c += panels * GW_CHANNELS)
    {
      const float *from = start ? start + c : NULL;
      const float *panel = weights + (gsize) c * depth, *ahead = next + (gsize) c * depth;

      panels = columns - c >= PANELS * GW_CHANNELS ? PANELS : 1;
      if (panels == PANELS)
        multiply_panels (source, stride, n, panel, depth, ahead, from, out + c, out_stride, PANELS);
      else
        multiply_panels (source, stride, n, panel, depth, ahead, from, out + c, out_stride, 1);
    }
}

#endif

/* ---- Winograd's transforms ------------------------------------------------------------------------------- */

/* B^T d, of the points 0, 1, -1, 2, -2 and infinity */
INLINE void
transform_source (const Lanes d[SOURCE], Lanes v[SOURCE])
{
  const Lanes a = d[4] - 4 * d[2], b = d[3] - 4 * d[1];
  const Lanes e = d[4] - d[2], f = 2 * (d[3] - d[1]);

  v[0] = 4 * d[0] - 5 * d[2] + d[4];
  v[1] = a + b;
  v[2] = a - b;
  v[3] = e + f;
  v[4] = e - f;
  v[5] = 4 * d[1] - 5 * d[3] + d[5];
}

/* A^T m */
INLINE void
transform_result (const Lanes m[SOURCE], Lanes r[T])
{
  const Lanes a = m[1] + m[2], b = m[1] - m[2];
  const Lanes c = m[3] + m[4], d = m[3] - m[4];

  r[0] = m[0] + a + c;
  r[1] = b + 2 * d;
  r[2] = a + 4 * c;
  r[3] = b + 8 * d + m[5];
}

static void
transform_sources (const float *const rows[SOURCE], int x, int tiles, int channels, float *transformed,
                   gsize point_stride)
{
  for (int t = 0; t < tiles; t++)
    for (int c = 0; c < channels; c += LANES)
      {
        const gssize from = (gssize) (x + T * t - 1) * channels + c;
        float *to = transformed + (gsize) t * channels + c;
        Lanes half[SOURCE][SOURCE]; /* [row][point of the columns] */

        UNROLL
        for (int i = 0; i < SOURCE; i++)
          {
            Lanes d[SOURCE] = { 0 };

            if (rows[i])
              {
                UNROLL
                for (int j = 0; j < SOURCE; j++)
                  d[j] = load (rows[i] + from + (gsize) j * channels);
                UNROLL
                for (int j = SOURCE - T; j < SOURCE; j++) /* of the next tile */
                  __builtin_prefetch (rows[i] + from + (gsize) (T + j) * channels);
              }
            transform_source (d, half[i]);
          }
        UNROLL
        for (int j = 0; j < SOURCE; j++)
          {
            Lanes d[SOURCE], v[SOURCE];

            UNROLL
            for (int i = 0; i < SOURCE; i++)
              d[i] = half[i][j];
            transform_source (d, v);
            UNROLL
            for (int i = 0; i < SOURCE; i++)
              {
                store (to + (i * SOURCE + j) * point_stride, v[i]);
                __builtin_prefetch (to + (i * SOURCE + j) * point_stride + LANES, 1);
              }
          }
      }
}

static void
transform_results (const float *products, gsize point_stride, int tiles, int channels, const float *bias,
                   const float *const addends[T], gboolean relu, float *const out[T], int stride, int x,
                   int width)
{
  const Lanes zero = { 0 };

  for (int t = 0; t < tiles; t++)
    for (int c = 0; c < channels; c += LANES)
      {
        const float *from = products + (gsize) t * channels + c;
        const int columns = MIN (T, width - x - T * t);
        const Lanes start = bias ? load (bias + c) : zero;
        Lanes half[T][SOURCE]; /* [row][point of the columns] */

        UNROLL
        for (int j = 0; j < SOURCE; j++)
          {
            Lanes m[SOURCE], r[T];

            UNROLL
            for (int i = 0; i < SOURCE; i++)
              m[i] = load (from + (i * SOURCE + j) * point_stride);
            transform_result (m, r);
            UNROLL
            for (int i = 0; i < T; i++)
              half[i][j] = r[i];
          }
        UNROLL
        for (int i = 0; i < T; i++)
          {
            const gsize at = (gsize) (x + T * t) * stride + c;
            Lanes r[T];

            if (!out[i])
              continue;
            transform_result (half[i], r);
            UNROLL
            for (int j = 0; j < T; j++)
              {
                Lanes value = r[j] + start;

                if (j >= columns)
                  break;
                if (addends)
                  value += load (addends[i] + at + (gsize) j * stride);
                if (relu)
                  value = (Lanes) ((LaneBits) value & (value > zero));
                store (out[i] + at + (gsize) j * stride, value);
                __builtin_prefetch (out[i] + at + (gsize) (T + j) * stride, 1);
                if (addends)
                  __builtin_prefetch (addends[i] + at + (gsize) (T + j) * stride);
              }
          }
      }
}

/* ---- Functions ------------------------------------------------------------------------------------------- */

/* In loops that compilers vectorise, which the C library's functions are not. */

/* By the logarithm's series about 1; right up to 1e12. */
static void
asinh_row (const float *row, float scale, float *out, int n)
{
  for (int i = 0; i < n; i++)
    {
      const float x = row[i] * scale;
      const float a = __builtin_fabsf (x);
      const float v = a + __builtin_sqrtf (a * a + 1);
      gint32 bits, exponent;
      float m, t, t2, log_v;

      memcpy (&bits, &v, 4);
      exponent = ((bits - 0x3f3504f3) >> 23); /* of a mantissa in [sqrt(1/2), sqrt(2)) */
      bits -= exponent * (1 << 23);
      memcpy (&m, &bits, 4);
      t = (m - 1) / (m + 1);
      t2 = t * t;
      log_v = exponent * 0.69314718f
              + 2 * t * (1 + t2 * (1 / 3.f + t2 * (1 / 5.f + t2 * (1 / 7.f + t2 * (1 / 9.f)))));
      out[i] = __builtin_copysignf (log_v, x);
    }
}

/* 2^whole e^rest, the rest between -log (2) / 2 and log (2) / 2. */
static void
exp_row (const float *row, float *out, int n)
{
  const float to_whole = 12582912; /* added, nothing is left behind the point */

  for (int i = 0; i < n; i++)
    {
      const float shifted = row[i] * 1.44269504f + to_whole;
      const float whole = shifted - to_whole;
      const float r = row[i] - whole * 0.693359375f + whole * 2.12194440e-4f;
      const float e
          = 1 + r * (1 + r * (1 / 2.f + r * (1 / 6.f + r * (1 / 24.f + r * (1 / 120.f + r / 720)))));
      gint32 bits;
      float power;

      memcpy (&bits, &shifted, 4);
      bits = (bits - 0x4b400000 + 127) * (1 << 23);
      memcpy (&power, &bits, 4);
      out[i] = e * power;
    }
}

extern const GwKernels GW_KERNELS;
const GwKernels GW_KERNELS = {
  .name = STRING (GW_KERNELS),
#ifndef USE_BLAS
  .panel = GW_CHANNELS,
#endif
  .multiply = multiply,
  .transform_sources = transform_sources,
  .transform_results = transform_results,
  .asinh = asinh_row,
  .exp = exp_row,
};

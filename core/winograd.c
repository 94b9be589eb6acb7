/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "winograd.h"

#include <string.h>
#include <cblas.h>

enum
{
  T = GW_WINOGRAD_TILE,
  SOURCE = T + 2, /* rows and columns that a tile is computed from */
  POINTS = SOURCE * SOURCE
};

/* The transforms work on 16 channels at once, in whatever registers the processor has. */
typedef float Lanes __attribute__ ((vector_size (4 * GW_WINOGRAD_LANES)));

typedef gint32 LaneBits __attribute__ ((vector_size (4 * GW_WINOGRAD_LANES)));

#if defined(__x86_64__) && defined(__GLIBC__) && defined(__GNUC__) && !defined(__clang__)
#define FOR_EACH_PROCESSOR __attribute__ ((target_clones ("arch=x86-64-v4", "arch=x86-64-v3", "default")))
#else
#define FOR_EACH_PROCESSOR
#endif

#define INLINE static inline __attribute__ ((always_inline))

/* ---- Weights --------------------------------------------------------------------------------------------- */

/* G of the points 0, 1, -1, 2, -2 and infinity */
static const double kernel_transform[SOURCE][3] = { { 1 / 4., 0, 0 },
                                                    { -1 / 6., -1 / 6., -1 / 6. },
                                                    { -1 / 6., 1 / 6., -1 / 6. },
                                                    { 1 / 24., 1 / 12., 1 / 6. },
                                                    { 1 / 24., -1 / 12., 1 / 6. },
                                                    { 0, 0, 1 } };

/* G w G^T for every pair of channels */
float *
gw_winograd_weights (const GwLayer *layer)
{
  const gsize pairs = (gsize) layer->in * layer->out;
  float *transformed;

  if (layer->in % GW_WINOGRAD_LANES || layer->out % GW_WINOGRAD_LANES)
    return NULL;

  transformed = g_new (float, POINTS *pairs);
  for (int i = 0; i < SOURCE; i++)
    for (int j = 0; j < SOURCE; j++)
      {
        float *to = transformed + (i * SOURCE + j) * pairs;
        double factors[9];

        for (int k = 0; k < 9; k++)
          factors[k] = kernel_transform[i][k / 3] * kernel_transform[j][k % 3];
        for (gsize p = 0; p < pairs; p++)
          {
            double sum = 0;

            for (int k = 0; k < 9; k++)
              sum += factors[k] * layer->weights[k * pairs + p];
            to[p] = sum;
          }
      }
  return transformed;
}

gsize
gw_winograd_scratch (const GwLayer *layer)
{
  return (gsize) POINTS * GW_WINOGRAD_TILES * (layer->in + layer->out);
}

/* ---- Transforms ------------------------------------------------------------------------------------------ */

/* B^T d */
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

/* [points][tiles][in] from the rows */
FOR_EACH_PROCESSOR static void
transform_sources (const float *const rows[SOURCE], int x, int tiles, int in, float *transformed)
{
  for (int t = 0; t < tiles; t++)
    for (int c = 0; c < in; c += GW_WINOGRAD_LANES)
      {
        Lanes half[SOURCE][SOURCE]; /* [row][point of the columns] */

        for (int i = 0; i < SOURCE; i++)
          {
            Lanes d[SOURCE] = { 0 };

            for (int j = 0; rows[i] && j < SOURCE; j++)
              memcpy (&d[j], rows[i] + (gssize) (x + T * t + j - 1) * in + c, sizeof (Lanes));
            transform_source (d, half[i]);
          }
        for (int j = 0; j < SOURCE; j++)
          {
            Lanes d[SOURCE], v[SOURCE];

            for (int i = 0; i < SOURCE; i++)
              d[i] = half[i][j];
            transform_source (d, v);
            for (int i = 0; i < SOURCE; i++)
              memcpy (transformed + ((gsize) (i * SOURCE + j) * tiles + t) * in + c, &v[i], sizeof (Lanes));
          }
      }
}

/* The rows from [points][tiles][out], with all that a layer adds to them. */
FOR_EACH_PROCESSOR static void
transform_results (const float *products, int tiles, const float *bias, gboolean relu, int channels,
                   const float *const addends[T], float *const out[T], int x, int width)
{
  const Lanes zero = { 0 };

  for (int t = 0; t < tiles; t++)
    for (int k = 0; k < channels; k += GW_WINOGRAD_LANES)
      {
        Lanes half[T][SOURCE]; /* [row][point of the columns] */
        Lanes start = { 0 };

        if (bias)
          memcpy (&start, bias + k, sizeof (Lanes));
        for (int j = 0; j < SOURCE; j++)
          {
            Lanes m[SOURCE], r[T];

            for (int i = 0; i < SOURCE; i++)
              memcpy (&m[i], products + ((gsize) (i * SOURCE + j) * tiles + t) * channels + k,
                      sizeof (Lanes));
            transform_result (m, r);
            for (int i = 0; i < T; i++)
              half[i][j] = r[i];
          }
        for (int i = 0; i < T; i++)
          {
            Lanes r[T];

            if (!out[i])
              continue;
            transform_result (half[i], r);
            for (int j = 0; j < T && x + T * t + j < width; j++)
              {
                const gsize at = (gsize) (x + T * t + j) * channels + k;
                Lanes value = r[j] + start;

                if (addends)
                  {
                    Lanes addend;

                    memcpy (&addend, addends[i] + at, sizeof (Lanes));
                    value += addend;
                  }
                if (relu)
                  value = (Lanes) ((LaneBits) value & (value > zero));
                memcpy (out[i] + at, &value, sizeof (Lanes));
              }
          }
      }
}

/* ---- The layer ------------------------------------------------------------------------------------------- */

void
gw_winograd_conv3 (const GwLayer *layer, const float *const rows[6], const float *const addends[4],
                   float *const out[4], int x, int width, float *scratch)
{
  const int in = layer->in, channels = layer->out;
  const int tiles = MIN (GW_WINOGRAD_TILES, (width - x + T - 1) / T);
  float *products = scratch + (gsize) POINTS * tiles * in;

  transform_sources (rows, x, tiles, in, scratch);
  for (int p = 0; p < POINTS; p++)
    cblas_sgemm (CblasRowMajor, CblasNoTrans, CblasNoTrans, tiles, channels, in, 1,
                 scratch + (gsize) p * tiles * in, in, layer->winograd + (gsize) p * in * channels, channels,
                 0, products + (gsize) p * tiles * channels, channels);
  transform_results (products, tiles, layer->bias, layer->relu, channels, addends, out, x, width);
}

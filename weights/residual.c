/* Parts of model.py and their gradients on a CPU, with the engine's kernels; residual.py compiles and calls
 * this.
 *
 * The residual blocks, x + b (relu (a (x))), by Winograd's F(4x4, 3x3): a quarter of the multiplications of
 * PyTorch's convolutions.  And what the heads read of the features, in one pass over memory in place of six.
 *
 * Images are [batch][height][width][channels], kernels [out][3][3][in] (both PyTorch's channels_last);
 * channels are a multiple of 32.  The result is A^T [sum (G g G^T) (B^T d B)] A (Lavin and Gray 2016), so the
 * gradient of the kernels is G^T [sum (B^T d B) (A r A^T)] G, r the gradient of the results.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#include <omp.h>
#include <string.h>

#include "kernels.h"

enum
{
  T = GW_TILE,
  SOURCE = GW_TILE_SOURCE,
  POINTS = GW_TILE_POINTS,
#ifdef __AVX512F__
  LANES = 16, /* of a vector */
  ROWS = 12,  /* of the gradient's product, with two vectors of columns each: what registers hold */
#else
  LANES = 8,
  ROWS = 6,
#endif
  COLUMNS = 32,        /* of a product's results at a time */
  TILES = 48,          /* of a job */
  GRADIENT_TILES = 96, /* of a job of the kernels' gradient: what it adds to is read and written each time */
  POINT_PADDING = 16   /* points lie so far apart that they do not share a set of the cache */
};

typedef float Lanes __attribute__ ((vector_size (4 * LANES), aligned (4)));

typedef struct
{
  int batch, height, width, channels;
} Shape;

/* Tiles side by side in one image. */
typedef struct
{
  int image, row, column, n; /* row and column in tiles */
} Run;

extern const GwKernels gw_training;

/* G, in the precision of the images */
static inline float
g (int point, int tap)
{
  return gw_kernel_transform[point][tap];
}

static int
tiles_along (int pixels)
{
  return (pixels + T - 1) / T;
}

static int
count_tiles (const Shape *shape)
{
  return shape->batch * tiles_along (shape->height) * tiles_along (shape->width);
}

/* The next of the tiles from @first to @last that lie side by side. */
static Run
next_run (const Shape *shape, int first, int last)
{
  const int across = tiles_along (shape->width), down = tiles_along (shape->height);
  const int column = first % across;

  return (Run) { .image = first / across / down,
                 .row = first / across % down,
                 .column = column,
                 .n = MIN (last - first, across - column) };
}

static const float *
pixel_row (const float *images, const Shape *shape, int image, int y)
{
  return images + ((gsize) image * shape->height + y) * shape->width * shape->channels;
}

/* B^T d B of a run.  Tiles at either end of a row see zeros beside it, which are copied for them. */
static void
transform_sources (const float *images, const Shape *shape, Run run, float *out, gsize point_stride)
{
  const int channels = shape->channels;
  float edge[SOURCE][SOURCE * channels];
  const float *rows[SOURCE];

  for (int i = 0; i < SOURCE; i++)
    {
      const int y = run.row * T - 1 + i;

      rows[i] = y >= 0 && y < shape->height ? pixel_row (images, shape, run.image, y) : NULL;
    }
  for (int k = 0, n; k < run.n; k += n, out += (gsize) n * channels)
    {
      const int column = run.column + k, x = column * T;
      const int whole = MAX ((shape->width - 1) / T - column, 0); /* up to the last tile that ends inside */
      const float *copies[SOURCE];

      if (column > 0 && whole > 0)
        {
          n = MIN (whole, run.n - k);
          gw_training.transform_sources (rows, x, n, channels, out, point_stride);
          continue;
        }
      n = 1;
      for (int i = 0; i < SOURCE; i++)
        {
          const int from = MAX (x - 1, 0), to = MIN (x - 1 + SOURCE, shape->width);

          copies[i] = rows[i] ? edge[i] + channels : NULL;
          if (!rows[i])
            continue;
          memset (edge[i], 0, sizeof (edge[i]));
          memcpy (edge[i] + (from - (x - 1)) * channels, rows[i] + (gsize) from * channels,
                  sizeof (float) * (to - from) * channels);
        }
      gw_training.transform_sources (copies, 0, 1, channels, out, point_stride);
    }
}

/* Kernels as the products want them, [36][in][out] in panels; with @backward those of the gradient,
 * [36][out][in], turned round. */
static void
transform_kernels (const float *kernels, int in, int out, gboolean backward, float *points)
{
  const int depth = backward ? out : in, width = backward ? in : out;
  const int panel = gw_training.panel ? gw_training.panel : width;
  const gsize k_stride = backward ? (gsize) 9 * in : 1, column_stride = backward ? 1 : (gsize) 9 * in;
  const gsize size = (gsize) in * out;

#pragma omp parallel for schedule(static)
  for (int c = 0; c < width; c += LANES)
    for (int k = 0; k < depth; k++)
      {
        const float *from = kernels + k * k_stride + c * column_stride;
        float *to = points + (gsize) (c / panel) * depth * panel + (gsize) k * panel + c % panel;
        Lanes taps[9], half[SOURCE][3];

        for (int tap = 0; tap < 9; tap++)
          for (int j = 0; j < LANES; j++)
            taps[backward ? 8 - tap : tap][j] = from[j * column_stride + (gsize) tap * in];
        for (int i = 0; i < SOURCE; i++)
          for (int x = 0; x < 3; x++)
            half[i][x] = g (i, 0) * taps[x] + g (i, 1) * taps[3 + x] + g (i, 2) * taps[6 + x];
        for (int i = 0; i < SOURCE; i++)
          for (int j = 0; j < SOURCE; j++)
            *(Lanes *) (to + (i * SOURCE + j) * size)
                = g (j, 0) * half[i][0] + g (j, 1) * half[i][1] + g (j, 2) * half[i][2];
      }
}

/**
 * gw_convolve:
 * @images: [batch][height][width][in]
 * @kernels: [out][3][3][in]; with @backward [in][3][3][out]
 * @backward: whether @images are gradients of results, and gradients of what those came from are wanted
 * @addend: (nullable): laid out as @result
 * @scratch: gw_convolve_scratch() floats
 *
 * result = images * kernels + addend, and max (0, .) of that with @relu; zeros around the images.
 */
void
gw_convolve (const float *images, int batch, int height, int width, int in, int out, const float *kernels,
             gboolean backward, const float *addend, gboolean relu, float *result, float *scratch)
{
  const Shape from = { batch, height, width, in }, to = { batch, height, width, out };
  const int total = count_tiles (&from), jobs = (total + TILES - 1) / TILES;
  const gsize stride = (gsize) TILES * in + POINT_PADDING, columns_stride = TILES * COLUMNS + POINT_PADDING;
  const gsize size = (gsize) in * out;
  float *each = scratch + POINTS * size;

  transform_kernels (kernels, backward ? out : in, backward ? in : out, backward, scratch);

#pragma omp parallel for schedule(dynamic)
  for (int job = 0; job < jobs; job++)
    {
      const int first = (gint64) total * job / jobs, last = (gint64) total * (job + 1) / jobs;
      float *sources = each + omp_get_thread_num () * POINTS * (stride + columns_stride);
      float *products = sources + POINTS * stride;
      Run run;

      for (int t = first; t < last; t += run.n)
        {
          run = next_run (&from, t, last);
          transform_sources (images, &from, run, sources + (gsize) (t - first) * in, stride);
        }
      for (int c = 0; c < out; c += COLUMNS)
        {
          const float *weights = scratch + (gw_training.panel ? (gsize) c * in : (gsize) c);

          for (int p = 0; p < POINTS; p++)
            gw_training.multiply (sources + p * stride, in, last - first, weights + p * size, in, out,
                                  COLUMNS, weights + MIN (p + 1, POINTS - 1) * size, NULL,
                                  products + p * columns_stride, COLUMNS);
          for (int t = first; t < last; t += run.n)
            {
              const float *addends[T];
              float *rows[T];

              run = next_run (&to, t, last);
              for (int i = 0; i < T; i++)
                {
                  const int y = run.row * T + i;
                  const gsize at = y < height ? pixel_row (NULL, &to, run.image, y) - (float *) NULL + c : 0;

                  rows[i] = y < height ? result + at : NULL;
                  addends[i] = addend ? addend + at : NULL;
                }
              gw_training.transform_results (products + (gsize) (t - first) * COLUMNS, columns_stride, run.n,
                                             COLUMNS, NULL, addend ? addends : NULL, relu, rows, out,
                                             run.column * T, width);
            }
        }
    }
}

gsize
gw_convolve_scratch (int in, int out)
{
  return POINTS
         * ((gsize) in * out + omp_get_max_threads () * ((gsize) TILES * (in + COLUMNS) + 2 * POINT_PADDING));
}

/* ---- The kernels' gradient ------------------------------------------------------------------------------- */

/* A r */
static inline void
spread (const Lanes r[T], Lanes v[SOURCE])
{
  const Lanes even = r[0] + r[2], odd = r[1] + r[3];
  const Lanes even2 = r[0] + 4 * r[2], odd2 = 2 * r[1] + 8 * r[3];

  v[0] = r[0];
  v[1] = even + odd;
  v[2] = even - odd;
  v[3] = even2 + odd2;
  v[4] = even2 - odd2;
  v[5] = r[3];
}

/* A r A^T of a run. */
static void
transform_gradients (const float *images, const Shape *shape, Run run, float *out, gsize point_stride)
{
  const int channels = shape->channels;

  for (int k = 0; k < run.n; k++)
    for (int c = 0; c < channels; c += LANES)
      {
        const int x = (run.column + k) * T;
        Lanes half[SOURCE][T];

        for (int j = 0; j < T; j++)
          {
            Lanes r[T], v[SOURCE];

            for (int i = 0; i < T; i++)
              {
                const int y = run.row * T + i;

                r[i] = y < shape->height && x + j < shape->width
                           ? *(const Lanes *) (pixel_row (images, shape, run.image, y)
                                               + (gsize) (x + j) * channels + c)
                           : (Lanes) { 0 };
              }
            spread (r, v);
            for (int i = 0; i < SOURCE; i++)
              half[i][j] = v[i];
          }
        for (int i = 0; i < SOURCE; i++)
          {
            Lanes v[SOURCE];

            spread (half[i], v);
            for (int j = 0; j < SOURCE; j++)
              *(Lanes *) (out + (i * SOURCE + j) * point_stride + (gsize) k * channels + c) = v[j];
          }
      }
}

/* sums += a^T b, of @rows columns of a and two vectors of b; @first: sums = a^T b.  @rows is constant once
 * inlined. */
static inline __attribute__ ((always_inline)) void
accumulate_block (const float *a, int a_stride, const float *b, int b_stride, int n, float *sums,
                  int sums_stride, int rows, gboolean first)
{
  Lanes s[ROWS][2];

#pragma GCC unroll 16
  for (int r = 0; r < rows; r++)
    {
      s[r][0] = first ? (Lanes) { 0 } : *(Lanes *) (sums + (gsize) r * sums_stride);
      s[r][1] = first ? (Lanes) { 0 } : *(Lanes *) (sums + (gsize) r * sums_stride + LANES);
    }
  for (int t = 0; t < n; t++)
    {
      const Lanes b0 = *(const Lanes *) (b + (gsize) t * b_stride);
      const Lanes b1 = *(const Lanes *) (b + (gsize) t * b_stride + LANES);

#pragma GCC unroll 16
      for (int r = 0; r < rows; r++)
        {
          const float value = a[(gsize) t * a_stride + r];

          s[r][0] += value * b0;
          s[r][1] += value * b1;
        }
    }
#pragma GCC unroll 16
  for (int r = 0; r < rows; r++)
    {
      *(Lanes *) (sums + (gsize) r * sums_stride) = s[r][0];
      *(Lanes *) (sums + (gsize) r * sums_stride + LANES) = s[r][1];
    }
}

static void
accumulate (const float *a, int out, const float *b, int in, int n, float *sums, gboolean first)
{
  for (int c = 0; c < in; c += 2 * LANES)
    {
      int r = 0;

      for (; r + ROWS <= out; r += ROWS)
        accumulate_block (a + r, out, b + c, in, n, sums + (gsize) r * in + c, in, ROWS, first);
      for (; r < out; r += ROWS / 3) /* divides what is left of a multiple of 32 */
        accumulate_block (a + r, out, b + c, in, n, sums + (gsize) r * in + c, in, ROWS / 3, first);
    }
}

/**
 * gw_convolve_gradient:
 * @images: [batch][height][width][in]
 * @gradients: of the results, [batch][height][width][out]
 * @result: of the kernels, [out][3][3][in]
 * @scratch: gw_convolve_gradient_scratch() floats
 */
void
gw_convolve_gradient (const float *images, const float *gradients, int batch, int height, int width, int in,
                      int out, float *result, float *scratch)
{
  const Shape from = { batch, height, width, in }, to = { batch, height, width, out };
  const int total = count_tiles (&from), jobs = (total + GRADIENT_TILES - 1) / GRADIENT_TILES;
  const gsize size = (gsize) in * out;
  const gsize in_stride = (gsize) GRADIENT_TILES * in + POINT_PADDING;
  const gsize out_stride = (gsize) GRADIENT_TILES * out + POINT_PADDING;
  const gsize scratch_stride = POINTS * (size + in_stride + out_stride);
  int threads = 1;

#pragma omp parallel
  {
    const int thread = omp_get_thread_num (), n_threads = omp_get_num_threads ();
    float *sums = scratch + thread * scratch_stride;
    float *sources = sums + POINTS * size, *spreads = sources + POINTS * in_stride;

    if (thread == 0)
      threads = MIN (n_threads, jobs);
    for (int job = thread; job < jobs; job += n_threads)
      {
        const int first = (gint64) total * job / jobs, last = (gint64) total * (job + 1) / jobs;
        Run run;

        for (int t = first; t < last; t += run.n)
          {
            run = next_run (&from, t, last);
            transform_sources (images, &from, run, sources + (gsize) (t - first) * in, in_stride);
            transform_gradients (gradients, &to, run, spreads + (gsize) (t - first) * out, out_stride);
          }
        for (int p = 0; p < POINTS; p++)
          accumulate (spreads + p * out_stride, out, sources + p * in_stride, in, last - first,
                      sums + p * size, job == thread);
      }
  }

#pragma omp parallel for schedule(static)
  for (int o = 0; o < out; o++)
    for (int c = 0; c < in; c += LANES)
      {
        Lanes half[3][SOURCE], m[SOURCE];

        for (int j = 0; j < SOURCE; j++)
          {
            for (int i = 0; i < SOURCE; i++)
              {
                const float *sum = scratch + (i * SOURCE + j) * size + (gsize) o * in + c;

                m[i] = *(const Lanes *) sum;
                for (int thread = 1; thread < threads; thread++)
                  m[i] += *(const Lanes *) (sum + thread * scratch_stride);
              }
            for (int y = 0; y < 3; y++)
              {
                half[y][j] = (Lanes) { 0 };
                for (int i = 0; i < SOURCE; i++)
                  half[y][j] += g (i, y) * m[i];
              }
          }
        for (int y = 0; y < 3; y++)
          for (int x = 0; x < 3; x++)
            {
              Lanes sum = { 0 };

              for (int j = 0; j < SOURCE; j++)
                sum += g (j, x) * half[y][j];
              *(Lanes *) (result + ((gsize) o * 9 + 3 * y + x) * in + c) = sum;
            }
      }
}

gsize
gw_convolve_gradient_scratch (int in, int out)
{
  return omp_get_max_threads ()
         * (POINTS * ((gsize) in * out + GRADIENT_TILES * (gsize) (in + out) + 2 * POINT_PADDING));
}

/* ---- What the heads read ----------------------------------------------------------------------------------- */

/**
 * gw_relative:
 * @features: [n][channels]
 * @level, @log_level: [n]
 * @result: [n][channels + 1]: asinh (features / level), and the last one
 */
void
gw_relative (const float *features, const float *level, const float *log_level, int n, int channels,
             float *result)
{
#pragma omp parallel for schedule(static)
  for (int i = 0; i < n; i++)
    {
      float *to = result + (gsize) i * (channels + 1);

      gw_training.asinh (features + (gsize) i * channels, 1 / level[i], to, channels);
      to[channels] = log_level[i];
    }
}

/**
 * gw_relative_gradient:
 * @gradients: of the results, [n][channels + 1]
 * @result: of the features, [n][channels]
 */
void
gw_relative_gradient (const float *features, const float *level, const float *gradients, int n, int channels,
                      float *result)
{
#pragma omp parallel for schedule(static)
  for (int i = 0; i < n; i++)
    for (int c = 0; c < channels; c++)
      {
        const float x = features[(gsize) i * channels + c];

        result[(gsize) i * channels + c]
            = gradients[(gsize) i * (channels + 1) + c] / __builtin_sqrtf (x * x + level[i] * level[i]);
      }
}

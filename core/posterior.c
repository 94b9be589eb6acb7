/* From a photo's rows to its posterior's rows.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#include <math.h>
#include <string.h>
#include <glib/gi18n-lib.h>

#include "model.h"
#include "noise.h"

#define SQRT3 1.7320508f

typedef struct
{
  const GwModel *model;
  const GwPhoto *photo;
  const GwNoise *noise;
  GwPass *pass;

  int padded_width, padded_height;          /* multiples of the model's alignment */
  float *photo_rows, *level_rows;           /* a block as read */
  float *noisy, *level, *mean, *covariance; /* a block as written */
  int covariances;                          /* values a pixel */
  int first_read;                           /* row of the photo with which the block as read begins */
  int first;                                /* the same as written */
} Job;

static void
job_clear (Job *job)
{
  g_clear_pointer (&job->pass, gw_pass_free);
  g_free (job->photo_rows);
  g_free (job->level_rows);
  g_free (job->noisy);
  g_free (job->level);
  g_free (job->mean);
  g_free (job->covariance);
}

G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (Job, job_clear)

/* ---- Photo to network ------------------------------------------------------------------------------------ */

/* The row or column that stands in for @i beyond the right or lower edge of @n: mirrored, the last one repeated. */
static int
mirror (int i, int n)
{
  i %= 2 * n;

  return i < n ? i : 2 * n - 1 - i;
}

/* Reads @n rows from @y on, mirrored below the photo, into job->photo_rows and job->level_rows. */
static gboolean
read_rows (Job *job, int y, int n, GError **error)
{
  const GwPhoto *photo = job->photo;
  const gsize length = (gsize) photo->width * photo->channels;

  for (int k = 0, rows; k < n; k += rows)
    {
      const int row = mirror (y + k, photo->height);

      rows = y + k < photo->height ? MIN (n - k, photo->height - y - k) : 1;
      if (!gw_noise_read (photo, job->noise, row, rows, job->photo_rows + k * length,
                          job->level_rows + k * length, error))
        return FALSE;
    }
  return TRUE;
}

/* Spreads a photo row, as read, over the channels of an input row.  A grey photo's noise is the same in all three channels:
 * along the grey axis (1,1,1)/sqrt(3) of the colour cube its level is sqrt(3) times as high, so that is what the network is
 * told (see grey_inputs in weights/model.py). */
static void
spread_row (const Job *job, const float *photo, const float *level, int row_of_cell, float *input)
{
  const int shuffle = job->model->shuffle;
  const int cells = shuffle * shuffle;
  const int channels = job->photo->channels;
  const int out = gw_padded (gw_network_get (&job->model->network, 0)->out);

  for (int x = 0; x < job->padded_width; x++)
    {
      const int source = mirror (x, job->photo->width) * channels;
      const int pixel = row_of_cell * shuffle + x % shuffle;
      float *cell = input + x / shuffle * out;
      float *grain = cell + 2 * GW_PLANES * cells;
      float told = 0;

      for (int p = 0; p < GW_PLANES; p++)
        {
          const int c = channels == 1 ? 0 : p;
          const float sd = MAX (level[source + c], GW_LEVEL_FLOOR) * (channels == 1 ? SQRT3 : 1);

          cell[p * cells + pixel] = photo[source + c];
          cell[(GW_PLANES + p) * cells + pixel] = sd;
          told += sd / GW_PLANES;
        }
      for (int k = 0; k < job->model->grain; k++) /* the mean over the cell */
        grain[k] = (pixel == 0 ? 0 : grain[k]) + told / cells * job->noise->grain[k];
    }
}

/* One row of the network's input; @number counts from the block's first. */
static void
fill_input_row (int number, int thread, gpointer data)
{
  const Job *job = data;
  const int shuffle = job->model->shuffle;
  const gsize length = (gsize) job->photo->width * job->photo->channels;
  float *input = gw_pass_row (job->pass, 0, job->first_read / shuffle + number);

  for (int i = 0; i < shuffle; i++)
    spread_row (job, job->photo_rows + (number * shuffle + i) * length,
                job->level_rows + (number * shuffle + i) * length, i, input);
}

/* ---- Network to posterior -------------------------------------------------------------------------------- */

/* C = L L^T, L_kk = level_k exp (g_k / 2), L_kl = level_k h_kl. */
typedef struct
{
  float l00, l10, l11, l20, l21, l22;
} Cholesky;

static Cholesky
cholesky (const float g[GW_CHOLESKY], const float level[GW_PLANES])
{
  return (Cholesky) {
    .l00 = level[0] * expf (0.5f * CLAMP (g[0], -8, 3)),
    .l11 = level[1] * expf (0.5f * CLAMP (g[1], -8, 3)),
    .l22 = level[2] * expf (0.5f * CLAMP (g[2], -8, 3)),
    .l10 = level[1] * g[3],
    .l20 = level[2] * g[4],
    .l21 = level[2] * g[5],
  };
}

/* rr, rg, rb, gg, gb, bb */
static void
colour_covariance (Cholesky l, float covariance[6])
{
  covariance[0] = l.l00 * l.l00;
  covariance[1] = l.l00 * l.l10;
  covariance[2] = l.l00 * l.l20;
  covariance[3] = l.l10 * l.l10 + l.l11 * l.l11;
  covariance[4] = l.l10 * l.l20 + l.l11 * l.l21;
  covariance[5] = l.l20 * l.l20 + l.l21 * l.l21 + l.l22 * l.l22;
}

/* Of the mean of the three channels, w^T C w = |L^T w|^2, w = (1,1,1) / 3: a sum of squares cannot round below zero. */
static float
grey_variance (Cholesky l)
{
  const float a = l.l00 + l.l10 + l.l20, b = l.l11 + l.l21, c = l.l22;

  return (a * a + b * b + c * c) / 9;
}

/* One row of the photo; @number counts from the block's first. */
static void
finish_row (int number, int thread, gpointer data)
{
  Job *job = data;
  const int y = job->first + number;
  const int shuffle = job->model->shuffle;
  const int cells = shuffle * shuffle;
  const int channels = job->photo->channels;
  const int width = job->photo->width;
  const int cell_row = y / shuffle;
  const int in_channels = gw_padded (gw_network_get (&job->model->network, 0)->out);
  const float widening = 1 + job->noise->misfit;
  const float *input = gw_pass_row (job->pass, 0, cell_row);
  const float *residual = gw_pass_row (job->pass, job->model->mean, cell_row);
  const float *factors = gw_pass_row (job->pass, job->model->cholesky, cell_row);

  for (int x = 0; x < width; x++)
    {
      const gsize i = (gsize) number * width + x;
      const int cell = y % shuffle * shuffle + x % shuffle;
      const float *in = input + x / shuffle * in_channels + cell;
      const float *r = residual + x / shuffle * gw_padded (GW_MEAN_PLANES * cells) + cell;
      const float *l = factors + x / shuffle * gw_padded (GW_CHOLESKY * cells) + cell;
      float noisy[GW_PLANES], level[GW_PLANES], noise[GW_PLANES], g[GW_CHOLESKY];

      for (int p = 0; p < GW_PLANES; p++)
        {
          const float sd = in[(GW_PLANES + p) * cells] / (channels == 1 ? SQRT3 : 1);
          const gboolean none = sd <= GW_LEVEL_FLOOR * 1.001f;

          noisy[p] = in[p * cells];
          level[p] = none ? 0 : sd;
          noise[p] = none ? 0 : r[p * cells];
        }
      for (int k = 0; k < GW_CHOLESKY; k++)
        g[k] = l[k * cells];

      if (channels == 1)
        {
          const float told[GW_PLANES] = { SQRT3 * level[0], SQRT3 * level[0], SQRT3 * level[0] };

          job->noisy[i] = noisy[0];
          job->level[i] = level[0];
          job->mean[i] = noisy[0] - (noise[0] + noise[1] + noise[2]) / 3;
          job->covariance[i] = widening * grey_variance (cholesky (g, told));
        }
      else
        {
          memcpy (job->noisy + 3 * i, noisy, sizeof (noisy));
          memcpy (job->level + 3 * i, level, sizeof (level));
          for (int p = 0; p < GW_PLANES; p++)
            job->mean[3 * i + p] = noisy[p] - noise[p];
          colour_covariance (cholesky (g, level), job->covariance + 6 * i);
          for (int k = 0; k < 6; k++)
            job->covariance[6 * i + k] *= widening;
        }
    }
}

/* ---- Public ---------------------------------------------------------------------------------------------- */

static gboolean
check_arguments (const GwPhoto *photo, const GwNoise *noise, GError **error)
{
  if (photo->width < 1 || photo->height < 1 || (photo->channels != 1 && photo->channels != 3)
      || photo->width > G_MAXINT / 64 || photo->height > G_MAXINT / 64)
    {
      g_set_error (error, GW_ERROR, GW_ERROR_PHOTO,
                   _ ("A photo of %d × %d pixels with %d channels cannot be denoised."), photo->width,
                   photo->height, photo->channels);
      return FALSE;
    }
  return gw_noise_check (noise, photo->channels, error);
}

static gboolean
allocate (Job *job, GwWorkers *workers, GError **error)
{
  const GwModel *model = job->model;
  const int outputs[] = { model->mean, model->cholesky };
  gsize pixels;

  job->pass = gw_pass_new (&model->network, workers, job->padded_width / model->shuffle,
                           job->padded_height / model->shuffle, outputs, G_N_ELEMENTS (outputs), 0);
  pixels = (gsize) (job->pass ? gw_pass_most_rows (job->pass) : 0) * model->shuffle * job->photo->width;

  job->photo_rows = g_try_new (float, pixels * job->photo->channels);
  job->level_rows = g_try_new (float, pixels * job->photo->channels);
  job->noisy = g_try_new (float, pixels * job->photo->channels);
  job->level = g_try_new (float, pixels * job->photo->channels);
  job->mean = g_try_new (float, pixels * job->photo->channels);
  job->covariance = g_try_new (float, pixels * job->covariances);
  if (!job->pass || !job->photo_rows || !job->level_rows || !job->noisy || !job->level || !job->mean
      || !job->covariance)
    {
      g_set_error (error, GW_ERROR, GW_ERROR_MEMORY,
                   _ ("There is not enough memory for a photo %d pixels wide."), job->photo->width);
      return FALSE;
    }
  return TRUE;
}

gboolean
gw_posterior_run (const GwModel *model, const GwPhoto *photo, const GwNoise *noise, const GwRun *run,
                  GwWriteRows write, gpointer data, GError **error)
{
  static const GwRun defaults = { 0 };
  const int aligned = model->multiple;
  g_autoptr (GwWorkers) workers = NULL;
  g_auto (Job) job = { .model = model, .photo = photo, .noise = noise };

  run = run ? run : &defaults;
  if (!check_arguments (photo, noise, error))
    return FALSE;

  job.padded_width = (photo->width + aligned - 1) / aligned * aligned;
  job.padded_height = (photo->height + aligned - 1) / aligned * aligned;
  job.covariances = photo->channels == 1 ? 1 : 6;
  workers = gw_workers_new (run->threads);
  if (!allocate (&job, workers, error))
    return FALSE;

  while (job.first < photo->height)
    {
      int first, rows;

      if (g_cancellable_set_error_if_cancelled (run->cancellable, error))
        return FALSE;

      rows = gw_pass_next (job.pass, &first) * model->shuffle;
      first *= model->shuffle;
      if (rows > 0 && !read_rows (&job, first, rows, error))
        return FALSE;
      job.first_read = first;
      gw_workers_run (workers, fill_input_row, &job, rows / model->shuffle);

      rows = gw_pass_push (job.pass, &first) * model->shuffle;
      rows = MIN (rows, photo->height - job.first);
      if (rows > 0)
        {
          const GwPosterior posterior = { job.first, rows,      photo->width, photo->channels,
                                          job.noisy, job.level, job.mean,     job.covariance };

          gw_workers_run (workers, finish_row, &job, rows);
          if (!write (&posterior, data, error))
            return FALSE;
          job.first += rows;
        }

      gw_pass_next (job.pass, &first);
      if (run->progress) /* a row is half done when it has been read */
        run->progress (0.5 * first * model->shuffle / job.padded_height + 0.5 * job.first / photo->height,
                       run->progress_data);
    }
  return TRUE;
}

float
gw_posterior_variance (const GwPosterior *rows, gsize i)
{
  static const int diagonal[] = { 0, 3, 5 };

  return rows->channels == 1 ? rows->covariance[i] : rows->covariance[i / 3 * 6 + diagonal[i % 3]];
}

void
gw_posterior_scores (const GwPosterior *rows, float *s1, float *s2)
{
  const gsize pixels = (gsize) rows->n_rows * rows->width;
  const int channels = rows->channels;

  for (gsize i = 0; i < pixels; i++)
    {
      const float *level = rows->level + i * channels;

      for (int c = 0; s1 && c < channels; c++)
        s1[i * channels + c]
            = (rows->mean[i * channels + c] - rows->noisy[i * channels + c]) / (level[c] * level[c]);

      for (int k = 0, n = 0; s2 && k < channels; k++)
        for (int l = k; l < channels; l++, n++)
          {
            const gsize at = i * channels * (channels + 1) / 2 + n;
            const float variance = k == l ? level[k] * level[k] : 0;

            s2[at] = (rows->covariance[at] - variance) / (level[k] * level[k] * level[l] * level[l]);
          }
    }
}

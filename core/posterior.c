/* From a photo's rows to its posterior's rows, or to what a model thinks of the noise level that it is told.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#include <math.h>
#include <string.h>
#include <glib/gi18n-lib.h>

#include "model.h"
#include "noise.h"

#define SQRT3 1.7320508f

typedef struct _Job Job;

/* What becomes of @rows of the photo, from job->first on, whose outputs are finished. */
typedef gboolean (*UseRows) (Job *job, int rows, GError **error);

struct _Job
{
  const GwModel *model;
  const GwPhoto *photo;
  const GwNoise *noise;
  const GwRun *run;
  UseRows use;
  int outputs[2], n_outputs;
  GwWorkers *workers;
  GwPass *pass;

  GwWindow window;
  int padded_width, padded_height; /* multiples of the model's alignment */
  float *photo_rows, *level_rows;  /* as read and not yet written; row y lies in place y modulo kept */
  int kept;                        /* rows */
  float *levels;                   /* of a block, where they are not read */
  int first_read;                  /* row of the photo with which the block as read begins */
  int first;                       /* the same of what is used next */

  /* For the posterior: where it goes; a block of it */
  GwWriteRows write;
  gpointer data;
  float *noisy, *level, *mean, *covariance;
  int covariances; /* values a pixel */

  GwVotes *votes;
};

static void
job_clear (Job *job)
{
  g_clear_pointer (&job->pass, gw_pass_free);
  g_clear_pointer (&job->workers, gw_workers_free);
  g_free (job->photo_rows);
  g_free (job->level_rows);
  g_free (job->levels);
  g_free (job->noisy);
  g_free (job->level);
  g_free (job->mean);
  g_free (job->covariance);
}

G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (Job, job_clear)

/* ---- Photo to network ------------------------------------------------------------------------------------ */

/* The row or column that stands in for @i beyond the right or lower edge of @n: mirrored, the last one
 * repeated. */
static int
mirror (int i, int n)
{
  i %= 2 * n;

  return i < n ? i : 2 * n - 1 - i;
}

/* Reads @n rows from @y on, mirrored below the photo. */
static gboolean
read_rows (Job *job, int y, int n, GError **error)
{
  const GwPhoto *photo = job->photo;
  const gsize length = (gsize) photo->width * photo->channels;

  for (int k = 0, rows; k < n; k += rows)
    {
      const int row = mirror (y + k, photo->height);
      const gsize place = (y + k) % job->kept * length;

      rows = y + k < photo->height ? MIN (n - k, photo->height - y - k) : 1;
      rows = MIN (rows, job->kept - (y + k) % job->kept);
      if (!photo->read (row, rows, job->photo_rows + place, photo->data, error))
        return FALSE;
      if (!job->noise->read)
        continue;
      if (!job->noise->read (row, rows, job->level_rows + place, job->noise->data, error))
        return FALSE;
      for (int i = 0; i < rows; i++)
        if (!gw_noise_check_levels (job->level_rows + place + i * length, photo->width, photo->channels,
                                    y + k + i, error))
          return FALSE;
    }
  return TRUE;
}

static float *
photo_row (const Job *job, int y)
{
  return job->photo_rows + (gsize) (y % job->kept) * job->photo->width * job->photo->channels;
}

/* The noise levels of row @y, which is row @number of a block. */
static const float *
level_row (const Job *job, int y, int number)
{
  const gsize length = (gsize) job->photo->width * job->photo->channels;
  float *levels = job->levels + number * length;

  if (job->noise->read)
    return job->level_rows + y % job->kept * length;
  gw_noise_fill_levels (job->noise, photo_row (job, y), job->photo->width, job->photo->channels, levels);

  return levels;
}

/* The noise level that the network is told.  A grey photo's noise is the same in all three channels: along
 * the grey axis (1,1,1)/sqrt(3) of the colour cube its level is sqrt(3) times as high (see grey_inputs in
 * weights/model.py). */
static float
told_level (float level, int channels)
{
  return MAX (level, GW_LEVEL_FLOOR) * (channels == 1 ? SQRT3 : 1);
}

/* Spreads a photo row over the channels of an input row. */
static void
spread_row (const Job *job, const float *photo, const float *level, int row_of_cell, float *input)
{
  const int shuffle = job->model->shuffle;
  const int cells = shuffle * shuffle;
  const int channels = job->photo->channels, width = job->photo->width;
  const int out = gw_padded (gw_network_get (&job->model->network, 0)->out);

  for (int x = 0; x < job->padded_width; x += shuffle, input += out)
    {
      float *grain = input + 2 * GW_PLANES * cells;
      float told = 0;

      for (int column = 0; column < shuffle; column++)
        {
          const int source = (x + column < width ? x + column : mirror (x + column, width)) * channels;
          float *pixel = input + row_of_cell * shuffle + column;

          for (int p = 0; p < GW_PLANES; p++)
            {
              const int c = channels == 1 ? 0 : p;
              const float sd = told_level (level[source + c], channels);

              pixel[p * cells] = photo[source + c];
              pixel[(GW_PLANES + p) * cells] = sd;
              told += sd;
            }
        }
      for (int k = 0; k < job->model->grain; k++) /* the mean over the cell */
        grain[k] = (row_of_cell == 0 ? 0 : grain[k]) + told / (GW_PLANES * cells) * job->noise->grain[k];
    }
}

/* One row of the network's input; @number counts from the block's first. */
static void
fill_input_row (int number, int thread, gpointer data)
{
  const Job *job = data;
  const int shuffle = job->model->shuffle;
  float *input = gw_pass_row (job->pass, 0, job->first_read / shuffle + number);

  for (int i = 0; i < shuffle; i++)
    {
      const int y = job->first_read + number * shuffle + i;

      gw_noise_fill_holes (photo_row (job, y), job->photo->width, job->photo->channels);
      spread_row (job, photo_row (job, y), level_row (job, y, number * shuffle + i), i, input);
    }
}

/* ---- Network to posterior -------------------------------------------------------------------------------- */

/* Of so many pixels at a time every plane lies together, so that compilers vectorise. */
#define STRETCH (8 * GW_CHANNELS)

/* The planes of an output layer for @n pixels of the photo's row @y. */
static void
gather (const Job *job, int layer, int planes, int x, int y, int n, float out[][STRETCH])
{
  const int shuffle = job->model->shuffle, cells = shuffle * shuffle, stride = gw_padded (planes * cells);
  const float *row = gw_pass_row (job->pass, layer, y / shuffle) + y % shuffle * shuffle;

  for (int column = 0; column < shuffle; column++)
    {
      const int first = (column + shuffle - x % shuffle) % shuffle;
      const float *cell = row + (x + first) / shuffle * stride + column;

      for (int i = first; i < n; i += shuffle, cell += stride)
        for (int k = 0; k < planes; k++)
          out[k][i] = cell[k * cells];
    }
}

/* C = L L^T, L_kk = level_k exp (g_k / 2), L_kl = level_k h_kl. */
typedef struct
{
  float l00, l10, l11, l20, l21, l22;
} Cholesky;

/* @g: the exponentials, and h */
static inline Cholesky
cholesky (const float g[GW_CHOLESKY][STRETCH], int i, const float level[GW_PLANES])
{
  return (Cholesky) {
    .l00 = level[0] * g[0][i],
    .l11 = level[1] * g[1][i],
    .l22 = level[2] * g[2][i],
    .l10 = level[1] * g[3][i],
    .l20 = level[2] * g[4][i],
    .l21 = level[2] * g[5][i],
  };
}

/* rr, rg, rb, gg, gb, bb */
static inline void
colour_covariance (Cholesky l, float widening, float covariance[6])
{
  covariance[0] = widening * (l.l00 * l.l00);
  covariance[1] = widening * (l.l00 * l.l10);
  covariance[2] = widening * (l.l00 * l.l20);
  covariance[3] = widening * (l.l10 * l.l10 + l.l11 * l.l11);
  covariance[4] = widening * (l.l10 * l.l20 + l.l11 * l.l21);
  covariance[5] = widening * (l.l20 * l.l20 + l.l21 * l.l21 + l.l22 * l.l22);
}

/* Of the mean of the three channels, w^T C w = |L^T w|^2, w = (1,1,1) / 3: a sum of squares cannot round
 * below zero. */
static inline float
grey_variance (Cholesky l)
{
  const float a = l.l00 + l.l10 + l.l20, b = l.l11 + l.l21, c = l.l22;

  return (a * a + b * b + c * c) / 9;
}

/* The layer with the covariance for such noise. */
static int
covariance_layer (const GwModel *model, const GwNoise *noise)
{
  for (guint k = 0; k < G_N_ELEMENTS (noise->grain); k++)
    if (noise->grain[k] != 0)
      return model->cholesky;

  return model->white;
}

/* @n pixels of the photo's row @y from @x on, to the mean and covariance of the same. */
static void
finish_stretch (const Job *job, int x, int y, int n, const float *noisy, const float *level, float *mean,
                float *covariance)
{
  const GwModel *model = job->model;
  const float widening = 1 + job->noise->misfit;
  float residual[GW_MEAN_PLANES][STRETCH], g[GW_CHOLESKY][STRETCH] = { 0 };

  gather (job, model->mean, GW_MEAN_PLANES, x, y, n, residual);
  gather (job, job->outputs[1], GW_CHOLESKY, x, y, n, g);
  for (int k = 0; k < GW_PLANES; k++)
    {
      for (int i = 0; i < STRETCH; i++)
        g[k][i] = 0.5f * CLAMP (g[k][i], -8, 3);
      model->network.kernels->exp (g[k], g[k], STRETCH);
    }

  if (job->photo->channels == 1)
    for (int i = 0; i < n; i++)
      {
        const float told[GW_PLANES] = { SQRT3 * level[i], SQRT3 * level[i], SQRT3 * level[i] };

        mean[i]
            = level[i] == 0 ? noisy[i] : noisy[i] - (residual[0][i] + residual[1][i] + residual[2][i]) / 3;
        covariance[i] = widening * grey_variance (cholesky (g, i, told));
      }
  else
    for (int i = 0; i < n; i++)
      {
        for (int p = 0; p < GW_PLANES; p++)
          mean[3 * i + p] = noisy[3 * i + p] - (level[3 * i + p] == 0 ? 0 : residual[p][i]);
        colour_covariance (cholesky (g, i, level + 3 * i), widening, covariance + 6 * i);
      }
}

/* One row of the photo, or of its window; @number counts from the block's first. */
static void
finish_row (int number, int thread, gpointer data)
{
  const Job *job = data;
  const int y = job->first + number, left = job->window.x, width = job->window.width;
  const int channels = job->photo->channels;
  const gsize first = (gsize) number * width;
  const float *levels = level_row (job, y, number) + left * channels;
  float *noisy = job->noisy + first * channels, *level = job->level + first * channels;

  memcpy (noisy, photo_row (job, y) + left * channels, sizeof (float) * width * channels);
  for (int i = 0; i < width * channels; i++)
    level[i] = levels[i] <= GW_LEVEL_FLOOR * 1.001f ? 0 : levels[i];
  for (int x = 0; x < width; x += STRETCH)
    finish_stretch (job, left + x, y, MIN (STRETCH, width - x), noisy + x * channels, level + x * channels,
                    job->mean + (first + x) * channels, job->covariance + (first + x) * job->covariances);
}

static gboolean
write_posterior (Job *job, int rows, GError **error)
{
  const GwPosterior posterior = { job->first, rows,       job->window.width, job->photo->channels,
                                  job->noisy, job->level, job->mean,         job->covariance };

  gw_workers_run (job->workers, finish_row, job, rows);

  return job->write (&posterior, job->data, error);
}

/* ---- Network to votes ------------------------------------------------------------------------------------ */

#define MOST_WEIGHT 4 /* of a vote: its logarithm's bound, VOTE in weights/model.py */

static gboolean
count_votes (Job *job, int rows, GError **error)
{
  const int shuffle = job->model->shuffle, stride = gw_padded (GW_JUDGEMENT);

  for (int y = job->first; y < job->first + rows; y += shuffle)
    {
      const float *cell = gw_pass_row (job->pass, job->model->judgement, y / shuffle);

      for (int x = 0; x < job->photo->width; x += shuffle, cell += stride)
        {
          const double weight = exp (CLAMP (cell[1], -MOST_WEIGHT, MOST_WEIGHT));

          job->votes->sum += weight * cell[0];
          job->votes->weight += weight;
        }
    }
  return TRUE;
}

/* ---- All of a photo -------------------------------------------------------------------------------------- */

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
allocate (Job *job, GError **error)
{
  const GwModel *model = job->model;
  const int shuffle = model->shuffle, channels = job->photo->channels;
  const GwWindow *window = &job->window;
  const GwWindow cells = { window->x / shuffle, window->y / shuffle,
                           (window->x + window->width + shuffle - 1) / shuffle - window->x / shuffle,
                           (window->y + window->height + shuffle - 1) / shuffle - window->y / shuffle };
  gsize pixels, written;

  job->pass
      = gw_pass_new (&model->network, job->workers, job->padded_width / shuffle, job->padded_height / shuffle,
                     window->width < job->photo->width || window->height < job->photo->height ? &cells : NULL,
                     job->outputs, job->n_outputs, 0);
  job->kept = job->pass ? gw_pass_most_waiting (job->pass) * shuffle : 0;
  pixels = (gsize) job->kept * job->photo->width;
  written = (gsize) (job->pass ? gw_pass_most_rows (job->pass) : 0) * shuffle * job->photo->width;

  job->photo_rows = g_try_new (float, pixels *channels);
  job->level_rows = g_try_new (float, job->noise->read ? pixels *channels : 1);
  job->levels = g_try_new (float, written *channels);
  job->noisy = g_try_new (float, written *channels);
  job->level = g_try_new (float, written *channels);
  job->mean = g_try_new (float, written *channels);
  job->covariance = g_try_new (float, written * job->covariances);
  if (!job->pass || !job->photo_rows || !job->level_rows || !job->levels || !job->noisy || !job->level
      || !job->mean || !job->covariance)
    {
      g_set_error (error, GW_ERROR, GW_ERROR_MEMORY,
                   _ ("There is not enough memory for a photo %d pixels wide."), job->photo->width);
      return FALSE;
    }
  return TRUE;
}

/* @job: model, photo, noise, run, outputs, use, and what that needs */
static gboolean
run_job (Job *job, GError **error)
{
  static const GwRun defaults = { 0 };
  const GwRun *run = job->run ? job->run : &defaults;
  const GwPhoto *photo = job->photo;
  const int aligned = job->model->multiple, shuffle = job->model->shuffle;
  int end;

  if (!check_arguments (photo, job->noise, error))
    return FALSE;

  job->window = run->window.width > 0 ? run->window : (GwWindow) { 0, 0, photo->width, photo->height };
  g_return_val_if_fail (job->window.x >= 0 && job->window.y >= 0 && job->window.height > 0
                            && job->window.width <= photo->width - job->window.x
                            && job->window.height <= photo->height - job->window.y,
                        FALSE);
  job->padded_width = (photo->width + aligned - 1) / aligned * aligned;
  job->padded_height = (photo->height + aligned - 1) / aligned * aligned;
  job->covariances = photo->channels == 1 ? 1 : 6;
  job->workers = gw_workers_new (run->threads);
  if (!allocate (job, error))
    return FALSE;

  job->first = job->window.y;
  end = job->window.y + job->window.height;
  while (job->first < end)
    {
      int first, rows;

      if (g_cancellable_set_error_if_cancelled (run->cancellable, error))
        return FALSE;

      rows = gw_pass_next (job->pass, &first);
      job->first_read = first * shuffle;
      if (rows > 0 && !read_rows (job, job->first_read, rows * shuffle, error))
        return FALSE;
      gw_workers_run (job->workers, fill_input_row, job, rows);

      rows = gw_pass_push (job->pass, &first);
      rows = MIN ((first + rows) * shuffle, end) - job->first;
      if (rows > 0 && !job->use (job, rows, error))
        return FALSE;
      job->first += MAX (rows, 0);

      if (run->progress)
        run->progress (gw_pass_progress (job->pass), run->progress_data);
    }
  return TRUE;
}

/* ---- Public ---------------------------------------------------------------------------------------------- */

gboolean
gw_posterior_run (const GwModel *model, const GwPhoto *photo, const GwNoise *noise, const GwRun *run,
                  GwWriteRows write, gpointer data, GError **error)
{
  g_auto (Job) job = { .model = model,
                       .photo = photo,
                       .noise = noise,
                       .run = run,
                       .use = write_posterior,
                       .outputs = { model->mean, covariance_layer (model, noise) },
                       .n_outputs = 2,
                       .write = write,
                       .data = data };

  return run_job (&job, error);
}

gboolean
gw_judge_level (const GwModel *model, const GwPhoto *photo, const GwNoise *noise, const GwRun *run,
                GwVotes *votes, GError **error)
{
  g_auto (Job) job = { .model = model,
                       .photo = photo,
                       .noise = noise,
                       .run = run,
                       .use = count_votes,
                       .outputs = { model->judgement },
                       .n_outputs = 1,
                       .votes = votes };

  return run_job (&job, error);
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

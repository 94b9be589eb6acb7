/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "densities.h"

#include <math.h>
#include <string.h>

/* L of A = L L^T. */
static void
cholesky (const double a[3][3], int n, double l[3][3])
{
  memset (l, 0, 9 * sizeof (double));
  for (int i = 0; i < n; i++)
    for (int k = 0; k <= i; k++)
      {
        double sum = a[i][k];

        for (int m = 0; m < k; m++)
          sum -= l[i][m] * l[k][m];
        l[i][k] = i == k ? sqrt (sum) : sum / l[k][k];
      }
}

/* x = L^-1 b */
static void
solve (const double l[3][3], int n, const double *b, double *x)
{
  for (int i = 0; i < n; i++)
    {
      x[i] = b[i];
      for (int k = 0; k < i; k++)
        x[i] -= l[i][k] * x[k];
      x[i] /= l[i][i];
    }
}

/* log N(x; mean, L L^T), but for a constant */
static double
log_density (const double l[3][3], int n, const double *mean, const double *x)
{
  double off[3], whitened[3], sum = 0;

  for (int i = 0; i < n; i++)
    off[i] = x[i] - mean[i];
  solve (l, n, off, whitened);
  for (int i = 0; i < n; i++)
    sum += -0.5 * whitened[i] * whitened[i] - log (l[i][i]);

  return sum;
}

Mixture
mixture_posterior (const Mixture *prior, const double *y, const double *level)
{
  const int n = prior->channels;
  Mixture posterior = *prior;
  double largest = -INFINITY, total = 0;

  for (int k = 0; k < prior->n; k++)
    {
      double noisy[3][3], l[3][3], off[3], whitened[3], columns[3][3];

      memcpy (noisy, prior->covariance[k], sizeof (noisy));
      for (int i = 0; i < n; i++)
        {
          noisy[i][i] += level[i] * level[i];
          off[i] = y[i] - prior->mean[k][i];
        }
      cholesky (noisy, n, l);
      posterior.weight[k] = log (prior->weight[k]) + log_density (l, n, prior->mean[k], y);
      largest = MAX (largest, posterior.weight[k]);
      solve (l, n, off, whitened);
      for (int i = 0; i < n; i++) /* L^-1 A: A is symmetric */
        solve (l, n, prior->covariance[k][i], columns[i]);
      for (int i = 0; i < n; i++)
        for (int m = 0; m < n; m++)
          {
            posterior.mean[k][i] += columns[i][m] * whitened[m];
            for (int r = 0; r < n; r++)
              posterior.covariance[k][i][m] -= columns[i][r] * columns[m][r];
          }
    }
  for (int k = 0; k < prior->n; k++)
    total += posterior.weight[k] = exp (posterior.weight[k] - largest);
  for (int k = 0; k < prior->n; k++)
    posterior.weight[k] /= total;

  return posterior;
}

void
mixture_moments (const Mixture *mixture, double mean[3], double covariance[3][3])
{
  memset (mean, 0, 3 * sizeof (double));
  memset (covariance, 0, 9 * sizeof (double));
  for (int k = 0; k < mixture->n; k++)
    for (int i = 0; i < mixture->channels; i++)
      mean[i] += mixture->weight[k] * mixture->mean[k][i];
  for (int k = 0; k < mixture->n; k++)
    for (int i = 0; i < mixture->channels; i++)
      for (int m = 0; m < mixture->channels; m++)
        covariance[i][m] += mixture->weight[k]
                            * (mixture->covariance[k][i][m]
                               + (mixture->mean[k][i] - mean[i]) * (mixture->mean[k][m] - mean[m]));
}

int
mixture_mode (const Mixture *mixture, const double *x)
{
  double best = -INFINITY;
  int mode = 0;

  for (int k = 0; k < mixture->n; k++)
    {
      double l[3][3], found;

      cholesky (mixture->covariance[k], mixture->channels, l);
      found = log (mixture->weight[k]) + log_density (l, mixture->channels, mixture->mean[k], x);
      if (found > best)
        {
          best = found;
          mode = k;
        }
    }
  return mode;
}

double
random_normal (GRand *rand)
{
  return sqrt (-2 * log (1 - g_rand_double (rand))) * cos (2 * G_PI * g_rand_double (rand));
}

void
mixture_draw (const Mixture *mixture, GRand *rand, double *x)
{
  double u = g_rand_double (rand), l[3][3], z[3];
  int k = 0;

  while (k < mixture->n - 1 && u >= mixture->weight[k])
    u -= mixture->weight[k++];
  cholesky (mixture->covariance[k], mixture->channels, l);
  for (int i = 0; i < mixture->channels; i++)
    {
      z[i] = random_normal (rand);
      x[i] = mixture->mean[k][i];
      for (int m = 0; m <= i; m++)
        x[i] += l[i][m] * z[m];
    }
}

/* ---- Scores ------------------------------------------------------------------------------------------------ */

/* Mean and covariance of a row, given the state and its level. */
typedef void (*FillRow) (gconstpointer density, const GwPosterior *row, float *mean, float *covariance);

static gboolean
run_rows (FillRow fill, gconstpointer density, const GwPhoto *state, const GwNoise *noise, GwWriteRows write,
          gpointer data, GError **error)
{
  const gsize length = (gsize) state->width * state->channels;
  g_autofree float *noisy = g_new (float, length), *level = g_new (float, length);
  g_autofree float *mean = g_new (float, length), *covariance = g_new (float, 2 * length);

  for (int y = 0; y < state->height; y++)
    {
      const GwPosterior row = { y, 1, state->width, state->channels, noisy, level, mean, covariance };

      if (!state->read (y, 1, noisy, state->data, error) || !noise->read (y, 1, level, noise->data, error))
        return FALSE;
      fill (density, &row, mean, covariance);
      if (!write (&row, data, error))
        return FALSE;
    }
  return TRUE;
}

static void
fill_mixture (gconstpointer density, const GwPosterior *row, float *mean, float *covariance)
{
  const int channels = row->channels;

  for (int x = 0; x < row->width; x++)
    {
      double y[3] = { 0 }, level[3] = { 0 }, m[3], c[3][3];
      Mixture posterior;

      for (int i = 0; i < channels; i++)
        {
          y[i] = row->noisy[x * channels + i];
          level[i] = row->level[x * channels + i];
        }
      posterior = mixture_posterior (density, y, level);
      mixture_moments (&posterior, m, c);
      for (int i = 0; i < channels; i++)
        {
          mean[x * channels + i] = m[i];
          for (int k = i; k < channels; k++)
            *covariance++ = c[i][k];
        }
    }
}

gboolean
mixture_score (gconstpointer mixture, const GwPhoto *state, const GwNoise *noise, const GwRun *run,
               GwWriteRows write, gpointer data, GError **error)
{
  return run_rows (fill_mixture, mixture, state, noise, write, data, error);
}

static void
fill_pairs (gconstpointer density, const GwPosterior *row, float *mean, float *covariance)
{
  const Pairs *pairs = density;

  for (int x = 0; x < row->width; x += 2)
    {
      const double level = row->level[x], v = level * level;
      const double sum = pairs->sum / (pairs->sum + v) * (row->noisy[x] + row->noisy[x + 1]) / 2;
      const double difference
          = pairs->difference / (pairs->difference + v) * (row->noisy[x] - row->noisy[x + 1]) / 2;

      mean[x] = sum + difference;
      mean[x + 1] = sum - difference;
      covariance[x] = covariance[x + 1]
          = 0.5 * v * (pairs->sum / (pairs->sum + v) + pairs->difference / (pairs->difference + v));
    }
}

gboolean
pairs_score (gconstpointer pairs, const GwPhoto *state, const GwNoise *noise, const GwRun *run,
             GwWriteRows write, gpointer data, GError **error)
{
  return run_rows (fill_pairs, pairs, state, noise, write, data, error);
}

/* Posterior principal components, on densities whose covariance is known, and on photos.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#include <math.h>
#include <string.h>

#include "drawn-noise.h"
#include "eigen.h"
#include "memory.h"

/* ---- A Gaussian whose values all hang together -------------------------------------------------------------- */

/* For small pictures: all matrices are full. */
typedef struct
{
  int width, height, channels;
  int n;                             /* values */
  double *prior, *noise, *posterior; /* covariances */
  double *gain;                      /* prior (prior + noise)^-1: D - mean = gain (y - mean), mean 0.5 */
} Field;

static void
field_clear (Field *field)
{
  g_free (field->prior);
  g_free (field->noise);
  g_free (field->posterior);
  g_free (field->gain);
}

G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (Field, field_clear)

/* a becomes its inverse; by Gauss and Jordan, which will do for covariances */
static void
invert (double *a, int n)
{
  for (int p = 0; p < n; p++)
    {
      const double pivot = a[p * n + p];

      a[p * n + p] = 1;
      for (int k = 0; k < n; k++)
        a[p * n + k] /= pivot;
      for (int i = 0; i < n; i++)
        if (i != p)
          {
            const double factor = a[i * n + p];

            a[i * n + p] = 0;
            for (int k = 0; k < n; k++)
              a[i * n + k] -= factor * a[p * n + k];
          }
    }
}

/* Neighbours, and channels, have much in common; more so downwards. */
static Field
field_new (int width, int height, int channels, const Image *levels, const GwNoise *noise)
{
  const int n = width * height * channels;
  Field field = { .width = width, .height = height, .channels = channels, .n = n };
  double *inverse = g_new (double, n *n);

  field.prior = g_new (double, n *n);
  field.noise = g_new (double, n *n);
  field.posterior = g_new (double, n *n);
  field.gain = g_new0 (double, n *n);
  for (int i = 0; i < n; i++)
    {
      g_autoptr (Image) unit = image_new (width, height, channels);

      unit->values[i] = levels->values[i];
      gw_drawn_noise_correlate (noise->grain, width, height, channels, unit->values);
      for (int k = 0; k < n; k++)
        {
          const double dx = i / channels % width - k / channels % width;
          const double dy = i / channels / width - k / channels / width;
          const double bright = 0.5 + (double) i / n + (double) k / n;

          field.prior[i * n + k]
              = 0.01 * bright * exp (-hypot (dx / 2, dy / 4)) * (i % channels == k % channels ? 1 : 0.7);
          field.noise[i * n + k] = unit->values[k] * levels->values[k];
          inverse[i * n + k] = field.prior[i * n + k] + field.noise[i * n + k];
        }
    }
  invert (inverse, n);
  for (int i = 0; i < n; i++)
    for (int j = 0; j < n; j++)
      for (int k = 0; k < n; k++)
        field.gain[i * n + k] += field.prior[i * n + j] * inverse[j * n + k];
  g_free (inverse);
  for (int i = 0; i < n; i++)
    for (int k = 0; k < n; k++)
      {
        field.posterior[i * n + k] = 0;
        for (int j = 0; j < n; j++)
          field.posterior[i * n + k] += field.gain[i * n + j] * field.noise[j * n + k];
      }
  return field;
}

/* A #GwScore; the density is a Field. */
static gboolean
field_score (gconstpointer density, const GwPhoto *state, const GwNoise *noise, const GwRun *run,
             GwWriteRows write, gpointer data, GError **error)
{
  const Field *field = density;
  const int length = field->width * field->channels;
  g_autofree float *pixels = g_new (float, field->n), *mean = g_new (float, field->n);

  if (!state->read (0, field->height, pixels, state->data, error))
    return FALSE;
  for (int y = 0; y < run->window.height; y++)
    {
      const GwPosterior row = { .y = run->window.y + y,
                                .n_rows = 1,
                                .width = run->window.width,
                                .channels = field->channels,
                                .mean = mean };

      for (int x = 0; x < run->window.width * field->channels; x++)
        {
          const int i = row.y * length + run->window.x * field->channels + x;
          double sum = 0.5;

          for (int k = 0; k < field->n; k++)
            sum += field->gain[i * field->n + k] * (pixels[k] - 0.5);
          mean[x] = sum;
        }
      if (!write (&row, data, error))
        return FALSE;
    }
  return TRUE;
}

/* Where value @i of a region is in the field. */
static int
place (const Field *field, const GwWindow *region, int i)
{
  const int length = region->width * field->channels;

  return ((region->y + i / length) * field->width + region->x) * field->channels + i % length;
}

/* ---- Against exact answers ---------------------------------------------------------------------------------- */

/* |C v - sd^2 v|, relative to the trace */
static double
residual (const double *covariance, int n, const float *direction, double sd)
{
  double squares = 0, trace = 0;

  for (int i = 0; i < n; i++)
    {
      double left = -sd * sd * direction[i];

      for (int k = 0; k < n; k++)
        left += covariance[i * n + k] * direction[k];
      squares += left * left;
      trace += covariance[i * n + i];
    }
  return sqrt (squares) / trace;
}

static void
check (const Field *field, const Image *levels, const GwNoise *noise, GwWindow region, const float *weights)
{
  const int channels = field->channels, n = region.width * region.height * channels, wanted = 3;
  const GwPhoto source = { field->width, field->height, channels, image_read, NULL };
  g_autoptr (Image) photo = image_random (field->width, field->height, channels, 0.3, 0.7, 5);
  g_autofree double *covariance = g_new (double, n *n), *vectors = g_new (double, n *n);
  g_auto (GwComponents) found = { 0 };
  g_autofree double *original = NULL;
  g_autoptr (GError) error = NULL;
  GwPhoto read = source;
  double total = 0;

  read.data = photo;
  gw_components (field_score, field, &read, noise, region, weights, wanted, 1, NULL, &found, &error);
  g_assert_no_error (error);
  g_assert_cmpint (found.n, ==, MIN (wanted, n));
  g_assert_cmpint (found.region.x, ==, region.x);

  for (int i = 0; i < n; i++)
    total += (weights ? weights[i / channels] : 1.) / channels;
  for (int c = 0; c < channels; c++)
    {
      double variance = 0, colour = 0;

      for (int i = c; i < n; i += channels)
        {
          colour += (weights ? weights[i / channels] : 1) * found.mean[i] / total;
          for (int k = c; k < n; k += channels)
            variance += (weights ? weights[i / channels] * weights[k / channels] : 1)
                        * field->posterior[place (field, &region, i) * field->n + place (field, &region, k)];
        }
      variance *= 1 + noise->misfit;
      g_assert_cmpfloat_with_epsilon (found.colour[c], colour, 1e-5);
      g_assert_cmpfloat_with_epsilon (found.colour_error[c], sqrt (variance) / total,
                                      1e-3 * sqrt (variance) / total);
    }

  for (int i = 0; i < n; i++)
    for (int k = 0; k < n; k++)
      covariance[i * n + k]
          = (weights ? weights[i / channels] * weights[k / channels] : 1) * (1 + noise->misfit)
            * field->posterior[place (field, &region, i) * field->n + place (field, &region, k)];
  original = g_memdup2 (covariance, sizeof (double) * n * n);
  gw_eigen (covariance, n, vectors);
  for (int k = 0; k < found.n; k++)
    {
      const float *direction = found.directions + k * n;
      double along = 0, length = 0;
      int best = 0;

      for (int i = 1; i < n; i++)
        if (covariance[i * n + i] > covariance[best * n + best])
          best = i;
      for (int i = 0; i < n; i++)
        {
          along += direction[i] * vectors[best * n + i];
          length += direction[i] * direction[i];
        }
      g_test_message ("component %d: sd %g, exact %g, cosine %g", k + 1, found.sd[k],
                      sqrt (covariance[best * n + best]), fabs (along));
      g_assert_cmpfloat_with_epsilon (length, 1, 1e-4);
      g_assert_cmpfloat_with_epsilon (found.sd[k], sqrt (covariance[best * n + best]),
                                      0.02 * sqrt (covariance[best * n + best]));
      if (k == 0) /* others may have a neighbour of nearly the same width */
        g_assert_cmpfloat (fabs (along), >, 0.99);
      g_assert_cmpfloat (residual (original, n, direction, found.sd[k]), <, 0.03);
      covariance[best * n + best] = -1;
    }
}

static void
test_gaussian (void)
{
  for (int channels = 1; channels <= 3; channels += 2)
    {
      const int width = 9, height = channels == 1 ? 14 : 6;
      /* less noise would leave many components of nearly its own width, and no telling which is first */
      const GwNoise noise = gw_noise_white (0.4);
      g_autoptr (Image) levels = image_random (width, height, channels, 0.4f, 0.4f, 1);
      g_auto (Field) field = field_new (width, height, channels, levels, &noise);
      g_autoptr (Image) weights = image_random (5, 4, 1, 0, 1, 3);

      check (&field, levels, &noise, (GwWindow) { 2, 1, 5, 4 }, NULL);
      check (&field, levels, &noise, (GwWindow) { 2, 1, 5, 4 }, weights->values);
      check (&field, levels, &noise, (GwWindow) { 0, 0, width, height }, NULL);
      check (&field, levels, &noise, (GwWindow) { width - 3, height - 2, 3, 2 }, NULL);
      check (&field, levels, &noise, (GwWindow) { 0, 0, 1, 1 }, NULL);
    }
}

/* A level of its own for every pixel, some of them known; and what makes up for a misfit. */
static void
test_levels (void)
{
  g_autoptr (Image) levels = image_random (9, 8, 3, -0.1, 0.6, 1);
  GwNoise noise = image_noise (0, levels);

  noise.misfit = 0.44;
  for (int i = 0; i < 9 * 8 * 3; i++)
    levels->values[i] = MAX (levels->values[i], 0);
  {
    g_auto (Field) field = field_new (9, 8, 3, levels, &noise);

    check (&field, levels, &noise, (GwWindow) { 1, 2, 6, 5 }, NULL);
  }
}

static void
test_grain (void)
{
  for (int channels = 1; channels <= 3; channels += 2)
    {
      g_autoptr (Image) levels = image_random (9, 8, channels, 0.2, 0.5, 1);
      GwNoise noise = image_noise (0, levels);

      gw_noise_set_grain_size (&noise, 0.7);
      {
        g_auto (Field) field = field_new (9, 8, channels, levels, &noise);

        check (&field, levels, &noise, (GwWindow) { 1, 2, 6, 5 }, NULL);
      }
    }
}

/* The covariance of drawn noise, and what multiplies by it. */
static void
test_correlate (void)
{
  const int side = 400;
  float grain[2 * GW_OCTAVES];
  GwNoise noise = gw_noise_white (1);

  gw_noise_set_grain_size (&noise, 1);
  memcpy (grain, noise.grain, sizeof (grain));
  grain[3] = 0.3f;
  {
    g_autofree float *drawn = gw_drawn_noise_picture (grain, side, side, 3, 1);

    for (int c = 0; c < 3; c++)
      for (int dx = 0; dx <= 3; dx++)
        {
          g_autoptr (Image) unit = image_new (32, 32, 3);
          double sum = 0;

          unit->values[(16 * 32 + 16) * 3] = 1;
          gw_drawn_noise_correlate (grain, 32, 32, 3, unit->values);
          for (int i = 0; i < side * side; i++)
            if (i % side + dx < side)
              sum += drawn[i * 3] * drawn[(i + dx) * 3 + c] / (side * (side - dx));
          g_assert_cmpfloat_with_epsilon (unit->values[(16 * 32 + 16 + dx) * 3 + c], sum, 0.03);
        }
  }
}

/* ---- Of photos ---------------------------------------------------------------------------------------------- */

/* The same bytes whatever the threads; the same eigenvectors from another start. */
static void
test_seeds (void)
{
  g_autoptr (GwModel) model = load_model (test_data_path ("tiny.safetensors"));
  g_autoptr (Image) photo = image_random (70, 50, 3, 0.2, 0.8, 1);
  const GwPhoto source = { 70, 50, 3, image_read, photo };
  const GwNoise noise = gw_noise_white (0.1);
  const GwWindow region = { 20, 15, 24, 18 };
  const gsize size = 24 * 18 * 3;
  GwComponents found[3];

  for (int i = 0; i < 3; i++)
    {
      const GwRun run = { .threads = i + 1 };
      g_autoptr (GError) error = NULL;

      gw_components (gw_model_score, model, &source, &noise, region, NULL, 2, i == 2 ? 9 : 1, &run, &found[i],
                     &error);
      g_assert_no_error (error);
    }
  g_assert_cmpmem (found[0].directions, 2 * size * sizeof (float), found[1].directions,
                   2 * size * sizeof (float));
  g_assert_cmpmem (found[0].sd, 2 * sizeof (double), found[1].sd, 2 * sizeof (double));
  g_assert_cmpmem (found[0].colour_error, 3 * sizeof (double), found[1].colour_error, 3 * sizeof (double));
  g_assert_cmpfloat (found[0].directions[0], !=, found[2].directions[0]);
  g_assert_cmpfloat_with_epsilon (found[0].sd[0], found[2].sd[0], 0.05 * found[0].sd[0]);
  for (int i = 0; i < 3; i++)
    gw_components_clear (&found[i]);
}

/* Small regions and photos, at the border, of what is known and of what is no number. */
static void
test_edges (void)
{
  static const GwWindow regions[] = { { 0, 0, 1, 1 }, { 12, 8, 1, 1 }, { 10, 0, 3, 9 }, { 0 } };
  g_autoptr (GwModel) model = load_model (test_data_path ("tiny.safetensors"));

  for (int channels = 1; channels <= 3; channels += 2)
    for (guint i = 0; i < G_N_ELEMENTS (regions); i++)
      for (int known = 0; known < 2; known++)
        {
          g_autoptr (Image) photo = image_random (13, 9, channels, 0, 1, i);
          const GwPhoto source = { 13, 9, channels, image_read, photo };
          const GwNoise noise = gw_noise_white (known ? 0 : 0.1);
          g_auto (GwComponents) found = { 0 };
          g_autoptr (GError) error = NULL;

          photo->values[0] = known ? 0.5f : NAN;
          gw_components (gw_model_score, model, &source, &noise, regions[i], NULL, 4, 1, NULL, &found,
                         &error);
          g_assert_no_error (error);
          g_assert_cmpint (found.n, ==, MIN (4, found.region.width * found.region.height * channels));
          for (int k = 0; k < found.n; k++)
            {
              g_assert_true (isfinite (found.sd[k]) && isfinite (found.directions[k]));
              if (known)
                g_assert_cmpfloat (found.sd[k], ==, 0);
              else if (k == 0)
                g_assert_cmpfloat (found.sd[k], >, 0);
              if (k > 0)
                g_assert_cmpfloat (found.sd[k], <=, found.sd[k - 1]);
            }
          for (int c = 0; c < channels; c++)
            {
              g_assert_true (isfinite (found.colour[c]));
              g_assert_true (known ? found.colour_error[c] == 0 : found.colour_error[c] > 0);
            }
        }
}

static void
test_progress (void)
{
  g_autoptr (GwModel) model = load_model (test_data_path ("tiny.safetensors"));
  g_autoptr (Image) photo = image_random (40, 30, 3, 0, 1, 1);
  g_autoptr (GCancellable) cancellable = g_cancellable_new ();
  g_auto (GwComponents) found = { 0 };
  g_autoptr (GError) error = NULL;
  const GwPhoto source = { 40, 30, 3, image_read, photo };
  const GwNoise noise = gw_noise_white (0.1), wrong = gw_noise_white (-1);
  const GwWindow all = { 0 };
  Watch seen = { cancellable, 0, 2 };
  const GwRun run = { .cancellable = cancellable, .progress = watch_progress, .progress_data = &seen };

  g_assert_true (
      gw_components (gw_model_score, model, &source, &noise, all, NULL, 2, 1, &run, &found, &error));
  g_assert_cmpfloat (seen.last, ==, 1);
  gw_components_clear (&found);
  seen = (Watch) { cancellable, 0, 0.5 };
  g_assert_false (
      gw_components (gw_model_score, model, &source, &noise, all, NULL, 2, 1, &run, &found, &error));
  g_assert_error (error, G_IO_ERROR, G_IO_ERROR_CANCELLED);
  g_assert_cmpfloat (seen.last, <, 0.7);
  g_assert_null (found.mean);
  g_clear_error (&error);
  g_assert_false (
      gw_components (gw_model_score, model, &source, &wrong, all, NULL, 2, 1, NULL, &found, &error));
  g_assert_error (error, GW_ERROR, GW_ERROR_PHOTO);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/components/gaussian", test_gaussian);
  g_test_add_func ("/components/levels", test_levels);
  g_test_add_func ("/components/grain", test_grain);
  g_test_add_func ("/components/correlate", test_correlate);
  g_test_add_func ("/components/seeds", test_seeds);
  g_test_add_func ("/components/edges", test_edges);
  g_test_add_func ("/components/progress", test_progress);

  return g_test_run ();
}

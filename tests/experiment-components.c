/* What components are worth: the variance that they have beside that of samples along them and the true
 * error.
 *
 *     experiment-components MODEL LEVEL SIDE SAMPLES PHOTO.ppm...
 *
 * LEVEL is that of the white noise, in 8-bit levels.  In each corner of a photo (PPM with 8 bits) a region of
 * SIDE x SIDE pixels is examined; SAMPLES are drawn of it, an even number.  For the tables of
 * weights/samples.md and a figure of core/README.md.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "eigen.h"
#include "memory.h"

enum
{
  CROP = 240,  /* a corner; the region is its middle */
  MARGIN = 24, /* around the region, seen by the network */
  N = 4,       /* components */
  PROBES = 8
};

#define DISTURBANCE 2 /* as in components.c */

/* Variances along directions, squared errors there. */
typedef struct
{
  double claimed[N], drawn[N], square[N];
} Along;

typedef struct
{
  Along components, own; /* own: the first directions of half of the samples; drawn of the other half */
  double within[N];      /* 1 if the truth is within two standard deviations of a component */
  double widened[N];     /* what components claim, times predicted over derived */
  double predicted, derived, drawn,
      square;               /* of all of the region: by C, by the derivative of D; of samples; the error */
  double held, own_held;    /* share of the samples' variance along the first N directions */
  double overlap, repeated; /* of components and the samples' directions; of those of two halves */
  double colour;            /* squared error of the mean colour over its variance */
} Region;

/* A region and what surrounds it. */
typedef struct
{
  const GwModel *model;
  GwNoise noise;
  double level;
  int side, whole, size; /* size: values of the region */
  Image *truth, *photo;
} Corner;

static const GwRun one_thread = { .threads = 1 };

static void
cut (const Corner *corner, const Image *whole, float *values)
{
  g_autoptr (Image) region = image_crop (whole, MARGIN, MARGIN, corner->side, corner->side);

  memcpy (values, region->values, sizeof (float) * corner->size);
}

/* Where value @i of the region is in the whole. */
static int
place (const Corner *corner, int i)
{
  const int length = corner->side * 3;

  return (MARGIN + i / length) * corner->whole * 3 + MARGIN * 3 + i % length;
}

static double
dot (const float *a, const float *b, int size)
{
  double sum = 0;

  for (int i = 0; i < size; i++)
    sum += (double) a[i] * b[i];

  return sum;
}

/* ---- Samples ----------------------------------------------------------------------------------------------- */

/* @n of the region. */
static float *
draw (const Corner *corner, int n)
{
  const GwPhoto photo = { corner->whole, corner->whole, 3, image_read, corner->photo };
  const GwSampling sampling = gw_sampling (GW_SAMPLER_REVERSE, GW_DEFAULT_STEPS, 1);
  g_autoptr (Image) sample = image_new (corner->whole, corner->whole, 3);
  g_autoptr (GError) error = NULL;
  float *samples = g_new (float, (gsize) n * corner->size);

  for (int k = 0; k < n; k++)
    {
      if (!gw_sample (gw_model_score, corner->model, &photo, &corner->noise, &sampling, k, &one_thread,
                      sample->values, &error))
        g_error ("%s", error->message);
      cut (corner, sample, samples + (gsize) k * corner->size);
    }
  return samples;
}

/* So that their mean is 0. */
static void
centre (float *samples, int n, int size)
{
  for (int i = 0; i < size; i++)
    {
      double sum = 0;

      for (int k = 0; k < n; k++)
        sum += samples[(gsize) k * size + i];
      for (int k = 0; k < n; k++)
        samples[(gsize) k * size + i] -= sum / n;
    }
}

/* Along @direction, of samples less their mean. */
static double
variance (const float *samples, int n, const float *direction, int size)
{
  double square = 0;

  for (int k = 0; k < n; k++)
    square += pow (dot (samples + (gsize) k * size, direction, size), 2) / (n - 1);

  return square;
}

/* The first N eigenvectors of the samples' covariance, from their products with each other. */
static float *
find_directions (const float *samples, int n, int size, double values[N])
{
  g_autofree double *products = g_new (double, n *n), *vectors = g_new (double, n *n);
  float *directions = g_new0 (float, N *size);

  for (int k = 0; k < n; k++)
    for (int l = 0; l <= k; l++)
      products[k * n + l] = products[l * n + k]
          = dot (samples + (gsize) k * size, samples + (gsize) l * size, size) / (n - 1);
  gw_eigen (products, n, vectors);
  for (int d = 0; d < N; d++)
    {
      float *direction = directions + d * size;
      double length;
      int best = 0;

      for (int k = 1; k < n; k++)
        if (products[k * n + k] > products[best * n + best])
          best = k;
      values[d] = products[best * n + best];
      products[best * n + best] = -INFINITY;
      for (int k = 0; k < n; k++)
        for (int i = 0; i < size; i++)
          direction[i] += vectors[best * n + k] * samples[(gsize) k * size + i];
      length = sqrt (dot (direction, direction, size));
      for (int i = 0; i < size; i++)
        direction[i] /= length;
    }
  return directions;
}

/* Mean square of the cosines between two subspaces of N directions: 1 if they are the same. */
static double
overlap (const float *a, const float *b, int size)
{
  double sum = 0;

  for (int k = 0; k < N; k++)
    for (int l = 0; l < N; l++)
      sum += pow (dot (a + k * size, b + l * size, size), 2) / N;

  return sum;
}

static void
compare_samples (const Corner *corner, int n, const float *components, const float *off, Region *region)
{
  const int size = corner->size, half = n / 2;
  g_autofree float *samples = draw (corner, n);
  float *halves[2] = { samples, samples + (gsize) half * size }, *own[2];

  centre (samples, n, size);
  region->drawn = dot (samples, samples, n * size) / (n - 1);
  for (int k = 0; k < N; k++)
    {
      region->components.drawn[k] = variance (samples, n, components + k * size, size);
      region->held += region->components.drawn[k] / region->drawn;
    }
  for (int h = 0; h < 2; h++)
    centre (halves[h], half, size);
  for (int h = 0; h < 2; h++)
    {
      double values[N];

      own[h] = find_directions (halves[h], half, size, values);
      for (int k = 0; k < N; k++)
        {
          const float *direction = own[h] + k * size;
          const double drawn = variance (halves[1 - h], half, direction, size);

          region->own.claimed[k] += values[k] / 2;
          region->own.drawn[k] += drawn / 2;
          region->own.square[k] += pow (dot (direction, off, size), 2) / 2;
          region->own_held += drawn / region->drawn / 2;
        }
      region->overlap += overlap (components, own[h], size) / 2;
    }
  region->repeated = overlap (own[0], own[1], size);
  g_free (own[0]);
  g_free (own[1]);
}

/* ---- The derivative of the mean ---------------------------------------------------------------------------- */

/* Sums of variances: by the covariance that the model predicts, and by sigma^2 dD/dy, multiplied with
 * random signs (Hutchinson 1990). */
static void
sum_variances (const Corner *corner, Region *region)
{
  static const int diagonal[] = { 0, 3, 5 };
  const double e = DISTURBANCE / (corner->level * sqrt (corner->size));
  g_autoptr (GRand) rand = g_rand_new_with_seed (1);
  g_autofree float *signs = g_new (float, corner->size);
  g_auto (Result) posterior = { 0 };
  g_autoptr (GError) error = NULL;

  if (!image_posterior (corner->model, corner->photo, &corner->noise, &one_thread, &posterior, &error))
    g_error ("%s", error->message);
  for (int i = 0; i < corner->size; i++)
    {
      const int at = place (corner, i);

      region->predicted += posterior.covariance->values[at / 3 * 6 + diagonal[at % 3]];
    }
  for (int probe = 0; probe < PROBES; probe++)
    {
      g_autoptr (Image) state = image_crop (corner->photo, 0, 0, corner->whole, corner->whole);
      g_auto (Result) result = { 0 };

      for (int i = 0; i < corner->size; i++)
        {
          signs[i] = g_rand_boolean (rand) ? 1 : -1;
          state->values[place (corner, i)] += e * corner->level * corner->level * signs[i];
        }
      if (!image_posterior (corner->model, state, &corner->noise, &one_thread, &result, &error))
        g_error ("%s", error->message);
      for (int i = 0; i < corner->size; i++)
        {
          const int at = place (corner, i);

          region->derived += signs[i] * (result.mean->values[at] - posterior.mean->values[at]) / e / PROBES;
        }
    }
}

/* ---- Regions ----------------------------------------------------------------------------------------------- */

static void
measure (const Corner *corner, int n, Region *region)
{
  const int size = corner->size;
  const GwPhoto photo = { corner->whole, corner->whole, 3, image_read, corner->photo };
  const GwWindow window = { MARGIN, MARGIN, corner->side, corner->side };
  g_autofree float *off = g_new (float, size);
  g_auto (GwComponents) found = { 0 };
  g_autoptr (GError) error = NULL;

  if (!gw_components (gw_model_score, corner->model, &photo, &corner->noise, window, NULL, N, 1, &one_thread,
                      &found, &error))
    g_error ("%s", error->message);
  cut (corner, corner->truth, off);
  for (int i = 0; i < size; i++)
    off[i] -= found.mean[i];
  region->square = dot (off, off, size);
  sum_variances (corner, region);
  for (int k = 0; k < N; k++)
    {
      region->components.claimed[k] = found.sd[k] * found.sd[k];
      region->components.square[k] = pow (dot (found.directions + k * size, off, size), 2);
      region->within[k] = region->components.square[k] < 4 * region->components.claimed[k];
      region->widened[k] = region->components.claimed[k] * region->predicted / region->derived;
    }
  for (int c = 0; c < 3; c++)
    {
      double colour = 0;

      for (int i = c; i < size; i += 3)
        colour += off[i] / (size / 3);
      region->colour += colour * colour / (found.colour_error[c] * found.colour_error[c]) / 3;
    }
  compare_samples (corner, n, found.directions, off, region);
}

/* ---- Tables ------------------------------------------------------------------------------------------------ */

#define AT(member, k) (G_STRUCT_OFFSET (Region, member) + (k) * sizeof (double))

static double
mean (const GArray *regions, gsize member)
{
  double sum = 0;

  for (guint i = 0; i < regions->len; i++)
    sum += G_STRUCT_MEMBER (double, &g_array_index (regions, Region, i), member);

  return sum / regions->len;
}

/* Of sums over regions, with its standard error (jackknife). */
static void
print_ratio (const GArray *regions, gsize over, gsize under)
{
  const int n = regions->len;
  const double a = n * mean (regions, over), b = n * mean (regions, under);
  double square = 0;

  for (int i = 0; i < n; i++)
    {
      const Region *region = &g_array_index (regions, Region, i);
      const double rest
          = (a - G_STRUCT_MEMBER (double, region, over)) / (b - G_STRUCT_MEMBER (double, region, under));

      square += pow (rest - a / b, 2);
    }
  printf (" %.2f ± %.2f |", a / b, sqrt (square * (n - 1) / n));
}

static void
print_row (const GArray *regions, const char *name, int number, gsize claimed, gsize drawn, gsize square)
{
  printf ("| %s", name);
  if (number > 0)
    printf (" %d", number);
  printf (" | %.1f | %.1f | %.1f |", 255 * sqrt (mean (regions, claimed)), 255 * sqrt (mean (regions, drawn)),
          255 * sqrt (mean (regions, square)));
  print_ratio (regions, drawn, claimed);
  print_ratio (regions, square, claimed);
  print_ratio (regions, square, drawn);
  printf ("\n");
}

static void
print_tables (const GArray *regions)
{
  printf ("| direction | claimed | samples | error | samples / claimed | error / claimed | error / samples "
          "|\n|---|---|---|---|---|---|---|\n");
  for (int k = 0; k < N; k++)
    print_row (regions, "component", k + 1, AT (components.claimed, k), AT (components.drawn, k),
               AT (components.square, k));
  for (int k = 0; k < N; k++)
    print_row (regions, "the samples' own", k + 1, AT (own.claimed, k), AT (own.drawn, k),
               AT (own.square, k));
  print_row (regions, "all, by the derivative of D", 0, AT (derived, 0), AT (drawn, 0), AT (square, 0));
  print_row (regions, "all, by C", 0, AT (predicted, 0), AT (drawn, 0), AT (square, 0));

  printf ("\nThe truth is within two standard deviations of a component in:");
  for (int k = 0; k < N; k++)
    printf (" %.0f %%", 100 * mean (regions, AT (within, k)));
  printf ("\nError over what is claimed, times C / derivative of D: |");
  for (int k = 0; k < N; k++)
    print_ratio (regions, AT (components.square, k), AT (widened, k));
  printf ("\nShare of the samples' variance along four components %.3f, along their own four %.3f\n",
          mean (regions, AT (held, 0)), mean (regions, AT (own_held, 0)));
  printf ("Overlap of the four with the samples' own %.2f, of those of two halves of the samples %.2f\n",
          mean (regions, AT (overlap, 0)), mean (regions, AT (repeated, 0)));
  printf ("Squared error of the mean colour over its variance: %.2f\n", mean (regions, AT (colour, 0)));
}

int
main (int argc, char **argv)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (GwModel) model = NULL;
  g_autoptr (GArray) regions = g_array_new (FALSE, TRUE, sizeof (Region));
  const int side = argc > 3 ? atoi (argv[3]) : 0, whole = side + 2 * MARGIN,
            samples = argc > 4 ? atoi (argv[4]) : 0;

  if (argc < 6 || side < 2 || whole > CROP || samples < 2 * N)
    g_error ("see the top of experiment-components.c");
  if (!(model = gw_model_load (argv[1], &error)))
    g_error ("%s", error->message);
  for (int i = 5; i < argc; i++)
    {
      g_autoptr (Image) photo = image_load_ppm (argv[i], CROP);

      for (int k = 0; k < 4; k++)
        {
          const double level = atof (argv[2]) / 255;
          const int x = k % 2 * (photo->width - CROP) + (CROP - whole) / 2;
          const int y = k / 2 * (photo->height - CROP) + (CROP - whole) / 2;
          g_autoptr (Image) truth = image_crop (photo, x, y, whole, whole);
          g_autoptr (Image) noisy = image_crop (photo, x, y, whole, whole);
          const Corner corner
              = { model, gw_noise_white (level), level, side, whole, side * side * 3, truth, noisy };

          image_add_noise (noisy, level, regions->len);
          g_array_set_size (regions, regions->len + 1);
          measure (&corner, samples, &g_array_index (regions, Region, regions->len - 1));
        }
    }
  print_tables (regions);

  return EXIT_SUCCESS;
}

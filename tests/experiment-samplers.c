/* The samplers on densities of three coordinates whose posterior is known: the tables of weights/samples.md.
 *
 *     experiment-samplers langevin     Langevin's steps against Ozaki's
 *     experiment-samplers reverse      reverse diffusion, with and without the second-order score
 *
 * Every pixel of a picture is a chain of its own.  All begin at one y; x_t, t = 0.1, is drawn for p(x_t|y).
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "densities.h"
#include "eigen.h"
#include "memory.h"

#define SIDE 80 /* 6400 chains */
#define CHAINS (SIDE * SIDE)
#define LEVEL 0.1 /* t */
#define STEPS 128
#define SETTLED 64 /* steps before correlations are measured */
#define DIRECTIONS 32
#define MOST_BIAS 0.125

/* ---- Densities --------------------------------------------------------------------------------------------- */

static const struct
{
  const char *name;
  Mixture prior;
  double y[3];
} densities[] = {
  { "round Gaussian",
    { 1, 3, { 1 }, { { 0 } }, { { { 0.3, 0, 0 }, { 0, 0.3, 0 }, { 0, 0, 0.3 } } } },
    { 0.5, 0, 0 } },
  { "long Gaussian",
    { 1, 3, { 1 }, { { 0 } }, { { { 1, 0.99, 0 }, { 0.99, 1, 0 }, { 0, 0, 0.001 } } } },
    { 0.5, 0, 0 } },
  { "two long modes that touch",
    { 2,
      3,
      { 0.5, 0.5 },
      { { -0.15, 0.15, 0 }, { 0.15, -0.15, 0 } },
      { { { 0.3, 0.29, 0 }, { 0.29, 0.3, 0 }, { 0, 0, 0.001 } },
        { { 0.3, 0.29, 0 }, { 0.29, 0.3, 0 }, { 0, 0, 0.001 } } } },
    { 0.1, 0, 0 } },
  { "a cross of two long modes",
    { 2,
      3,
      { 0.6, 0.4 },
      { { 0 }, { 0 } },
      { { { 0.3, 0.29, 0 }, { 0.29, 0.3, 0 }, { 0, 0, 0.001 } },
        { { 0.3, -0.29, 0 }, { -0.29, 0.3, 0 }, { 0, 0, 0.001 } } } },
    { 0, 0, 0 } },
};

static const double noise_level[] = { 1, 1, 1 };

/* ---- The states of a chain -------------------------------------------------------------------------------- */

/* A score that keeps the states it is asked for. */
typedef struct
{
  const Mixture *prior;
  float *states; /* of all passes */
  int pass;
} Record;

static gboolean
record_score (gconstpointer density, const GwPhoto *state, const GwNoise *noise, const GwRun *run,
              GwWriteRows write, gpointer data, GError **error)
{
  Record *record = (Record *) density;

  if (!state->read (0, SIDE, record->states + (gsize) record->pass++ * CHAINS * 3, state->data, error))
    return FALSE;

  return mixture_score (record->prior, state, noise, run, write, data, error);
}

/* Returns: the states, one picture of SIDE x SIDE x 3 a pass, the last of them the sample. */
static float *
run (const Mixture *prior, const double *y, const GwSampling *sampling)
{
  const int passes = gw_sampling_passes (sampling);
  g_autoptr (Image) image = image_new (SIDE, SIDE, 3);
  const GwPhoto photo = { SIDE, SIDE, 3, image_read, image };
  const GwNoise noise = gw_noise_white (noise_level[0]);
  g_autoptr (GError) error = NULL;
  Record record = { prior, g_new (float, (gsize) (passes + 1) * CHAINS * 3), 0 };

  for (int i = 0; i < CHAINS * 3; i++)
    image->values[i] = y[i % 3];
  if (!gw_sample (record_score, &record, &photo, &noise, sampling, 0, NULL,
                  record.states + (gsize) passes * CHAINS * 3, &error))
    g_error ("%s", error->message);

  return record.states;
}

/* Exact draws of x_t: given x_0 and y it is normal around a point between them. */
static float *
exact (const Mixture *prior, const double *y, double t, guint32 seed)
{
  const Mixture posterior = mixture_posterior (prior, y, noise_level);
  g_autoptr (GRand) rand = g_rand_new_with_seed (seed);
  float *states = g_new (float, CHAINS * 3);

  for (int i = 0; i < CHAINS; i++)
    {
      double x[3];

      mixture_draw (&posterior, rand, x);
      for (int c = 0; c < 3; c++)
        states[3 * i + c] = x[c] + t * t * (y[c] - x[c]) + t * sqrt (1 - t * t) * random_normal (rand);
    }
  return states;
}

/* ---- What is told of them ---------------------------------------------------------------------------------- */

static int
compare (gconstpointer a, gconstpointer b)
{
  return *(const float *) a > *(const float *) b ? 1 : *(const float *) a < *(const float *) b ? -1 : 0;
}

/* Wasserstein's first distance along a direction, relative to the exact sd there; root mean square over
 * directions.  Two sets of exact draws have 0.015. */
static double
distance (const float *states, const float *truth)
{
  g_autoptr (GRand) rand = g_rand_new_with_seed (1);
  g_autofree float *a = g_new (float, CHAINS), *b = g_new (float, CHAINS);
  double sum = 0;

  for (int d = 0; d < DIRECTIONS; d++)
    {
      double direction[3], mean = 0, square = 0, off = 0;

      for (int c = 0; c < 3; c++)
        direction[c] = random_normal (rand);
      for (int i = 0; i < CHAINS; i++)
        {
          a[i] = b[i] = 0;
          for (int c = 0; c < 3; c++)
            {
              a[i] += direction[c] * states[3 * i + c];
              b[i] += direction[c] * truth[3 * i + c];
            }
          mean += b[i] / CHAINS;
        }
      qsort (a, CHAINS, sizeof (float), compare);
      qsort (b, CHAINS, sizeof (float), compare);
      for (int i = 0; i < CHAINS; i++)
        {
          off += fabs (a[i] - b[i]) / CHAINS;
          square += (b[i] - mean) * (b[i] - mean) / CHAINS;
        }
      sum += off * off / square / DIRECTIONS;
    }
  return sqrt (sum);
}

/* Covariance of two coordinates along a direction, over chains. */
static double
covariance (const float *a, const float *b, const float *direction)
{
  double mean_a = 0, mean_b = 0, sum = 0;

  for (int i = 0; i < CHAINS; i++)
    {
      double along_a = 0, along_b = 0;

      for (int c = 0; c < 3; c++)
        {
          along_a += direction[c] * a[3 * i + c];
          along_b += direction[c] * b[3 * i + c];
        }
      mean_a += along_a / CHAINS;
      mean_b += along_b / CHAINS;
      sum += along_a * along_b / CHAINS;
    }
  return sum - mean_a * mean_b;
}

/* Steps of which one gives an independent state: 1 + 2 sum of autocorrelations, the rest of the sum as if
 * it fell exponentially. */
static double
correlation_time (const float *states, const float *direction)
{
  const float *settled = states + (gsize) SETTLED * CHAINS * 3;
  const double variance = covariance (settled, settled, direction);
  double time = 1, correlation = 1;
  int k = 1;

  for (; k <= STEPS - SETTLED && correlation > 0.05; k++)
    {
      correlation = covariance (settled, settled + (gsize) k * CHAINS * 3, direction) / variance;
      time += 2 * correlation;
    }
  return correlation > 0.05 ? time + 2 * correlation * (k - 1) / -log (correlation) : time;
}

typedef struct
{
  double off[3]; /* distance after 8, 32, 128 steps */
  double bias;   /* of the variance, relative */
  double
      samples; /* effective samples a step; both of the eigenvector of the covariance where they are worst */
} Figures;

static void
judge (const float *states, int density, Figures *figures)
{
  const Mixture posterior = mixture_posterior (&densities[density].prior, densities[density].y, noise_level);
  const double t = LEVEL;
  double mean[3], exact[3][3];
  float matrix[6], values[3], vectors[3][3];

  mixture_moments (&posterior, mean, exact);
  for (int k = 0, n = 0; k < 3; k++)
    for (int l = k; l < 3; l++)
      matrix[n++] = pow (1 - t * t, 2) * exact[k][l] + (k == l ? t * t * (1 - t * t) : 0);
  gw_eigen3 (matrix, values, vectors);
  figures->samples = 1;
  figures->bias = 0;
  for (int d = 0; d < 3; d++)
    {
      double variance = 0;

      for (int k = SETTLED + 1; k <= STEPS; k++)
        variance += covariance (states + (gsize) k * CHAINS * 3, states + (gsize) k * CHAINS * 3, vectors[d])
                    / (STEPS - SETTLED);
      figures->samples = MIN (figures->samples, 1 / correlation_time (states, vectors[d]));
      figures->bias = MAX (figures->bias, fabs (variance / values[d] - 1));
    }
}

/* Convergence from a first-order step, which spreads too little; bias and correlations from one with the
 * second-order score, which is nearly settled. */
static Figures
measure (int density, gboolean ozaki, double size, const float *truth)
{
  Figures figures;

  for (int settled = 0; settled < 2; settled++)
    {
      const GwSampling sampling = { .levels = 2,
                                    .lowest = LEVEL,
                                    .second_order = settled ? GW_SECOND_ORDER_PIXELS : GW_SECOND_ORDER_NONE,
                                    .corrections = STEPS,
                                    .ozaki = ozaki,
                                    .step_size = size };
      g_autofree float *states = run (&densities[density].prior, densities[density].y, &sampling);
      const float *first = states + CHAINS * 3; /* the first pass saw y */

      if (settled)
        judge (first, density, &figures);
      for (int k = 0; k < 3 && !settled; k++)
        figures.off[k] = distance (first + (gsize) (8 << 2 * k) * CHAINS * 3, truth);
    }
  return figures;
}

/* ---- Tables ------------------------------------------------------------------------------------------------ */

static void
langevin (void)
{
  static const double sizes[] = { 0.05, 0.1, 0.2, 0.5, 1, 1.5, 2.5, 5, 10, 20 };
  g_autoptr (GString) summary = g_string_new (NULL);

  printf ("| density | sampler | step | off after 8 steps | after 32 | after 128 | variance off | effective "
          "samples a "
          "step |\n|---|---|---|---|---|---|---|---|\n");
  for (guint i = 0; i < G_N_ELEMENTS (densities); i++)
    {
      g_autofree float *truth = exact (&densities[i].prior, densities[i].y, LEVEL, 1);
      double nearest[2] = { INFINITY, INFINITY }, most[2] = { 0 };

      for (int ozaki = 0; ozaki < 2; ozaki++)
        for (guint s = 0; s < G_N_ELEMENTS (sizes); s++)
          {
            Figures figures;

            if (!ozaki && sizes[s] >= 2) /* diverges */
              continue;
            figures = measure (i, ozaki, sizes[s], truth);
            printf ("| %s | %s | %g | %.3f | %.3f | %.3f | %.0f %% | %.4f |\n", densities[i].name,
                    ozaki ? "Ozaki" : "Langevin", sizes[s], figures.off[0], figures.off[1], figures.off[2],
                    100 * figures.bias, figures.samples);
            fflush (stdout);
            nearest[ozaki] = MIN (nearest[ozaki], figures.off[1]);
            if (figures.bias < MOST_BIAS)
              most[ozaki] = MAX (most[ozaki], figures.samples);
          }
      g_string_append_printf (summary, "| %s | %.3f | %.3f | %.4f | %.4f | %.1f |\n", densities[i].name,
                              nearest[0], nearest[1], most[0], most[1], most[1] / most[0]);
    }
  printf ("\nEach at its best step:\n\n| density | Langevin, off after 32 steps | Ozaki | Langevin, "
          "effective samples a step, "
          "variance within an eighth | Ozaki | ratio |\n|---|---|---|---|---|---|\n%s",
          summary->str);
}

static void
reverse (void)
{
  printf ("| density | levels | first order | with the second-order score |\n|---|---|---|---|\n");
  for (guint i = 0; i < G_N_ELEMENTS (densities); i++)
    {
      g_autofree float *truth = exact (&densities[i].prior, densities[i].y, 0, 1);

      for (int levels = 1; levels <= 128; levels *= 2)
        {
          double off[2];

          for (int second = 0; second < 2; second++)
            {
              const GwSampling sampling
                  = { .levels = levels,
                      .second_order = second ? GW_SECOND_ORDER_PIXELS : GW_SECOND_ORDER_NONE };
              g_autofree float *states = run (&densities[i].prior, densities[i].y, &sampling);

              off[second] = distance (states + (gsize) levels * CHAINS * 3, truth);
            }
          printf ("| %s | %d | %.3f | %.3f |\n", densities[i].name, levels, off[0], off[1]);
        }
    }
}

int
main (int argc, char **argv)
{
  if (argc == 2 && g_str_equal (argv[1], "langevin"))
    langevin ();
  else if (argc == 2 && g_str_equal (argv[1], "reverse"))
    reverse ();
  else
    g_error ("see the top of experiment-samplers.c");

  return EXIT_SUCCESS;
}

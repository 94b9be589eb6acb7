/* How fast Langevin's and Ozaki's chains forget where they were, on photos: a table of weights/samples.md.
 *
 *     experiment-mixing MODEL LEVEL T PHOTO.ppm...
 *
 * LEVEL is that of the white noise, in 8-bit levels; photos are PPM with 8 bits, and of each the middle is
 * taken.  The chains draw x_t, t = T, for p(x_t|y).  They begin with the state that a sample of the reverse
 * diffusion has there.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "memory.h"

enum
{
  SIDE = 48, /* of the photo's middle */
  SAMPLES = 100,
  N = 4,      /* components */
  MOST = 125, /* so many means over blocks of a size are followed */
  LEAST_STEPS = 1000
};

#define TIME 500        /* of a chain: steps times their size */
#define MOST_BIAS 0.125 /* of the variance, for a step size to count */
#define WINDOW 5        /* correlation times after which correlations are noise (Sokal 1997) */

static const double sizes[] = { 0.2, 0.35, 0.5, 1, 1.5, 2.5 };

static const GwRun one_thread = { .threads = 1 };

/* ---- What is followed -------------------------------------------------------------------------------------- */

/* Means over 1, 2, 4, 8 pixels a side; components. */
enum
{
  COMPONENTS = 4,
  KINDS
};

static const char *const names[KINDS] = { "1x1", "2x2", "4x4", "8x8", "components" };

/* How many there are of a kind, and how many of those are followed. */
static int
available (int kind)
{
  const int blocks = SIDE >> kind;

  return kind == COMPONENTS ? N : blocks * blocks * 3;
}

static int
followed (int kind)
{
  return MIN (available (kind), MOST);
}

static int
all_followed (void)
{
  int n = 0;

  for (int kind = 0; kind < KINDS; kind++)
    n += followed (kind);

  return n;
}

static void
look (const float *state, const GwComponents *components, float *values)
{
  for (int kind = 0; kind < KINDS; kind++)
    for (int k = 0; k < followed (kind); k++, values++)
      {
        const int which = (gint64) k * available (kind) / followed (kind);
        const int side = 1 << kind, blocks = SIDE >> kind;
        const int x = which / 3 % blocks * side, y = which / 3 / blocks * side;

        *values = 0;
        if (kind == COMPONENTS)
          for (int i = 0; i < SIDE * SIDE * 3; i++)
            *values += components->directions[which * SIDE * SIDE * 3 + i] * state[i];
        else
          for (int i = 0; i < side * side; i++)
            *values += state[((y + i / side) * SIDE + x + i % side) * 3 + which % 3] / (side * side);
      }
}

/* ---- Chains ------------------------------------------------------------------------------------------------ */

/* A score that begins with a state of its own and keeps what is followed of all states. */
typedef struct
{
  const GwModel *model;
  const Image *start;
  const GwComponents *components;
  float *values; /* of state after state */
  int pass;
} Chain;

static gboolean
follow (gconstpointer density, const GwPhoto *state, const GwNoise *noise, const GwRun *run,
        GwWriteRows write, gpointer data, GError **error)
{
  const GwPhoto start = { SIDE, SIDE, 3, image_read, (gpointer) ((const Chain *) density)->start };
  Chain *chain = (Chain *) density;
  float values[SIDE * SIDE * 3];

  if (chain->pass == 1) /* the pass before took the photo to level t */
    state = &start;
  if (!state->read (0, SIDE, values, state->data, error))
    return FALSE;
  if (chain->pass > 0)
    look (values, chain->components, chain->values + (gsize) (chain->pass - 1) * all_followed ());
  chain->pass++;

  return gw_model_score (chain->model, state, noise, run, write, data, error);
}

/* A crop, and what reverse diffusion makes of it. */
typedef struct
{
  const GwModel *model;
  GwNoise noise;
  double t;
  Image *photo, *start;
  GwComponents components;
  double *variances; /* of x_t */
} Crop;

static void
crop_clear (Crop *crop)
{
  image_free (crop->photo);
  image_free (crop->start);
  gw_components_clear (&crop->components);
  g_free (crop->variances);
}

static void
prepare (Crop *crop, double level)
{
  const GwPhoto photo = { SIDE, SIDE, 3, image_read, crop->photo };
  const GwSampling sampling = gw_sampling (GW_SAMPLER_REVERSE, GW_DEFAULT_STEPS, 1);
  const double t = crop->t, share = 1 - t * t;
  const int n = all_followed ();
  g_autofree float *values = g_new (float, n);
  g_autofree double *sums = g_new0 (double, n), *squares = g_new0 (double, n);
  g_autoptr (GError) error = NULL;

  crop->start = image_new (SIDE, SIDE, 3);
  crop->variances = g_new (double, n);
  if (!gw_components (gw_model_score, crop->model, &photo, &crop->noise, (GwWindow) { 0 }, NULL, N, 1,
                      &one_thread, &crop->components, &error))
    g_error ("%s", error->message);
  for (int k = 0; k < SAMPLES; k++)
    {
      if (!gw_sample (gw_model_score, crop->model, &photo, &crop->noise, &sampling, k, &one_thread,
                      crop->start->values, &error))
        g_error ("%s", error->message);
      look (crop->start->values, &crop->components, values);
      for (int i = 0; i < n; i++)
        {
          sums[i] += values[i];
          squares[i] += values[i] * values[i];
        }
    }

  /* Given x_0 and y, x_t is normal around a point between them. */
  for (int kind = 0, i = 0; kind < KINDS; kind++)
    for (int k = 0; k < followed (kind); k++, i++)
      crop->variances[i] = share * share * (squares[i] - sums[i] * sums[i] / SAMPLES) / (SAMPLES - 1)
                           + t * t * share * level * level / (kind == COMPONENTS ? 1 : 1 << 2 * kind);
  for (int i = 0; i < SIDE * SIDE * 3; i++)
    crop->start->values[i] += t * t * (crop->photo->values[i] - crop->start->values[i]);
  image_add_noise (crop->start, t * sqrt (share) * level, 1000);
}

/* Returns: @steps times what is followed */
static float *
run (const Crop *crop, gboolean ozaki, double size, int steps)
{
  const GwPhoto photo = { SIDE, SIDE, 3, image_read, crop->photo };
  const GwSampling sampling = { .levels = 2,
                                .lowest = crop->t,
                                .second_order = GW_SECOND_ORDER_NONE,
                                .corrections = steps,
                                .ozaki = ozaki,
                                .step_size = size };
  g_autoptr (Image) end = image_new (SIDE, SIDE, 3);
  g_autoptr (GError) error = NULL;
  Chain chain = { crop->model, crop->start, &crop->components,
                  g_new (float, (gsize) (steps + 1) * all_followed ()), 0 };

  if (!gw_sample (follow, &chain, &photo, &crop->noise, &sampling, 0, &one_thread, end->values, &error))
    g_error ("%s", error->message);

  return chain.values;
}

/* ---- What is told of them ---------------------------------------------------------------------------------- */

/* Steps of which one gives an independent state, 1 + 2 sum of autocorrelations; the variance as it would
 * be over independent states. */
static double
correlation_time (const float *values, int steps, int stride, double *variance)
{
  g_autofree float *series = g_new (float, steps);
  double mean = 0, square = 0, time = 1;

  for (int i = 0; i < steps; i++)
    mean += values[(gsize) i * stride] / steps;
  for (int i = 0; i < steps; i++)
    {
      series[i] = values[(gsize) i * stride] - mean;
      square += series[i] * series[i] / steps;
    }
  for (int k = 1; k < steps && k < WINDOW * time; k++)
    {
      double sum = 0;

      for (int i = 0; i + k < steps; i++)
        sum += series[i] * series[i + k];
      time += 2 * sum / (steps - k) / square;
    }
  *variance = square / (1 - time / steps);

  return time;
}

typedef struct
{
  GArray *samples[KINDS];                   /* effective samples a step, of all that was followed */
  double variance[KINDS], reference[KINDS]; /* sums */
} Figures;

static void
measure (const Crop *crop, gboolean ozaki, double size, Figures *figures)
{
  const int steps = MAX (TIME / size, LEAST_STEPS), n = all_followed ();
  g_autofree float *values = run (crop, ozaki, size, steps);

  for (int kind = 0, i = 0; kind < KINDS; kind++)
    for (int k = 0; k < followed (kind); k++, i++)
      {
        double variance, samples = 1 / correlation_time (values + i, steps + 1, n, &variance);

        g_array_append_val (figures->samples[kind], samples);
        figures->variance[kind] += variance;
        figures->reference[kind] += crop->variances[i];
      }
}

static int
compare (gconstpointer a, gconstpointer b)
{
  return *(const double *) a > *(const double *) b ? 1 : *(const double *) a < *(const double *) b ? -1 : 0;
}

/* Of a sampler and a step size. */
typedef struct
{
  double variance[KINDS]; /* over that of reverse diffusion */
  double samples[KINDS], fewest;
} Row;

static void
print_row (gboolean ozaki, double size, const Figures *figures, Row *row)
{
  printf ("| %s | %g |", ozaki ? "Ozaki" : "Langevin", size);
  row->fewest = INFINITY;
  for (int kind = 0; kind < KINDS; kind++)
    {
      row->variance[kind] = figures->variance[kind] / figures->reference[kind];
      printf (" %.2f |", row->variance[kind]);
    }
  for (int kind = 0; kind < KINDS; kind++)
    {
      GArray *samples = figures->samples[kind];

      g_array_sort (samples, compare);
      row->samples[kind] = g_array_index (samples, double, samples->len / 2);
      row->fewest = MIN (row->fewest, g_array_index (samples, double, 0));
      printf (" %.4f |", row->samples[kind]);
    }
  printf (" %.4f |\n", row->fewest);
  fflush (stdout);
}

static void
print_ratio (double langevin, double ozaki)
{
  printf (" %.4f | %.4f | %.1f |", langevin, ozaki, ozaki / langevin);
}

/* Steps count if the variance is about that of the smallest steps, which both samplers have in common:
 * that of the kind itself, that of all means.  Components are too few for theirs to be known that well. */
static void
print_best (Row rows[2][G_N_ELEMENTS (sizes)])
{
  double alone[2][KINDS] = { { 0 } }, together[2][KINDS] = { { 0 } }, fewest[2] = { 0 };

  for (int ozaki = 0; ozaki < 2; ozaki++)
    for (guint s = 0; s < G_N_ELEMENTS (sizes); s++)
      {
        const Row *row = &rows[ozaki][s];
        gboolean fits[KINDS], all_fit = TRUE;

        for (int kind = 0; kind < KINDS; kind++)
          {
            const double limit = (rows[0][0].variance[kind] + rows[1][0].variance[kind]) / 2;

            fits[kind] = fabs (row->variance[kind] / limit - 1) < MOST_BIAS;
            all_fit &= fits[kind] || kind == COMPONENTS;
          }
        for (int kind = 0; kind < KINDS; kind++)
          {
            if (fits[kind])
              alone[ozaki][kind] = MAX (alone[ozaki][kind], row->samples[kind]);
            if (all_fit)
              together[ozaki][kind] = MAX (together[ozaki][kind], row->samples[kind]);
          }
        if (all_fit)
          fewest[ozaki] = MAX (fewest[ozaki], row->fewest);
      }
  printf ("\n| samples a step | Langevin | Ozaki | ratio | all variances right: Langevin | Ozaki | ratio "
          "|\n|---|---|---|---|---|---|---|\n");
  for (int kind = 0; kind < KINDS; kind++)
    {
      printf ("| %s |", names[kind]);
      print_ratio (alone[0][kind], alone[1][kind]);
      print_ratio (together[0][kind], together[1][kind]);
      printf ("\n");
    }
  printf ("| the fewest | | | |");
  print_ratio (fewest[0], fewest[1]);
  printf ("\n");
}

int
main (int argc, char **argv)
{
  const int crops = argc - 4;
  const double level = argc > 3 ? atof (argv[2]) / 255 : 0;
  g_autoptr (GError) error = NULL;
  g_autoptr (GwModel) model = NULL;
  g_autofree Crop *all = NULL;
  Row rows[2][G_N_ELEMENTS (sizes)] = { 0 };

  if (crops < 1)
    g_error ("see the top of experiment-mixing.c");
  if (!(model = gw_model_load (argv[1], &error)))
    g_error ("%s", error->message);
  all = g_new0 (Crop, crops);
  for (int i = 0; i < crops; i++)
    {
      g_autoptr (Image) photo = image_load_ppm (argv[4 + i], SIDE);

      all[i] = (Crop) { .model = model, .noise = gw_noise_white (level), .t = atof (argv[3]) };
      all[i].photo = image_crop (photo, (photo->width - SIDE) / 2, (photo->height - SIDE) / 2, SIDE, SIDE);
      image_add_noise (all[i].photo, level, i);
      prepare (&all[i], level);
    }

  printf ("| sampler | step |");
  for (int i = 0; i < 2 * KINDS; i++)
    printf (" %s%s |", i < KINDS ? "variance, " : "samples a step, ", names[i % KINDS]);
  printf (" the fewest |\n|---|---|");
  for (int i = 0; i < 2 * KINDS; i++)
    printf ("---|");
  printf ("---|\n");
  for (int ozaki = 0; ozaki < 2; ozaki++)
    for (guint s = 0; s < G_N_ELEMENTS (sizes); s++)
      {
        Figures figures = { 0 };

        if (!ozaki && sizes[s] >= 2) /* diverges */
          continue;
        for (int kind = 0; kind < KINDS; kind++)
          figures.samples[kind] = g_array_new (FALSE, FALSE, sizeof (double));
        for (int i = 0; i < crops; i++)
          measure (&all[i], ozaki, sizes[s], &figures);
        print_row (ozaki, sizes[s], &figures, &rows[ozaki][s]);
        for (int kind = 0; kind < KINDS; kind++)
          g_array_unref (figures.samples[kind]);
      }

  print_best (rows);
  for (int i = 0; i < crops; i++)
    crop_clear (&all[i]);

  return EXIT_SUCCESS;
}

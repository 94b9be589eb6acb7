/* Times the engine, one measurement a call, and prints a JSON object.  benchmark.py calls it beside its
 * peers.
 *
 *     benchmark-engine peak THREADS                    fused multiply-adds that the processor can do, GFLOP/s
 *     benchmark-engine load MODEL                      seconds to load the model
 *     benchmark-engine network MODEL WIDTH HEIGHT THREADS
 *     benchmark-engine preview MODEL SIDE THREADS      a window of SIDE x SIDE in a larger photo
 *     benchmark-engine sample MODEL WIDTH HEIGHT THREADS   one sample of the steps that need no thought
 *     benchmark-engine layer IN OUT WIDTH THREADS     one 3x3 convolution, seconds for a pixel
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "grainwise.h"
#include "network.h"
#include "workers.h"

#define LEAST_SECONDS 1.0

static double
seconds (gint64 since)
{
  return (g_get_monotonic_time () - since) / (double) G_USEC_PER_SEC;
}

/* Of this process: what getrusage() tells began before it. */
static double
peak_mb (void)
{
  g_autofree char *status = NULL;
  const char *line
      = g_file_get_contents ("/proc/self/status", &status, NULL, NULL) ? strstr (status, "VmHWM:") : NULL;

  return line ? strtol (line + strlen ("VmHWM:"), NULL, 10) / 1024. : 0;
}

/* ---- The processor --------------------------------------------------------------------------------------- */

typedef float Lanes __attribute__ ((vector_size (64)));

enum
{
  CHAINS
  = 12, /* independent sums: more than the multipliers' latency times their number, no more than registers */
  ROUNDS = 1 << 20
};

#if defined(__x86_64__) && defined(__GLIBC__) && defined(__GNUC__) && !defined(__clang__)
__attribute__ ((target_clones ("arch=x86-64-v4", "arch=x86-64-v3", "default")))
#endif
static void
multiply_add (int job, int thread, gpointer data)
{
  Lanes sums[CHAINS], factor, step;

  for (int i = 0; i < 16; i++)
    {
      factor[i] = 0.5f;
      step[i] = i;
      for (int k = 0; k < CHAINS; k++)
        sums[k][i] = k; /* or the compiler sees that all are alike */
    }
  for (int round = 0; round < ROUNDS; round++)
    for (int i = 0; i < CHAINS; i++)
      sums[i] = sums[i] * factor + step;
  for (int i = 1; i < CHAINS; i++)
    sums[0] += sums[i];
  ((float *) data)[16 * thread] = sums[0][3];
}

/* At the fastest moment, and over all of LEAST_SECONDS: other tenants of the machine take their share. */
static void
run_peak (int threads)
{
  g_autoptr (GwWorkers) workers = gw_workers_new (threads);
  g_autofree float *sink = g_new0 (float, 16 * (threads + 1));
  const double operations = 2.0 * 16 * CHAINS * ROUNDS * threads;
  const gint64 begin = g_get_monotonic_time ();
  double best = 0, all = 0;

  do
    {
      const gint64 start = g_get_monotonic_time ();

      gw_workers_run (workers, multiply_add, sink, threads);
      best = MAX (best, operations / seconds (start));
      all += operations;
    }
  while (seconds (begin) < LEAST_SECONDS);
  printf ("{\"gflops\": %.1f, \"sustained_gflops\": %.1f}\n", best / 1e9, all / seconds (begin) / 1e9);
}

/* ---- The engine ------------------------------------------------------------------------------------------ */

static gboolean
read_rows (int y, int n, float *rows, gpointer data, GError **error)
{
  const GwPhoto *photo = data;
  guint32 state = y + 1;

  for (gsize i = 0; i < (gsize) n * photo->width * photo->channels; i++)
    {
      state = state * 1664525u + 1013904223u;
      rows[i] = state / 4294967296.f;
    }
  return TRUE;
}

static gboolean
discard_rows (const GwPosterior *rows, gpointer data, GError **error)
{
  return TRUE;
}

/* @margin: of the photo around the part that is wanted, as far as the model reaches, so often. */
static int
run_network (const char *path, int width, int height, int threads, int margin)
{
  const GwNoise noise = gw_noise_white (15 / 255.);
  g_autoptr (GError) error = NULL;
  g_autoptr (GwModel) model = gw_model_load (path, &error);
  const int around = model ? margin * gw_model_get_card (model)->reach : 0;
  GwPhoto photo
      = { .width = width + 2 * around, .height = height + 2 * around, .channels = 3, .read = read_rows };
  const GwRun run = { .threads = threads, .window = { around, around, width, height } };
  gint64 start;
  double time;

  photo.data = &photo;
  start = g_get_monotonic_time ();
  if (!model || !gw_posterior_run (model, &photo, &noise, &run, discard_rows, NULL, &error))
    {
      g_printerr ("%s\n", error->message);
      return 1;
    }
  time = seconds (start);
  printf ("{\"seconds\": %.4f, \"multiply_adds\": %.1f, \"peak_mb\": %.1f}\n", time,
          gw_model_get_card (model)->multiply_adds_per_pixel, peak_mb ());
  return 0;
}

static int
draw_sample (char **arguments)
{
  GwPhoto photo
      = { .width = atoi (arguments[1]), .height = atoi (arguments[2]), .channels = 3, .read = read_rows };
  const GwNoise noise = gw_noise_white (15 / 255.);
  const GwRun run = { .threads = atoi (arguments[3]) };
  const GwSampling sampling = gw_sampling (GW_SAMPLER_REVERSE, GW_DEFAULT_STEPS, 0);
  g_autofree float *sample = g_new (float, (gsize) photo.width *photo.height * 3);
  g_autoptr (GError) error = NULL;
  g_autoptr (GwModel) model = gw_model_load (arguments[0], &error);
  const gint64 start = g_get_monotonic_time ();

  photo.data = &photo;
  if (!model || !gw_sample (gw_model_score, model, &photo, &noise, &sampling, 0, &run, sample, &error))
    {
      g_printerr ("%s\n", error->message);
      return 1;
    }
  printf ("{\"seconds\": %.4f, \"passes\": %d, \"peak_mb\": %.1f}\n", seconds (start),
          gw_sampling_passes (&sampling), peak_mb ());
  return 0;
}

static int
load_model (const char *path)
{
  double best = G_MAXDOUBLE;

  for (int i = 0; i < 5; i++)
    {
      const gint64 start = g_get_monotonic_time ();
      g_autoptr (GError) error = NULL;
      g_autoptr (GwModel) model = gw_model_load (path, &error);

      if (!model)
        {
          g_printerr ("%s\n", error->message);
          return 1;
        }
      best = MIN (best, seconds (start));
    }
  printf ("{\"seconds\": %.4f}\n", best);
  return 0;
}

static int
run_layer (char **arguments)
{
  const int in = atoi (arguments[0]), out = atoi (arguments[1]);
  const int width = atoi (arguments[2]);
  g_autoptr (GwWorkers) workers = gw_workers_new (atoi (arguments[3]));
  g_autoptr (GwPass) pass = NULL;
  g_autofree float *weights = g_new (float, 9 * in * out);
  GwLayer layer = { .kind = GW_LAYER_CONV3, .addend = -1, .relu = TRUE, .in = in, .out = out };
  GwNetwork network;
  double best = G_MAXDOUBLE;

  gw_network_init (&network, gw_kernels_get ());
  gw_network_add (&network, (GwLayer) { .kind = GW_LAYER_INPUT, .addend = -1, .out = in }, NULL, NULL);

  for (int i = 0; i < 9 * in * out; i++)
    weights[i] = 0.01f * (i % 7 - 3);
  gw_network_add (&network, layer, weights, NULL);

  pass = gw_pass_new (&network, workers, width, 1 << 20, NULL, (const int[]) { 1 }, 1, 0);
  for (gint64 begin = g_get_monotonic_time (); seconds (begin) < LEAST_SECONDS;)
    {
      int first, rows = gw_pass_next (pass, &first);
      gint64 start;

      for (int y = first; y < first + rows; y++)
        {
          float *row = gw_pass_row (pass, 0, y);

          for (int i = 0; i < width * gw_padded (in); i++)
            row[i] = 0.1f * (i % 11);
        }
      start = g_get_monotonic_time ();
      rows = gw_pass_push (pass, &first);
      if (rows > 0)
        best = MIN (best, seconds (start) / rows);
    }
  printf ("{\"seconds\": %.9f, \"multiply_adds\": %d}\n", best / width, 9 * in * out);
  g_clear_pointer (&pass, gw_pass_free);
  gw_network_clear (&network);

  return 0;
}

int
main (int argc, char **argv)
{
  if (argc == 3 && g_str_equal (argv[1], "peak"))
    run_peak (atoi (argv[2]));
  else if (argc == 3 && g_str_equal (argv[1], "load"))
    return load_model (argv[2]);
  else if (argc == 6 && g_str_equal (argv[1], "network"))
    return run_network (argv[2], atoi (argv[3]), atoi (argv[4]), atoi (argv[5]), 0);
  else if (argc == 5 && g_str_equal (argv[1], "preview"))
    return run_network (argv[2], atoi (argv[3]), atoi (argv[3]), atoi (argv[4]), 1);
  else if (argc == 6 && g_str_equal (argv[1], "sample"))
    return draw_sample (argv + 2);
  else if (argc == 6 && g_str_equal (argv[1], "layer"))
    return run_layer (argv + 2);
  else
    {
      g_printerr ("usage: see the first lines of benchmark-engine.c\n");
      return 2;
    }
  return 0;
}

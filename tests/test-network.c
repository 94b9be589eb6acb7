/* Single layers, streamed row by row with the kernels of every instruction set, against plain sums over the
 * whole image.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#include <math.h>
#include <string.h>

#include "network.h"
#include "reference.h"

typedef struct
{
  GwLayerKind kind;
  gboolean relu, bias, addend;
} Case;

static const Case cases[] = {
  { GW_LAYER_CONV3, FALSE, FALSE, FALSE }, { GW_LAYER_CONV3, TRUE, FALSE, FALSE },
  { GW_LAYER_CONV3, FALSE, FALSE, TRUE },  { GW_LAYER_CONV3, TRUE, TRUE, TRUE },
  { GW_LAYER_CONV1, FALSE, TRUE, FALSE },  { GW_LAYER_CONV1, TRUE, TRUE, TRUE },
  { GW_LAYER_DOWN2, FALSE, FALSE, FALSE }, { GW_LAYER_DOWN2, TRUE, TRUE, FALSE },
  { GW_LAYER_UP2, FALSE, FALSE, FALSE },   { GW_LAYER_UP2, FALSE, FALSE, TRUE },
  { GW_LAYER_UP2, TRUE, TRUE, TRUE },      { GW_LAYER_ASINH, FALSE, FALSE, TRUE },
};

/* Runs the layer behind a network's input, which is also what it adds.  An up-sampling layer comes behind
 * a down-sampling one, so that the input has its size. */
static void
check_layer (const Case *test, const GwKernels *kernels, int in, int out, int width, int height, double work,
             double scale, GRand *rand)
{
  const gboolean up = test->kind == GW_LAYER_UP2, down = test->kind == GW_LAYER_DOWN2;
  const int taps = test->kind == GW_LAYER_CONV3 ? 9 : 4;
  const int full_width = up || down ? 2 * width : width, full_height = up || down ? 2 * height : height;
  g_autofree float *input = random_floats (rand, (gsize) full_width * full_height * in);
  g_autofree float *weights = random_floats (rand, taps * in * out);
  g_autofree float *first_weights = random_floats (rand, 4 * in * in);
  g_autofree float *bias = random_floats (rand, out);
  g_autofree float *expected = NULL;
  g_autoptr (GwWorkers) workers = gw_workers_new (2);
  g_autoptr (GwPass) pass = NULL;
  GwLayer layer = { .kind = test->kind,
                    .addend = test->addend ? 0 : -1,
                    .relu = test->relu,
                    .in = in,
                    .out = test->kind == GW_LAYER_ASINH ? in + 1 : out,
                    .scale = down };
  GwNetwork network;
  int number, finished = 0;

  for (gsize i = 0; i < (gsize) full_width * full_height * in; i++)
    input[i] = scale * (test->kind == GW_LAYER_ASINH ? fabsf (input[i]) + 0.01 : input[i]);

  gw_network_init (&network, kernels);
  gw_network_add (&network, (GwLayer) { .kind = GW_LAYER_INPUT, .addend = -1, .out = in }, NULL, NULL);
  if (up)
    layer.source = gw_network_add (
        &network, (GwLayer) { .kind = GW_LAYER_DOWN2, .addend = -1, .in = in, .out = in, .scale = 1 },
        first_weights, NULL);
  if (test->kind == GW_LAYER_ASINH)
    layer.addend = gw_network_add (
        &network,
        (GwLayer) {
            .kind = GW_LAYER_SCALE, .addend = -1, .out = 1, .first_plane = in / 2, .n_planes = in - in / 2 },
        NULL, NULL);
  number = gw_network_add (&network, layer, test->kind == GW_LAYER_ASINH ? NULL : weights,
                           test->bias ? bias : NULL);
  expected = reference_network (&network, input, full_width, full_height, number);

  pass = gw_pass_new (&network, workers, full_width, full_height, NULL, &number, 1, work);
  while (finished < full_height >> down)
    {
      const int out_width = full_width >> down, channels = layer.out;
      int first, rows = gw_pass_next (pass, &first);

      g_assert_cmpint (rows, <=, gw_pass_most_rows (pass));
      for (int y = first; y < first + rows; y++)
        for (int x = 0; x < full_width; x++)
          memcpy (gw_pass_row (pass, 0, y) + x * gw_padded (in), input + ((gsize) y * full_width + x) * in,
                  sizeof (float) * in);
      rows = gw_pass_push (pass, &first);
      g_assert_cmpint (first, ==, finished);
      g_assert_cmpint (rows, <=, gw_pass_most_rows (pass));
      for (int y = first; y < first + rows; y++)
        for (int x = 0; x < out_width; x++)
          for (int c = 0; c < channels; c++)
            g_assert_cmpfloat (fabs (gw_pass_row (pass, number, y)[x * gw_padded (channels) + c]
                                     - expected[((gsize) y * out_width + x) * channels + c]),
                               <=, 2e-5 * scale * sqrt (9.0 * in) * (up ? sqrt (4.0 * in) : 1) + 1e-6);
      finished += rows;
    }
  g_clear_pointer (&pass, gw_pass_free);
  gw_network_clear (&network);
}

typedef struct
{
  const Case *test;
  const GwKernels *kernels;
} Job;

static void
test_layer (gconstpointer data)
{
  static const int widths[] = { 1, 2, 3, 4, 5, 7, 16, 31, 97, 130, 250 },
                   channels[] = { 1, 3, 12, 16, 33, 64 };
  static const double works[] = { 1, 3e6, 0 };
  const Job *job = data;
  g_autoptr (GRand) rand = g_rand_new_with_seed (1);

  for (guint i = 0; i < G_N_ELEMENTS (widths); i++)
    for (guint j = 0; j < G_N_ELEMENTS (channels); j++)
      {
        const int in = channels[j],
                  out = job->test->addend ? in : channels[(j + i) % G_N_ELEMENTS (channels)];

        if (in * out * widths[i] < 200000) /* the reference is slow */
          check_layer (job->test, job->kernels, in, out, widths[i], 1 + (i + 3 * j) % 13, works[(i + j) % 3],
                       j == 2   ? 1e6
                       : j == 3 ? 1e-6
                                : 1,
                       rand);
      }
}

int
main (int argc, char **argv)
{
  const GwKernels *kernels[4];
  const int n = gw_kernels_list (kernels);

  g_test_init (&argc, &argv, NULL);
  for (int k = 0; k < n; k++)
    for (guint i = 0; i < G_N_ELEMENTS (cases); i++)
      {
        static const char *names[] = { "input", "conv3", "conv1", "down2", "up2", "scale", "asinh" };
        Job *job = g_new (Job, 1);
        g_autofree char *path = g_strdup_printf (
            "/network/%s/%s%s%s%s", kernels[k]->name, names[cases[i].kind], cases[i].relu ? "+relu" : "",
            cases[i].bias ? "+bias" : "", cases[i].addend ? "+addend" : "");

        *job = (Job) { &cases[i], kernels[k] };
        g_test_add_data_func_full (path, job, test_layer, g_free);
      }
  return g_test_run ();
}

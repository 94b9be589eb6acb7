/* The engine as a whole: against PyTorch's results, and against what theory says of it.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#include <math.h>
#include <string.h>

#include "memory.h"
#include "model.h"
#include "reference.h"
#include "scene.h"

static GwModel *
tiny (void)
{
  return load_model (test_data_path ("tiny.safetensors"));
}

static void
run (const GwModel *model, const Image *photo, double level, const Image *map, int threads, Result *result)
{
  g_autoptr (GError) error = NULL;
  const GwNoise noise = image_noise (level, map);
  const GwRun how = { .threads = threads };

  image_posterior (model, photo, &noise, &how, result, &error);
  g_assert_no_error (error);
}

/* ---- Against PyTorch ------------------------------------------------------------------------------------- */

static const GwTensor *
fixture_tensor (const GwSafetensors *file, const char *name, const char *part)
{
  g_autofree char *key = g_strconcat (name, ".", part, NULL);

  return g_hash_table_lookup (file->tensors, key);
}

static Image *
fixture_image (const GwSafetensors *file, const char *name, const char *part)
{
  const GwTensor *tensor = fixture_tensor (file, name, part);
  Image *image;

  if (!tensor)
    return NULL;
  image = image_new (tensor->shape[1], tensor->shape[0], tensor->shape[2]);
  memcpy (image->values, tensor->values, sizeof (float) * tensor->n_values);

  return image;
}

/* tiny-cases.safetensors was written by weights/fixture.py. */
static void
test_fixture (void)
{
  static const char *names[] = { "1x1", "7x5", "33x51", "grey", "curve", "white" };
  g_autoptr (GError) error = NULL;
  g_autoptr (GwModel) model = tiny ();
  g_autofree char *path = test_data_path ("tiny-cases.safetensors");
  g_autoptr (GwSafetensors) file = gw_safetensors_load (path, &error);

  g_assert_no_error (error);
  for (guint i = 0; i < G_N_ELEMENTS (names); i++)
    {
      g_autoptr (Image) y = fixture_image (file, names[i], "y");
      g_autoptr (Image) level = fixture_image (file, names[i], "level");
      g_autoptr (Image) mean = fixture_image (file, names[i], "mean");
      g_autoptr (Image) covariance = fixture_image (file, names[i], "covariance");
      const GwTensor *curve = fixture_tensor (file, names[i], "curve");
      const GwTensor *judgement = fixture_tensor (file, names[i], "judgement");
      const GwPhoto photo = { y->width, y->height, y->channels, image_read, y };
      GwNoise noise = image_noise (0, level);
      GwVotes votes = { 0 };
      g_auto (Result) result = { 0 };

      if (curve)
        memcpy (noise.level, curve->values, sizeof (noise.level));
      memcpy (noise.grain, fixture_tensor (file, names[i], "grain")->values, sizeof (noise.grain));
      g_assert_true (image_posterior (model, y, &noise, NULL, &result, &error));
      g_test_message ("%s: mean within %g, covariance within %g", names[i],
                      image_difference (result.mean, mean), image_difference (result.covariance, covariance));
      g_assert_cmpfloat (image_difference (result.mean, mean), <, 1e-5);
      g_assert_cmpfloat (image_difference (result.covariance, covariance), <, 1e-6);
      g_assert_cmpfloat (image_difference (result.noisy, y), ==, 0);

      g_assert_true (gw_judge_level (model, &photo, &noise, NULL, &votes, &error));
      g_test_message ("judgement %g, by PyTorch %g", votes.sum / votes.weight, judgement->values[0]);
      g_assert_cmpfloat (fabs (votes.sum / votes.weight - judgement->values[0]), <, 1e-5);
    }
}

/* ---- Against whole images -------------------------------------------------------------------------------- */

/* Runs a network row by row and compares the window of its outputs with whole images. */
static void
check_streaming (const GwModel *model, const Image *input, const float *const expected[2],
                 const GwWindow *window, double work)
{
  const int outputs[] = { model->mean, model->cholesky };
  const int width = input->width, channels = input->channels;
  g_autoptr (GwWorkers) workers = gw_workers_new (2);
  g_autoptr (GwPass) pass
      = gw_pass_new (&model->network, workers, width, input->height, window, outputs, 2, work);
  int finished = window->y;

  while (finished < window->y + window->height)
    {
      int first, rows = gw_pass_next (pass, &first);

      for (int y = first; y < first + rows; y++)
        for (int x = 0; x < width; x++)
          memcpy (gw_pass_row (pass, 0, y) + x * gw_padded (channels),
                  input->values + (y * width + x) * channels, sizeof (float) * channels);
      first += rows;
      g_assert_cmpint (first - finished, <=, gw_pass_most_waiting (pass));
      rows = gw_pass_push (pass, &first);
      g_assert_cmpint (first, ==, finished);
      g_assert_cmpint (rows, <=, gw_pass_most_rows (pass));
      for (int y = first; y < first + rows; y++)
        for (int x = window->x; x < window->x + window->width; x++)
          for (int o = 0; o < 2; o++)
            {
              const int out = gw_network_get (&model->network, outputs[o])->out;
              const float *row = gw_pass_row (pass, outputs[o], y);

              for (int c = 0; c < out; c++)
                g_assert_cmpfloat (
                    fabs (row[x * gw_padded (out) + c] - expected[o][(y * width + x) * out + c]), <, 2e-5);
            }
      finished += rows;
    }
  g_assert_cmpfloat (gw_pass_progress (pass), <=, 1);
}

/* Streamed rows must give what the plain layers give for the whole image, for every layer that is an output. */
static void
test_streaming (void)
{
  static const int sizes[][2] = { { 8, 8 }, { 16, 40 }, { 152, 24 }, { 24, 208 } };
  static const double works[] = { 1, 1e6, 0 };
  g_autoptr (GwModel) model = tiny ();
  const int channels = gw_network_get (&model->network, 0)->out;

  for (guint i = 0; i < G_N_ELEMENTS (sizes); i++)
    {
      const int w = sizes[i][0], h = sizes[i][1];
      const GwWindow windows[]
          = { { 0, 0, w, h }, { w / 2, h / 2, 1, 1 }, { w - 3, h - 5, 3, 5 }, { w / 3, 0, w / 2, h / 4 } };
      g_autoptr (Image) input = image_random (w, h, channels, 0.1, 1, i);
      g_autofree float *mean = reference_network (&model->network, input->values, w, h, model->mean);
      g_autofree float *cholesky = reference_network (&model->network, input->values, w, h, model->cholesky);

      for (guint k = 0; k < G_N_ELEMENTS (windows); k++)
        for (guint j = 0; j < G_N_ELEMENTS (works); j++)
          check_streaming (model, input, (const float *[]) { mean, cholesky }, &windows[k], works[j]);
    }
}

/* ---- What theory says ------------------------------------------------------------------------------------ */

/* D(c y, c level) = c D(y, level) (Mohan et al. 2020).  C(c y, c level) = c^2 C(y, level), where both
 * levels are beyond those trained on; below, what is behind the noise has a scale of its own. */
static void
test_homogeneity (void)
{
  g_autoptr (GwModel) model = load_model (weights_path ("best.safetensors"));
  g_autoptr (Image) photo = image_random (61, 83, 3, 0, 1, 3);
  g_autoptr (Image) map = image_random (61, 83, 3, 0.4, 1, 4);
  g_auto (Result) once = { 0 };

  run (model, photo, 0, map, 0, &once);
  for (double c = 1e-2; c <= 1e2; c *= 100)
    {
      const double factor = 0.7 * c;
      g_auto (Result) scaled = { 0 };
      g_autoptr (Image) photo_c = image_crop (photo, 0, 0, 61, 83);
      g_autoptr (Image) map_c = image_crop (map, 0, 0, 61, 83);

      for (int i = 0; i < 61 * 83 * 3; i++)
        {
          photo_c->values[i] *= factor;
          map_c->values[i] *= factor;
        }
      run (model, photo_c, 0, map_c, 0, &scaled);
      for (int i = 0; i < 61 * 83 * 3; i++)
        scaled.mean->values[i] /= factor;
      for (int i = 0; i < 61 * 83 * 6; i++)
        scaled.covariance->values[i] /= factor * factor;
      g_assert_cmpfloat (image_difference (scaled.mean, once.mean), <, 2e-5);
      if (factor > 1)
        g_assert_cmpfloat (image_difference (scaled.covariance, once.covariance), <, 2e-5);
    }
}

/* The result of a crop is the crop of the result, where the crop begins at a multiple of the alignment and
 * is deep enough inside. */
static void
test_geometry (void)
{
  g_autoptr (GwModel) model = load_model (weights_path ("best.safetensors"));
  const GwModelCard *card = gw_model_get_card (model);
  const int a = card->alignment, margin = (card->radius + a - 1) / a * a;
  const int width = 2 * margin + 8 * a + 5, height = 2 * margin + 6 * a + 3;
  g_autoptr (Image) photo = image_random (width, height, 3, 0, 1, 5);
  g_autoptr (Image) map = image_random (width, height, 3, 0.05, 0.1, 6);
  g_auto (Result) whole = { 0 };

  run (model, photo, 0, map, 0, &whole);
  for (int i = 0; i < 3; i++)
    {
      const int x = (int[]) { a, 0, 4 * a }[i], y = (int[]) { 2 * a, 3 * a, 0 }[i];
      const int inner = 37; /* pixels that count, behind the margin */
      const int w = margin + inner + margin, h = margin + inner + margin;
      g_autoptr (Image) photo_crop = image_crop (photo, x, y, w, h);
      g_autoptr (Image) map_crop = image_crop (map, x, y, w, h);
      g_auto (Result) crop = { 0 };

      run (model, photo_crop, 0, map_crop, 0, &crop);

      g_autoptr (Image) mean_a = image_crop (crop.mean, margin, margin, inner, inner);
      g_autoptr (Image) mean_b = image_crop (whole.mean, x + margin, y + margin, inner, inner);
      g_autoptr (Image) covariance_a = image_crop (crop.covariance, margin, margin, inner, inner);
      g_autoptr (Image) covariance_b = image_crop (whole.covariance, x + margin, y + margin, inner, inner);

      g_assert_cmpfloat (image_difference (mean_a, mean_b), <, 2e-6);
      g_assert_cmpfloat (image_difference (covariance_a, covariance_b), <, 3e-7);
    }
}

/* So is it, but for rounding, as deep inside as the model reaches, which is less. */
static void
test_reach (void)
{
  static const char *const models[] = { "best.safetensors", "fast.safetensors" };
  const SceneNoise kind = { .base = { 25, 25, 25 } };
  const int inner = 64;

  for (guint i = 0; i < G_N_ELEMENTS (models); i++)
    {
      g_autoptr (GwModel) model = load_model (weights_path (models[i]));
      const GwModelCard *card = gw_model_get_card (model);
      const int a = card->alignment, margin = (card->reach + a - 1) / a * a;
      const int around = (card->radius + a - 1) / a * a, side = 2 * around + inner;
      g_autoptr (Image) photo = scene_new (side, side, 3, &kind, FALSE, 21);
      g_autoptr (Image) crop = image_crop (photo, around - margin, around - margin,
                                           margin + inner + card->reach, margin + inner + card->reach);
      g_auto (Result) whole = { 0 }, part = { 0 };

      if (i == 0) /* fast has so few layers that it is all of the radius */
        g_assert_cmpint (card->reach, <, card->radius);
      run (model, photo, 25 / 255., NULL, 0, &whole);
      run (model, crop, 25 / 255., NULL, 0, &part);

      g_autoptr (Image) mean_a = image_crop (part.mean, margin, margin, inner, inner);
      g_autoptr (Image) mean_b = image_crop (whole.mean, around, around, inner, inner);
      g_autoptr (Image) covariance_a = image_crop (part.covariance, margin, margin, inner, inner);
      g_autoptr (Image) covariance_b = image_crop (whole.covariance, around, around, inner, inner);

      g_assert_cmpfloat (image_difference (mean_a, mean_b), <, 3e-6);
      g_assert_cmpfloat (image_difference (covariance_a, covariance_b), <, 3e-7);
    }
}

/* Farther inside, where not even the rounding of a tile's other pixels reaches, a crop gives the same
 * bytes (if the products are ours; OpenBLAS may sum in another order). */
static void
test_bytes (void)
{
  g_autoptr (GwModel) model = load_model (weights_path ("fast.safetensors"));
  const GwModelCard *card = gw_model_get_card (model);
  const int a = 4 * card->alignment, margin = (3 * card->radius + a - 1) / a * a, inner = 37;
  const int side = 2 * margin + inner;
  g_autoptr (Image) photo = image_random (side + 3 * a, side + 2 * a, 3, 0, 1, 5);
  g_autoptr (Image) crop = image_crop (photo, a, 2 * a, side, side);
  g_auto (Result) whole = { 0 }, part = { 0 };

  run (model, photo, 0.1, NULL, 0, &whole);
  run (model, crop, 0.1, NULL, 0, &part);

  g_autoptr (Image) mean_a = image_crop (part.mean, margin, margin, inner, inner);
  g_autoptr (Image) mean_b = image_crop (whole.mean, a + margin, 2 * a + margin, inner, inner);
  g_autoptr (Image) covariance_a = image_crop (part.covariance, margin, margin, inner, inner);
  g_autoptr (Image) covariance_b = image_crop (whole.covariance, a + margin, 2 * a + margin, inner, inner);

  g_assert_cmpfloat (image_difference (mean_a, mean_b), <=, gw_kernels_get ()->panel ? 0 : 1e-6);
  g_assert_cmpfloat (image_difference (covariance_a, covariance_b), <=, gw_kernels_get ()->panel ? 0 : 1e-7);
}

typedef struct
{
  GwWindow window;
  Image *mean, *covariance; /* of the window */
  int next;                 /* row of the photo */
} Part;

static gboolean
write_part (const GwPosterior *rows, gpointer data, GError **error)
{
  Part *part = data;
  const gsize at = (gsize) (rows->y - part->window.y) * rows->width;

  g_assert_cmpint (rows->y, ==, part->next);
  g_assert_cmpint (rows->width, ==, part->window.width);
  memcpy (part->mean->values + 3 * at, rows->mean, sizeof (float) * 3 * rows->n_rows * rows->width);
  memcpy (part->covariance->values + 6 * at, rows->covariance,
          sizeof (float) * 6 * rows->n_rows * rows->width);
  part->next += rows->n_rows;

  return TRUE;
}

/* A window gives what the whole photo does, for any number of threads the same bytes, and takes less of
 * the photo. */
static void
test_window (void)
{
  static const GwWindow windows[]
      = { { 0, 0, 1, 1 },     { 300, 301, 37, 5 }, { 0, 250, 700, 9 },   { 255, 0, 130, 600 },
          { 699, 599, 1, 1 }, { 1, 595, 3, 5 },    { 320, 256, 64, 64 }, { 0, 0, 700, 599 } };
  g_autoptr (GwModel) model = load_model (weights_path ("fast.safetensors"));
  g_autoptr (Image) photo = image_random (700, 600, 3, 0, 1, 18);
  g_autoptr (Image) map = image_random (700, 600, 3, 0.05, 0.1, 19);
  const GwPhoto source = { 700, 600, 3, image_read, photo };
  const GwNoise noise = image_noise (0, map);
  g_auto (Result) whole = { 0 };

  run (model, photo, 0, map, 0, &whole);
  for (guint i = 0; i < G_N_ELEMENTS (windows); i++)
    {
      const GwWindow *w = &windows[i];
      g_autoptr (Image) mean = image_crop (whole.mean, w->x, w->y, w->width, w->height);
      g_autoptr (Image) covariance = image_crop (whole.covariance, w->x, w->y, w->width, w->height);
      g_autoptr (Image) first = NULL;

      for (int threads = 1; threads <= 3; threads++)
        {
          g_autoptr (GError) error = NULL;
          g_autoptr (Image) part_mean = image_new (w->width, w->height, 3);
          g_autoptr (Image) part_covariance = image_new (w->width, w->height, 6);
          const GwRun how = { .threads = threads, .window = *w };
          Part part = { *w, part_mean, part_covariance, w->y };

          g_assert_true (gw_posterior_run (model, &source, &noise, &how, write_part, &part, &error));
          g_assert_no_error (error);
          g_assert_cmpint (part.next, ==, w->y + w->height);
          g_assert_cmpfloat (image_difference (part_mean, mean), <, 3e-6);
          g_assert_cmpfloat (image_difference (part_covariance, covariance), <, 3e-6);
          if (!first)
            first = image_crop (part_mean, 0, 0, w->width, w->height);
          g_assert_cmpfloat (image_difference (part_mean, first), ==, 0);
        }
    }
}

/* The radius is not only enough, it is needed: it is no constant that happens to be large. */
static void
test_radius (void)
{
  g_autoptr (GwModel) model = tiny ();
  const int reach = gw_model_get_card (model)->radius;
  const int size = 4 * reach;
  g_autoptr (Image) photo = image_random (size, 64, 3, 0, 1, 7);
  g_auto (Result) before = { 0 };
  g_auto (Result) after = { 0 };
  int farthest = 0;

  run (model, photo, 0.1, NULL, 0, &before);
  photo->values[(32 * size + size / 2) * 3] += 1;
  run (model, photo, 0.1, NULL, 0, &after);
  for (int y = 0; y < 64; y++)
    for (int x = 0; x < size; x++)
      if (fabs (after.mean->values[(y * size + x) * 3] - before.mean->values[(y * size + x) * 3]) > 1e-6)
        farthest = MAX (farthest, ABS (x - size / 2));
  g_assert_cmpint (farthest, <=, reach);
  g_assert_cmpint (farthest, >, reach / 3);
}

static void
test_threads (void)
{
  g_autoptr (GwModel) model = load_model (weights_path ("best.safetensors"));
  g_autoptr (Image) photo = image_random (333, 217, 3, 0, 1, 8);
  g_auto (Result) one = { 0 };

  run (model, photo, 0.1, NULL, 1, &one);
  for (int threads = 2; threads <= 5; threads++)
    {
      g_auto (Result) more = { 0 };

      run (model, photo, 0.1, NULL, threads, &more);
      g_assert_cmpfloat (image_difference (one.mean, more.mean), ==, 0);
      g_assert_cmpfloat (image_difference (one.covariance, more.covariance), ==, 0);
    }
}

/* s1 and s2 are defined by mean and covariance; Tweedie's formula must lead back. */
static void
test_scores (void)
{
  g_autoptr (GwModel) model = tiny ();
  g_autoptr (Image) photo = image_random (9, 4, 3, 0, 1, 9);
  g_autoptr (Image) map = image_random (9, 4, 3, 0.01, 0.2, 10);
  g_auto (Result) result = { 0 };
  float s1[9 * 4 * 3], s2[9 * 4 * 6];

  run (model, photo, 0, map, 0, &result);
  gw_posterior_scores (&(GwPosterior) { 0, 4, 9, 3, result.noisy->values, result.level->values,
                                        result.mean->values, result.covariance->values },
                       s1, s2);
  for (int i = 0; i < 9 * 4; i++)
    for (int k = 0, n = 0; k < 3; k++)
      {
        const float *level = result.level->values + 3 * i;

        g_assert_cmpfloat_with_epsilon (photo->values[3 * i + k] + level[k] * level[k] * s1[3 * i + k],
                                        result.mean->values[3 * i + k], 1e-6);
        for (int l = k; l < 3; l++, n++)
          g_assert_cmpfloat_with_epsilon ((k == l ? level[k] * level[k] : 0)
                                              + level[k] * level[k] * s2[6 * i + n] * level[l] * level[l],
                                          result.covariance->values[6 * i + n], 1e-6);
      }
}

/* On noise alone around a constant, the trained model must do what it is for. */
static void
test_trained (void)
{
  g_autoptr (GwModel) model = load_model (weights_path ("best.safetensors"));

  for (int channels = 1; channels <= 3; channels += 2)
    {
      g_autoptr (GRand) rand = g_rand_new_with_seed (11);
      g_autoptr (Image) photo = image_new (128, 128, channels);
      g_auto (Result) result = { 0 };
      const int n = 128 * 128 * channels;
      const double level = 25 / 255.;
      double error = 0, predicted = 0;

      for (int i = 0; i < n; i++) /* a normal variable: sum of twelve uniform ones */
        {
          double sum = -6;

          for (int k = 0; k < 12; k++)
            sum += g_rand_double (rand);
          photo->values[i] = 0.5 + level * sum;
        }
      run (model, photo, level, NULL, 0, &result);
      for (int i = 0; i < 128 * 128; i++)
        for (int c = 0; c < channels; c++)
          {
            error += pow (result.mean->values[i * channels + c] - 0.5, 2) / n;
            predicted += result.covariance->values[channels == 1 ? i : i * 6 + (int[]) { 0, 3, 5 }[c]] / n;
          }
      g_test_message ("%d channels: rms error %.2f levels, predicted %.2f", channels, 255 * sqrt (error),
                      255 * sqrt (predicted));
      g_assert_cmpfloat (sqrt (error), <, level / 8);
      g_assert_cmpfloat (sqrt (predicted), <, level / 4);
    }
}

/* ---- Extremes -------------------------------------------------------------------------------------------- */

static void
test_sizes (void)
{
  static const int sizes[][2]
      = { { 1, 1 }, { 1, 300 }, { 300, 1 }, { 2, 3 }, { 15, 17 }, { 16, 16 }, { 33, 1000 }, { 4001, 3 } };
  g_autoptr (GwModel) model = tiny ();

  for (guint i = 0; i < G_N_ELEMENTS (sizes); i++)
    for (int channels = 1; channels <= 3; channels += 2)
      {
        g_autoptr (Image) photo = image_random (sizes[i][0], sizes[i][1], channels, 0, 1, i);
        g_auto (Result) result = { 0 };

        run (model, photo, 0.1, NULL, 2, &result);
        g_assert_cmpfloat (image_difference (result.noisy, photo), ==, 0);
        for (int k = 0; k < sizes[i][0] * sizes[i][1] * channels; k++)
          g_assert_true (isfinite (result.mean->values[k]));
      }
}

static void
test_no_noise (void)
{
  g_autoptr (GwModel) model = load_model (weights_path ("best.safetensors"));
  g_autoptr (Image) photo = image_random (50, 40, 3, -0.2, 1.2, 12);
  g_autoptr (Image) map = image_random (50, 40, 3, 0.05, 0.1, 13);
  g_auto (Result) uniform = { 0 };
  g_auto (Result) partly = { 0 };

  run (model, photo, 0, NULL, 0, &uniform);
  g_assert_cmpfloat (image_difference (uniform.mean, photo), ==, 0);
  for (int i = 0; i < 50 * 40 * 6; i++)
    g_assert_cmpfloat (uniform.covariance->values[i], ==, 0);

  map->values[(20 * 50 + 25) * 3 + 1] = 0; /* the green of one pixel is known exactly */
  run (model, photo, 0, map, 0, &partly);
  g_assert_cmpfloat (partly.mean->values[(20 * 50 + 25) * 3 + 1], ==, photo->values[(20 * 50 + 25) * 3 + 1]);
  g_assert_cmpfloat (partly.covariance->values[(20 * 50 + 25) * 6 + 3], ==, 0);
  g_assert_cmpfloat (partly.covariance->values[(20 * 50 + 25) * 6 + 1], ==, 0);
  g_assert_cmpfloat (partly.covariance->values[(20 * 50 + 25) * 6], >, 0);
}

/* A pixel that is no number must not spread, and takes its neighbour's place. */
static void
test_holes (void)
{
  g_autoptr (GwModel) model = tiny ();
  g_autoptr (Image) photo = image_random (40, 30, 3, 0, 1, 14);
  g_autoptr (Image) filled = image_crop (photo, 0, 0, 40, 30);
  g_auto (Result) holes = { 0 };
  g_auto (Result) expected = { 0 };

  photo->values[(5 * 40 + 7) * 3 + 1] = NAN;
  photo->values[(9 * 40) * 3] = INFINITY;
  photo->values[(9 * 40 + 1) * 3] = -1e30;
  memcpy (filled->values + (5 * 40 + 7) * 3, filled->values + (5 * 40 + 6) * 3, 3 * sizeof (float));
  for (int x = 0; x < 2; x++)
    memcpy (filled->values + (9 * 40 + x) * 3, filled->values + (9 * 40 + 2) * 3, 3 * sizeof (float));
  run (model, photo, 0.1, NULL, 0, &holes);
  run (model, filled, 0.1, NULL, 0, &expected);
  g_assert_cmpfloat (image_difference (holes.mean, expected.mean), ==, 0);

  for (int i = 0; i < 40 * 30 * 3; i++)
    photo->values[i] = NAN;
  g_auto (Result) nothing = { 0 };
  run (model, photo, 0.1, NULL, 0, &nothing);
  for (int i = 0; i < 40 * 30 * 3; i++)
    g_assert_true (isfinite (nothing.mean->values[i]));
}

static void
expect_refusal (const GwModel *model, int width, int height, int channels, double level, const Image *map)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (Image) photo = image_random (8, 8, 3, 0, 1, 15);
  const GwPhoto source = { width, height, channels, image_read, photo };
  const GwNoise noise = image_noise (level, map);

  g_assert_false (gw_posterior_run (model, &source, &noise, NULL, NULL, NULL, &error));
  g_assert_error (error, GW_ERROR, GW_ERROR_PHOTO);
}

static void
test_refusals (void)
{
  g_autoptr (GwModel) model = tiny ();
  g_autoptr (Image) map = image_random (8, 8, 3, 0.1, 0.2, 16);

  expect_refusal (model, 0, 8, 3, 0.1, NULL);
  expect_refusal (model, 8, -1, 3, 0.1, NULL);
  expect_refusal (model, G_MAXINT, 8, 3, 0.1, NULL);
  expect_refusal (model, 8, 8, 4, 0.1, NULL);
  expect_refusal (model, 8, 8, 3, -0.1, NULL);
  expect_refusal (model, 8, 8, 3, NAN, NULL);
  map->values[100] = NAN;
  expect_refusal (model, 8, 8, 3, 0.1, map);
  map->values[100] = -0.1;
  expect_refusal (model, 8, 8, 3, 0.1, map);
}

typedef struct
{
  GCancellable *cancellable;
  double last, stop_at;
  int calls;
} Progress;

static void
on_progress (double fraction, gpointer data)
{
  Progress *progress = data;

  g_assert_cmpfloat (fraction, >=, progress->last);
  g_assert_cmpfloat (fraction, <=, 1);
  progress->last = fraction;
  progress->calls++;
  if (fraction >= progress->stop_at)
    g_cancellable_cancel (progress->cancellable);
}

static void
test_progress (void)
{
  g_autoptr (GwModel) model = load_model (weights_path ("fast.safetensors"));
  g_autoptr (Image) photo = image_random (800, 1500, 3, 0, 1, 17);
  const GwNoise noise = gw_noise_white (0.1);

  for (int stop = 0; stop < 2; stop++)
    {
      g_autoptr (GError) error = NULL;
      g_autoptr (GCancellable) cancellable = g_cancellable_new ();
      Progress progress = { cancellable, 0, stop ? 0.3 : 2, 0 };
      const GwRun how = { .cancellable = cancellable, .progress = on_progress, .progress_data = &progress };
      g_auto (Result) result = { 0 };

      image_posterior (model, photo, &noise, &how, &result, &error);
      if (stop)
        {
          g_assert_error (error, G_IO_ERROR, G_IO_ERROR_CANCELLED);
          g_assert_cmpfloat (progress.last, <, 0.4);
        }
      else
        {
          g_assert_no_error (error);
          g_assert_cmpfloat (progress.last, ==, 1);
          g_assert_cmpint (progress.calls, >, 10);
        }
    }
}

static gboolean
failing_read (int y, int n_rows, float *rows, gpointer data, GError **error)
{
  if (y > 100)
    {
      g_set_error (error, G_IO_ERROR, G_IO_ERROR_FAILED, "the disk is gone");
      return FALSE;
    }
  memset (rows, 0, sizeof (float) * n_rows * 20);

  return TRUE;
}

static gboolean
failing_write (const GwPosterior *rows, gpointer data, GError **error)
{
  g_set_error (error, G_IO_ERROR, G_IO_ERROR_NO_SPACE, "the disk is full");

  return FALSE;
}

static void
test_errors_travel (void)
{
  g_autoptr (GwModel) model = tiny ();
  g_autoptr (GError) on_read = NULL;
  g_autoptr (GError) on_write = NULL;
  g_autoptr (Image) image = image_new (20, 300, 1);
  const GwPhoto broken = { 20, 300, 1, failing_read, NULL };
  const GwPhoto photo = { 20, 300, 1, image_read, image };
  const GwNoise noise = gw_noise_white (0.1);

  g_assert_false (gw_posterior_run (model, &photo, &noise, NULL, failing_write, NULL, &on_write));
  g_assert_error (on_write, G_IO_ERROR, G_IO_ERROR_NO_SPACE);
  g_assert_false (gw_posterior_run (model, &broken, &noise, NULL, failing_write, NULL, &on_read));
  g_assert_nonnull (on_read);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/posterior/fixture", test_fixture);
  g_test_add_func ("/posterior/streaming", test_streaming);
  g_test_add_func ("/posterior/homogeneity", test_homogeneity);
  g_test_add_func ("/posterior/geometry", test_geometry);
  g_test_add_func ("/posterior/bytes", test_bytes);
  g_test_add_func ("/posterior/window", test_window);
  g_test_add_func ("/posterior/radius", test_radius);
  g_test_add_func ("/posterior/reach", test_reach);
  g_test_add_func ("/posterior/threads", test_threads);
  g_test_add_func ("/posterior/scores", test_scores);
  g_test_add_func ("/posterior/trained", test_trained);
  g_test_add_func ("/posterior/sizes", test_sizes);
  g_test_add_func ("/posterior/no-noise", test_no_noise);
  g_test_add_func ("/posterior/holes", test_holes);
  g_test_add_func ("/posterior/refusals", test_refusals);
  g_test_add_func ("/posterior/progress", test_progress);
  g_test_add_func ("/posterior/errors-travel", test_errors_travel);

  return g_test_run ();
}

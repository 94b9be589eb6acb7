/* Draws samples with settings that nobody but an experiment wants.  weights/evaluate_samples.py calls it.
 *
 *     draw-samples MODEL NOISE_LEVELS WIDTH HEIGHT SAMPLES LEVELS LOWEST SECOND_ORDER CORRECTIONS OZAKI
 *     STEP_SIZE SEED
 *         [GRAIN, six numbers]
 *
 * A photo (height * width * 3 floats, white = 1) comes in; its mean, the covariance (6 a pixel) and the
 * samples go out.  SECOND_ORDER: 0 none, 1 pixels, 2 neighbours.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#include <stdio.h>
#include <stdlib.h>

#include "memory.h"

static void
put (const Image *image)
{
  const gsize n = (gsize) image->width * image->height * image->channels;

  if (fwrite (image->values, sizeof (float), n, stdout) != n)
    g_error ("cannot write");
}

int
main (int argc, char **argv)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (GwModel) model = NULL;
  g_autoptr (Image) photo = NULL;
  g_autoptr (Image) sample = NULL;
  g_auto (Result) result = { 0 };
  GwSampling sampling;
  GwNoise noise;

  if (argc != 13 && argc != 13 + 2 * GW_OCTAVES)
    g_error ("see the top of draw-samples.c");
  noise = gw_noise_white (atof (argv[2]) / 255);
  for (int i = 13; i < argc; i++)
    noise.grain[i - 13] = atof (argv[i]);
  photo = image_new (atoi (argv[3]), atoi (argv[4]), 3);
  sample = image_new (photo->width, photo->height, 3);
  sampling = (GwSampling) { .levels = atoi (argv[6]),
                            .lowest = atof (argv[7]),
                            .second_order = (GwSecondOrder) atoi (argv[8]),
                            .corrections = atoi (argv[9]),
                            .ozaki = atoi (argv[10]),
                            .step_size = atof (argv[11]),
                            .seed = g_ascii_strtoull (argv[12], NULL, 10) };
  if (fread (photo->values, sizeof (float) * 3, (gsize) photo->width * photo->height, stdin)
      != (gsize) photo->width * photo->height)
    g_error ("the photo is too small");
  if (!(model = gw_model_load (argv[1], &error))
      || !image_posterior (model, photo, &noise, NULL, &result, &error))
    g_error ("%s", error->message);
  put (result.mean);
  put (result.covariance);
  for (int i = 0; i < atoi (argv[5]); i++)
    {
      const GwPhoto source = { photo->width, photo->height, 3, image_read, photo };

      if (!gw_sample (gw_model_score, model, &source, &noise, &sampling, i, NULL, sample->values, &error))
        g_error ("%s", error->message);
      put (sample);
    }
  return EXIT_SUCCESS;
}

/* What components are worth: the true error along them, beside the variance that they have.
 *
 *     experiment-components MODEL LEVEL PHOTO.ppm...
 *
 * LEVEL is that of the white noise, in 8-bit levels; photos are PPM with 8 bits.  For the table of core/README.md.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "memory.h"
#include "random.h"

enum
{
  SIDE = 48,   /* of a region */
  MARGIN = 96, /* around it */
  WHOLE = SIDE + 2 * MARGIN,
  N = 4 /* components */
};

static Image *
read_ppm (const char *path)
{
  g_autofree char *bytes = NULL;
  int width, height, end;
  gsize length;
  Image *image;

  if (!g_file_get_contents (path, &bytes, &length, NULL)
      || sscanf (bytes, "P6 %d %d 255%n", &width, &height, &end) != 2
      || length != end + 1 + (gsize) width * height * 3 || width < WHOLE || height < WHOLE)
    g_error ("%s is no PPM of at least %d pixels a side", path, WHOLE);
  image = image_new (width, height, 3);
  for (gsize i = 0; i < (gsize) width * height * 3; i++)
    image->values[i] = ((guchar *) bytes)[end + 1 + i] / 255.f;

  return image;
}

/* Sums over regions. */
typedef struct
{
  int regions;
  double squares[N], variances[N], colour;
} Sums;

static void
add_region (const GwModel *model, const Image *clean, double level, int number, Sums *sums)
{
  g_autoptr (Image) photo = image_crop (clean, 0, 0, WHOLE, WHOLE);
  g_autoptr (Image) truth = image_crop (clean, MARGIN, MARGIN, SIDE, SIDE);
  const GwPhoto source = { WHOLE, WHOLE, 3, image_read, photo };
  const GwWindow region = { MARGIN, MARGIN, SIDE, SIDE };
  const GwNoise noise = gw_noise_white (level);
  const int size = SIDE * SIDE * 3;
  float normals[WHOLE * GW_NORMALS];
  g_auto (GwComponents) found = { 0 };
  g_autoptr (GError) error = NULL;

  for (int y = 0; y < WHOLE; y++)
    {
      gw_random_normals (1, number, 0, y, WHOLE, normals);
      for (int i = 0; i < WHOLE * 3; i++)
        photo->values[y * WHOLE * 3 + i] += level * normals[i / 3 * GW_NORMALS + i % 3];
    }
  if (!gw_components (gw_model_score, model, &source, &noise, region, NULL, N, 1, NULL, &found, &error))
    g_error ("%s", error->message);

  for (int k = 0; k < found.n; k++)
    {
      double along = 0;

      for (int i = 0; i < size; i++)
        along += found.directions[k * size + i] * (truth->values[i] - found.mean[i]);
      sums->squares[k] += along * along;
      sums->variances[k] += found.sd[k] * found.sd[k];
    }
  for (int c = 0; c < 3; c++)
    {
      double off = 0;

      for (int i = c; i < size; i += 3)
        off += (truth->values[i] - found.mean[i]) / (SIDE * SIDE);
      sums->colour += off * off / (found.colour_error[c] * found.colour_error[c]) / 3;
    }
  sums->regions++;
}

int
main (int argc, char **argv)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (GwModel) model = NULL;
  Sums sums = { 0 };

  if (argc < 4)
    g_error ("Give a model, a noise level and photos.");
  if (!(model = gw_model_load (argv[1], &error)))
    g_error ("%s", error->message);
  for (int i = 3; i < argc; i++)
    {
      g_autoptr (Image) photo = read_ppm (argv[i]);

      for (int corner = 0; corner < 4; corner++)
        {
          const int x = corner % 2 * (photo->width - WHOLE), y = corner / 2 * (photo->height - WHOLE);
          g_autoptr (Image) crop = image_crop (photo, x, y, WHOLE, WHOLE);

          add_region (model, crop, atof (argv[2]) / 255, 4 * i + corner, &sums);
        }
    }
  printf ("%d regions; squared error over variance:", sums.regions);
  for (int k = 0; k < N; k++)
    printf (" %.2f", sums.squares[k] / sums.variances[k]);
  printf ("; of the mean colour %.2f\n", sums.colour / sums.regions);

  return 0;
}

/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "crops.h"

#include <math.h>
#include <string.h>
#include <glib/gi18n-lib.h>

#define SIDE 128

typedef struct
{
  const GwCrops *crops;
  int number;
  GwCropRows use;
  gpointer data;
} Crop;

static gboolean
read_rows (int y, int n_rows, float *rows, gpointer data, GError **error)
{
  const Crop *crop = data;
  const gsize length = (gsize) crop->crops->width * crop->crops->channels;

  memcpy (rows, crop->crops->pixels[crop->number] + y * length, sizeof (float) * n_rows * length);

  return TRUE;
}

static gboolean
use_rows (const GwPosterior *rows, gpointer data, GError **error)
{
  const Crop *crop = data;

  crop->use (rows, crop->number, crop->data);

  return TRUE;
}

static gboolean
cut (const GwPhoto *photo, int left, int top, int width, int height, float *row, float *pixels,
     GError **error)
{
  const gsize length = (gsize) width * photo->channels;

  for (int y = 0; y < height; y++)
    {
      if (!photo->read (top + y, 1, row, photo->data, error))
        return FALSE;
      memcpy (pixels + y * length, row + left * photo->channels, sizeof (float) * length);
    }
  return TRUE;
}

GwCrops *
gw_crops_new (const GwPhoto *photo, GError **error)
{
  g_autoptr (GwCrops) crops = g_new0 (GwCrops, 1);
  g_autofree float *row = g_try_new (float, (gsize) photo->width * photo->channels);

  crops->width = MIN (photo->width, SIDE);
  crops->height = MIN (photo->height, SIDE);
  crops->channels = photo->channels;
  crops->n = crops->width == photo->width && crops->height == photo->height ? 1 : GW_MOST_CROPS;
  if (!row)
    {
      g_set_error (error, GW_ERROR, GW_ERROR_MEMORY,
                   _ ("There is not enough memory for a photo %d pixels wide."), photo->width);
      return NULL;
    }
  for (int i = 0; i < crops->n; i++)
    {
      /* evenly spread for any n (Roberts 2018) */
      const double across = fmod (0.5 + i * 0.7548776662, 1), down = fmod (0.5 + i * 0.5698402910, 1);

      crops->pixels[i] = g_new (float, (gsize) crops->width * crops->height * crops->channels);
      if (!cut (photo, (photo->width - crops->width) * across, (photo->height - crops->height) * down,
                crops->width, crops->height, row, crops->pixels[i], error))
        return NULL;
    }
  return g_steal_pointer (&crops);
}

void
gw_crops_free (GwCrops *crops)
{
  for (int i = 0; i < crops->n; i++)
    g_free (crops->pixels[i]);
  g_free (crops);
}

/* What a run over one of the crops needs: its threads and that it can be cancelled, but not its progress. */
static GwRun
quiet (const GwRun *run)
{
  return (GwRun) { .threads = run ? run->threads : 0, .cancellable = run ? run->cancellable : NULL };
}

static GwPhoto
photo_of (Crop *crop)
{
  const GwCrops *crops = crop->crops;

  return (GwPhoto) { crops->width, crops->height, crops->channels, read_rows, crop };
}

gboolean
gw_crops_run (const GwCrops *crops, const GwModel *model, const GwNoise *noise, const GwRun *run,
              GwCropRows use, gpointer data, GError **error)
{
  const GwRun each = quiet (run);

  for (int i = 0; i < crops->n; i++)
    {
      Crop crop = { crops, i, use, data };
      const GwPhoto photo = photo_of (&crop);

      if (!gw_posterior_run (model, &photo, noise, &each, use_rows, &crop, error))
        return FALSE;
    }
  return TRUE;
}

gboolean
gw_crops_judge_level (const GwCrops *crops, const GwModel *model, const GwNoise *noise, const GwRun *run,
                      GwVotes *votes, GError **error)
{
  const GwRun each = quiet (run);

  for (int i = 0; i < crops->n; i++)
    {
      Crop crop = { .crops = crops, .number = i };
      const GwPhoto photo = photo_of (&crop);

      if (!gw_judge_level (model, &photo, noise, &each, votes, error))
        return FALSE;
    }
  return TRUE;
}

/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "drawn-noise.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "random.h"

#define LEAST 0.01f /* of what white noise has in an octave: none at all cannot be drawn */

/* White noise, averaged over side x side pixels; grain is a mixture of such. */
typedef struct
{
  int side;
  float luma, chroma; /* what a sum of its normal numbers counts */
  float *rows;        /* of normal numbers, from the next row on */
  int n_rows;
} Field;

static const int sides[GW_STREAMS] = { 1, 2, 3, 8 };

struct _GwDrawnNoise
{
  int width, channels;
  guint64 seed;
  guint32 sample, stream;
  Field fields[GW_STREAMS];

  int y;      /* the next row */
  int n_rows; /* that are being drawn */
  int room;   /* rows that there is memory for */
  float *drawn;
};

/* Variances of the fields, so that noise has the mean squares @squares in the octaves, each scaled so that
 * white noise has 1 in all: a mixture of white noise and of two kinds averaged over more pixels, as near
 * as such a mixture comes. */
static void
mix (const float grain[GW_OCTAVES], float variances[GW_STREAMS])
{
  /* What averaged noise has in the second and third octave, less 1; follows from its autocorrelation. */
  static const float averaged[GW_STREAMS][2]
      = { { 0 }, { 1.25f, 2.0625f }, { 1.7778f, 4.4444f }, { 2.515625f, 10.390625f } };
  float squares[GW_OCTAVES];
  float second, third, determinant, fine, coarse, excess;
  int k;

  for (int i = 0; i < GW_OCTAVES; i++)
    squares[i] = powf (MAX (1 + grain[i], LEAST), 2);
  second = squares[1] - squares[0];
  third = squares[2] - squares[0];
  k = third * averaged[2][0] > averaged[2][1] * second ? 2 : 1; /* between k and k + 1 */
  determinant = averaged[k][0] * averaged[k + 1][1] - averaged[k][1] * averaged[k + 1][0];
  coarse = MAX ((averaged[k][0] * third - averaged[k][1] * second) / determinant, 0);
  fine = MAX ((second - averaged[k + 1][0] * coarse) / averaged[k][0], 0);
  excess = MAX ((fine + coarse) / squares[0], 1);

  memset (variances, 0, GW_STREAMS * sizeof (float));
  variances[0] = MAX (squares[0] - (fine + coarse) / excess, 0);
  variances[k] = fine / excess;
  variances[k + 1] = coarse / excess;
}

GwDrawnNoise *
gw_drawn_noise_new (const float grain[2 * GW_OCTAVES], int width, int channels, guint64 seed, guint32 sample)
{
  GwDrawnNoise *noise = g_new0 (GwDrawnNoise, 1);
  float luma[GW_STREAMS], chroma[GW_STREAMS];

  mix (grain, luma);
  mix (grain + GW_OCTAVES, chroma);
  for (int i = 0; i < GW_STREAMS; i++)
    noise->fields[i] = (Field) { .side = sides[i],
                                 .luma = sqrtf (luma[i]) / sides[i],
                                 .chroma = channels == 1 ? 0 : sqrtf (chroma[i]) / sides[i] };
  noise->width = width;
  noise->channels = channels;
  noise->seed = seed;
  noise->sample = sample;

  return noise;
}

void
gw_drawn_noise_free (GwDrawnNoise *noise)
{
  for (int i = 0; i < GW_STREAMS; i++)
    g_free (noise->fields[i].rows);
  g_free (noise->drawn);
  g_free (noise);
}

void
gw_drawn_noise_begin (GwDrawnNoise *noise, guint32 stream)
{
  noise->stream = stream;
  noise->y = 0;
  for (int i = 0; i < GW_STREAMS; i++)
    noise->fields[i].n_rows = 0;
}

static gboolean
is_used (const Field *field)
{
  return field->luma > 0 || field->chroma > 0;
}

static gsize
row_length (const GwDrawnNoise *noise, const Field *field)
{
  return (gsize) (noise->width + field->side - 1) * GW_NORMALS;
}

/* One of the rows of normal numbers that are not there yet. */
static void
fill_row (int number, int thread, gpointer data)
{
  GwDrawnNoise *noise = data;

  for (int i = 0; i < GW_STREAMS; i++)
    {
      const Field *field = &noise->fields[i];
      const int missing = is_used (field) ? noise->n_rows + field->side - 1 - field->n_rows : 0;
      const int row = field->n_rows + number;

      if (number < missing)
        {
          gw_random_normals (noise->seed, noise->sample, noise->stream + i, noise->y + row,
                             noise->width + field->side - 1, field->rows + row * row_length (noise, field));
          return;
        }
      number -= missing;
    }
}

/* Adds a field's sums over side x side normal numbers to luma and chroma, GW_NORMALS a pixel.  @columns:
 * scratch. */
static void
add_sums (const GwDrawnNoise *noise, const Field *field, const float *rows, float *columns, float *parts)
{
  const gsize length = row_length (noise, field);
  const float weights[GW_NORMALS] = { field->luma, field->chroma, field->chroma, field->chroma };

  for (gsize i = 0; i < length; i++)
    {
      columns[i] = 0;
      for (int dy = 0; dy < field->side; dy++)
        columns[i] += rows[dy * length + i];
    }
  for (int i = 0; i < noise->width * GW_NORMALS; i++)
    {
      float sum = 0;

      for (int dx = 0; dx < field->side; dx++)
        sum += columns[i + dx * GW_NORMALS];
      parts[i] += weights[i % GW_NORMALS] * sum;
    }
}

static void
draw_row (int number, int thread, gpointer data)
{
  GwDrawnNoise *noise = data;
  const int channels = noise->channels;
  float *row = noise->drawn + (gsize) number * noise->width * channels;
  const gsize length = (gsize) (noise->width + sides[GW_STREAMS - 1]) * GW_NORMALS;
  g_autofree float *parts = g_new0 (float, 2 * length);

  for (int i = 0; i < GW_STREAMS; i++)
    {
      const Field *field = &noise->fields[i];

      if (is_used (field))
        add_sums (noise, field, field->rows + number * row_length (noise, field), parts + length, parts);
    }
  for (int x = 0; x < noise->width; x++)
    {
      const float *part = parts + GW_NORMALS * x;
      const float mean = (part[1] + part[2] + part[3]) / 3;

      for (int c = 0; c < channels; c++)
        row[x * channels + c] = channels == 1 ? part[0] : part[0] / sqrtf (3) + part[c + 1] - mean;
    }
}

const float *
gw_drawn_noise_next (GwDrawnNoise *noise, GwWorkers *workers, int n_rows)
{
  int missing = 0;

  noise->n_rows = n_rows;
  if (n_rows > noise->room)
    noise->drawn = g_renew (float, noise->drawn, (gsize) n_rows * noise->width * noise->channels);
  for (int i = 0; i < GW_STREAMS; i++)
    {
      Field *field = &noise->fields[i];
      const gsize length = row_length (noise, field);

      if (!is_used (field))
        continue;
      if (n_rows > noise->room)
        field->rows = g_renew (float, field->rows, (n_rows + field->side - 1) * length);
      missing += n_rows + field->side - 1 - field->n_rows;
    }
  noise->room = MAX (noise->room, n_rows);
  gw_workers_run (workers, fill_row, noise, missing);
  gw_workers_run (workers, draw_row, noise, n_rows);

  for (int i = 0; i < GW_STREAMS; i++)
    {
      Field *field = &noise->fields[i];
      const gsize length = row_length (noise, field);

      field->n_rows = is_used (field) ? field->side - 1 : 0;
      if (field->n_rows > 0)
        memmove (field->rows, field->rows + n_rows * length, field->n_rows * length * sizeof (float));
    }
  noise->y += n_rows;

  return noise->drawn;
}

float *
gw_drawn_noise_picture (const float grain[2 * GW_OCTAVES], int width, int height, int channels, guint64 seed)
{
  g_autoptr (GwDrawnNoise) noise = gw_drawn_noise_new (grain, width, channels, seed, 0);
  g_autoptr (GwWorkers) workers = gw_workers_new (1);

  return g_memdup2 (gw_drawn_noise_next (noise, workers, height), sizeof (float) * width * height * channels);
}

/* Adds @amount times the picture, correlated as means over side x side normal numbers are: a pixel has
 * (side - d) / side in common with one d pixels away, along either axis.  @scratch: as large as the
 * picture. */
static void
add_correlated (const float *picture, int width, int height, int channels, int side, float amount,
                float *scratch, float *sum)
{
  const gsize length = (gsize) width * channels;

  memset (scratch, 0, sizeof (float) * length * height);
  for (int y = 0; y < height; y++)
    for (int d = 1 - side; d < side; d++)
      if (y + d >= 0 && y + d < height)
        for (gsize i = 0; i < length; i++)
          scratch[y * length + i] += (side - abs (d)) / (float) side * picture[(y + d) * length + i];
  for (int y = 0; y < height; y++)
    for (int x = 0; x < width; x++)
      for (int d = MAX (1 - side, -x); d < side && x + d < width; d++)
        for (int c = 0; c < channels; c++)
          sum[y * length + x * channels + c]
              += amount * (side - abs (d)) / side * scratch[y * length + (x + d) * channels + c];
}

void
gw_drawn_noise_correlate (const float grain[2 * GW_OCTAVES], int width, int height, int channels,
                          float *picture)
{
  const gsize pixels = (gsize) width * height;
  g_autofree float *luma = g_new (float, pixels), *chroma = g_new (float, pixels *channels);
  g_autofree float *scratch = g_new (float, pixels *channels);
  float variances[2][GW_STREAMS];

  mix (grain, variances[0]);
  mix (grain + GW_OCTAVES, variances[1]);
  for (gsize i = 0; i < pixels; i++)
    {
      luma[i] = 0;
      for (int c = 0; c < channels; c++)
        luma[i] += picture[i * channels + c] / channels;
      for (int c = 0; c < channels; c++)
        {
          chroma[i * channels + c] = picture[i * channels + c] - luma[i];
          picture[i * channels + c] = 0;
        }
    }
  if (channels > 1)
    for (int k = 0; k < GW_STREAMS; k++)
      if (variances[1][k] > 0)
        add_correlated (chroma, width, height, channels, sides[k], variances[1][k], scratch, picture);
  memset (chroma, 0, sizeof (float) * pixels);
  for (int k = 0; k < GW_STREAMS; k++)
    if (variances[0][k] > 0)
      add_correlated (luma, width, height, 1, sides[k], variances[0][k], scratch, chroma);
  for (gsize i = 0; i < pixels; i++)
    for (int c = 0; c < channels; c++)
      picture[i * channels + c] += chroma[i];
}

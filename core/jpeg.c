/* What JPEG took from a photo, from the photo alone.
 *
 * JPEG rounds the coefficients of blocks of 8x8 pixels, each frequency to multiples of a step of its own.
 * Taken apart again, a photo's coefficients lie on such a comb, from which the steps can be read off (Fan and
 * de Queiroz 2003; Neelamani et al. 2006).  What was lost: of coefficients that are not zero, as much as lies
 * between two teeth; of the others, as much as a Laplace distribution with that share of zeros has there (Lam
 * and Goodman 2000).
 *
 * Colour is mostly stored at half the size, or half as wide.  Decoders enlarge it by a triangle filter, which
 * is undone here.  In a photo that was cropped since, blocks may begin anywhere: where the combs are
 * clearest, there they do.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#include <math.h>
#include <string.h>
#include <glib/gi18n-lib.h>

#include "noise.h"

#define BLOCK 8           /* pixels a side */
#define UNIT (2 * BLOCK)  /* pixels a side, of a block of colour at half the size */
#define TAPS 5            /* on either side, of the filter that undoes the enlarging */
#define MARGIN (2 * TAPS) /* pixels that this takes */
#define REGION (UNIT + 2 * MARGIN)
#define MOST_UNITS 1000
#define SIGHTS 6 /* across and down, places by which the grid is found */
#define SIGHT (REGION + UNIT)
#define SURELY 100.f  /* log-likelihood by which a grid is the right one */
#define CLIPPED 0.02f /* share of a block's pixels up to which its coefficients are still on their combs */
#define LARGEST_STEP 120
#define BRIGHTEST 1e4f /* levels: what is brighter was never JPEG's, nor are there teeth to be counted */
#define NEAR 0.6f      /* levels from a tooth, where whole levels of the pixels leave a coefficient */
#define MOSTLY 0.93f   /* share of the coefficients that lie there */
#define FEWEST 3       /* coefficients beside zero that tell a step */
#define CLEAR 10.f     /* log-likelihood by which there is one */
#define PEAKED 0.8f    /* of what a Laplace distribution has about zero, as found on photos */
/* Of colour's energy, from one octave to the next finer one: where JPEG has left neither, and where only
 * the finest went, with half the size. */
#define DECAY 0.15f
#define HALVED_DECAY 0.5f
#define MOSTLY_NOISE 1.1f /* variance, over the noise's, up to which nothing is said of the rest */
#define UNSURE 0.3f       /* of the logarithm of all this, as a level */

/* The steps that the standard suggests (ITU-T T.81, annex K), which most encoders scale. */
static const guint8 standard_luma[BLOCK * BLOCK]
    = { 16, 11,  10,  16, 24, 40, 51, 61, 12,  12,  14,  19,  26, 58, 60, 55,  14,  13,  16,  24, 40, 57,
        69, 56,  14,  17, 22, 29, 51, 87, 80,  62,  18,  22,  37, 56, 68, 109, 103, 77,  24,  35, 55, 64,
        81, 104, 113, 92, 49, 64, 78, 87, 103, 121, 120, 101, 72, 92, 95, 98,  112, 100, 103, 99 };
static const guint8 standard_colour[BLOCK * BLOCK]
    = { 17, 18, 24, 47, 99, 99, 99, 99, 18, 21, 26, 66, 99, 99, 99, 99, 24, 26, 56, 99, 99, 99,
        99, 99, 47, 66, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99,
        99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99 };

/* Blocks of a plane, or of two alike: those without clipped pixels first, the others from the end on. */
typedef struct
{
  int across, down; /* pixels a value */
  int n_clean, n_clipped, room;
  float *values[BLOCK * BLOCK]; /* by frequency, in levels */
} Blocks;

enum
{
  LUMA,
  COLOUR,
  COLOUR_HALF_AS_WIDE,
  COLOUR_HALVED,
  PLANES
};

typedef struct
{
  Blocks planes[PLANES];
  float cosines[BLOCK][BLOCK]; /* [frequency][place] */
  float sharp[2 * TAPS + 1];
  float *values;
} Survey;

/* Variance in square levels, by octave: what differs between pixels and means of 2x2, between those and
 * means of 4x4, and in coarser ones. */
typedef float Octaves[GW_OCTAVES];

static void
survey_init (Survey *survey)
{
  static const struct
  {
    int across, down, blocks; /* in a unit */
  } planes[PLANES] = { { 1, 1, 4 }, { 1, 1, 8 }, { 2, 1, 4 }, { 2, 2, 2 } };
  /* A pair's mean is 3/4 of its value and 1/8 of each neighbour; a geometric series undoes that. */
  const double ratio = sqrt (8) - 3;
  float *values;

  *survey = (Survey) { 0 };
  survey->values = values = g_new (float, BLOCK *BLOCK *MOST_UNITS * (4 + 8 + 4 + 2));
  for (int p = 0; p < PLANES; p++)
    {
      Blocks *blocks = &survey->planes[p];

      blocks->across = planes[p].across;
      blocks->down = planes[p].down;
      blocks->room = MOST_UNITS * planes[p].blocks;
      for (int k = 0; k < BLOCK * BLOCK; k++, values += blocks->room)
        blocks->values[k] = values;
    }
  for (int k = 0; k < BLOCK; k++)
    for (int i = 0; i < BLOCK; i++)
      survey->cosines[k][i] = cos ((2 * i + 1) * k * G_PI / (2 * BLOCK)) * (k == 0 ? sqrt (0.125) : 0.5);
  for (int i = 0; i <= 2 * TAPS; i++)
    survey->sharp[i] = (1 - ratio) / (1 + ratio) * pow (ratio, abs (i - TAPS));
}

/* Without any blocks. */
static void
survey_begin (Survey *survey)
{
  for (int p = 0; p < PLANES; p++)
    survey->planes[p].n_clean = survey->planes[p].n_clipped = 0;
}

static void
survey_clear (Survey *survey)
{
  g_free (survey->values);
}

/* ---- Coefficients ---------------------------------------------------------------------------------------- */

/* Transforms the block at @pixels. */
static void
add_block (const Survey *survey, const float *pixels, int stride, gboolean clean, Blocks *blocks)
{
  const int place = clean ? blocks->n_clean++ : blocks->room - ++blocks->n_clipped;
  float rows[BLOCK][BLOCK];

  for (int y = 0; y < BLOCK; y++)
    for (int k = 0; k < BLOCK; k++)
      {
        rows[y][k] = 0;
        for (int x = 0; x < BLOCK; x++)
          rows[y][k] += survey->cosines[k][x] * pixels[y * stride + x];
      }
  for (int j = 0; j < BLOCK; j++)
    for (int k = 0; k < BLOCK; k++)
      {
        float sum = 0;

        for (int y = 0; y < BLOCK; y++)
          sum += survey->cosines[j][y] * rows[y][k];
        blocks->values[j * BLOCK + k][place] = sum;
      }
}

/* Half as many values, from which triangle filtering makes those at @from, with TAPS pairs before them and
 * after. */
static void
halve (const Survey *survey, const float *from, int step, float to[BLOCK])
{
  for (int i = 0; i < BLOCK; i++)
    {
      to[i] = 0;
      for (int k = 0; k <= 2 * TAPS; k++)
        {
          const float *pair = from + 2 * (i + k) * step;

          to[i] += survey->sharp[k] * 0.5f * (pair[0] + pair[step]);
        }
    }
}

/* A plane of colour around a unit. */
static void
add_colour (Survey *survey, float plane[REGION][REGION], gboolean clean)
{
  float narrow[REGION][BLOCK], small[BLOCK][BLOCK]; /* the latter transposed */

  for (int k = 0; k < 4; k++)
    add_block (survey, &plane[MARGIN + k / 2 * BLOCK][MARGIN + k % 2 * BLOCK], REGION, clean,
               &survey->planes[COLOUR]);
  for (int y = 0; y < REGION; y++)
    halve (survey, plane[y], 1, narrow[y]);
  for (int k = 0; k < 2; k++)
    add_block (survey, narrow[MARGIN + k * BLOCK], BLOCK, clean, &survey->planes[COLOUR_HALF_AS_WIDE]);
  for (int x = 0; x < BLOCK; x++)
    halve (survey, narrow[0] + x, BLOCK, small[x]);
  add_block (survey, small[0], BLOCK, clean, &survey->planes[COLOUR_HALVED]);
}

/* Adds the unit in the middle of the region at @pixels; if @luma, of that only. */
static void
add_unit (const float *pixels, gsize stride, int channels, gboolean luma, Survey *survey)
{
  static const float weights[3][3] = { { 0.299f, 0.587f, 0.114f },
                                       { -0.168736f, -0.331264f, 0.5f },
                                       { 0.5f, -0.418688f, -0.081312f } }; /* ITU-T T.871 */
  float planes[3][REGION][REGION];
  const int margin = luma ? 0 : MARGIN, wanted = luma ? 1 : channels;
  int clipped[2][2] = { 0 }, n_clipped = 0;

  for (int y = MARGIN - margin; y < MARGIN + UNIT + margin; y++)
    for (int x = MARGIN - margin; x < MARGIN + UNIT + margin; x++)
      {
        const int down = y - MARGIN, across = x - MARGIN;
        const float *pixel = pixels + y * stride + x * channels;

        for (int c = 0; c < wanted; c++)
          {
            planes[c][y][x] = 255 * pixel[0];
            if (channels == 3)
              planes[c][y][x]
                  = 255 * (weights[c][0] * pixel[0] + weights[c][1] * pixel[1] + weights[c][2] * pixel[2]);
            if (!(fabsf (planes[c][y][x]) < BRIGHTEST))
              return;
          }
        for (int c = 0; c < channels; c++)
          if (gw_is_clipped (pixel[c]) && down >= 0 && down < UNIT && across >= 0 && across < UNIT)
            {
              clipped[down / BLOCK][across / BLOCK]++;
              n_clipped++;
            }
      }
  for (int k = 0; k < 4; k++)
    add_block (survey, &planes[0][MARGIN + k / 2 * BLOCK][MARGIN + k % 2 * BLOCK], REGION,
               clipped[k / 2][k % 2] <= CLIPPED * BLOCK * BLOCK, &survey->planes[LUMA]);
  for (int c = 1; c < wanted; c++)
    add_colour (survey, planes[c], n_clipped <= CLIPPED * UNIT * UNIT);
}

/* ---- Steps ----------------------------------------------------------------------------------------------- */

/* The step of the comb on which the values lie most likely, 0 for none.  Those about zero say nothing of it. */
static int
find_step (const float *values, int n, float *likelihood)
{
  g_autofree float *sizes = g_new (float, n);
  int n_sizes = 0, best = 0;

  for (int i = 0; i < n; i++)
    if (fabsf (values[i]) > 1)
      sizes[n_sizes++] = fabsf (values[i]);

  *likelihood = CLEAR;
  for (int step = 2; step <= LARGEST_STEP; step++)
    {
      const float inverse = 1.f / step;
      int beside = 0, near = 0;
      float found;

      for (int i = 0; i < n_sizes; i++)
        {
          const int tooth = sizes[i] * inverse + 0.5f;

          beside += tooth > 0;
          near += tooth > 0 && fabsf (sizes[i] - step * tooth) < NEAR;
        }
      if (beside < FEWEST)
        break;
      found = near * logf (MOSTLY * step / (2 * NEAR))
              + (beside - near) * logf ((1 - MOSTLY) / (1 - 2 * NEAR / step));
      if (found > *likelihood)
        {
          *likelihood = found;
          best = step;
        }
    }
  return best;
}

/* What rounding takes, over step^2 / 12: all of what is not rounded to zero, and of the rest as much as a
 * Laplace distribution has there, less a little, since photos' coefficients are more peaked. */
static float
share_lost (float beside_zero)
{
  const float b = -0.5f / logf (beside_zero); /* mean absolute value, over the step */

  if (beside_zero <= 0 || beside_zero > 0.98f)
    return beside_zero > 0;
  return PEAKED * (24 * b * b * (1 - beside_zero) - 12 * beside_zero * (0.25f + b)) + beside_zero;
}

/* Finds the steps by frequency.  Where too few coefficients tell, they are taken to be as the standard's,
 * times what the others are; 0 if there are none.  Returns how much likelier the values are on combs than
 * anywhere, as a logarithm. */
static float
find_steps (const Blocks *blocks, const guint8 standard[BLOCK * BLOCK], float steps[BLOCK * BLOCK])
{
  float likelihood = 0, sum = 0, sum_standard = 0;

  for (int k = 1; k < BLOCK * BLOCK; k++)
    {
      float found;

      steps[k] = find_step (blocks->values[k], blocks->n_clean, &found);
      if (steps[k] > 0)
        {
          likelihood += found;
          sum += steps[k];
          sum_standard += standard[k];
        }
    }
  for (int k = 1; k < BLOCK * BLOCK && sum > 0; k++)
    if (steps[k] == 0)
      steps[k] = sum / sum_standard * standard[k];

  return likelihood;
}

/* ---- The grid -------------------------------------------------------------------------------------------- */

/* The log-likelihood of combs in a plane if the grid begins at @left, @top.  @sights: SIGHTS x SIGHTS
 * parts of the photo, of SIGHT x SIGHT pixels, that begin at multiples of UNIT. */
static float
judge_grid (const float *sights, int channels, int left, int top, int plane, Survey *survey)
{
  const gsize stride = SIGHT * channels;
  const int x = (left - MARGIN + UNIT) % UNIT, y = (top - MARGIN + UNIT) % UNIT;
  float steps[BLOCK * BLOCK];

  survey_begin (survey);
  for (int i = 0; i < SIGHTS * SIGHTS; i++)
    add_unit (sights + i * SIGHT * stride + y * stride + x * channels, stride, channels, plane == LUMA,
              survey);

  return find_steps (&survey->planes[plane], plane == LUMA ? standard_luma : standard_colour, steps);
}

/* Photos that were cropped since have a grid that begins anywhere; that of halved colour is twice as wide. */
static void
search_grid (const float *sights, int channels, Survey *survey, int *left, int *top)
{
  float likeliest = judge_grid (sights, channels, 0, 0, LUMA, survey);

  *left = *top = 0;
  for (int i = 1; i < BLOCK * BLOCK && likeliest < SURELY; i++)
    {
      const float found = judge_grid (sights, channels, i % BLOCK, i / BLOCK, LUMA, survey);

      if (found > likeliest)
        {
          likeliest = found;
          *left = i % BLOCK;
          *top = i / BLOCK;
        }
    }
  likeliest = 0;
  for (int i = 0, x = *left, y = *top; i < 4 && channels == 3; i++)
    {
      const int across = x + i % 2 * BLOCK, down = y + i / 2 * BLOCK;
      const float found = judge_grid (sights, channels, across, down, COLOUR_HALVED, survey);

      if (found > likeliest)
        {
          likeliest = found;
          *left = across;
          *top = down;
        }
    }
}

static float *
new_rows (const GwPhoto *photo, int n, GError **error)
{
  float *rows = g_try_new (float, (gsize) n * photo->width * photo->channels);

  if (!rows)
    g_set_error (error, GW_ERROR, GW_ERROR_MEMORY,
                 _ ("There is not enough memory for a photo %d pixels wide."), photo->width);
  return rows;
}

/* Where blocks begin: @left and @top of the first one of a unit, each less than UNIT. */
static gboolean
find_grid (const GwPhoto *photo, Survey *survey, int *left, int *top, GCancellable *cancellable,
           GError **error)
{
  const gsize length = SIGHT * photo->channels;
  g_autofree float *sights = g_new (float, SIGHTS *SIGHTS *SIGHT *length);
  g_autofree float *rows = NULL;

  *left = *top = 0;
  if (photo->width < SIGHT || photo->height < SIGHT)
    return TRUE;
  if (!(rows = new_rows (photo, SIGHT, error)))
    return FALSE;
  for (int i = 0; i < SIGHTS; i++)
    {
      const int y = (gint64) (photo->height - SIGHT) * i / (SIGHTS - 1) / UNIT * UNIT;

      if (g_cancellable_set_error_if_cancelled (cancellable, error)
          || !photo->read (y, SIGHT, rows, photo->data, error))
        return FALSE;
      for (int k = 0; k < SIGHTS * SIGHT; k++)
        {
          const int x = (gint64) (photo->width - SIGHT) * (k / SIGHT) / (SIGHTS - 1) / UNIT * UNIT;

          memcpy (sights + ((gsize) i * SIGHTS * SIGHT + k) * length,
                  rows + ((gsize) (k % SIGHT) * photo->width + x) * photo->channels, sizeof (float) * length);
        }
    }
  search_grid (sights, photo->channels, survey, left, top);

  return TRUE;
}

/* Units all over the photo, but for its edges, of a grid that begins at @left, @top. */
static gboolean
read_units (const GwPhoto *photo, int left, int top, Survey *survey, GCancellable *cancellable,
            GError **error)
{
  const gsize stride = (gsize) photo->width * photo->channels;
  const int across = (photo->width - left - MARGIN) / UNIT - 1,
            down = (photo->height - top - MARGIN) / UNIT - 1;
  int step = 1;
  g_autofree float *rows = NULL;

  survey_begin (survey);
  if (across < 1 || down < 1)
    return TRUE;
  while ((gint64) ((across + step - 1) / step) * ((down + step - 1) / step) > MOST_UNITS)
    step++;
  if (!(rows = new_rows (photo, REGION, error)))
    return FALSE;
  for (int y = 0; y < down; y += step)
    {
      if (g_cancellable_set_error_if_cancelled (cancellable, error)
          || !photo->read (top + (y + 1) * UNIT - MARGIN, REGION, rows, photo->data, error))
        return FALSE;
      for (int x = 0; x < across; x += step)
        add_unit (rows + (left + (x + 1) * UNIT - MARGIN) * photo->channels, stride, photo->channels, FALSE,
                  survey);
    }
  return TRUE;
}

/* What was lost by those steps, and what was kept. */
static void
measure (const Blocks *blocks, const float steps[BLOCK * BLOCK], Octaves lost, Octaves kept)
{
  const int n = blocks->n_clean + blocks->n_clipped, first_clipped = blocks->room - blocks->n_clipped;

  for (int k = 1; k < BLOCK * BLOCK; k++)
    {
      const float frequency = MAX ((float) (k % BLOCK) / blocks->across, (float) (k / BLOCK) / blocks->down);
      const int octave = frequency >= 4 ? 0 : frequency >= 2 ? 1 : 2;
      float energy = 0;
      int beside = 0;

      for (int i = 0; i < blocks->room; i++)
        if (i < blocks->n_clean || i >= first_clipped)
          {
            const float value = blocks->values[k][i];

            energy += value * value;
            beside += fabsf (value) > 0.5f * steps[k];
          }
      kept[octave] += energy / n / (BLOCK * BLOCK);
      lost[octave] += steps[k] * steps[k] / 12 * share_lost ((float) beside / n) / (BLOCK * BLOCK);
    }
}

/* Of luma (the mean of the channels) and of chroma (what is left), scaled so that what is lost in every
 * channel by itself is as much in both. */
static void
find_loss (const Survey *survey, int channels, Octaves luma, Octaves chroma)
{
  /* Of Cb and Cr together: what they do to the mean of the channels, and what is left of that. */
  const float in_luma = 0.28f, in_chroma = 2.45f;
  float likeliest = 0;
  float steps[BLOCK * BLOCK];
  Octaves colour = { 0 }, unused = { 0 };

  find_steps (&survey->planes[LUMA], standard_luma, steps);
  measure (&survey->planes[LUMA], steps, luma, unused);
  for (int p = COLOUR; p < PLANES && channels == 3; p++)
    {
      const float likelihood = find_steps (&survey->planes[p], standard_colour, steps);
      Octaves lost = { 0 }, kept = { 0 };

      if (likelihood <= likeliest)
        continue;
      likeliest = likelihood;
      measure (&survey->planes[p], steps, lost, kept);
      if (p != COLOUR)
        lost[0] += HALVED_DECAY * MAX (kept[1] + lost[1], DECAY * (kept[2] + lost[2]))
                   * (p == COLOUR_HALVED ? 1 : 0.5f);
      memcpy (colour, lost, sizeof (colour));
    }
  for (int k = 0; k < GW_OCTAVES; k++)
    {
      luma[k] = channels * (luma[k] + in_luma * colour[k]);
      chroma[k] = in_chroma * colour[k];
    }
}

/* ---- Public ---------------------------------------------------------------------------------------------- */

/* The noise's variance in square levels, mean over the blocks that were seen. */
static float
mean_variance (const GwNoise *noise, int channels, const Blocks *luma)
{
  float sum = 0;

  for (int i = 0; i < luma->room; i++)
    if (i < luma->n_clean || i >= luma->room - luma->n_clipped)
      {
        const float t = CLAMP (luma->values[0][i] / BLOCK / 255, 0, 1) * (GW_KNOTS - 1);
        const int k = MIN ((int) t, GW_KNOTS - 2);

        for (int c = 0; c < channels; c++)
          sum += (k + 1 - t) * noise->level[c][k] * noise->level[c][k]
                 + (t - k) * noise->level[c][k + 1] * noise->level[c][k + 1];
      }
  return 255 * 255 * sum / channels / (luma->n_clean + luma->n_clipped);
}

/* What was lost, where that is more, in an octave, than the noise.  @grain: luma's or chroma's, of which
 * mean squares over @variance are left.  Returns what comes to the variance, over @variance. */
static float
add_loss (const Octaves loss, float variance, float grain[GW_OCTAVES])
{
  float coarser = 0, sum = 0, before = 0;

  for (int k = GW_OCTAVES - 1; k >= 0; k--)
    {
      const int area = 1 << 2 * k;

      before = (1 + grain[k]) * (1 + grain[k]) / area;
      sum += before - coarser + MAX (loss[k] / variance - MAX (before - coarser, 0), 0);
      coarser = before;
      grain[k] = sum * area;
    }
  return sum - before;
}

gboolean
gw_noise_add_jpeg (const GwPhoto *photo, GwNoise *noise, GCancellable *cancellable, GError **error)
{
  /* Of the variance that Cb and Cr bring, over the channels' mean. */
  static const float share[3] = { 1.03f, 0.33f, 1.64f };
  const int channels = photo->channels;
  Octaves luma = { 0 }, chroma = { 0 };
  GwNoise both = *noise;
  Survey survey;
  float variance, grey, colour = 0, total;
  int left, top;
  gboolean done;

  survey_init (&survey);
  done = find_grid (photo, &survey, &left, &top, cancellable, error)
         && read_units (photo, left, top, &survey, cancellable, error);
  if (done && survey.planes[LUMA].n_clean + survey.planes[LUMA].n_clipped > 0)
    {
      find_loss (&survey, channels, luma, chroma);
      variance = MAX (mean_variance (noise, channels, &survey.planes[LUMA]), 1e-4f);
      grey = add_loss (luma, variance, both.grain) / channels;
      if (channels == 3)
        colour = add_loss (chroma, variance, both.grain + GW_OCTAVES) * 2 / 3;
      total = 1 + grey + colour;
      if (total > MOSTLY_NOISE)
        {
          for (int c = 0; c < channels; c++)
            for (int k = 0; k < GW_KNOTS; k++)
              both.level[c][k] = sqrtf (noise->level[c][k] * noise->level[c][k]
                                        + variance * (grey + share[c] * colour) / (255 * 255));
          for (int k = 0; k < (channels == 3 ? 2 : 1) * GW_OCTAVES; k++)
            both.grain[k] = sqrtf (both.grain[k] / total) - 1;
          both.level_error = hypotf (noise->level_error, UNSURE * (total - 1)) / total;
          *noise = both;
        }
    }
  survey_clear (&survey);

  return done;
}

/* The noise of a photo, from the photo alone: where it has no texture, what varies is noise.
 *
 * The photo is cut into small blocks.  Over brightness and log-variance the blocks without texture make a
 * narrow band, the noise; all others lie above it.  The band is found by maximum likelihood, as the centre of
 * a normal distribution whose width follows from the number of pixels in a block, with a uniform one for the
 * texture above.  (Blocks of least variance: Amer and Dubois 2005; the level as a function of brightness: Foi
 * et al. 2008; a likelihood with the scene's smoothness as prior: Liu et al. 2008.)  Grain is measured in the
 * blocks of the band.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#include <math.h>
#include <string.h>
#include <glib/gi18n-lib.h>

#include "noise.h"

#define BLOCK 16      /* pixels a side */
#define BRIGHTNESS 32 /* bins */
#define VARIANCES 256 /* bins of log-variance */
#define LOWEST -18.0f /* log-variance: 0.03 levels */
#define BIN (-LOWEST / VARIANCES)
#define GRAIN (2 * GW_OCTAVES)
#define FEWEST 8     /* blocks of a band worth measuring */
#define PLENTY 30000 /* blocks; of a larger photo every second row of blocks, or third ... is looked at */
#define COMMON 0.1f  /* share of the blocks that makes a band sure */

/* Share of a block's pixels that may be clipped: for it to be used, and for its channel to be measured at
 * all where others are; and of the blocks, not clipped in any channel, with which the others are not
 * needed. */
#define CLIPPED 0.02f
#define MOST_CLIPPED 0.7f
#define ENOUGH 0.05f

/* JPEG makes one value of a clipped place, and not always the last one: a block of so little variance is
 * clipped if it is that near black or white. */
#define CONSTANT 1e-9f
#define NEARLY 0.05f

/* Noise is taken for white if more than this share of luma is in the finest detail (cameras leave 0.2 at
 * most), but not if means of 4x4 pixels have more than so many times the level of pixels in chroma
 * (texture is mostly luma), or if the finest detail of chroma has less than this share of chroma's level,
 * unless there is no chroma: less than that share of white noise's level. */
#define FINE 0.3f
#define COARSE 1.5f
#define FAINT 0.5f
#define COLOURLESS 0.3f
#define ALIKE 0.2f /* difference between luma and chroma that is taken for none in white noise */

/* A block: what is left of it after the best plane has been taken away. */
typedef struct
{
  float brightness;
  float variance;   /* mean of the channels' */
  float channel[3]; /* the channels' variances; 0 where not known */
  /* Mean squares of luma and chroma, scaled so that white noise has the variance in each: by octave, and
   * of the finest diagonal detail, where texture is weakest. */
  float octave[GRAIN], finest[2];
} Block;

/* All blocks of about the same brightness and variance. */
typedef struct
{
  float count, known[3]; /* blocks, and those in which the channel's variance is known */
  /* Sums of logarithms, relative to the block's variance: a few blocks with an edge in them weigh little. */
  float channel[3], octave[GRAIN], finest[2];
} Cell;

typedef struct
{
  int channels;
  Cell (*cells)[VARIANCES]; /* [BRIGHTNESS] */
  float blocks, looked_at;
  float *likelihoods; /* room for three numbers a cell */
} Blocks;

/* Independent values of white noise in a block by octave, less the plane's three. */
static const float freedom[GW_OCTAVES] = { 253, 61, 13 };
static const float values_in[GW_OCTAVES] = { 256, 64, 16 };

/* ---- Blocks ---------------------------------------------------------------------------------------------- */

/* Takes the best plane away.  Returns the mean. */
static float
remove_plane (float values[BLOCK][BLOCK])
{
  const float centre = (BLOCK - 1) / 2.f;
  float mean = 0, across = 0, down = 0, norm = 0;

  for (int y = 0; y < BLOCK; y++)
    for (int x = 0; x < BLOCK; x++)
      {
        mean += values[y][x];
        across += values[y][x] * (x - centre);
        down += values[y][x] * (y - centre);
        norm += (x - centre) * (x - centre);
      }
  mean /= BLOCK * BLOCK;
  for (int y = 0; y < BLOCK; y++)
    for (int x = 0; x < BLOCK; x++)
      values[y][x] -= mean + (across * (x - centre) + down * (y - centre)) / norm;

  return mean;
}

/* Mean square of the means over side x side pixels, times side^2. */
static float
octave_energy (float values[BLOCK][BLOCK], int side)
{
  float sum = 0;

  for (int y = 0; y < BLOCK; y += side)
    for (int x = 0; x < BLOCK; x += side)
      {
        float total = 0;

        for (int k = 0; k < side * side; k++)
          total += values[y + k / side][x + k % side];
        sum += total * total;
      }
  return sum / (BLOCK * BLOCK);
}

/* Mean square of the finest diagonal Haar coefficients. */
static float
diagonal_energy (float values[BLOCK][BLOCK])
{
  float sum = 0;

  for (int y = 0; y < BLOCK; y += 2)
    for (int x = 0; x < BLOCK; x += 2)
      {
        const float detail
            = 0.5f * (values[y][x] - values[y][x + 1] - values[y + 1][x] + values[y + 1][x + 1]);

        sum += detail * detail;
      }
  return sum / (BLOCK * BLOCK / 4);
}

/* Shares of the pixels of the block at @pixels that are clipped.  Returns how many channels have at most
 * @allowed of them. */
static int
find_clipped (const float *pixels, gsize stride, int channels, float allowed, float clipped[3])
{
  int n = 0;

  for (int c = 0; c < channels; c++)
    {
      clipped[c] = 0;
      for (int i = 0; i < BLOCK * BLOCK; i++)
        clipped[c] += gw_is_clipped (pixels[i / BLOCK * stride + i % BLOCK * channels + c]);
      clipped[c] /= BLOCK * BLOCK;
      n += clipped[c] <= allowed;
    }
  return n;
}

/* The variance of normally distributed values of which that share is clipped, over that of all of them: it
 * is (z^2 + 1) P + z p - (z P + p)^2 with P = 1 - @clipped, z the point below which that share of a normal
 * distribution lies, p the density there (Tobin 1958).  This is within an eighth of that. */
static float
variance_left (float clipped)
{
  return powf (1 - clipped, 1.6f);
}

/* Measures the block at @pixels.  Returns %FALSE if fewer than @fewest channels of it have at most
 * @allowed of their pixels clipped; of the others only the variance is measured.  Colour, where there is
 * none, is taken to be as luma. */
static gboolean
measure_block (const float *pixels, gsize stride, int channels, int fewest, float allowed, Block *block)
{
  float values[4][BLOCK][BLOCK]; /* the channels, then luma */
  float clipped[3];
  const int n = find_clipped (pixels, stride, channels, allowed, clipped);

  if (n < fewest)
    return FALSE;

  *block = (Block) { 0 };
  for (int c = 0; c < channels; c++)
    {
      for (int i = 0; i < BLOCK * BLOCK; i++)
        values[c][i / BLOCK][i % BLOCK] = pixels[i / BLOCK * stride + i % BLOCK * channels + c];
      block->brightness += remove_plane (values[c]) / channels;
      block->channel[c] = octave_energy (values[c], 1) * values_in[0] / freedom[0];
      if (clipped[c] > CLIPPED)
        block->channel[c] *= clipped[c] <= MOST_CLIPPED ? 1 / variance_left (clipped[c]) : 0;
      if (clipped[c] <= allowed)
        block->variance += block->channel[c] / n;
    }
  if (!isfinite (block->variance) || !isfinite (block->brightness)
      || (block->variance < CONSTANT && fabsf (block->brightness - 0.5f) > 0.5f - NEARLY))
    return FALSE;

  memset (values[3], 0, sizeof (values[3]));
  for (int i = 0; i < BLOCK * BLOCK; i++)
    {
      float *luma = &values[3][i / BLOCK][i % BLOCK];

      for (int c = 0; c < channels; c++)
        if (clipped[c] <= allowed)
          *luma += values[c][i / BLOCK][i % BLOCK] / n;
      for (int c = 0; c < channels; c++)
        values[c][i / BLOCK][i % BLOCK] -= *luma;
    }
  for (int k = 0; k <= GW_OCTAVES; k++)
    {
      float luma = n * (k < GW_OCTAVES ? octave_energy (values[3], 1 << k) : diagonal_energy (values[3]));
      float chroma = n == 1 ? luma : 0;

      for (int c = 0; c < channels && n > 1; c++)
        if (clipped[c] <= allowed)
          chroma
              += (k < GW_OCTAVES ? octave_energy (values[c], 1 << k) : diagonal_energy (values[c])) / (n - 1);
      if (k < GW_OCTAVES)
        {
          block->octave[k] = luma * values_in[k] / freedom[k];
          block->octave[GW_OCTAVES + k] = chroma * values_in[k] / freedom[k];
        }
      else
        {
          block->finest[0] = luma;
          block->finest[1] = chroma;
        }
    }
  return TRUE;
}

static float
safe_log (float x)
{
  return logf (MAX (x, 1e-12f));
}

static void
add_block (Blocks *blocks, const Block *block)
{
  const float logarithm = safe_log (block->variance);
  const int bright = CLAMP ((int) (block->brightness * BRIGHTNESS), 0, BRIGHTNESS - 1);
  const int bin = CLAMP ((int) ((logarithm - LOWEST) / BIN), 0, VARIANCES - 1);
  Cell *cell = &blocks->cells[bright][bin];

  blocks->blocks++;
  cell->count++;
  for (int c = 0; c < blocks->channels; c++)
    if (block->channel[c] > 0)
      {
        cell->known[c]++;
        cell->channel[c] += safe_log (block->channel[c]) - logarithm;
      }
  for (int k = 0; k < GRAIN; k++)
    cell->octave[k] += safe_log (block->octave[k]) - logarithm;
  for (int k = 0; k < 2; k++)
    cell->finest[k] += safe_log (block->finest[k]) - logarithm;
}

/* Takes blocks in which at least @fewest channels have at most @allowed of their pixels clipped. */
static gboolean
read_blocks (const GwPhoto *photo, int fewest, float allowed, Blocks *blocks, GCancellable *cancellable,
             GError **error)
{
  const gsize stride = (gsize) photo->width * photo->channels;
  const int step = 1 + (gint64) (photo->width / BLOCK) * (photo->height / BLOCK) / PLENTY;
  g_autofree float *rows = g_try_new (float, BLOCK *stride);

  if (!rows)
    {
      g_set_error (error, GW_ERROR, GW_ERROR_MEMORY,
                   _ ("There is not enough memory for a photo %d pixels wide."), photo->width);
      return FALSE;
    }
  for (int y = 0; y + BLOCK <= photo->height; y += step * BLOCK)
    {
      if (g_cancellable_set_error_if_cancelled (cancellable, error)
          || !photo->read (y, BLOCK, rows, photo->data, error))
        return FALSE;
      for (int x = 0; x + BLOCK <= photo->width; x += BLOCK)
        {
          Block block;

          blocks->looked_at++;
          if (measure_block (rows + x * photo->channels, stride, photo->channels, fewest, allowed, &block))
            add_block (blocks, &block);
        }
    }
  return TRUE;
}

/* ---- The band of noise ----------------------------------------------------------------------------------- */

/* Log-variance over brightness, at the knots, and how far blocks of nothing but noise lie from it. */
typedef struct
{
  float knots[GW_KNOTS];
  float width;
  float share; /* of the blocks */
  double likelihood;
} Band;

static float
band_centre (const Band *band, int bright)
{
  const float t = (bright + 0.5f) / BRIGHTNESS * (GW_KNOTS - 1);
  const int k = MIN ((int) t, GW_KNOTS - 2);

  return band->knots[k] + (t - k) * (band->knots[k + 1] - band->knots[k]);
}

static float
bin_centre (int bin)
{
  return LOWEST + (bin + 0.5f) * BIN;
}

/* Log-likelihood of all blocks, with a prior that prefers smooth curves.  Sets band->share, too. */
static void
judge (const Blocks *blocks, Band *band)
{
  enum
  {
    ROUNDS = 6
  };
  /* Expected differences from knot to knot: about those of synthetic cameras' noise. */
  const float steepness = 0.3f, bend = 0.15f;
  const float width = sqrtf (band->width * band->width + BIN * BIN / 12);
  static const float nothing = 1e-6f;
  float *likelihoods = blocks->likelihoods;
  int n = 0;

  for (int b = 0; b < BRIGHTNESS; b++)
    {
      const float centre = band_centre (band, b);

      for (int v = 0; v < VARIANCES; v++)
        if (blocks->cells[b][v].count > 0)
          {
            const float z = (bin_centre (v) - centre) / width;

            likelihoods[n++] = blocks->cells[b][v].count;
            likelihoods[n++] = expf (-0.5f * z * z) / (width * sqrtf (2 * G_PI));
            likelihoods[n++] = z > -1 ? 1 / MAX (width - centre, width) : 0;
          }
    }

  band->share = 0.3f;
  for (int round = 0; round < ROUNDS; round++) /* expectation and maximisation */
    {
      double sum = 0;

      for (int i = 0; i < n; i += 3)
        {
          const float noise = band->share * likelihoods[i + 1];

          sum += likelihoods[i] * noise / (noise + (1 - band->share) * likelihoods[i + 2] + nothing);
        }
      band->share = sum / blocks->blocks;
    }

  band->likelihood = 0;
  for (int i = 0; i < n; i += 3)
    band->likelihood
        += likelihoods[i]
           * log (band->share * likelihoods[i + 1] + (1 - band->share) * likelihoods[i + 2] + nothing);
  for (int k = 1; k < GW_KNOTS; k++)
    {
      const float rise = band->knots[k] - band->knots[k - 1];
      const float change = k + 1 < GW_KNOTS ? band->knots[k + 1] - band->knots[k] - rise : 0;

      band->likelihood -= 0.5 * rise * rise / (steepness * steepness) + 0.5 * change * change / (bend * bend);
    }
}

/* Moves the curve as long as that makes it likelier: all of it, tilted, or around one knot. */
static void
climb (const Blocks *blocks, Band *band)
{
  enum
  {
    SHIFT = GW_KNOTS,
    TILT,
    MOVES
  };

  judge (blocks, band);
  for (float step = 0.5f; step > 0.02f; step /= 2)
    for (int improved = 12; improved > 0; improved--)
      {
        const double before = band->likelihood;

        for (int move = 0; move < 2 * MOVES; move++)
          {
            Band moved = *band;

            for (int k = 0; k < GW_KNOTS; k++)
              moved.knots[k] += (move % 2 ? -step : step)
                                * (move / 2 == SHIFT  ? 1
                                   : move / 2 == TILT ? 2.f * k / (GW_KNOTS - 1) - 1
                                                      : MAX (0, 1 - abs (k - move / 2) / 2.f));
            judge (blocks, &moved);
            if (moved.likelihood > band->likelihood + 1e-6)
              *band = moved;
          }
        if (band->likelihood == before)
          break;
      }
}

/* The log-variance below which that share of the blocks lies. */
static float
quantile (const Blocks *blocks, float share)
{
  float sum = 0;

  for (int v = 0; v < VARIANCES; v++)
    {
      for (int b = 0; b < BRIGHTNESS; b++)
        sum += blocks->cells[b][v].count;
      if (sum >= share * blocks->blocks)
        return bin_centre (v);
    }
  return 0;
}

static Band
find_band (const Blocks *blocks, float width)
{
  static const float starts[] = { 0.01f, 0.05f, 0.2f, 0.5f };
  Band best = { .likelihood = -G_MAXDOUBLE };

  for (guint i = 0; i < G_N_ELEMENTS (starts); i++)
    {
      Band band = { .width = width };

      for (int k = 0; k < GW_KNOTS; k++)
        band.knots[k] = quantile (blocks, starts[i]);
      climb (blocks, &band);
      if (band.likelihood > best.likelihood)
        best = band;
    }
  return best;
}

/* What the blocks of a band have in common, relative to their variance. */
typedef struct
{
  float blocks, known[3];
  float channel[3], octave[GRAIN], finest[2];
} Typical;

/* Of the blocks of the band, or without one of those of least variance. */
static Typical
typical_of_band (const Blocks *blocks, const Band *band)
{
  const float least = quantile (blocks, 0.1f);
  Typical typical = { 0 };

  for (int b = 0; b < BRIGHTNESS; b++)
    for (int v = 0; v < VARIANCES; v++)
      {
        const Cell *cell = &blocks->cells[b][v];
        const float above = bin_centre (v) - (band ? band_centre (band, b) : 0);

        if (band ? above > -3 * band->width && above < 1.5f * band->width : bin_centre (v) <= least)
          {
            typical.blocks += cell->count;
            for (int c = 0; c < blocks->channels; c++)
              {
                typical.known[c] += cell->known[c];
                typical.channel[c] += cell->channel[c];
              }
            for (int k = 0; k < GRAIN; k++)
              typical.octave[k] += cell->octave[k];
            for (int k = 0; k < 2; k++)
              typical.finest[k] += cell->finest[k];
          }
      }

  /* A mean of n squares has a mean logarithm of about -1/n. */
  for (int c = 0; c < blocks->channels; c++)
    typical.channel[c] = expf (typical.channel[c] / MAX (typical.known[c], 1) + 1 / freedom[0]);
  for (int k = 0; k < GW_OCTAVES; k++)
    {
      typical.octave[k] = expf (typical.octave[k] / typical.blocks + 1 / freedom[k]);
      typical.octave[GW_OCTAVES + k]
          = expf (typical.octave[GW_OCTAVES + k] / typical.blocks + 0.5f / freedom[k]);
    }
  for (int k = 0; k < 2; k++)
    typical.finest[k] = expf (typical.finest[k] / typical.blocks + 1 / freedom[1]);

  return typical;
}

static gboolean
is_coarse_in_colour (const Typical *typical)
{
  const float chroma = typical->octave[GW_OCTAVES];

  return typical->octave[GRAIN - 1] > COARSE * COARSE
         || (chroma > COLOURLESS * COLOURLESS && typical->finest[1] < FAINT * FAINT * chroma);
}

/* Relative sd of a block's variance.  White noise has BLOCK^2 independent values a channel; the coarser
 * the grain, and the more the channels are alike, the fewer. */
static float
expected_width (const Typical *typical, int channels)
{
  const float *o = typical->octave;
  const float luma = o[0] / channels, chroma = channels == 3 ? 2 * o[GW_OCTAVES] / 3 : 0;
  const float coarse = o[2] / channels + (channels == 3 ? 2 * o[GW_OCTAVES + 2] / 3 : 0);
  const float clumping = MAX (1, 0.8f * coarse / (luma + chroma));
  const float alike = (luma * luma + chroma * chroma / 2) / ((luma + chroma) * (luma + chroma));

  return sqrtf (2 * clumping * alike / (BLOCK * BLOCK - 3) + 0.05f * 0.05f);
}

/* ---- Public ---------------------------------------------------------------------------------------------- */

gboolean
gw_noise_estimate (const GwPhoto *photo, GwNoise *noise, GCancellable *cancellable, GError **error)
{
  g_autofree Cell *cells = g_new0 (Cell, BRIGHTNESS * VARIANCES);
  g_autofree float *likelihoods = g_new (float, 3 * BRIGHTNESS * VARIANCES);
  Blocks blocks
      = { .channels = photo->channels, .cells = (Cell (*)[VARIANCES]) cells, .likelihoods = likelihoods };
  Band band;
  Typical typical;
  gboolean complete, white;
  float fine;

  *noise = gw_noise_white (0);
  if (!read_blocks (photo, photo->channels, CLIPPED, &blocks, cancellable, error))
    return FALSE;
  /* In a photo of yellow flowers all blue may be clipped.  (The few blocks taken before then count twice.) */
  complete = photo->channels == 1 || blocks.blocks >= MAX (FEWEST, ENOUGH * blocks.looked_at);
  if (!complete && !read_blocks (photo, 1, CLIPPED, &blocks, cancellable, error))
    return FALSE;
  if (blocks.blocks < FEWEST && !read_blocks (photo, 1, MOST_CLIPPED, &blocks, cancellable, error))
    return FALSE;
  if (blocks.blocks == 0)
    {
      noise->level_error = GW_UNKNOWN;
      return TRUE;
    }

  typical = typical_of_band (&blocks, NULL);
  for (int round = 0; round < 2; round++)
    {
      Typical found;

      band = find_band (&blocks, expected_width (&typical, photo->channels));
      found = typical_of_band (&blocks, &band);
      if (found.blocks >= FEWEST)
        typical = found;
    }

  /* Noise that reaches into the finest detail is the same in all octaves; what is more in the coarse ones
   * is texture, if it is not coarse in colour, too, as the noise of a photo developed without any
   * softening. */
  fine = photo->channels == 1 ? typical.finest[0] : (typical.finest[0] + 2 * typical.finest[1]) / 3;
  white = fine > FINE && (photo->channels == 1 || (complete && !is_coarse_in_colour (&typical)));
  for (int c = 0; c < photo->channels; c++)
    for (int k = 0; k < GW_KNOTS; k++)
      noise->level[c][k] = sqrtf (expf (band.knots[k]) * typical.channel[c] * (white ? fine : 1));
  for (int k = 0; k < (photo->channels == 1 ? GW_OCTAVES : GRAIN); k++)
    {
      const float grain = sqrtf (white ? typical.finest[k / GW_OCTAVES] / fine : typical.octave[k]) - 1;

      noise->grain[k] = white && fabsf (grain) < ALIKE ? 0 : grain;
    }
  noise->level_error = GW_SURE + GW_UNSURE * MAX (1 - band.share / COMMON, 0);

  return TRUE;
}

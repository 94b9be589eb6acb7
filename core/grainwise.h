/* Grainwise: the denoised photo, and where it can be trusted.
 *
 * The whole public interface of the engine.  A model is loaded once and may be used by several threads; a
 * run reads a photo by rows and hands out its posterior by rows, from top to bottom.
 *
 * Units: every pixel value is in the encoding that the photo is edited in (R'G'B' or Y'), 1.0 = white; a
 * noise level is a standard deviation in that unit.  255 levels = 1.0.  Rows are arrays of float, channels
 * last, without padding: rows * width * channels.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#pragma once

#include <gio/gio.h>

G_BEGIN_DECLS

#define GW_ERROR (gw_error_quark ())

typedef enum
{
  GW_ERROR_MODEL, /* a model file that is broken, or of a kind that this version does not know */
  GW_ERROR_PHOTO, /* a photo or noise level that cannot be worked on */
  GW_ERROR_MEMORY /* not enough memory for this width */
} GwError;

GQuark gw_error_quark (void);

/* ---- Models ---------------------------------------------------------------------------------------------- */

typedef struct _GwModel GwModel;

/* What a model says of itself.  Strings belong to the model. */
typedef struct
{
  const char *name;
  const char *version;
  const char *architecture;
  const char *noise_range_levels; /* trained range of the noise level, in 8-bit levels */
  const char *encoding;
  const char *training;
  const char *licence;
  gint64 parameters;
  double multiply_adds_per_pixel;
  int radius; /* but for rounding, no output pixel can depend on one farther away */
  int reach;  /* and none does on one farther away than this */
  /* and a crop gives the same result if its origin is a multiple of this (the same bytes, if of four times
   * this) */
  int alignment;
} GwModelCard;

/**
 * gw_model_load:
 * @path: a .safetensors file
 *
 * Reads a model and checks all of it: the file's structure, the metadata, the shape, type and values of every
 * tensor.  Returns: a model to free with gw_model_free(), or %NULL with @error naming the tensor or the byte.
 */
GwModel *gw_model_load (const char *path, GError **error);
void gw_model_free (GwModel *model);
const GwModelCard *gw_model_get_card (const GwModel *model);

G_DEFINE_AUTOPTR_CLEANUP_FUNC (GwModel, gw_model_free)

/* ---- The posterior of a photo ---------------------------------------------------------------------------- */

/**
 * GwReadRows:
 * @y: first row, 0 <= @y
 * @n_rows: how many rows
 * @rows: (out): room for @n_rows * width * channels values
 *
 * Fills @rows.  Called from the thread that runs, mostly downwards; the last rows may be asked for twice,
 * since the lower edge is mirrored.
 */
typedef gboolean (*GwReadRows) (int y, int n_rows, float *rows, gpointer data, GError **error);

typedef struct
{
  int width, height;
  int channels; /* 1 (grey) or 3 (red, green, blue) */
  GwReadRows read;
  gpointer data;
} GwPhoto;

enum
{
  GW_KNOTS = 9,  /* of the noise level over brightness, evenly spaced from black to white */
  GW_OCTAVES = 3 /* of the grain: single pixels, means of 2x2, means of 4x4 */
};

/* Gaussian noise: its level, which may change with brightness and channel, and how it hangs together from
 * pixel to pixel.  (noise.py, beside the weights, defines the same for training.) */
typedef struct
{
  /* Standard deviation by channel (level[0] alone for a grey photo) at every knot of brightness; between
   * knots the variance is linear. */
  float level[3][GW_KNOTS];

  /* How much more noise there is in each octave than white noise of this level would have, less 1: of luma
   * (the mean of the channels), then of chroma (what is left).  All 0: white.  Models that know white
   * noise only ignore it. */
  float grain[2 * GW_OCTAVES];

  /* Where set, it gives the level of every pixel and channel instead. */
  GwReadRows read;
  gpointer data;

  /* How well the level is known: the standard deviation of its logarithm, 0.1 for give or take 10 %; 0:
   * exactly. */
  float level_error;

  /* Where noise is not what the model was told: how much larger the squared error is than it predicts,
   * less 1.  The covariance that comes out is widened by it. */
  float misfit;
} GwNoise;

/**
 * gw_noise_white:
 * @level: standard deviation, 1.0 = white
 *
 * Returns: noise of this level everywhere, independent from pixel to pixel and channel to channel.
 */
GwNoise gw_noise_white (double level);

/**
 * gw_noise_set_grain_size:
 * @size: 0 for noise that is independent from pixel to pixel, else the standard deviation, in pixels, of a
 *        Gaussian that such noise has been blurred with
 *
 * Gives noise the grain that goes with one number; its level stays.
 */
void gw_noise_set_grain_size (GwNoise *noise, double size);

/* The size whose grain is most like that of the noise in luma, 0 to 4. */
double gw_noise_get_grain_size (const GwNoise *noise);

/* A block of finished rows: of the photo, or of the window of it that was asked for. */
typedef struct
{
  int y, n_rows, width, channels;
  const float *noisy;      /* y, the photo as read */
  const float *level;      /* the noise level of every pixel and channel */
  const float *mean;       /* E[x|y], the denoised photo */
  const float *covariance; /* Cov[x|y] of a pixel's colour: rr, rg, rb, gg, gb, bb; grey: one variance */
} GwPosterior;

typedef gboolean (*GwWriteRows) (const GwPosterior *rows, gpointer data, GError **error);
typedef void (*GwProgress) (double fraction, gpointer data);

/* A part of a photo, in pixels. */
typedef struct
{
  int x, y, width, height;
} GwWindow;

typedef struct
{
  int threads; /* 0: one for each processor */
  GCancellable *cancellable;
  GwProgress progress; /* called from the thread that runs, a few times a second at most on large photos */
  gpointer progress_data;

  /* The part of the photo that is wanted, 0 wide: all.  Then only what it depends on is computed, and the
   * result is the same but for rounding (3e-6). */
  GwWindow window;
} GwRun;

/**
 * gw_posterior_run:
 * @model: the score model
 * @photo: what to denoise, 1x1 or larger
 * @noise: what is known of its noise
 * @run: (nullable): threads, progress, cancellation
 * @write: receives every row once, from top to bottom, in blocks; its argument is valid during the call
 *
 * Runs the network over the photo, a few rows at a time: memory grows with the width, not with the height.
 * Returns the posterior mean by Tweedie's formula, E[x|y] = y + S s1(y) (Robbins 1956; Efron 2011), and the
 * posterior covariance Cov[x|y] = S + S s2(y) S (Meng, Song, Li, Ermon 2021, Theorem 1), S = diag(level^2),
 * times 1 + misfit.
 *
 * Where the level is 0 the photo comes back as it is, with variance 0.  Pixels that are not finite (or beyond
 * 10^4 times white) are filled from their neighbours in the row before the network sees them; what comes back
 * there is the network's estimate.
 *
 * Returns: %FALSE with @error set by @read or @write, or in the domains %GW_ERROR and %G_IO_ERROR
 * (cancelled).
 */
gboolean gw_posterior_run (const GwModel *model, const GwPhoto *photo, const GwNoise *noise, const GwRun *run,
                           GwWriteRows write, gpointer data, GError **error);

/**
 * gw_posterior_variance:
 * @i: a value of the rows, (row * width + column) * channels + channel
 *
 * Returns: the posterior variance of that value, from the diagonal of its pixel's covariance.
 */
float gw_posterior_variance (const GwPosterior *rows, gsize i);

/**
 * gw_posterior_scores:
 * @s1: (out) (nullable): n_rows * width * channels, the first-order score S^-1 (D - y)
 * @s2: (out) (nullable): as many values as the covariance, the second-order score S^-1 (C - S) S^-1
 *
 * The scores of the noisy density that the posterior was made from, in 1/unit and 1/unit^2.  The level must
 * not be 0.
 */
void gw_posterior_scores (const GwPosterior *rows, float *s1, float *s2);

/* ---- Samples of the posterior ---------------------------------------------------------------------------- */

/**
 * GwScore:
 * @density: what is known of clean photos
 * @state: a clean photo with noise
 * @noise: of that state; the level comes from @noise->read
 * @write: receives mean and covariance of the clean photo behind the state, which are the density's two
 *         scores there
 *
 * Like gw_posterior_run(), which is the one that matters, gw_model_score().  A state may be overwritten by
 * rows once they have been written, so it must be read well ahead.
 */
typedef gboolean (*GwScore) (gconstpointer density, const GwPhoto *state, const GwNoise *noise,
                             const GwRun *run, GwWriteRows write, gpointer data, GError **error);

gboolean gw_model_score (gconstpointer model, const GwPhoto *state, const GwNoise *noise, const GwRun *run,
                         GwWriteRows write, gpointer data, GError **error);

/* What is drawn of the second-order score's covariance, from one level to the next. */
typedef enum
{
  GW_SECOND_ORDER_NONE,      /* nothing: too little variance, unless there are hundreds of levels */
  GW_SECOND_ORDER_PIXELS,    /* each pixel's colour by itself, from C */
  GW_SECOND_ORDER_NEIGHBOURS /* what pixels have in common, too, by a second pass that differentiates D */
} GwSecondOrder;

/* Steps of a sample that need no thought: by reverse diffusion more make it no truer (weights/samples.md). */
#define GW_DEFAULT_STEPS 5

/* How samples are drawn.  A step is a pass of the network over the photo. */
typedef struct
{
  /* Reverse diffusion goes from the photo's noise, level 1, down to none.  @lowest: the last level before
   * that; 0 for 1 / @levels.  They are evenly spaced. */
  int levels;
  double lowest;
  GwSecondOrder second_order;

  /* Steps of Langevin diffusion at every level in between, and whether they are Ozaki's. */
  int corrections;
  gboolean ozaki;
  double step_size; /* in units of what would just forget a pixel's noise; Langevin's diverges from 2 on */

  guint64 seed;
} GwSampling;

typedef enum
{
  GW_SAMPLER_REVERSE, /* reverse diffusion */
  GW_SAMPLER_LANGEVIN,
  GW_SAMPLER_OZAKI
} GwSampler;

/**
 * gw_sampling:
 * @steps: the most passes for each sample, 1 or more
 *
 * Returns: what does best with that many steps.
 */
GwSampling gw_sampling (GwSampler sampler, int steps, guint64 seed);

/* Returns: how many passes a sample takes. */
int gw_sampling_passes (const GwSampling *sampling);

/**
 * gw_sample:
 * @score, @density: gw_model_score() and a model, or any other density
 * @noise: of the photo; its misfit is left aside
 * @number: which of the samples that belong to the seed, from 0 on
 * @run: (nullable): threads, progress over all passes, cancellation
 * @sample: (out): height * width * channels values
 *
 * Draws a clean photo that could lie behind the noisy one: a sample of p(x|y), by reverse diffusion with the
 * second-order score, Langevin diffusion, or that with Ozaki's discretisation (Meng, Song, Li, Ermon 2021,
 * section 5).  The same bytes for the same seed and number, whatever the threads.  Where the level is 0 the
 * photo comes back as it is.
 *
 * Beside what gw_posterior_run() needs there is one more picture of the sample's size in memory at most.
 */
gboolean
gw_sample (GwScore score, gconstpointer density, const GwPhoto *photo, const GwNoise *noise,
           const GwSampling *sampling, guint number, const GwRun *run, float *sample, GError **error);

/* ---- What the posterior leaves open ------------------------------------------------------------------------ */

/* The directions in which a region's posterior is widest: its alternatives are mean + a * sd[k] *
 * direction k, -3 < a < 3, say.  Free with gw_components_clear(). */
typedef struct
{
  GwWindow region;
  int channels, n;   /* n: fewer than asked for where the region has fewer values */
  float *mean;       /* E[x|y] of the region: height * width * channels values */
  float *directions; /* n times as many: eigenvectors of the covariance, of length 1, + is the lighter side */
  double *sd;        /* n square roots of its eigenvalues, largest first */
  double colour[3];  /* mean colour of the region */
  double colour_error[3]; /* its standard error: the square root of its posterior variance */
} GwComponents;

/**
 * gw_components:
 * @score, @density: gw_model_score() and a model, or any other density
 * @photo: all of it is kept in memory, so it should be no more than what the region depends on
 * @noise: of the photo; its misfit widens the covariance
 * @region: 0 wide: all
 * @weights: (nullable): of the region's pixels, 0 to 1; width * height values.  A pixel that has none stays
 *         as it is
 * @n: how many components, 1 to 16
 * @run: (nullable): threads, progress, cancellation; no window
 * @components: (out): to be freed with gw_components_clear()
 *
 * Finds the posterior principal components of a region (Manor and Michaeli, "On the posterior distribution in
 * denoising", ICLR 2024): the first eigenvectors of W Cov[x|y] W, W = diag(weights), without derivatives of
 * the network, from
 *
 *   Cov[x|y] v = (D(y + e S v) - D(y)) / e
 *
 * where S is the covariance of the noise: its level squared, and for noise with grain the correlation of its
 * pixels.  (For white noise of level sigma that is the paper's sigma^2 (D(y + e v) - D(y)) / e.)  The
 * standard error of the mean colour takes one such product for each channel, with v = weights.
 *
 * Takes a pass of the network for each product, at most 6 @n and one for each channel.  The same bytes for
 * the same seed, whatever the threads.
 */
gboolean gw_components (GwScore score, gconstpointer density, const GwPhoto *photo, const GwNoise *noise,
                        GwWindow region, const float *weights, int n, guint64 seed, const GwRun *run,
                        GwComponents *components, GError **error);
void gw_components_clear (GwComponents *components);

/* The largest change of any value that one standard deviation of component @k makes. */
double gw_components_change (const GwComponents *components, int k);

G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (GwComponents, gw_components_clear)

/* ---- The noise of a photo -------------------------------------------------------------------------------- */

/**
 * gw_noise_estimate:
 * @noise: (out): level over brightness, and grain, and how sure the level is
 *
 * Estimates the noise from the photo itself, where it has no texture.  A photo that is texture all over makes
 * it too large; one smaller than 16x16, or clipped, seems to have none.
 */
gboolean gw_noise_estimate (const GwPhoto *photo, GwNoise *noise, GCancellable *cancellable, GError **error);

/**
 * gw_noise_refine:
 * @model: what is known of photos
 * @noise: (inout): what gw_noise_estimate() found
 * @run: (nullable): threads, cancellation
 *
 * Moves the level to where the photo is likelier under the model (by expectation and maximisation on crops of
 * it): that of white noise down, where texture was taken for noise; that of noise with grain up or down, if
 * the model knows grain, and after the model's own judgement of it, if it gives one.
 */
gboolean gw_noise_refine (const GwModel *model, const GwPhoto *photo, GwNoise *noise, const GwRun *run,
                          GError **error);

/**
 * gw_noise_add_jpeg:
 * @photo: as JPEG left it but for its edges: not enlarged or changed since
 * @noise: (inout): the noise that is left in it
 *
 * Adds what JPEG has rounded away, as far as the photo shows by which steps: between the noise of a photo's
 * smooth places and all in which it differs from the scene.  Photos that never were JPEG's show none.
 */
gboolean gw_noise_add_jpeg (const GwPhoto *photo, GwNoise *noise, GCancellable *cancellable, GError **error);

/**
 * gw_noise_mean_level:
 * @level: (out): root mean square over pixels and channels, of a few crops of the photo
 *
 * One number for noise whose level changes with brightness.
 */
gboolean gw_noise_mean_level (const GwPhoto *photo, const GwNoise *noise, double *level, GError **error);

typedef enum
{
  GW_FIT_UNKNOWN,  /* no noise could be measured, or none is assumed */
  GW_FIT_AGREES,   /* the photo's noise is as assumed */
  GW_FIT_STRONGER, /* it is stronger */
  GW_FIT_WEAKER,   /* it is weaker */
  GW_FIT_COARSER,  /* it has coarser grain than the model was told of, or knows */
  GW_FIT_LOST,     /* it is as strong, but it is lost detail rather than added noise, as after JPEG */
  GW_FIT_UNSURE    /* nothing speaks against it, but how strong it is was hard to measure */
} GwFit;

typedef struct
{
  GwFit fit;
  double level_ratio; /* the noise measured over the noise assumed, in level */
  double error_ratio; /* the squared error to be expected over the predicted variance; 1 is right */

  /* What is to be expected of the whole photo, widened by the error ratio if that is above 1. */
  double mean_variance;
  double doubtful; /* share of the pixels beyond GW_DOUBTFUL */
} GwSelfCheck;

/* A pixel is called doubtful if its standard deviation, the root mean square of its channels', exceeds
 * this: its true colour may well be twice as far off. */
#define GW_DOUBTFUL (8 / 255.0)

/**
 * gw_self_check:
 * @assumed: the noise that the photo is or will be denoised with
 * @measured: what gw_noise_estimate() found in the photo
 * @run: (nullable): threads, cancellation
 *
 * Checks on crops of the photo, without a clean one, whether the noise is as assumed, and how far off the
 * predicted variance is if not. Where the level assumed is itself unsure (@assumed->level_error), so is the
 * variance.
 */
gboolean gw_self_check (const GwModel *model, const GwPhoto *photo, const GwNoise *assumed,
                        const GwNoise *measured, const GwRun *run, GwSelfCheck *check, GError **error);

G_END_DECLS

/* Posterior principal components of a region.
 *
 * Each product of the region's covariance with a field is one pass of the network.  All products are kept:
 * the eigenvectors are sought in the span of all fields so far (Rayleigh and Ritz), which takes far fewer of
 * them than iterating with the last n alone (Musco and Musco, "Randomized block Krylov methods for stronger
 * and faster approximate singular value decomposition", 2015).
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#include <math.h>
#include <string.h>
#include <glib/gi18n-lib.h>

#include "drawn-noise.h"
#include "eigen.h"
#include "noise.h"
#include "random.h"

enum
{
  MOST = 16, /* components */
  ROUNDS = 6 /* products for each */
};

/* Length, in units of the noise, of what is added to the photo.  Going along a component by one posterior
 * standard deviation takes 1 or a little more; for a whole photo the noise itself has the square root of
 * the number of its values. */
#define DISTURBANCE 2

#define TOLERANCE 0.02 /* of an eigenvector, relative to the largest eigenvalue, when the search ends */
#define NOTHING 1e-4   /* what is left of a field that is no new one, relative to its length */

typedef struct
{
  GwScore score;
  gconstpointer density;
  const GwPhoto *photo;
  GwNoise noise;
  const GwRun *caller; /* whose progress is shown */
  GwRun run;
  gboolean grain;
  GwWindow region;
  const float *weights;
  gsize length, size;                          /* of a row of the photo; values of the region */
  float *pixels, *levels, *state, *correlated; /* of the photo; the last of S v */
  float *mean;                                 /* of the region */
  float *fields, *products;                    /* so many of the region, products as far as they were made */
  int n_fields, n_products;
  float *response; /* where a pass writes to */
  int passes, most;
} Search;

static void
search_clear (Search *search)
{
  g_free (search->pixels);
  g_free (search->levels);
  g_free (search->state);
  g_free (search->correlated);
  g_free (search->mean);
  g_free (search->fields);
  g_free (search->products);
}

G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (Search, search_clear)

/* ---- Passes ------------------------------------------------------------------------------------------------ */

static gboolean
read_state (int y, int n_rows, float *rows, gpointer data, GError **error)
{
  const Search *search = data;

  memcpy (rows, search->state + y * search->length, sizeof (float) * n_rows * search->length);

  return TRUE;
}

/* The level does not change with what is added. */
static gboolean
read_levels (int y, int n_rows, float *levels, gpointer data, GError **error)
{
  const Search *search = data;

  memcpy (levels, search->levels + y * search->length, sizeof (float) * n_rows * search->length);

  return TRUE;
}

static gboolean
write_response (const GwPosterior *rows, gpointer data, GError **error)
{
  const Search *search = data;
  const gsize length = (gsize) rows->width * rows->channels;

  memcpy (search->response + (rows->y - search->region.y) * length, rows->mean,
          sizeof (float) * rows->n_rows * length);

  return TRUE;
}

static void
show_progress (double fraction, gpointer data)
{
  const Search *search = data;

  search->caller->progress ((search->passes + fraction) / search->most, search->caller->progress_data);
}

/* D of the state, of the region. */
static gboolean
pass (Search *search, float *response, GError **error)
{
  const GwPhoto state
      = { search->photo->width, search->photo->height, search->photo->channels, read_state, search };

  search->response = response;
  if (!search->score (search->density, &state, &search->noise, &search->run, write_response, search, error))
    return FALSE;
  search->passes++;

  return TRUE;
}

/* ---- Products ---------------------------------------------------------------------------------------------- */

static double
dot (const float *a, const float *b, gsize n)
{
  double sum = 0;

  for (gsize i = 0; i < n; i++)
    sum += (double) a[i] * b[i];

  return sum;
}

static void
add (float *sum, const float *field, double amount, gsize n)
{
  for (gsize i = 0; i < n; i++)
    sum[i] += amount * field[i];
}

static void
scale (float *field, double factor, gsize n)
{
  for (gsize i = 0; i < n; i++)
    field[i] *= factor;
}

static float
weight (const Search *search, gsize i)
{
  return search->weights ? search->weights[i / search->photo->channels] : 1;
}

/* W Cov[x|y] W times a field. */
static gboolean
multiply (Search *search, const float *field, float *product, GError **error)
{
  const gsize width = (gsize) search->region.width * search->photo->channels;
  const gsize whole = search->length * search->photo->height;
  double square = 0, e;

  memset (search->correlated, 0, sizeof (float) * whole);
  for (gsize i = 0; i < search->size; i++)
    {
      const gsize at = (search->region.y + i / width) * search->length
                       + search->region.x * search->photo->channels + i % width;

      search->correlated[at] = search->levels[at] * weight (search, i) * field[i];
      square += search->correlated[at] * search->correlated[at]; /* if the noise is white, v^T S v */
    }
  if (!(square > 0)) /* nothing is unknown */
    {
      memset (product, 0, sizeof (float) * search->size);
      search->passes++;
      return TRUE;
    }
  if (search->grain)
    {
      g_autofree float *white = g_memdup2 (search->correlated, sizeof (float) * whole);

      gw_drawn_noise_correlate (search->noise.grain, search->photo->width, search->photo->height,
                                search->photo->channels, search->correlated);
      square = dot (white, search->correlated, whole);
    }
  e = DISTURBANCE / sqrt (square);
  for (gsize i = 0; i < whole; i++)
    search->state[i] = search->pixels[i] + e * search->levels[i] * search->correlated[i];
  if (!pass (search, product, error))
    return FALSE;
  for (gsize i = 0; i < search->size; i++)
    product[i] = weight (search, i) * (product[i] - search->mean[i]) / e;

  return TRUE;
}

/* Takes from a field what the others have of it (by Gram and Schmidt, twice, since it rounds), and keeps
 * what is left, with length 1. */
static void
keep (Search *search, const float *field)
{
  float *new = search->fields + search->n_fields * search->size;
  const double length = sqrt (dot (field, field, search->size));
  double left;

  if (!(length > 0))
    return;
  memmove (new, field, sizeof (float) * search->size);
  for (int i = 0; i < 2 * search->n_fields; i++)
    {
      const float *other = search->fields + i % search->n_fields * search->size;

      add (new, other, -dot (new, other, search->size), search->size);
    }
  left = sqrt (dot (new, new, search->size));
  if (left > NOTHING * length)
    {
      scale (new, 1 / left, search->size);
      search->n_fields++;
    }
}

/* A field of normal numbers, with which the search begins. */
static void
keep_random (Search *search, guint64 seed, int number)
{
  const int width = search->region.width, channels = search->photo->channels;
  g_autofree float *normals = g_new (float, (gsize) width *GW_NORMALS);
  g_autofree float *field = g_new (float, search->size);

  for (int y = 0; y < search->region.height; y++)
    {
      gw_random_normals (seed, number, 0, y, width, normals);
      for (int i = 0; i < width * channels; i++)
        {
          const gsize at = (gsize) y * width * channels + i;

          field[at] = weight (search, at) * normals[i / channels * GW_NORMALS + i % channels];
        }
    }
  keep (search, field);
}

/* ---- Eigenvectors ------------------------------------------------------------------------------------------ */

typedef struct
{
  int n;
  double values[MOST];
  double shares[MOST][MOST * ROUNDS]; /* of the fields */
} Pairs;

/* The first @n in the span of the fields whose products are known. */
static void
find_pairs (const Search *search, int n, Pairs *pairs)
{
  const int m = search->n_products;
  g_autofree double *matrix = g_new (double, m *m), *vectors = g_new (double, m *m);
  g_autofree double *upper = g_new (double, m *m);

  for (int i = 0; i < m; i++)
    for (int k = 0; k < m; k++)
      upper[i * m + k]
          = dot (search->fields + i * search->size, search->products + k * search->size, search->size);
  for (int i = 0; i < m; i++) /* the network's covariance is not quite symmetric */
    for (int k = 0; k < m; k++)
      matrix[i * m + k] = (upper[i * m + k] + upper[k * m + i]) / 2;
  gw_eigen (matrix, m, vectors);

  pairs->n = MIN (n, m);
  for (int k = 0; k < pairs->n; k++)
    {
      int best = 0;

      for (int i = 1; i < m; i++)
        if (matrix[i * m + i] > matrix[best * m + best])
          best = i;
      pairs->values[k] = MAX (matrix[best * m + best], 0);
      memcpy (pairs->shares[k], vectors + best * m, sizeof (double) * m);
      matrix[best * m + best] = -INFINITY;
    }
}

/* Whether the products of the vectors are the vectors, but for the eigenvalue. */
static gboolean
are_found (const Search *search, const Pairs *pairs)
{
  g_autofree float *left = g_new (float, search->size);

  for (int k = 0; k < pairs->n; k++)
    {
      memset (left, 0, sizeof (float) * search->size);
      for (int i = 0; i < search->n_products; i++)
        {
          add (left, search->products + i * search->size, pairs->shares[k][i], search->size);
          add (left, search->fields + i * search->size, -pairs->values[k] * pairs->shares[k][i],
               search->size);
        }
      if (sqrt (dot (left, left, search->size)) > TOLERANCE * pairs->values[0])
        return FALSE;
    }
  return TRUE;
}

static gboolean
find_components (Search *search, int n, guint64 seed, GwComponents *components, GError **error)
{
  const double widening = 1 + search->noise.misfit;
  g_autofree Pairs *pairs = g_new0 (Pairs, 1);

  for (int i = 0; i < n; i++)
    keep_random (search, seed, i);
  while (search->n_products < search->n_fields && search->n_products < n * ROUNDS)
    {
      float *product = search->products + search->n_products * search->size;

      if (!multiply (search, search->fields + search->n_products * search->size, product, error))
        return FALSE;
      search->n_products++;
      if (search->n_fields < n * ROUNDS)
        keep (search, product);
      if (search->n_products % n == 0)
        {
          find_pairs (search, n, pairs);
          if (are_found (search, pairs))
            break;
        }
    }
  find_pairs (search, n, pairs);

  components->n = pairs->n;
  for (int k = 0; k < pairs->n; k++)
    {
      float *direction = components->directions + k * search->size;
      double sum = 0;

      components->sd[k] = sqrt (widening * pairs->values[k]);
      for (int i = 0; i < search->n_products; i++)
        add (direction, search->fields + i * search->size, pairs->shares[k][i], search->size);
      for (gsize i = 0; i < search->size; i++)
        sum += direction[i];
      scale (direction, (sum < 0 ? -1 : 1) / sqrt (MAX (dot (direction, direction, search->size), 1e-30)),
             search->size);
    }
  return TRUE;
}

/* ---- The mean colour --------------------------------------------------------------------------------------- */

static gboolean
find_colour (Search *search, GwComponents *components, GError **error)
{
  const int channels = search->photo->channels;
  const double widening = 1 + search->noise.misfit;
  g_autofree float *product = g_new (float, search->size);
  g_autofree float *indicator = g_new (float, search->size);
  double total = 0;

  for (gsize i = 0; i < search->size; i += channels)
    total += weight (search, i);
  for (int c = 0; c < channels && total > 0; c++)
    {
      double sum = 0;

      for (gsize i = 0; i < search->size; i++)
        {
          indicator[i] = (int) (i % channels) == c; /* the weights come with the product */
          sum += weight (search, i) * indicator[i] * search->mean[i];
        }
      if (!multiply (search, indicator, product, error))
        return FALSE;
      components->colour[c] = sum / total;
      components->colour_error[c] = sqrt (MAX (widening * dot (indicator, product, search->size), 0)) / total;
    }
  return TRUE;
}

/* ---- Public ------------------------------------------------------------------------------------------------ */

void
gw_components_clear (GwComponents *components)
{
  g_clear_pointer (&components->mean, g_free);
  g_clear_pointer (&components->directions, g_free);
  g_clear_pointer (&components->sd, g_free);
  components->n = 0;
}

double
gw_components_change (const GwComponents *components, int k)
{
  const gsize size = (gsize) components->region.width * components->region.height * components->channels;
  double largest = 0;

  for (gsize i = 0; i < size; i++)
    largest = MAX (largest, fabsf (components->directions[k * size + i]));

  return components->sd[k] * largest;
}

static gboolean
allocate (Search *search, int n, GwComponents *components, GError **error)
{
  const gsize whole = search->length * search->photo->height;

  search->pixels = g_try_new (float, whole);
  search->levels = g_try_new (float, whole);
  search->state = g_try_new (float, whole);
  search->correlated = g_try_new (float, whole);
  search->mean = g_try_new (float, search->size);
  search->fields = g_try_new (float, (n * ROUNDS + 1) * search->size);
  search->products = g_try_new (float, (n * ROUNDS + 1) * search->size);
  components->directions = g_try_new0 (float, n * search->size);
  components->sd = g_new0 (double, n);
  if (search->pixels && search->levels && search->state && search->correlated && search->mean
      && search->fields && search->products && components->directions)
    return TRUE;
  g_set_error (error, GW_ERROR, GW_ERROR_MEMORY,
               _ ("There is not enough memory for the alternatives of %d × %d pixels."), search->region.width,
               search->region.height);

  return FALSE;
}

gboolean
gw_components (GwScore score, gconstpointer density, const GwPhoto *photo, const GwNoise *noise,
               GwWindow region, const float *weights, int n, guint64 seed, const GwRun *run,
               GwComponents *components, GError **error)
{
  static const GwRun default_run = { 0 };
  const int channels = photo->channels;
  g_auto (Search) search = { .score = score,
                             .density = density,
                             .photo = photo,
                             .noise = *noise,
                             .run = run ? *run : default_run,
                             .weights = weights };
  g_auto (GwComponents) found = { 0 };

  g_return_val_if_fail (n >= 1 && n <= MOST, FALSE);
  *components = found;
  search.region = region.width > 0 ? region : (GwWindow) { 0, 0, photo->width, photo->height };
  search.length = (gsize) photo->width * channels;
  search.size = (gsize) search.region.width * search.region.height * channels;
  n = MIN ((gsize) n, search.size);
  if (!gw_noise_check (noise, channels, error) || !allocate (&search, n, &found, error))
    return FALSE;

  for (int i = 0; i < 2 * GW_OCTAVES; i++)
    search.grain |= noise->grain[i] != 0;
  search.most = 1 + channels + n * ROUNDS;
  search.run.window = search.region;
  if (search.run.progress)
    {
      search.run.progress = show_progress;
      search.run.progress_data = &search;
      search.caller = run;
    }
  if (!gw_noise_read (photo, noise, 0, photo->height, search.pixels, search.levels, error))
    return FALSE;
  search.noise.read = read_levels;
  search.noise.data = &search;
  memcpy (search.state, search.pixels, sizeof (float) * search.length * photo->height);
  if (!pass (&search, search.mean, error) || !find_components (&search, n, seed, &found, error)
      || !find_colour (&search, &found, error))
    return FALSE;
  if (run && run->progress)
    run->progress (1, run->progress_data);

  found.region = search.region;
  found.channels = channels;
  found.mean = g_steal_pointer (&search.mean);
  *components = found;
  found = (GwComponents) { 0 };

  return TRUE;
}

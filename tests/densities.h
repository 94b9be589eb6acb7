/* Densities whose scores are known: every pixel is one draw of its own, the channels its coordinates.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#pragma once

#include "grainwise.h"

enum
{
  MOST_MODES = 4
};

/* A mixture of Gaussians. */
typedef struct
{
  int n, channels;
  double weight[MOST_MODES];
  double mean[MOST_MODES][3];
  double covariance[MOST_MODES][3][3];
} Mixture;

/* Of the point behind @y, white noise of that level added: a mixture again.  That of a Gaussian is one,
 * its moments exact. */
Mixture mixture_posterior (const Mixture *prior, const double *y, const double *level);
void mixture_moments (const Mixture *mixture, double mean[3], double covariance[3][3]);
/* Which mode @x belongs to most likely. */
int mixture_mode (const Mixture *mixture, const double *x);
void mixture_draw (const Mixture *mixture, GRand *rand, double *x);
double random_normal (GRand *rand);

/* A #GwScore; the density is a Mixture. */
gboolean mixture_score (gconstpointer mixture, const GwPhoto *state, const GwNoise *noise, const GwRun *run,
                        GwWriteRows write, gpointer data, GError **error);

/* A Gaussian of pairs of neighbours in a row of a grey photo: variances of (a + b) / sqrt 2 and (a - b) /
 * sqrt 2. */
typedef struct
{
  double sum, difference;
} Pairs;

/* A #GwScore; the density is a Pairs. */
gboolean pairs_score (gconstpointer pairs, const GwPhoto *state, const GwNoise *noise, const GwRun *run,
                      GwWriteRows write, gpointer data, GError **error);

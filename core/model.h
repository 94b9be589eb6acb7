/* A model: the network that its file describes, and what it says of itself.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#pragma once

#include "grainwise.h"
#include "network.h"
#include "safetensors.h"

/* The network reads, at 1/shuffle of the photo's size, planes of the noisy photo (red, green, blue) and of
 * the noise level (the same), each as shuffle^2 channels (row, column of the pixel first), and, if it
 * knows correlated noise, the grain (times the mean level), one channel each; its outputs are laid out as
 * the photo is. */
enum
{
  GW_PLANES = 3,      /* of colour; also of the noise level, behind them */
  GW_MEAN_PLANES = 3, /* y - E[x|y] */
  GW_CHOLESKY = 6,    /* log-variance ratios of the diagonal, then l10, l20, l21 */
  GW_JUDGEMENT
  = 2 /* one for each shuffle^2 pixels: log of true over told noise level, log of that vote's weight */
};

struct _GwModel
{
  GwSafetensors *file;
  GwModelCard card;
  GwNetwork network;
  int shuffle;
  int grain;     /* input planes of the grain: none, or as many as GwNoise has */
  int multiple;  /* sides are mirrored up to a multiple of this */
  int mean;      /* the layer with GW_MEAN_PLANES * shuffle^2 channels */
  int cholesky;  /* the layer with GW_CHOLESKY * shuffle^2 channels */
  int white;     /* the same for white noise; in some models the same layer */
  int judgement; /* the layer with GW_JUDGEMENT channels, 0 if there is none */
};

/* Whether noise has coarser grain than the model is told of, and knows: it would take that for detail. */
gboolean gw_is_coarser (const GwNoise *noise, const GwModel *model, const GwNoise *told);

/* What a model thinks of the noise level that it was told. */
typedef struct
{
  double sum, weight; /* of the votes for the logarithm of the true level over that one */
} GwVotes;

/**
 * gw_judge_level:
 * @model: one that judges levels
 * @votes: (inout): those of this photo are added
 *
 * All arguments else are gw_posterior_run()'s; there is no window.
 */
gboolean gw_judge_level (const GwModel *model, const GwPhoto *photo, const GwNoise *noise, const GwRun *run,
                         GwVotes *votes, GError **error);

/* The installed models, by name.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#pragma once

#include "grainwise.h"

#define GW_DEFAULT_MODEL "best"
#define GW_ESTIMATE_MODEL "fast" /* estimates noise whichever model removes it, so that all remove the same */

/* Names of the models installed, sorted; free with g_strfreev().  The folder is $GRAINWISE_MODELS where
 * set, else that of the installation. */
GStrv gw_models_list (void);

/**
 * gw_models_load:
 * @name: an installed model's name, or a file (anything with a slash, or ending in .safetensors)
 */
GwModel *gw_models_load (const char *name, GError **error);

/* Large blocks of numbers, in large pages of memory where the system has them: the tiles' 36 points lie in as
 * many places, and with small pages the processor spends a third of its time looking up where.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#pragma once

#include <glib.h>

/* Returns @n zeros, %NULL if there is not enough memory; to be freed with gw_pages_free(). */
float *gw_pages_new (gsize n);
void gw_pages_free (float *pages);

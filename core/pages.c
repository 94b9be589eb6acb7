/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "pages.h"

#include <stdlib.h>
#ifdef __linux__
#include <sys/mman.h>
#endif

#define LARGE_PAGE ((gsize) 2 << 20)
#define VECTOR 64

float *
gw_pages_new (gsize n)
{
  const gsize alignment = n * sizeof (float) < LARGE_PAGE ? VECTOR : LARGE_PAGE;
  const gsize room = alignment + sizeof (gpointer);
  char *block, *pages;

  if (n > (G_MAXSIZE - room) / sizeof (float)) /* n * sizeof (float) may have overflown above */
    return NULL;
  block = calloc (1, n * sizeof (float) + room); /* large ones are fresh from the system, and not yet there */
  if (!block)
    return NULL;

  pages = block + room - ((gsize) block + room) % alignment;
  ((gpointer *) pages)[-1] = block;
#ifdef MADV_HUGEPAGE
  if (alignment == LARGE_PAGE)
    madvise (pages, n * sizeof (float), MADV_HUGEPAGE);
#endif
  return (float *) pages;
}

void
gw_pages_free (float *pages)
{
  if (pages)
    free (((gpointer *) pages)[-1]);
}

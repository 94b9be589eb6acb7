/* A few threads that share the jobs of one step, then wait for the next.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#pragma once

#include <glib.h>

typedef struct _GwWorkers GwWorkers;
/* @thread: 0 to gw_workers_count() - 1, for what each thread has for itself. */
typedef void (*GwJob) (int job, int thread, gpointer data);

/* @threads: how many work, the caller's own among them; 0: one for each processor. */
GwWorkers *gw_workers_new (int threads);
void gw_workers_free (GwWorkers *workers);
int gw_workers_count (const GwWorkers *workers);

/* Calls @job once for every number from 0 to @n_jobs - 1, in any order and by any thread; returns when all
 * are done. */
void gw_workers_run (GwWorkers *workers, GwJob job, gpointer data, int n_jobs);

G_DEFINE_AUTOPTR_CLEANUP_FUNC (GwWorkers, gw_workers_free)

/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "workers.h"

#include <cblas.h>

#define LINGER 100 /* microseconds: some times what it takes to wake a thread */

/* A number that threads wait for.  It is atomic; who finds it as it should be takes no lock. */
typedef struct
{
  int number;
  int sleepers; /* atomic too */
  GMutex mutex;
  GCond changed;
} Gate;

struct _GwWorkers
{
  GPtrArray *threads;
  int numbered; /* threads that have begun; atomic */

  /* the step at work; without a job threads end */
  Gate step; /* steps so far */
  Gate busy; /* threads that have not finished this one */
  GwJob job;
  gpointer data;
  int n_jobs;
  int next; /* atomic */
};

static void
gate_init (Gate *gate)
{
  g_mutex_init (&gate->mutex);
  g_cond_init (&gate->changed);
}

static void
gate_clear (Gate *gate)
{
  g_mutex_clear (&gate->mutex);
  g_cond_clear (&gate->changed);
}

/* Tells those who sleep that the number has changed. */
static void
gate_tell (Gate *gate)
{
  if (g_atomic_int_get (&gate->sleepers) == 0)
    return;
  g_mutex_lock (&gate->mutex);
  g_cond_broadcast (&gate->changed);
  g_mutex_unlock (&gate->mutex);
}

/* First without sleep: steps often take no longer than it takes to wake a thread. */
static void
gate_wait (Gate *gate, int number)
{
  const gint64 end = g_get_monotonic_time () + LINGER;

  while (g_atomic_int_get (&gate->number) != number && g_get_monotonic_time () < end)
    g_thread_yield ();
  if (g_atomic_int_get (&gate->number) == number)
    return;

  g_mutex_lock (&gate->mutex);
  g_atomic_int_inc (&gate->sleepers);
  while (g_atomic_int_get (&gate->number) != number)
    g_cond_wait (&gate->changed, &gate->mutex);
  g_atomic_int_add (&gate->sleepers, -1);
  g_mutex_unlock (&gate->mutex);
}

static void
work (GwWorkers *workers, int thread)
{
  for (int i; (i = g_atomic_int_add (&workers->next, 1)) < workers->n_jobs;)
    workers->job (i, thread, workers->data);
}

static gpointer
thread_main (gpointer data)
{
  GwWorkers *workers = data;
  const int number = 1 + g_atomic_int_add (&workers->numbered, 1); /* the caller's thread is 0 */

  for (int step = 1;; step++)
    {
      gate_wait (&workers->step, step);
      if (!workers->job)
        return NULL;
      work (workers, number);
      if (g_atomic_int_dec_and_test (&workers->busy.number))
        gate_tell (&workers->busy);
    }
}

static void
begin_step (GwWorkers *workers, GwJob job, gpointer data, int n_jobs)
{
  workers->job = job;
  workers->data = data;
  workers->n_jobs = n_jobs;
  g_atomic_int_set (&workers->next, 0);
  g_atomic_int_set (&workers->busy.number, workers->threads->len);
  g_atomic_int_inc (&workers->step.number);
  gate_tell (&workers->step);
}

GwWorkers *
gw_workers_new (int threads)
{
  GwWorkers *workers = g_new0 (GwWorkers, 1);

  /* The products are small: threads inside OpenBLAS only get in each other's way.  This setting is the
   * process's. */
  openblas_set_num_threads (1);

  gate_init (&workers->step);
  gate_init (&workers->busy);
  workers->threads = g_ptr_array_new ();
  for (int i = 1; i < (threads > 0 ? threads : (int) g_get_num_processors ()); i++)
    {
      GThread *thread = g_thread_try_new ("grainwise", thread_main, workers, NULL);

      if (!thread) /* with fewer it is only slower */
        break;
      g_ptr_array_add (workers->threads, thread);
    }
  return workers;
}

void
gw_workers_free (GwWorkers *workers)
{
  begin_step (workers, NULL, NULL, 0);
  for (guint i = 0; i < workers->threads->len; i++)
    g_thread_join (g_ptr_array_index (workers->threads, i));

  g_ptr_array_unref (workers->threads);
  gate_clear (&workers->step);
  gate_clear (&workers->busy);
  g_free (workers);
}

int
gw_workers_count (const GwWorkers *workers)
{
  return workers->threads->len + 1;
}

void
gw_workers_run (GwWorkers *workers, GwJob job, gpointer data, int n_jobs)
{
  begin_step (workers, job, data, n_jobs);
  work (workers, 0);
  gate_wait (&workers->busy, 0);
}

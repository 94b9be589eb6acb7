/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "workers.h"

#include <cblas.h>

#define LINGER 100 /* microseconds: some times what it takes to wake a thread */

struct _GwWorkers
{
  GMutex mutex;
  GCond begin, end;
  GPtrArray *threads;

  /* the step at work, guarded by the mutex but for next */
  GwJob job;
  gpointer data;
  int n_jobs;
  int next; /* atomic */
  int busy; /* threads that have not finished this step; this and the next are atomic, to be read without the mutex too */
  int step;
  int numbered; /* threads that have begun */
  gboolean quit;
};

/* Waits a moment for @number to become @value: a step often takes no longer than it takes to wake a sleeping thread. */
static void
linger (const int *number, int value)
{
  gint64 end = g_get_monotonic_time () + LINGER;

  while (g_atomic_int_get (number) != value && g_get_monotonic_time () < end)
    g_thread_yield ();
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
  int step = 0;
  int number;

  g_mutex_lock (&workers->mutex);
  number = ++workers->numbered; /* the caller's thread is 0 */
  while (TRUE)
    {
      g_mutex_unlock (&workers->mutex);
      linger (&workers->step, step + 1);
      g_mutex_lock (&workers->mutex);
      while (workers->step == step && !workers->quit)
        g_cond_wait (&workers->begin, &workers->mutex);
      if (workers->quit)
        break;
      step = workers->step;

      g_mutex_unlock (&workers->mutex);
      work (workers, number);
      g_mutex_lock (&workers->mutex);

      if (g_atomic_int_dec_and_test (&workers->busy))
        g_cond_signal (&workers->end);
    }
  g_mutex_unlock (&workers->mutex);

  return NULL;
}

GwWorkers *
gw_workers_new (int threads)
{
  GwWorkers *workers = g_new0 (GwWorkers, 1);

  /* The products are small: threads inside OpenBLAS only get in each other's way.  This setting is the process's. */
  openblas_set_num_threads (1);

  g_mutex_init (&workers->mutex);
  g_cond_init (&workers->begin);
  g_cond_init (&workers->end);
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
  g_mutex_lock (&workers->mutex);
  workers->quit = TRUE;
  g_cond_broadcast (&workers->begin);
  g_mutex_unlock (&workers->mutex);

  for (guint i = 0; i < workers->threads->len; i++)
    g_thread_join (g_ptr_array_index (workers->threads, i));

  g_ptr_array_unref (workers->threads);
  g_cond_clear (&workers->begin);
  g_cond_clear (&workers->end);
  g_mutex_clear (&workers->mutex);
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
  g_mutex_lock (&workers->mutex);
  workers->job = job;
  workers->data = data;
  workers->n_jobs = n_jobs;
  g_atomic_int_set (&workers->busy, workers->threads->len);
  g_atomic_int_set (&workers->next, 0);
  g_atomic_int_inc (&workers->step);
  g_cond_broadcast (&workers->begin);
  g_mutex_unlock (&workers->mutex);

  work (workers, 0);

  linger (&workers->busy, 0);
  g_mutex_lock (&workers->mutex);
  while (workers->busy > 0)
    g_cond_wait (&workers->end, &workers->mutex);
  g_mutex_unlock (&workers->mutex);
}

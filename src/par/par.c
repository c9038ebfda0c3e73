/* The parallel loop, on OpenMP or, with NL_PAR_PTHREAD (thread sanitizer) or without OpenMP, on
 * plain threads; both run the same blocks. */
#include "par/par.h"

#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#ifdef __SSE2__
#include <xmmintrin.h>
#endif

#if defined(_OPENMP) && !defined(NL_PAR_PTHREAD)
#include <omp.h>
#else
#include <pthread.h>
#endif

enum { WORK_PER_THREAD = 1 << 19 }; /* bytes or flops worth a fork: some 5 to 10 us */

static int threads = 1;
static bool ignore_work;
static atomic_int workers_seen;
static _Thread_local int worker;

void nl_threads_set(int n) { threads = n < 1 ? 1 : n > NL_THREADS_MAX ? NL_THREADS_MAX : n; }
int nl_threads(void) { return threads; }
int nl_worker(void) { return worker; }
void nl_par_ignore_work(bool on) { ignore_work = on; }
int nl_par_workers_seen(void) { return atomic_exchange(&workers_seen, 0); }

void nl_flush_denormals(void)
{
#ifdef __SSE2__
    enum { FLUSH_TO_ZERO = 0x8000, DENORMALS_ARE_ZERO = 0x0040 };
    _mm_setcsr(_mm_getcsr() | FLUSH_TO_ZERO | DENORMALS_ARE_ZERO);
#endif
}

static int team_size(int64_t nblocks, int64_t work)
{
    int64_t n = ignore_work ? threads : 1 + work / WORK_PER_THREAD;
    if (n > threads)
        n = threads;
    return (int)(n < nblocks ? n : nblocks);
}

static void note_workers(int n)
{
    int seen = atomic_load(&workers_seen);
    while (seen < n && !atomic_compare_exchange_weak(&workers_seen, &seen, n))
        ;
}

typedef struct team {
    int64_t nblocks;
    void (*body)(int64_t b, void *arg);
    void *arg;
    int size;
    atomic_int ran; /* workers that did at least one block */
} team;

/* Worker w of the team does every block of its contiguous share. */
static void do_share(team *t, int w)
{
    const int64_t from = t->nblocks * w / t->size, to = t->nblocks * (w + 1) / t->size;
    worker = w;
    nl_flush_denormals();
    for (int64_t b = from; b < to; b++)
        t->body(b, t->arg);
    worker = 0;
    if (to > from)
        atomic_fetch_add(&t->ran, 1);
}

#if defined(_OPENMP) && !defined(NL_PAR_PTHREAD)
static void run_team(team *t)
{
#pragma omp parallel num_threads(t->size)
    {
        /* OpenMP may give fewer threads than asked: shares are dealt out, not owned. */
        for (int w = omp_get_thread_num(); w < t->size; w += omp_get_num_threads())
            do_share(t, w);
    }
}
#else
typedef struct member {
    team *t;
    int w;
} member;

static void *run_member(void *arg)
{
    const member *m = arg;
    do_share(m->t, m->w);
    return NULL;
}

static void run_team(team *t)
{
    pthread_t id[NL_THREADS_MAX];
    member m[NL_THREADS_MAX];
    bool started[NL_THREADS_MAX] = {false};
    for (int w = 1; w < t->size; w++) {
        m[w] = (member){t, w};
        started[w] = pthread_create(&id[w], NULL, run_member, &m[w]) == 0;
    }
    do_share(t, 0);
    for (int w = 1; w < t->size; w++) {
        if (started[w])
            pthread_join(id[w], NULL);
        else
            do_share(t, w);
    }
}
#endif

void nl_for(int64_t nblocks, int64_t work, void (*body)(int64_t b, void *arg), void *arg)
{
    const int size = team_size(nblocks, work);
    if (size <= 1) {
        nl_flush_denormals();
        for (int64_t b = 0; b < nblocks; b++)
            body(b, arg);
        return;
    }
    team t = {.nblocks = nblocks, .body = body, .arg = arg, .size = size};
    run_team(&t);
    note_workers(atomic_load(&t.ran));
}

void nl_fold(double *part, int64_t nblocks, int64_t width)
{
    for (int64_t step = 1; step < nblocks; step *= 2)
        for (int64_t b = 0; b + step < nblocks; b += 2 * step) {
            double *into = part + b * width;
            const double *from = part + (b + step) * width;
            for (int64_t i = 0; i < width; i++)
                into[i] += from[i];
        }
}

/* The parallel loop. Worker 0 is the caller; the others are threads that start when they are first
 * needed and stay. Each is offered a share of the blocks; a share that its worker has not begun
 * when the caller is done with its own is done by the caller, so that nobody waits for a thread
 * that the system has no core for. Who waits looks for a moment, then sleeps: other processes have
 * the cores. */
#include "par/par.h"

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <string.h>

#ifdef __SSE2__
#include <xmmintrin.h>
#endif

enum {
    WORK_PER_THREAD = 1 << 18, /* bytes or flops worth a share of its own: some 5 us */
    LOOKS = 2500 /* before sleeping: some 50 us, what falling asleep and waking take */
};

static int threads = 1;
static bool ignore_work;
static atomic_int workers_seen;
static _Thread_local int worker;

void nl_threads_set(int n) { threads = n < 1 ? 1 : n > NL_THREADS_MAX ? NL_THREADS_MAX : n; }
int nl_threads(void) { return threads; }

int nl_cores(void)
{
    cpu_set_t set;
    return sched_getaffinity(0, sizeof set, &set) == 0 && CPU_COUNT(&set) > 0 ? CPU_COUNT(&set) : 1;
}

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

/* ---- workers */

typedef struct team {
    int64_t nblocks;
    void (*body)(int64_t b, void *arg);
    void *arg;
    int size;
    atomic_int ran; /* workers that did at least one block */
} team;

/* What becomes of a worker's share: offered by the caller, then begun by the worker's thread, or
 * taken back. */
enum { NOTHING, OFFERED, BEGUN };

typedef struct member {
    _Alignas(128) atomic_int share; /* alone in its cache lines */
    atomic_int sleepers;
    pthread_mutex_t lock;
    pthread_cond_t changed; /* share has, while somebody slept */
    team *t;
    int number;
    bool started;
} member;

static member members[NL_THREADS_MAX];
static atomic_flag in_use = ATOMIC_FLAG_INIT; /* members, by a loop in flight */

static void look_again(void)
{
#ifdef __SSE2__
    _mm_pause();
#endif
}

static void set_share(member *m, int share)
{
    atomic_store(&m->share, share);
    if (atomic_load(&m->sleepers) == 0)
        return;
    pthread_mutex_lock(&m->lock);
    pthread_cond_broadcast(&m->changed);
    pthread_mutex_unlock(&m->lock);
}

static void wait_for_share(member *m, int wanted)
{
    for (int i = 0; i < LOOKS; i++) {
        if (atomic_load(&m->share) == wanted)
            return;
        look_again();
    }
    pthread_mutex_lock(&m->lock);
    atomic_fetch_add(&m->sleepers, 1);
    while (atomic_load(&m->share) != wanted)
        pthread_cond_wait(&m->changed, &m->lock);
    atomic_fetch_sub(&m->sleepers, 1);
    pthread_mutex_unlock(&m->lock);
}

static bool turn_share(member *m, int from, int to)
{
    return atomic_compare_exchange_strong(&m->share, &from, to);
}

/* Worker w of the team does every block of its contiguous share. */
static void do_share(team *t, int w)
{
    const int64_t from = t->nblocks * w / t->size, to = t->nblocks * (w + 1) / t->size;
    const int before = worker;
    worker = w;
    nl_flush_denormals();
    for (int64_t b = from; b < to; b++)
        t->body(b, t->arg);
    worker = before;
}

static void *serve(void *arg)
{
    member *m = arg;
    for (;;) {
        wait_for_share(m, OFFERED);
        if (!turn_share(m, OFFERED, BEGUN))
            continue; /* taken back */
        do_share(m->t, m->number);
        atomic_fetch_add(&m->t->ran, 1);
        set_share(m, NOTHING);
    }
    return NULL;
}

static void start(member *m, int number)
{
    pthread_t id;
    m->number = number;
    pthread_mutex_init(&m->lock, NULL);
    pthread_cond_init(&m->changed, NULL);
    m->started = pthread_create(&id, NULL, serve, m) == 0;
    if (m->started)
        pthread_detach(id);
}

static void run_team(team *t)
{
    for (int w = 1; w < t->size; w++) {
        member *m = &members[w];
        if (!m->started)
            start(m, w);
        m->t = t;
        set_share(m, OFFERED);
    }
    do_share(t, 0);
    for (int w = 1; w < t->size; w++) {
        member *m = &members[w];
        const bool wants_worker = ignore_work && m->started;
        if (!wants_worker && turn_share(m, OFFERED, NOTHING))
            do_share(t, w);
        else
            wait_for_share(m, NOTHING);
    }
}

void nl_for(int64_t nblocks, int64_t work, void (*body)(int64_t b, void *arg), void *arg)
{
    const int size = team_size(nblocks, work);
    if (size <= 1 || atomic_flag_test_and_set(&in_use)) {
        nl_flush_denormals();
        for (int64_t b = 0; b < nblocks; b++)
            body(b, arg);
        return;
    }
    team t = {.nblocks = nblocks, .body = body, .arg = arg, .size = size, .ran = 1};
    run_team(&t);
    note_workers(atomic_load(&t.ran));
    atomic_flag_clear(&in_use);
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

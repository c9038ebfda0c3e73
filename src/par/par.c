/* The parallel loop. Worker 0 is the caller; the others are threads that start when they are first
 * needed and stay. Each is offered a share of the blocks, the same in every loop of as many blocks,
 * so that it finds in its cache what it wrote there; who is done with its own goes on with the
 * others', so that nobody waits for a thread that the system has no core for. Who waits looks for a
 * moment, then sleeps: other processes have the cores. */
#include "par/par.h"

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <string.h>

#ifdef __SSE2__
#include <xmmintrin.h>
#endif

enum {
    WORK_PER_THREAD = 1 << 16, /* bytes or flops worth a share of its own: a us or more */
    LOOKS = 2500 /* before sleeping: some 50 us, what falling asleep and waking take */
};

static int threads = 1;
static bool ignore_work;
static atomic_int workers_seen;

void nl_threads_set(int n) { threads = n < 1 ? 1 : n > NL_THREADS_MAX ? NL_THREADS_MAX : n; }
int nl_threads(void) { return threads; }

int nl_cores(void)
{
    cpu_set_t set;
    return sched_getaffinity(0, sizeof set, &set) == 0 && CPU_COUNT(&set) > 0 ? CPU_COUNT(&set) : 1;
}

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

/* Of the blocks of a share. MEETING: two neighbours go towards each other, so that what one takes
 * of the other's lies beside its own, and the next loop's border is near this one's; PARTING: back
 * the same way. */
enum order { MEETING, PARTING, IN_ORDER };

/* What becomes of a worker's share: offered by the caller, then begun by the worker's thread, or
 * taken back. */
enum { NOTHING, OFFERED, BEGUN };

/* What caller and worker tell each other is one cache line: passing it on is what a fork costs. */
typedef struct member {
    _Alignas(128) atomic_int share;
    int team; /* shares of this loop */
    void (*body)(int64_t b, void *arg);
    void *arg;
    atomic_llong begun; /* blocks of the share: begun .. count-1 are not */
    int64_t count;
    int64_t first, step; /* block k of the share is first + k step */
    bool did_some;

    _Alignas(64) atomic_int sleepers;
    pthread_mutex_t lock;
    pthread_cond_t changed; /* share has, while somebody slept */
    int number;
    bool started;
} member;

static member members[NL_THREADS_MAX];
static atomic_flag in_use = ATOMIC_FLAG_INIT; /* members, by a loop in flight */
static _Thread_local bool in_loop;            /* this thread does blocks of it */

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

static bool take_block(member *of, int64_t *b)
{
    const int64_t k = atomic_fetch_add(&of->begun, 1);
    *b = of->first + k * of->step;
    return k < of->count;
}

/* For tests: its thread does its share, however long that takes to wake. */
static bool is_left_alone(const member *m) { return ignore_work && m->started; }

/* The blocks of m's share, then those that the others have not begun. */
static void do_blocks(member *m)
{
    int64_t b;
    nl_flush_denormals();
    in_loop = true;
    m->did_some = false;
    for (int k = 0; k < m->team; k++) {
        member *of = &members[(m->number + k) % m->team];
        for (; (of == m || !is_left_alone(of)) && take_block(of, &b); m->did_some = true)
            m->body(b, m->arg);
    }
    in_loop = false;
}

static void *serve(void *arg)
{
    member *m = arg;
    for (;;) {
        wait_for_share(m, OFFERED);
        if (!turn_share(m, OFFERED, BEGUN))
            continue; /* taken back */
        do_blocks(m);
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

/* Whether a worker goes from the last block of its share to the first. */
static bool goes_back(int worker, enum order order)
{
    const bool odd = worker % 2 == 1;
    return order == MEETING ? odd : order == PARTING && !odd;
}

static void deal(int64_t nblocks, enum order order, void (*body)(int64_t b, void *arg), void *arg,
                 int team)
{
    for (int w = 0; w < team; w++) {
        member *m = &members[w];
        const int64_t from = nblocks * w / team, to = nblocks * (w + 1) / team;
        m->team = team, m->body = body, m->arg = arg;
        m->count = to - from;
        m->first = goes_back(w, order) ? to - 1 : from;
        m->step = goes_back(w, order) ? -1 : 1;
        atomic_store_explicit(&m->begun, 0, memory_order_relaxed);
    }
}

/* How many took part. */
static int run_team(int team)
{
    int took_part = 1;
    for (int w = 1; w < team; w++)
        if (!members[w].started)
            start(&members[w], w);
    for (int w = 1; w < team; w++)
        set_share(&members[w], OFFERED);
    do_blocks(&members[0]);
    for (int w = 1; w < team; w++) {
        member *m = &members[w];
        if (!is_left_alone(m) && turn_share(m, OFFERED, NOTHING))
            continue;
        wait_for_share(m, NOTHING);
        took_part += m->did_some;
    }
    return took_part;
}

static void run(int64_t nblocks, enum order order, int64_t work, void (*body)(int64_t b, void *arg),
                void *arg)
{
    const int team = in_loop ? 1 : team_size(nblocks, work);
    if (team <= 1 || atomic_flag_test_and_set(&in_use)) {
        if (!in_loop)
            nl_flush_denormals();
        for (int64_t k = 0; k < nblocks; k++)
            body(goes_back(0, order) ? nblocks - 1 - k : k, arg);
        return;
    }
    deal(nblocks, order, body, arg, team);
    note_workers(run_team(team));
    atomic_flag_clear(&in_use);
}

void nl_for(int64_t nblocks, int64_t work, void (*body)(int64_t b, void *arg), void *arg)
{
    run(nblocks, MEETING, work, body, arg);
}

void nl_for_back(int64_t nblocks, int64_t work, void (*body)(int64_t b, void *arg), void *arg)
{
    run(nblocks, PARTING, work, body, arg);
}

void nl_for_in_order(int64_t nblocks, int64_t work, void (*body)(int64_t b, void *arg), void *arg)
{
    run(nblocks, IN_ORDER, work, body, arg);
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

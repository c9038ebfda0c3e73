/* par.h: the one parallel-for, the fixed-order fold, and one background worker.
 * The only part of normlab that starts threads.
 *
 * Work is cut into blocks by problem size alone, never by the number of threads; a block is done
 * by one thread; partial results are folded in a tree fixed by their number. So results are the
 * same bytes for any number of threads. */
#ifndef NL_PAR_H
#define NL_PAR_H

#include <stdbool.h>
#include <stdint.h>

#include "base/api.h"
#include "base/status.h"

enum { NL_THREADS_MAX = 256 };

void nl_threads_set(int n); /* clamped to 1 .. NL_THREADS_MAX; the start value is 1 */
int nl_threads(void);
int nl_cores(void); /* that this process may use */

/* Runs body(b, arg) for b = 0 .. nblocks-1 in any order on at most nl_threads() threads. Blocks
 * must not write the same place. `work` is the cost of all blocks together in bytes or flops;
 * little work runs on the calling thread alone (tiny layers must not pay for a fork), and so does a
 * loop within a loop. Denormals are flushed alike in every worker. */
NL_API void nl_for(int64_t nblocks, int64_t work, void (*body)(int64_t b, void *arg), void *arg);

/* The same, from the last block to the first: who has just gone through an array finds its end in
 * cache. */
NL_API void nl_for_back(int64_t nblocks, int64_t work, void (*body)(int64_t b, void *arg),
                        void *arg);

/* The same, each thread's blocks from the first to the last: for blocks that bring the next one
 * near. */
NL_API void nl_for_in_order(int64_t nblocks, int64_t work, void (*body)(int64_t b, void *arg),
                            void *arg);

/* For tests: forks however little the work is, waits for every worker to do its share, and counts
 * the workers that did. */
void nl_par_ignore_work(bool on);
int nl_par_workers_seen(void); /* the most workers that shared one nl_for since the last call */

/* part is (nblocks, width), row-major: adds the rows pairwise, in a tree fixed by nblocks, into
 * row 0. The other rows are scratch afterwards. */
NL_API void nl_fold(double *part, int64_t nblocks, int64_t width);

/* Flush-to-zero and denormals-are-zero on the calling thread; nl_for does it for its workers. */
void nl_flush_denormals(void);

/* One background worker that runs one job at a time; with inline_only the job runs inside
 * nl_background_start. Errors are handed back by nl_background_wait, message included.
 * A job contains no nl_for. */
typedef struct nl_background nl_background;
nl_status nl_background_open(nl_background **out, bool inline_only) NL_CHECKED;
void nl_background_start(nl_background *w, nl_status (*job)(void *arg), void *arg);
nl_status nl_background_wait(nl_background *w) NL_CHECKED; /* NL_OK when nothing was started */
void nl_background_close(nl_background *w);                /* waits; NULL is fine */

#endif

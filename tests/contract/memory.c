/* A step asks nobody for memory: malloc and its kin and mmap are counted while every method runs
 * forward, backward and its hooks, on one thread and on two. */
#include <stdio.h>

#include "core/contract_rig.h"
#include "par/par.h"
#include "requests.h"

#define NL_ENTRY(name) extern const nl_norm_ops nl_norm_##name;
#include "norms_table.inc"
#undef NL_ENTRY
#define NL_ENTRY(name) &nl_norm_##name,
static const nl_norm_ops *const table[] = {
#include "norms_table.inc"
};

static int failures;

static void steps(nl_rig *r, int count)
{
    for (int k = 0; k < count; k++) {
        r->a.phase = k % 3 < 2 ? NL_TRAIN : NL_EVAL;
        r->a.update = true;
        nl_norm_epoch_begin(r->m, k);
        nl_norm_forward(r->m, &r->a);
        nl_store_zero_grads(r->store);
        nl_norm_backward(r->m, &r->a);
        nl_norm_after_step(r->m);
        nl_norm_epoch_end(r->m, k);
    }
}

static void asks_nobody(const nl_norm_ops *ops, int threads)
{
    const nl_contract c = {.spec = ops->name, .ops = ops};
    nl_rig r;
    if (nl_rig_open(&r, ops->name, nl_some_geometry(&c, 60, 30, 40), 0, NL_RIG_SEED) != NL_OK) {
        printf("%s: %s\n", ops->name, nl_last_error());
        failures++;
        return;
    }
    nl_threads_set(threads);
    nl_par_ignore_work(true);
    nl_rig_act(&r, NL_SIGMOID, true);
    steps(&r, 3); /* the threads start */
    start_counting();
    steps(&r, 6);
    const long seen = stop_counting();
    nl_par_ignore_work(false);
    nl_threads_set(1);
    if (seen) {
        printf("%s, %d threads: %ld requests for memory in 6 steps\n", ops->name, threads, seen);
        failures++;
    }
    nl_rig_close(&r);
}

int main(void)
{
    nl_norm_use(table, sizeof table / sizeof *table);
    if (!counter_counts()) {
        puts("requests for memory are not seen");
        return 1;
    }
    for (int k = 0; nl_norm_at(k); k++)
        for (int threads = 1; threads <= 2; threads++)
            asks_nobody(nl_norm_at(k), threads);
    return failures != 0;
}

#include "kernel/cpu.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static nl_cpu best_of_machine(void)
{
#if defined(__x86_64__)
    __builtin_cpu_init();
    if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") &&
        __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512bw"))
        return NL_CPU_AVX512;
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"))
        return NL_CPU_AVX2;
#endif
    return NL_CPU_BASE;
}

const char *nl_cpu_name(nl_cpu level)
{
    static const char *const names[] = {"base", "avx2", "avx512"};
    return names[level];
}

nl_cpu nl_cpu_level(void)
{
    static int level = -1; /* every thread computes the same value */
    int known = __atomic_load_n(&level, __ATOMIC_RELAXED);
    if (known >= 0)
        return (nl_cpu)known;
    nl_cpu best = best_of_machine();
    const char *asked = getenv("NORMLAB_CPU");
    for (nl_cpu k = NL_CPU_BASE; asked && k < best; k++)
        if (strcmp(asked, nl_cpu_name(k)) == 0)
            best = k;
    __atomic_store_n(&level, (int)best, __ATOMIC_RELAXED);
    return best;
}

/* ---- habits */

static nl_cpu_habits of_machine;
static const nl_cpu_habits *in_use = &of_machine;

static int64_t nearest_cache(void)
{
    const int64_t usual = 32768;
#ifdef _SC_LEVEL1_DCACHE_SIZE
    const int64_t told = sysconf(_SC_LEVEL1_DCACHE_SIZE);
    return told > 0 ? told : usual;
#else
    return usual;
#endif
}

static void learn_habits(void)
{
    bool intel = false;
#if defined(__x86_64__)
    __builtin_cpu_init();
    intel = __builtin_cpu_is("intel");
#endif
    of_machine =
        (nl_cpu_habits){.near_bytes = nearest_cache(), .one_row = intel, .asks_ahead = intel};
}

const nl_cpu_habits *nl_cpu_habits_now(void)
{
    static pthread_once_t learned = PTHREAD_ONCE_INIT;
    pthread_once(&learned, learn_habits);
    return in_use;
}

void nl_cpu_habits_set(const nl_cpu_habits *h) { in_use = h ? h : &of_machine; }

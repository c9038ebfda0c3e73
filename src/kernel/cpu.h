/* cpu.h: kernels are compiled once for each CPU variant (src/kernel/CMakeLists.txt) and chosen at
 * run time. A kernel file defines static functions and one exported table of them:
 *
 *     header:  typedef struct nl_foo_kernels { void (*sum)(...); } nl_foo_kernels;
 *              NL_KERNELS(nl_foo_kernels, nl_foo)      gives: const nl_foo_kernels *nl_foo(void)
 *     source:  const nl_foo_kernels NL_VARIANT(nl_foo) = {.sum = sum};
 *
 * Kernels are plain loops over blocks: void, no allocation, no status, no nl_for. */
#ifndef NL_CPU_H
#define NL_CPU_H

#include <stdbool.h>
#include <stdint.h>

typedef enum nl_cpu { NL_CPU_BASE, NL_CPU_AVX2, NL_CPU_AVX512 } nl_cpu;

/* The best variant this machine runs; NORMLAB_CPU=base|avx2|avx512 in the environment lowers it. */
nl_cpu nl_cpu_level(void);
const char *nl_cpu_name(nl_cpu level);

/* What suits the loops of a machine; results do not depend on it. */
typedef struct nl_cpu_habits {
    int64_t near_bytes; /* of the nearest data cache of a core */
    bool one_row;       /* rows are stored faster one after another than several side by side */
    bool asks_ahead;    /* what lies in memory comes sooner when the tile before has asked for it */
} nl_cpu_habits;

/* Of this machine, or what was set. */
const nl_cpu_habits *nl_cpu_habits_now(void);
/* For tests and experiments, while no kernel runs; *h must outlive its use. NULL: the machine's. */
void nl_cpu_habits_set(const nl_cpu_habits *h);

#define NL_PASTE2(a, b) a##_##b
#define NL_PASTE(a, b) NL_PASTE2(a, b)
#define NL_VARIANT(name) NL_PASTE(name, NL_CPU_VARIANT) /* NL_CPU_VARIANT: base, avx2 or avx512 */

#define NL_KERNELS(type, name)                                 \
    extern const type name##_base, name##_avx2, name##_avx512; \
    static inline const type *name(void)                       \
    {                                                          \
        switch (nl_cpu_level()) {                              \
        case NL_CPU_AVX512: return &name##_avx512;             \
        case NL_CPU_AVX2: return &name##_avx2;                 \
        case NL_CPU_BASE: break;                               \
        }                                                      \
        return &name##_base;                                   \
    }

/* Lanes of the widest register of this variant, in reals. */
#if defined(__AVX512F__)
#define NL_VECTOR_BYTES 64
#elif defined(__AVX2__)
#define NL_VECTOR_BYTES 32
#else
#define NL_VECTOR_BYTES 16
#endif

#endif

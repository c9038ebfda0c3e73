#include "kernel/limit.h"

#include <stdbool.h>
#include <stddef.h>

#include "kernel/vec.h"

#ifdef __SSE2__
#include <immintrin.h>
#endif

enum { CHAINS = 8 }; /* sums beside each other hide the latency of an addition */
static const nl_real factor = (nl_real)0.75;

NL_INLINE void put(nl_real *to, nl_vec v, bool stream)
{
    if (!stream) {
        nl_vec_store(to, v);
        return;
    }
#if defined(__AVX512F__)
    _mm512_stream_si512((void *)to, (__m512i)v);
#elif defined(__AVX2__)
    _mm256_stream_si256((void *)to, (__m256i)v);
#elif defined(__SSE2__)
    _mm_stream_si128((void *)to, (__m128i)v);
#else
    nl_vec_store(to, v);
#endif
}

NL_INLINE nl_real finish(const nl_real *a, bool stream)
{
#ifdef __SSE2__
    if (stream)
        _mm_sfence();
#endif
    return a[0];
}

static nl_real read_all(nl_real *a, const nl_real *b, const nl_real *c, int64_t count)
{
    (void)a;
    (void)c;
    nl_vec sum[CHAINS] = {{0}};
    int64_t i = 0;
    for (; i + CHAINS * NL_LANES <= count; i += CHAINS * NL_LANES)
#pragma GCC unroll 8
        for (int j = 0; j < CHAINS; j++)
            sum[j] += nl_vec_load(b + i + j * NL_LANES);
    for (int j = 1; j < CHAINS; j++)
        sum[0] += sum[j];
    nl_real total = 0;
    for (; i < count; i++)
        total += b[i];
    for (int k = 0; k < NL_LANES; k++)
        total += sum[0][k];
    return total;
}

NL_INLINE nl_real copy_with(nl_real *a, const nl_real *b, int64_t count, bool stream)
{
    int64_t i = 0;
#pragma GCC unroll 4
    for (; i + NL_LANES <= count; i += NL_LANES)
        put(a + i, nl_vec_load(b + i), stream);
    for (; i < count; i++)
        a[i] = b[i];
    return finish(a, stream);
}

NL_INLINE nl_real triad_with(nl_real *a, const nl_real *b, const nl_real *c, int64_t count,
                             bool stream)
{
    int64_t i = 0;
#pragma GCC unroll 4
    for (; i + NL_LANES <= count; i += NL_LANES)
        put(a + i, nl_vec_load(b + i) + factor * nl_vec_load(c + i), stream);
    for (; i < count; i++)
        a[i] = b[i] + factor * c[i];
    return finish(a, stream);
}

static nl_real copy(nl_real *a, const nl_real *b, const nl_real *c, int64_t count)
{
    (void)c;
    return copy_with(a, b, count, false);
}

static nl_real copy_stream(nl_real *a, const nl_real *b, const nl_real *c, int64_t count)
{
    (void)c;
    return copy_with(a, b, count, true);
}

static nl_real triad(nl_real *a, const nl_real *b, const nl_real *c, int64_t count)
{
    return triad_with(a, b, c, count, false);
}

static nl_real triad_stream(nl_real *a, const nl_real *b, const nl_real *c, int64_t count)
{
    return triad_with(a, b, c, count, true);
}

enum { SUMS = 12 };

static nl_real multiply_add(int64_t rounds)
{
    nl_vec sum[SUMS], a = nl_vec_of((nl_real)0.999), b = nl_vec_of((nl_real)1e-3);
#pragma GCC unroll 16
    for (int j = 0; j < SUMS; j++)
        sum[j] = nl_vec_of((nl_real)j);
    for (int64_t i = 0; i < rounds; i++)
#pragma GCC unroll 16
        for (int j = 0; j < SUMS; j++)
            sum[j] = nl_vec_fma(sum[j], a, b);
    nl_real all = 0;
    for (int j = 0; j < SUMS; j++)
        for (int l = 0; l < NL_LANES; l++)
            all += sum[j][l];
    return all;
}

const nl_limit_kernels NL_VARIANT(nl_limits) = {.loops = {{"read", 1, read_all},
                                                          {"copy", 2, copy},
                                                          {"triad", 3, triad},
                                                          {"copy_stream", 2, copy_stream},
                                                          {"triad_stream", 3, triad_stream},
                                                          {NULL, 0, NULL}},
                                                .multiply_add = multiply_add,
                                                .multiply_add_flops = 2 * SUMS * NL_LANES};

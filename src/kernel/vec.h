/* vec.h: one register of reals of the CPU variant being compiled, with the few operations that
 * GCC's vector extensions cannot say: fused multiply-add and part of a register. For kernel sources
 * only.
 *
 * nl_vec_fma rounds once where the variant has the instruction and twice in `base`. */
#ifndef NL_VEC_H
#define NL_VEC_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "base/real.h"
#include "kernel/cpu.h"

#ifdef __AVX2__
#include <immintrin.h>
#endif

#define NL_INLINE static inline __attribute__((always_inline, unused))
/* A loop that is a function of its own has all of the processor's registers. */
#define NL_APART static __attribute__((noinline, unused))

/* nl_lanes: an integer for every lane; comparisons of nl_vec give it, 0 or -1. */
typedef nl_real nl_vec __attribute__((vector_size(NL_VECTOR_BYTES)));
typedef nl_real nl_vec_loose
    __attribute__((vector_size(NL_VECTOR_BYTES), aligned(sizeof(nl_real)), may_alias));
#ifdef NL_F64
typedef int64_t nl_lanes __attribute__((vector_size(NL_VECTOR_BYTES)));
#else
typedef int32_t nl_lanes __attribute__((vector_size(NL_VECTOR_BYTES)));
#endif
enum { NL_LANES = NL_VECTOR_BYTES / (int)sizeof(nl_real) };

static inline nl_vec nl_vec_load(const nl_real *p) { return *(const nl_vec_loose *)p; }
static inline void nl_vec_store(nl_real *p, nl_vec v) { *(nl_vec_loose *)p = v; }
static inline nl_vec nl_vec_of(nl_real v) { return v - (nl_vec){0}; }

/* v, in a register from here on: the compiler would load what is used several times again for each
 * use. */
static inline nl_vec nl_vec_kept(nl_vec v)
{
#ifdef __SSE2__
    __asm__("" : "+v"(v));
#endif
    return v;
}

/* The first `lanes` values (1 .. NL_LANES) of memory or of a register; the others are 0 and their
 * memory is not touched. */
typedef struct nl_part {
    int lanes;
#if defined(__AVX512F__) && defined(NL_F64)
    __mmask8 mask;
#elif defined(__AVX512F__)
    __mmask16 mask;
#elif defined(__AVX2__)
    __m256i mask;
#endif
} nl_part;

#if defined(__AVX512F__)

#ifdef NL_F64
static inline nl_part nl_part_of(int lanes)
{
    return (nl_part){lanes, (__mmask8)((1U << lanes) - 1)};
}
static inline nl_vec nl_vec_load_part(const nl_real *p, nl_part t)
{
    return (nl_vec)_mm512_maskz_loadu_pd(t.mask, p);
}
static inline void nl_vec_store_part(nl_real *p, nl_vec v, nl_part t)
{
    _mm512_mask_storeu_pd(p, t.mask, (__m512d)v);
}
static inline nl_vec nl_vec_keep_part(nl_vec v, nl_part t)
{
    return (nl_vec)_mm512_maskz_mov_pd(t.mask, (__m512d)v);
}
static inline nl_vec nl_vec_fma(nl_vec a, nl_vec b, nl_vec c)
{
    return (nl_vec)_mm512_fmadd_pd((__m512d)a, (__m512d)b, (__m512d)c);
}
#else
static inline nl_part nl_part_of(int lanes)
{
    return (nl_part){lanes, (__mmask16)((1U << lanes) - 1)};
}
static inline nl_vec nl_vec_load_part(const nl_real *p, nl_part t)
{
    return (nl_vec)_mm512_maskz_loadu_ps(t.mask, p);
}
static inline void nl_vec_store_part(nl_real *p, nl_vec v, nl_part t)
{
    _mm512_mask_storeu_ps(p, t.mask, (__m512)v);
}
static inline nl_vec nl_vec_keep_part(nl_vec v, nl_part t)
{
    return (nl_vec)_mm512_maskz_mov_ps(t.mask, (__m512)v);
}
static inline nl_vec nl_vec_fma(nl_vec a, nl_vec b, nl_vec c)
{
    return (nl_vec)_mm512_fmadd_ps((__m512)a, (__m512)b, (__m512)c);
}
#endif

#elif defined(__AVX2__)

#ifdef NL_F64
static inline nl_part nl_part_of(int lanes)
{
    return (nl_part){lanes,
                     _mm256_cmpgt_epi64(_mm256_set1_epi64x(lanes), _mm256_setr_epi64x(0, 1, 2, 3))};
}
static inline nl_vec nl_vec_load_part(const nl_real *p, nl_part t)
{
    return (nl_vec)_mm256_maskload_pd(p, t.mask);
}
static inline nl_vec nl_vec_keep_part(nl_vec v, nl_part t) { return (nl_vec)((__m256i)v & t.mask); }
static inline void nl_vec_store_part(nl_real *p, nl_vec v, nl_part t)
{
    _mm256_maskstore_pd(p, t.mask, (__m256d)v);
}
static inline nl_vec nl_vec_fma(nl_vec a, nl_vec b, nl_vec c)
{
    return (nl_vec)_mm256_fmadd_pd((__m256d)a, (__m256d)b, (__m256d)c);
}
#else
static inline nl_part nl_part_of(int lanes)
{
    return (nl_part){lanes, _mm256_cmpgt_epi32(_mm256_set1_epi32(lanes),
                                               _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7))};
}
static inline nl_vec nl_vec_load_part(const nl_real *p, nl_part t)
{
    return (nl_vec)_mm256_maskload_ps(p, t.mask);
}
static inline nl_vec nl_vec_keep_part(nl_vec v, nl_part t) { return (nl_vec)((__m256i)v & t.mask); }
static inline void nl_vec_store_part(nl_real *p, nl_vec v, nl_part t)
{
    _mm256_maskstore_ps(p, t.mask, (__m256)v);
}
static inline nl_vec nl_vec_fma(nl_vec a, nl_vec b, nl_vec c)
{
    return (nl_vec)_mm256_fmadd_ps((__m256)a, (__m256)b, (__m256)c);
}
#endif

#else

static inline nl_part nl_part_of(int lanes) { return (nl_part){lanes}; }
static inline nl_vec nl_vec_load_part(const nl_real *p, nl_part t)
{
    nl_vec v = {0};
    if (t.lanes == NL_LANES)
        return nl_vec_load(p);
    for (int i = 0; i < t.lanes; i++)
        v[i] = p[i];
    return v;
}
static inline void nl_vec_store_part(nl_real *p, nl_vec v, nl_part t)
{
    for (int i = 0; i < t.lanes; i++)
        p[i] = v[i];
}
static inline nl_vec nl_vec_keep_part(nl_vec v, nl_part t)
{
    for (int i = t.lanes; i < NL_LANES; i++)
        v[i] = 0;
    return v;
}
static inline nl_vec nl_vec_fma(nl_vec a, nl_vec b, nl_vec c) { return a * b + c; }

#endif

/* The register at p without its first `before` lanes: they are 0, their memory is not touched. */
static inline nl_vec nl_vec_load_behind(const nl_real *p, int before)
{
#if defined(__AVX512F__) && defined(NL_F64)
    return (nl_vec)_mm512_maskz_loadu_pd((__mmask8)(0xffU << before), p);
#elif defined(__AVX512F__)
    return (nl_vec)_mm512_maskz_loadu_ps((__mmask16)(0xffffU << before), p);
#else
    nl_vec v = {0};
    for (int l = before; l < NL_LANES; l++)
        v[l] = p[l];
    return v;
#endif
}

/* -0 becomes 0. */
static inline nl_vec nl_vec_zero_is_positive(nl_vec v) { return v + (nl_vec){0}; }

static inline nl_vec nl_vec_sqrt(nl_vec v)
{
#if defined(__AVX512F__) && defined(NL_F64)
    return (nl_vec)_mm512_sqrt_pd((__m512d)v);
#elif defined(__AVX512F__)
    return (nl_vec)_mm512_sqrt_ps((__m512)v);
#elif defined(__AVX2__) && defined(NL_F64)
    return (nl_vec)_mm256_sqrt_pd((__m256d)v);
#elif defined(__AVX2__)
    return (nl_vec)_mm256_sqrt_ps((__m256)v);
#else
    for (int i = 0; i < NL_LANES; i++)
        v[i] = (nl_real)__builtin_sqrt((double)v[i]);
    return v;
#endif
}

/* 1 / sqrt(v) to a unit in the last place, v >= 0; NaN where v is infinite. A root and a division
 * take 55 cycles in registers of 16 floats, which nothing can be done beside where all waits for
 * the result; the processor's estimate (14 bits) and a step of third order less than half of that:
 * with e = 1 - v r^2, 1 / sqrt(v) = r (1 - e)^(-1/2) = r + r e (1/2 + 3/8 e + ...). */
static inline nl_vec nl_vec_per_root(nl_vec v)
{
#if defined(__AVX512F__) && !defined(NL_F64)
    const nl_vec r = (nl_vec)_mm512_rsqrt14_ps((__m512)v);
    const nl_vec e = nl_vec_fma(-v * r, r, nl_vec_of(1));
    const nl_vec half = nl_vec_fma(e, nl_vec_of((nl_real)0.375), nl_vec_of((nl_real)0.5));
    return nl_vec_fma(r * e, half, r);
#else
    return 1 / nl_vec_sqrt(v + (v - v));
#endif
}

/* The first `count` doubles at p, rounded; *added is what rounding added. The other lanes are 0. */
static inline nl_vec nl_vec_of_doubles(const double *p, int count, nl_vec *added)
{
    typedef double doubles __attribute__((vector_size(NL_LANES * sizeof(double))));
    doubles v = {0};
    if (count == NL_LANES)
        memcpy(&v, p, sizeof v);
    else
        memcpy(&v, p, (size_t)count * sizeof *p);
    const nl_vec rounded = __builtin_convertvector(v, nl_vec);
    *added = __builtin_convertvector(__builtin_convertvector(rounded, doubles) - v, nl_vec);
    return rounded;
}

static inline nl_vec nl_vec_choose(nl_lanes if_set, nl_vec yes, nl_vec no)
{
    return (nl_vec)((if_set & (nl_lanes)yes) | (~if_set & (nl_lanes)no));
}

/* b where a is NaN. */
static inline nl_vec nl_vec_least(nl_vec a, nl_vec b)
{
#if defined(__AVX512F__) && defined(NL_F64)
    return (nl_vec)_mm512_min_pd((__m512d)a, (__m512d)b);
#elif defined(__AVX512F__)
    return (nl_vec)_mm512_min_ps((__m512)a, (__m512)b);
#elif defined(__AVX2__) && defined(NL_F64)
    return (nl_vec)_mm256_min_pd((__m256d)a, (__m256d)b);
#elif defined(__AVX2__)
    return (nl_vec)_mm256_min_ps((__m256)a, (__m256)b);
#else
    return nl_vec_choose(a < b, a, b);
#endif
}

/* b where a is NaN. */
static inline nl_vec nl_vec_most(nl_vec a, nl_vec b)
{
#if defined(__AVX512F__) && defined(NL_F64)
    return (nl_vec)_mm512_max_pd((__m512d)a, (__m512d)b);
#elif defined(__AVX512F__)
    return (nl_vec)_mm512_max_ps((__m512)a, (__m512)b);
#elif defined(__AVX2__) && defined(NL_F64)
    return (nl_vec)_mm256_max_pd((__m256d)a, (__m256d)b);
#elif defined(__AVX2__)
    return (nl_vec)_mm256_max_ps((__m256)a, (__m256)b);
#else
    return nl_vec_choose(a > b, a, b);
#endif
}

/* a / b, for 1 <= b <= 2, to a unit in the last place. In registers of 16 floats a division takes
 * ten cycles; the processor's estimate of 1 / b (14 bits), a step of Newton's, and the remainder
 * take less. */
static inline nl_vec nl_vec_quotient(nl_vec a, nl_vec b)
{
#if defined(__AVX512F__) && !defined(NL_F64)
    const nl_vec estimate = (nl_vec)_mm512_rcp14_ps((__m512)b);
    const nl_vec inverse = nl_vec_fma(estimate, nl_vec_fma(-b, estimate, nl_vec_of(1)), estimate);
    const nl_vec near = a * inverse;
    const nl_vec excess = nl_vec_fma(b, near, -a); /* of this sign a = -0 gives -0 */
    return nl_vec_fma(-excess, inverse, near);
#else
    return a / b;
#endif
}

static inline int nl_any_lane(nl_lanes set)
{
#if defined(__AVX512F__)
    return _mm512_test_epi64_mask((__m512i)set, (__m512i)set) != 0;
#elif defined(__AVX2__)
    return !_mm256_testz_si256((__m256i)set, (__m256i)set);
#else
    int any = 0;
    for (int i = 0; i < NL_LANES; i++)
        any |= set[i] != 0;
    return any;
#endif
}

/* 0, 1, 2, ...: a constant to the compiler, so that shuffles made of it are single instructions. */
static inline nl_lanes nl_lane_numbers(void)
{
#if NL_VECTOR_BYTES == 64 && !defined(NL_F64)
    return (nl_lanes){0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};
#elif NL_VECTOR_BYTES == 64 || (NL_VECTOR_BYTES == 32 && !defined(NL_F64))
    return (nl_lanes){0, 1, 2, 3, 4, 5, 6, 7};
#elif NL_VECTOR_BYTES == 32 || !defined(NL_F64)
    return (nl_lanes){0, 1, 2, 3};
#else
    return (nl_lanes){0, 1};
#endif
}

/* Lane l is a[at[l]], or b[at[l] - NL_LANES]. */
static inline nl_vec nl_vec_shuffle(nl_vec a, nl_vec b, nl_lanes at)
{
#ifdef __clang__
    nl_vec v = {0};
    for (int l = 0; l < NL_LANES; l++)
        v[l] = at[l] < NL_LANES ? a[at[l]] : b[at[l] - NL_LANES];
    return v;
#else
    return __builtin_shuffle(a, b, at);
#endif
}

/* The register at p, which begins in the middle of a line of the cache as wide as a register; *line
 * is the line that p is in, and becomes the next. Read as it lies, it would take two reads, each of
 * which may have to be waited for. */
static inline nl_vec nl_line_of_middle(const nl_real *p) { return nl_vec_load(p - NL_LANES / 2); }
static inline nl_vec nl_vec_load_across(const nl_real *p, nl_vec *line)
{
    const nl_vec first = *line;
    *line = nl_vec_load(p + NL_LANES / 2);
    return nl_vec_shuffle(first, *line, nl_lane_numbers() + NL_LANES / 2);
}

/* The lanes whose bit is set, side by side from the first lane on, then 0; and back: those lanes
 * take the values of v from the first on, the others are 0. */
#ifdef __AVX512F__
#define NL_COMPRESSES 1
static inline nl_vec nl_vec_compress(nl_vec v, unsigned lanes)
{
#ifdef NL_F64
    return (nl_vec)_mm512_maskz_compress_pd((__mmask8)lanes, (__m512d)v);
#else
    return (nl_vec)_mm512_maskz_compress_ps((__mmask16)lanes, (__m512)v);
#endif
}
static inline nl_vec nl_vec_expand(nl_vec v, unsigned lanes)
{
#ifdef NL_F64
    return (nl_vec)_mm512_maskz_expand_pd((__mmask8)lanes, (__m512d)v);
#else
    return (nl_vec)_mm512_maskz_expand_ps((__mmask16)lanes, (__m512)v);
#endif
}
#else
#define NL_COMPRESSES 0
static inline nl_vec nl_vec_compress(nl_vec v, unsigned lanes)
{
    nl_vec to = {0};
    for (int l = 0, n = 0; l < NL_LANES; l++)
        if (lanes >> l & 1)
            to[n++] = v[l];
    return to;
}
static inline nl_vec nl_vec_expand(nl_vec v, unsigned lanes)
{
    nl_vec to = {0};
    for (int l = 0, n = 0; l < NL_LANES; l++)
        if (lanes >> l & 1)
            to[l] = v[n++];
    return to;
}
#endif

/* Writes the lanes whose bits are set to p, one behind the other, and may write anything to the
 * rest of a register's memory there. Gives their number. */
static inline int nl_vec_pack(nl_real *p, nl_vec v, uint32_t bits)
{
#if NL_COMPRESSES
    nl_vec_store(p, nl_vec_compress(v, bits));
    return __builtin_popcount(bits);
#else
    int count = 0;
    for (; bits; bits &= bits - 1)
        p[count++] = v[__builtin_ctz(bits)];
    return count;
#endif
}

/* 16-bit numbers; a comparison gives 0 or 0xffff. */
typedef uint16_t nl_shorts __attribute__((vector_size(NL_VECTOR_BYTES)));
enum { NL_SHORTS = NL_VECTOR_BYTES / (int)sizeof(uint16_t) };

/* Bit l: lane l of v is one of these numbers, each in all lanes of a register. */
NL_INLINE uint32_t nl_shorts_among(nl_shorts v, const nl_shorts *these, int count)
{
#if defined(__AVX512BW__)
    uint32_t among = 0;
    for (int k = 0; k < count; k++)
        among |= _mm512_cmpeq_epi16_mask((__m512i)v, (__m512i)these[k]);
    return among;
#else
    nl_shorts among = {0};
    for (int k = 0; k < count; k++)
        among |= (nl_shorts)(v == these[k]);
#if defined(__AVX2__)
    const __m256i bytes = _mm256_packs_epi16((__m256i)among, _mm256_setzero_si256());
    return (uint32_t)_mm256_movemask_epi8(_mm256_permute4x64_epi64(bytes, 0x08));
#else
    uint32_t bits = 0;
    for (int l = 0; l < NL_SHORTS; l++)
        bits |= (uint32_t)(among[l] & 1) << l;
    return bits;
#endif
#endif
}

/* Asks for the line `ahead` values behind p, wherever that is. A function that only asks has no
 * effects the compiler knows of: a call that is not inlined at once would be left out. */
NL_INLINE void nl_vec_ask(const nl_real *p, int64_t ahead)
{
    __builtin_prefetch((const void *)((uintptr_t)p + (uintptr_t)ahead * sizeof *p));
}

/* Asks for a line that will be written soon, some lines behind p. */
NL_INLINE void nl_vec_ask_to_write(nl_real *p)
{
    enum { LINES_AHEAD = 8, LINE = 64 };
    __builtin_prefetch((void *)((uintptr_t)p + LINES_AHEAD * LINE), 1);
}

/* Stores past the caches; p is aligned to a register. nl_vec_stream_end makes them visible. */
static inline void nl_vec_stream(nl_real *p, nl_vec v)
{
#if defined(__AVX512F__)
    _mm512_stream_si512((void *)p, (__m512i)v);
#elif defined(__AVX2__)
    _mm256_stream_si256((void *)p, (__m256i)v);
#else
    nl_vec_store(p, v);
#endif
}
static inline void nl_vec_stream_end(void)
{
#ifdef __AVX2__
    _mm_sfence();
#endif
}

#endif

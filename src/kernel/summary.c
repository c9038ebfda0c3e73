#include "kernel/summary.h"

#include <stdbool.h>
#include <string.h>

#include "kernel/act_inline.h"

enum { RUN = 64 * NL_LANES }; /* values that are summed in the storage type */

static double fold(nl_vec v)
{
    double sum = 0;
    for (int i = 0; i < NL_LANES; i++)
        sum += (double)v[i];
    return sum;
}

static int64_t smaller(int64_t a, int64_t b) { return a < b ? a : b; }

/* ---- powers about a center */

/* Of count values, a multiple of NL_LANES. */
static void add_powers(const nl_real *v, int64_t count, nl_real center, double *sum, nl_vec *least,
                       nl_vec *most)
{
    nl_vec s1 = {0}, s2 = {0}, s3 = {0}, s4 = {0}, lo = *least, hi = *most;
    for (int64_t i = 0; i < count; i += NL_LANES) {
        const nl_vec x = nl_vec_load(v + i), d = x - center, square = d * d;
        s1 += d;
        s2 += square;
        s3 = nl_vec_fma(square, d, s3);
        s4 = nl_vec_fma(square, square, s4);
        lo = nl_vec_least(lo, x);
        hi = nl_vec_most(hi, x);
    }
    *least = lo;
    *most = hi;
    sum[0] += fold(s1);
    sum[1] += fold(s2);
    sum[2] += fold(s3);
    sum[3] += fold(s4);
}

static nl_powers powers(const nl_real *v, int64_t count, nl_real center)
{
    nl_powers p = {.least = v[0], .most = v[0]};
    nl_vec least = nl_vec_of(v[0]), most = least;
    const int64_t whole = count - count % NL_LANES;
    for (int64_t i = 0; i < whole; i += RUN)
        add_powers(v + i, smaller(RUN, whole - i), center, p.sum, &least, &most);
    if (whole < count) { /* the center adds nothing to the sums */
        nl_real rest[NL_LANES];
        for (int i = 0; i < NL_LANES; i++)
            rest[i] = whole + i < count ? v[whole + i] : center;
        nl_vec last_least = nl_vec_of(v[whole]), last_most = last_least;
        add_powers(rest, NL_LANES, center, p.sum, &last_least, &last_most);
        for (int64_t i = whole; i < count; i++) {
            p.least = v[i] < p.least ? v[i] : p.least;
            p.most = v[i] > p.most ? v[i] : p.most;
        }
    }
    for (int i = 0; i < NL_LANES; i++) {
        p.least = least[i] < p.least ? least[i] : p.least;
        p.most = most[i] > p.most ? most[i] : p.most;
    }
    return p;
}

/* ---- equal bins */

static void place(const nl_real *v, int64_t count, nl_real from, nl_real scale, int last,
                  uint16_t *at)
{
    const nl_real top = (nl_real)last;
    for (int64_t i = 0; i < count; i++) {
        nl_real t = (v[i] - from) * scale;
        t = t > 0 ? t : 0;
        at[i] = (uint16_t)(int32_t)(t < top ? t : top);
    }
}

static void leave_out(const nl_real *v, int64_t count, nl_real value, uint16_t *at)
{
    for (int64_t i = 0; i < count; i++)
        at[i] = v[i] == value ? NL_IN_NO_BIN : at[i];
}

/* Bit l of `set` stands for v[l]. Gives how many are kept then. */
static inline int64_t keep_set(const nl_real *v, uint32_t set, nl_real *kept, int64_t n)
{
    const uint32_t lanes = (uint32_t)((1ULL << NL_LANES) - 1);
    for (int l = 0; l < NL_SHORTS; l += NL_LANES)
        n += nl_vec_pack(kept + n, nl_vec_load(v + l), set >> l & lanes);
    return n;
}

/* Of a multiple of NL_SHORTS; wants is a constant to the compiler. */
NL_INLINE int64_t keep_whole(const nl_real *v, int64_t count, const uint16_t *wanted, int wants,
                             const uint16_t *at, nl_real *kept)
{
    nl_shorts each[NL_WANTED_MOST];
    int64_t n = 0;
    for (int k = 0; k < wants; k++)
        each[k] = wanted[k] - (nl_shorts){0};
    for (int64_t i = 0; i < count; i += NL_SHORTS) {
        nl_shorts is;
        memcpy(&is, at + i, sizeof is);
        const uint32_t set = nl_shorts_among(is, each, wants);
        if (set)
            n = keep_set(v + i, set, kept, n);
    }
    return n;
}

static bool is_among(uint16_t is, const uint16_t *wanted)
{
    bool among = false;
    for (int k = 0; k < NL_WANTED_MOST; k++)
        among |= is == wanted[k];
    return among;
}

static int64_t keep(const nl_real *v, int64_t count, const uint16_t wanted[NL_WANTED_MOST],
                    const uint16_t *at, nl_real *kept)
{
    enum { MOSTLY = 8 };
    const int64_t whole = count - count % NL_SHORTS;
    const bool few = wanted[MOSTLY - 1] == wanted[NL_WANTED_MOST - 1];
    int64_t n = few ? keep_whole(v, whole, wanted, MOSTLY, at, kept)
                    : keep_whole(v, whole, wanted, NL_WANTED_MOST, at, kept);
    for (int64_t i = whole; i < count; i++) {
        kept[n] = v[i];
        n += is_among(at[i], wanted);
    }
    return n;
}

/* ---- flat parts of an activation */

static inline nl_lanes is_flat(nl_act act, nl_vec u, nl_real limit)
{
    return act == NL_RELU ? u <= 0 : (u > limit) | (u < -limit);
}

/* Columns [k, k + lanes). */
static void add_flat_columns(nl_biased b, nl_act act, nl_real limit, int64_t k, int64_t *flat)
{
    const nl_part part = nl_part_of((int)smaller(NL_LANES, b.c - k));
    const nl_vec bias = b.bias ? nl_vec_load_part(b.bias + k, part) : (nl_vec){0};
    nl_lanes count = {0};
    for (int64_t r = 0; r < b.rows; r++)
        count -= is_flat(act, nl_vec_load_part(b.v + r * b.c + k, part) + bias, limit);
    for (int i = 0; i < part.lanes; i++)
        flat[k + i] += count[i];
}

/* Rows shorter than a register: NL_LANES of them are c whole registers. */
static void add_flat_short_rows(nl_biased b, nl_act act, nl_real limit, int64_t *flat)
{
    nl_real bias[NL_LANES * NL_LANES];
    nl_lanes count[NL_LANES] = {{0}};
    const int64_t whole = b.rows - b.rows % NL_LANES;
    for (int64_t i = 0; i < b.c * NL_LANES; i++)
        bias[i] = b.bias ? b.bias[i % b.c] : 0;
    for (int64_t r = 0; r < whole; r += NL_LANES)
        for (int64_t j = 0; j < b.c; j++)
            count[j] -= is_flat(
                act, nl_vec_load(b.v + r * b.c + j * NL_LANES) + nl_vec_load(bias + j * NL_LANES),
                limit);
    for (int64_t i = 0; i < b.c * NL_LANES; i++)
        flat[i % b.c] += count[i / NL_LANES][i % NL_LANES];
    b.v += whole * b.c;
    b.rows -= whole;
    add_flat_columns(b, act, limit, 0, flat);
}

static void flat(nl_biased b, nl_act act, nl_real limit, int64_t *flat)
{
    if (b.c < NL_LANES)
        add_flat_short_rows(b, act, limit, flat);
    else
        for (int64_t k = 0; k < b.c; k += NL_LANES)
            add_flat_columns(b, act, limit, k, flat);
}

/* ---- bins by size */

/* Quarters of powers of two are the first bits: exponent and two bits of the mantissa. */
#ifdef NL_F64
typedef int64_t bits;
enum { MANTISSA = 52, BIAS = 1023 };
#else
typedef int32_t bits;
enum { MANTISSA = 23, BIAS = 127 };
#endif
enum { PART_BITS = 2 };
static const bits magnitude = ~((bits)1 << (8 * sizeof(bits) - 1));

/* 0 nearer to 0 than 2^least, 1 in the first quarter behind it, ... levels. */
static inline int rank_of(bits is, int least, int levels)
{
    const bits behind = (bits)(BIAS + least) << PART_BITS;
    const bits rank = ((is & magnitude) >> (MANTISSA - PART_BITS)) - behind + 1;
    return (int)(rank < 0 ? 0 : rank > levels ? levels : rank);
}

static void count(const nl_real *v, int64_t count, int least, int levels, int64_t *bin)
{
    enum { BLOCK = 256 };
    for (int64_t from = 0; from < count; from += BLOCK) {
        const int64_t n = smaller(BLOCK, count - from);
        bits is[BLOCK];
        int32_t at[BLOCK];
        memcpy(is, v + from, (size_t)n * sizeof *is);
        for (int64_t i = 0; i < n; i++) {
            const int rank = rank_of(is[i], least, levels);
            const bool nan = v[from + i] != v[from + i];
            at[i] = nan ? 2 * levels + 1 : levels + (is[i] < 0 ? -rank : rank);
        }
        for (int64_t i = 0; i < n; i++)
            bin[at[i]]++;
    }
}

/* ---- products */

static void add_products(const nl_real *a, const nl_real *b, int64_t count, double *sum)
{
    nl_vec aa = {0}, ab = {0}, bb = {0};
    int64_t i = 0;
    for (; i + NL_LANES <= count; i += NL_LANES) {
        const nl_vec x = nl_vec_load(a + i), y = nl_vec_load(b + i);
        aa = nl_vec_fma(x, x, aa);
        ab = nl_vec_fma(x, y, ab);
        bb = nl_vec_fma(y, y, bb);
    }
    if (i < count) {
        const nl_part rest = nl_part_of((int)(count - i));
        const nl_vec x = nl_vec_load_part(a + i, rest), y = nl_vec_load_part(b + i, rest);
        aa = nl_vec_fma(x, x, aa);
        ab = nl_vec_fma(x, y, ab);
        bb = nl_vec_fma(y, y, bb);
    }
    sum[0] += fold(aa);
    sum[1] += fold(ab);
    sum[2] += fold(bb);
}

static void products(const nl_real *a, const nl_real *b, int64_t count, double *sum)
{
    for (int64_t i = 0; i < count; i += RUN)
        add_products(a + i, b + i, smaller(RUN, count - i), sum);
}

const nl_summary_kernels NL_VARIANT(nl_summary_kernel) = {.powers = powers,
                                                          .place = place,
                                                          .leave_out = leave_out,
                                                          .keep = keep,
                                                          .flat = flat,
                                                          .count = count,
                                                          .products = products};

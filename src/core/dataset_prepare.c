#include "core/dataset_prepare.h"

#include <math.h>
#include <string.h>

#include "base/alloc.h"
#include "base/random.h"
#include "par/par.h"

/* ---- cutting and room */

nl_status nl_dataset_cut(const nl_dataset_common *common, const char *owner, int64_t train_there,
                         int64_t test_there, nl_cut *out)
{
    const bool any = train_there == NL_ANY_NUMBER;
    if (common->val > 0 && common->val_fraction > 0)
        return nl_fail(NL_EOPTION,
                       "%s: val=%lld and val_fraction=%g are both given, wanted one (val=0)", owner,
                       (long long)common->val, common->val_fraction);
    *out = (nl_cut){.train = common->train, .val = common->val};
    if (common->val_fraction > 0) { /* Keras: split_at = floor(count * (1 - fraction)) */
        const int64_t pool = common->train ? common->train : train_there;
        out->train = (int64_t)floor((double)pool * (1.0 - common->val_fraction));
        out->val = pool - out->train;
        out->val_at = out->train;
    } else {
        if (out->train == 0)
            out->train = train_there - out->val;
        out->val_at = any ? out->train : train_there - out->val;
    }
    if (!any && (out->train < 1 || out->train + out->val > train_there))
        return nl_fail(
            NL_EOPTION, "%s: %lld training and %lld validation examples wanted, there are %lld",
            owner, (long long)common->train, (long long)out->val, (long long)train_there);
    if (out->train < 1)
        return nl_fail(NL_EOPTION, "%s: no training examples left beside %lld for validation",
                       owner, (long long)out->val);
    out->test = common->test ? common->test : test_there;
    if (test_there != NL_ANY_NUMBER && out->test > test_there)
        return nl_fail(NL_EOPTION, "%s: %lld test examples wanted, there are %lld", owner,
                       (long long)out->test, (long long)test_there);
    return NL_OK;
}

/* Parts of one piece of memory, each aligned. Without the piece (at NULL) bytes are counted. */
typedef struct piece {
    char *at;
    int64_t used;
} piece;

static void *part_of(piece *r, int64_t bytes)
{
    char *part = r->at ? r->at + r->used : NULL;
    r->used += (bytes + NL_ALIGN - 1) / NL_ALIGN * NL_ALIGN;
    return part;
}

static void lay_out(const nl_dataset *d, int64_t count, piece *r, nl_split *s)
{
    const int64_t reals = count * (int64_t)sizeof(nl_real),
                  whole = count * (int64_t)sizeof(int32_t);
    const int64_t answers = nl_dataset_answers(d);
    s->count = count;
    s->x = part_of(r, reals * d->shape.s * d->shape.c);
    s->label = d->classes > 0 ? part_of(r, whole * answers) : NULL;
    s->value = d->classes > 0 ? NULL : part_of(r, reals * answers);
    s->length = d->ragged ? part_of(r, whole) : NULL;
}

static void lay_out_splits(nl_dataset *d, const nl_cut *cut, piece *r)
{
    lay_out(d, cut->train, r, &d->train);
    lay_out(d, cut->val, r, &d->val);
    lay_out(d, cut->test, r, &d->test);
}

static void start_lengths(const nl_dataset *d, nl_split *s)
{
    for (int64_t i = 0; s->length && i < s->count; i++)
        s->length[i] = (int32_t)d->shape.s;
}

nl_status nl_dataset_room(nl_dataset *out, const nl_cut *cut)
{
    piece all = {0};
    lay_out_splits(out, cut, &all);
    out->memory = nl_alloc((size_t)all.used, 1);
    if (!out->memory)
        return nl_fail(NL_ENOMEM, "%s: no memory for %lld bytes of examples", out->ops->name,
                       (long long)all.used);
    all = (piece){.at = out->memory};
    lay_out_splits(out, cut, &all);
    start_lengths(out, &out->train);
    start_lengths(out, &out->val);
    start_lengths(out, &out->test);
    return NL_OK;
}

/* ---- standardizing: (x - centre[j]) / spread[j] for feature j */

enum { BLOCK_ROWS = 512 }; /* part of the results: sums are folded over these blocks */

typedef struct columns {
    nl_split *of;
    int64_t width;
    const double *centre, *spread;
    double *part; /* (blocks, width) */
} columns;

static int64_t block_count(const nl_split *s) { return (s->count + BLOCK_ROWS - 1) / BLOCK_ROWS; }

static int64_t block_end(const nl_split *s, int64_t b)
{
    const int64_t end = (b + 1) * BLOCK_ROWS;
    return end < s->count ? end : s->count;
}

static void sum_block(int64_t b, void *arg)
{
    const columns *c = arg;
    double *part = c->part + b * c->width;
    for (int64_t i = b * BLOCK_ROWS; i < block_end(c->of, b); i++)
        for (int64_t j = 0; j < c->width; j++)
            part[j] += (double)c->of->x[i * c->width + j];
}

static void square_block(int64_t b, void *arg)
{
    const columns *c = arg;
    double *part = c->part + b * c->width;
    for (int64_t i = b * BLOCK_ROWS; i < block_end(c->of, b); i++)
        for (int64_t j = 0; j < c->width; j++) {
            const double d = (double)c->of->x[i * c->width + j] - c->centre[j];
            part[j] += d * d;
        }
}

static void write_block(int64_t b, void *arg)
{
    const columns *c = arg;
    for (int64_t i = b * BLOCK_ROWS; i < block_end(c->of, b); i++) {
        nl_real *x = c->of->x + i * c->width;
        for (int64_t j = 0; j < c->width; j++)
            x[j] = (nl_real)(((double)x[j] - c->centre[j]) / c->spread[j]);
    }
}

static void run(const columns *c, void (*body)(int64_t, void *))
{
    columns copy = *c;
    nl_for(block_count(c->of), c->of->count * c->width * (int64_t)sizeof(nl_real), body, &copy);
}

/* Column means of what `body` sums. */
static void mean_of(const columns *c, void (*body)(int64_t, void *), double *mean)
{
    memset(c->part, 0, (size_t)(block_count(c->of) * c->width) * sizeof *c->part);
    run(c, body);
    nl_fold(c->part, block_count(c->of), c->width);
    for (int64_t j = 0; j < c->width; j++)
        mean[j] = c->part[j] / (double)c->of->count;
}

/* Features j, j + step, j + 2 step, ... get the moments of all their values together. */
static void pool(int64_t width, int64_t step, double *mean, double *var)
{
    const double features = (double)(width / step);
    for (int64_t first = 0; first < step && step < width; first++) {
        double all = 0, within = 0, among = 0;
        for (int64_t j = first; j < width; j += step)
            all += mean[j] / features;
        for (int64_t j = first; j < width; j += step) {
            within += var[j];
            among += (mean[j] - all) * (mean[j] - all);
        }
        for (int64_t j = first; j < width; j += step) {
            mean[j] = all;
            var[j] = (within + among) / features;
        }
    }
}

static void fill_unit(const nl_dataset *d, int64_t width, double *centre, double *spread)
{
    double lo = d->lo, hi = d->hi;
    if (!(lo < hi)) {
        lo = hi = (double)d->train.x[0];
        for (int64_t i = 1; i < d->train.count * width; i++) {
            lo = fmin(lo, (double)d->train.x[i]);
            hi = fmax(hi, (double)d->train.x[i]);
        }
    }
    for (int64_t j = 0; j < width; j++) {
        centre[j] = lo;
        spread[j] = hi > lo ? hi - lo : 1;
    }
}

/* step: features between two that share moments. */
static void fill_moments(columns *c, const double *fitted, int64_t step, double *centre,
                         double *spread)
{
    if (fitted) {
        memcpy(centre, fitted, (size_t)c->width * sizeof *centre);
        memcpy(spread, fitted + c->width, (size_t)c->width * sizeof *spread);
    } else {
        mean_of(c, sum_block, centre);
        mean_of(c, square_block, spread);
    }
    pool(c->width, step, centre, spread);
    for (int64_t j = 0; j < c->width; j++)
        spread[j] = spread[j] > 0 ? sqrt(spread[j]) : 1; /* a constant feature becomes 0 */
}

/* Colours of an image, which lie side by side; 1 where there is no image. */
static int64_t colours_of(const nl_shape *s)
{
    const int64_t pixels = s->h * s->w;
    return pixels > 0 && (s->s * s->c) % pixels == 0 ? s->s * s->c / pixels : 1;
}

nl_status nl_dataset_standardize(nl_dataset *d, int scale)
{
    const int64_t width = d->shape.s * d->shape.c;
    if (scale == NL_SCALE_NONE)
        return NL_OK;
    if (d->shape.vocabulary > 0)
        return nl_fail(NL_EOPTION, "%s: standardize=%s of tokens, wanted none", d->ops->name,
                       nl_dataset_scales[scale]);
    if (d->ragged && scale != NL_SCALE_UNIT)
        return nl_fail(NL_EOPTION, "%s: standardize=%s would count padding, wanted none or unit",
                       d->ops->name, nl_dataset_scales[scale]);
    double *room = nl_alloc((size_t)((block_count(&d->train) + 2) * width), sizeof *room);
    if (!room)
        return nl_fail(NL_ENOMEM, "%s: no memory to standardize %lld features", d->ops->name,
                       (long long)width);
    double *centre = room, *spread = room + width;
    columns c = {&d->train, width, centre, spread, room + 2 * width};
    if (scale == NL_SCALE_UNIT)
        fill_unit(d, width, centre, spread);
    else
        fill_moments(&c, d->fitted,
                     scale == NL_SCALE_FEATURE   ? width
                     : scale == NL_SCALE_CHANNEL ? colours_of(&d->shape)
                                                 : 1,
                     centre, spread);
    nl_split *const splits[] = {&d->train, &d->val, &d->test};
    for (int k = 0; k < 3; k++) {
        c.of = splits[k];
        run(&c, write_block);
    }
    nl_free(room);
    return NL_OK;
}

/* ---- sorting */

/* from[i] is the example that comes to place i: a counting sort. */
static void sorted_order(const nl_split *s, int64_t classes, int64_t *first, int64_t *from)
{
    for (int64_t i = 0; i < s->count; i++)
        first[s->label[i] + 1]++;
    for (int64_t k = 1; k <= classes; k++)
        first[k] += first[k - 1];
    for (int64_t i = 0; i < s->count; i++)
        from[first[s->label[i]]++] = i;
}

/* Moves rows along the cycles of the permutation; from[] becomes the identity. */
static void permute(nl_split *s, int64_t width, int64_t *from, nl_real *row)
{
    const size_t bytes = (size_t)width * sizeof *row;
    for (int64_t start = 0; start < s->count; start++) {
        if (from[start] == start)
            continue;
        memcpy(row, s->x + start * width, bytes);
        const int32_t label = s->label[start], length = s->length ? s->length[start] : 0;
        int64_t i = start;
        while (from[i] != start) {
            const int64_t next = from[i];
            memcpy(s->x + i * width, s->x + next * width, bytes);
            s->label[i] = s->label[next];
            if (s->length)
                s->length[i] = s->length[next];
            from[i] = i;
            i = next;
        }
        memcpy(s->x + i * width, row, bytes);
        s->label[i] = label;
        if (s->length)
            s->length[i] = length;
        from[i] = i;
    }
}

nl_status nl_split_sort(nl_split *split, int64_t width, int64_t classes)
{
    nl_status st = NL_OK;
    int64_t *from = nl_alloc((size_t)split->count, sizeof *from);
    int64_t *first = nl_alloc((size_t)classes + 1, sizeof *first);
    nl_real *row = nl_alloc((size_t)width, sizeof *row);
    if (!from || !first || !row)
        NL_BAIL(NL_ENOMEM, "sort: no memory for the order of %lld examples",
                (long long)split->count);
    sorted_order(split, classes, first, from);
    permute(split, width, from, row);
done:
    nl_free(from);
    nl_free(first);
    nl_free(row);
    return st;
}

/* ---- checksum: eight independent lanes with the round of xxHash64 (Collet), one word each, so
 * that memory is the limit and not the multiplier */

enum { LANES = 8, CHUNK = 2 * LANES };

static uint64_t round64(uint64_t lane, uint64_t word)
{
    lane += word * 0xC2B2AE3D27D4EB4Fu;
    lane = lane << 31 | lane >> 33;
    return lane * 0x9E3779B185EBCA87u;
}

static void hash_chunk(uint64_t lane[LANES], const float value[CHUNK])
{
    uint64_t word[LANES];
    memcpy(word, value, sizeof word);
    for (int k = 0; k < LANES; k++)
        lane[k] = round64(lane[k], word[k]);
}

static uint64_t hash_values(uint64_t hash, const nl_real *x, int64_t count)
{
    uint64_t lane[LANES] = {0};
    float chunk[CHUNK];
    int64_t i = 0;
    for (; i + CHUNK <= count; i += CHUNK) {
        for (int k = 0; k < CHUNK; k++)
            chunk[k] = (float)x[i + k];
        hash_chunk(lane, chunk);
    }
    if (i < count) { /* the rest, filled up with zeros */
        memset(chunk, 0, sizeof chunk);
        for (int k = 0; i + k < count; k++)
            chunk[k] = (float)x[i + k];
        hash_chunk(lane, chunk);
    }
    return nl_hash_bytes(hash, lane, sizeof lane);
}

uint64_t nl_dataset_checksum(const nl_dataset *d)
{
    const nl_split *const splits[] = {&d->train, &d->val, &d->test};
    const int64_t width = d->shape.s * d->shape.c;
    const int64_t shape[] = {d->shape.s, d->shape.c, d->shape.h, d->shape.w, d->classes};
    const int64_t answers = nl_dataset_answers(d);
    uint64_t hash = nl_hash_bytes(NL_HASH_START, shape, sizeof shape);
    if (d->shape.vocabulary > 0)
        hash = nl_hash_bytes(hash, &d->shape.vocabulary, sizeof d->shape.vocabulary);
    if (d->consecutive)
        hash = nl_hash_bytes(hash, &d->consecutive, sizeof d->consecutive);
    for (int k = 0; k < 3; k++) {
        const nl_split *s = splits[k];
        hash = nl_hash_bytes(hash, &s->count, sizeof s->count);
        if (s->label)
            hash = nl_hash_bytes(hash, s->label, (uint64_t)(s->count * answers) * sizeof *s->label);
        if (s->value)
            hash = hash_values(hash, s->value, s->count * answers);
        if (s->length) {
            hash = nl_hash_bytes(hash, &d->pads_before, sizeof d->pads_before);
            hash = nl_hash_bytes(hash, s->length, (uint64_t)s->count * sizeof *s->length);
        }
        hash = hash_values(hash, s->x, s->count * width);
    }
    return hash;
}

/* Embedding: y (n, s, out) is row x of the table W (vocabulary, out), x (n, s, 1) being tokens.
 *
 *     y_i = W[x_i]                  0 where i is padding
 *     dW[k] = sum of dy_i over the live i with x_i = k
 *
 * The positions are sorted by token, and a row's gradient is summed in the order of its positions,
 * so that it is the same bytes for any number of threads. Few of W's rows are read in a step: the
 * others are neither cleared nor updated (core/lookup.h). */
#include <string.h>

#include "core/init.h"
#include "core/layer.h"
#include "core/lookup.h"
#include "core/norm_plan.h"
#include "par/par.h"

struct embedding {
    int64_t out;
    nl_string init;
};

static const nl_option options[] = {
    NL_OPT(struct embedding, out, "100", 1, 1 << 24, "values of a token"),
    NL_OPT_TEXT(struct embedding, init, "", "initializer of the table; '' for the model's"),
    NL_OPT_END};

enum { W, KEYS, SPARE, TOKENS, FIRST, DIFFERENT, VARIABLES };
static const nl_variable variables[] = {
    [W] = {.name = "w",
           .role = NL_PARAM,
           .dim = {NL_USER, NL_C},
           .flags = NL_DECAYS | NL_OVERWRITES | NL_BY_ROW,
           .doc = "table (vocabulary, out)"},
    [KEYS] = {.name = "keys",
              .role = NL_SAVED,
              .type = NL_TYPE_INT64,
              .dim = {NL_USER, NL_1},
              .doc = "token and position of the live positions, sorted"},
    [SPARE] = {.name = "spare",
               .role = NL_SCRATCH,
               .type = NL_TYPE_INT64,
               .dim = {NL_USER, NL_1},
               .doc = "half sorted"},
    [TOKENS] = {.name = "tokens",
                .role = NL_SAVED,
                .type = NL_TYPE_INT64,
                .dim = {NL_USER, NL_1},
                .doc = "different tokens, ascending"},
    [FIRST] = {.name = "first",
               .role = NL_SAVED,
               .type = NL_TYPE_INT64,
               .dim = {NL_USER, NL_1},
               .doc = "where each of them begins in keys, and where the last one ends"},
    [DIFFERENT] = {.name = "different",
                   .role = NL_SAVED,
                   .type = NL_TYPE_INT64,
                   .dim = {NL_1, NL_1},
                   .doc = "their number"},
    [VARIABLES] = NL_ENDS_VARIABLES};

static nl_item *table_of(const nl_layer *l) { return nl_store_at(l->store, l->item[W]); }

static int64_t *integers(const nl_layer *l, int id)
{
    return nl_store_at(l->store, l->item[id])->val;
}

static int64_t extent(const nl_layer *l, int id, int dim)
{
    (void)dim;
    const int64_t positions = l->n * l->in.s;
    return id == W ? l->in.vocabulary : id == FIRST ? positions + 1 : positions;
}

static nl_status shape(nl_layer *l)
{
    const struct embedding *o = l->self;
    if (l->in.vocabulary == 0)
        return nl_fail(NL_ESHAPE, "%s: an embedding reads tokens, got values (%lld x %lld)",
                       l->name, (long long)l->in.s, (long long)l->in.c);
    l->out = (nl_shape){.s = l->in.s, .c = o->out};
    return NL_OK;
}

static nl_status init(nl_layer *l, const char *model_init, uint64_t seed)
{
    const struct embedding *o = l->self;
    const nl_weight_shape w = {.rows = l->in.vocabulary, .cols = l->out.c};
    NL_TRY(nl_init_weights(o->init.is[0] ? o->init.is : model_init, seed, l->name, "w", w,
                           nl_layer_value(l, W)));
    return NL_OK;
}

/* ---- the tokens of a batch */

enum { DIGIT = 11, DIGITS = 1 << DIGIT, POSITION_BITS = 32 };

static int64_t token_of(int64_t key) { return key >> POSITION_BITS; }
static int64_t position_of(int64_t key) { return key & (((int64_t)1 << POSITION_BITS) - 1); }

static int64_t collect(const nl_layer *l, const nl_layer_call *c, int64_t *key)
{
    int64_t count = 0;
    for (int64_t i = 0; i < c->n * l->in.s; i++)
        if (!c->live || c->live[i])
            key[count++] = (int64_t)c->x[i] << POSITION_BITS | i;
    return count;
}

/* One pass of a radix sort: stable, by the digit that `shift` starts at. */
static void sort_by_digit(const int64_t *from, int64_t *to, int64_t count, int shift)
{
    int64_t next[DIGITS] = {0}, before = 0;
    for (int64_t i = 0; i < count; i++)
        next[from[i] >> shift & (DIGITS - 1)]++;
    for (int k = 0; k < DIGITS; k++) {
        const int64_t here = next[k];
        next[k] = before;
        before += here;
    }
    for (int64_t i = 0; i < count; i++)
        to[next[from[i] >> shift & (DIGITS - 1)]++] = from[i];
}

/* By token, then by position, which the keys already are in order of. */
static void sort(const nl_layer *l, int64_t count)
{
    int64_t *key = integers(l, KEYS), *spare = integers(l, SPARE);
    for (int shift = POSITION_BITS; (l->in.vocabulary - 1) >> (shift - POSITION_BITS) > 0;
         shift += DIGIT) {
        sort_by_digit(key, spare, count, shift);
        memcpy(key, spare, (size_t)count * sizeof *key);
    }
}

/* Fills KEYS, TOKENS, FIRST and DIFFERENT. */
static void sort_tokens(const nl_layer *l, const nl_layer_call *c)
{
    int64_t *key = integers(l, KEYS), *token = integers(l, TOKENS), *first = integers(l, FIRST);
    const int64_t count = collect(l, c, key);
    int64_t different = 0;
    sort(l, count);
    for (int64_t i = 0; i < count; i++)
        if (i == 0 || token_of(key[i]) != token_of(key[i - 1])) {
            token[different] = token_of(key[i]);
            first[different++] = i;
        }
    first[different] = count;
    integers(l, DIFFERENT)[0] = different;
}

/* ---- forward */

typedef struct job {
    const nl_layer *l;
    const nl_layer_call *c;
    int64_t rows; /* positions */
} job;

static void look_up(int64_t block, void *arg)
{
    const job *j = arg;
    const int64_t width = j->l->out.c, blocks = nl_row_blocks(j->rows, width);
    const nl_real *w = nl_layer_value(j->l, W);
    for (int64_t i = nl_edge(j->rows, blocks, block); i < nl_edge(j->rows, blocks, block + 1); i++)
        if (!j->c->live || j->c->live[i])
            memcpy(j->c->y + i * width, w + (int64_t)j->c->x[i] * width, (size_t)width * sizeof *w);
        else
            memset(j->c->y + i * width, 0, (size_t)width * sizeof *w);
}

static void forward(nl_layer *l, const nl_layer_call *c)
{
    job j = {.l = l, .c = c, .rows = c->n * l->in.s};
    sort_tokens(l, c);
    nl_lookup_read(table_of(l), integers(l, TOKENS), integers(l, DIFFERENT)[0]);
    nl_for(nl_row_blocks(j.rows, l->out.c), j.rows * l->out.c * (int64_t)sizeof *c->y, look_up, &j);
}

/* ---- backward */

enum { STRIP = 64 }; /* columns of one block: every block walks all positions */

static void add_rows(const job *j, int64_t k, int64_t from, int64_t count)
{
    const int64_t width = j->l->out.c, *key = integers(j->l, KEYS), *first = integers(j->l, FIRST);
    nl_real *dw = nl_layer_grad(j->l, W) + integers(j->l, TOKENS)[k] * width + from;
    for (int64_t i = first[k]; i < first[k + 1]; i++) {
        const nl_real *dy = j->c->dy + position_of(key[i]) * width + from;
        for (int64_t c = 0; c < count; c++)
            dw[c] += dy[c];
    }
}

static void add_strip(int64_t strip, void *arg)
{
    const job *j = arg;
    const int64_t from = strip * STRIP, left = j->l->out.c - from;
    for (int64_t k = 0; k < integers(j->l, DIFFERENT)[0]; k++)
        add_rows(j, k, from, left < STRIP ? left : STRIP);
}

static void backward(nl_layer *l, const nl_layer_call *c)
{
    job j = {.l = l, .c = c, .rows = c->n * l->in.s};
    nl_lookup_touch(table_of(l), integers(l, TOKENS), integers(l, DIFFERENT)[0], c->accumulate);
    nl_for((l->out.c + STRIP - 1) / STRIP, j.rows * l->out.c * (int64_t)sizeof *c->dy, add_strip,
           &j);
}

const nl_layer_ops nl_layer_embedding = {
    NL_LAYER_HEADER,
    .name = "embedding",
    .title = "Embedding of tokens",
    .self_size = sizeof(struct embedding),
    .options = options,
    .variables = variables,
    .reads_tokens = true,
    .shape = shape,
    .extent = extent,
    .init = init,
    .forward = forward,
    .backward = backward,
};

/* copy: symbols to be said again after a pause (Hochreiter and Schmidhuber 1997, as Arjovsky et al.
 * 2016, sec. 5.1, pose it). Of 10 tokens 0 .. 7 are symbols, 8 is the blank, 9 the sign to begin:
 *
 *     x       10 random symbols, pause - 1 blanks, the sign, 10 blanks
 *     answer  pause + 10 blanks, the 10 symbols
 *
 * An answer is asked for at each of the pause + 20 steps. Knowing when, but nothing of what, has a
 * mean loss of 10 log(8) / (pause + 20); blanks=false asks for the symbols alone: log(8). */
#include "base/random.h"
#include "core/dataset.h"

typedef struct copy {
    nl_dataset_common common;
    int64_t pause, seed;
    bool blanks;
} copy;

static const nl_option options[] = {
    NL_DATASET_OPTIONS(copy, "10000", "1000", 1, "none"),
    NL_OPT(copy, pause, "100", 1, 100000, "steps between the symbols and their copy"),
    NL_OPT_FLAG(copy, blanks, "true", "blanks are asked for, too, not the symbols alone"),
    NL_OPT(copy, seed, "0", 0, 1e15, "which examples are drawn; no part of the run's seed"),
    NL_OPT_END};

enum { SYMBOLS = 8, BLANK = SYMBOLS, SIGN, TOKENS, CLASSES = SYMBOLS + 1, MEMORY = 10 };

static void fill(const copy *o, const nl_shape *shape, nl_split *to, int64_t first, unsigned part)
{
    const int64_t steps = shape->s, say = steps - MEMORY;
    for (int64_t i = 0; i < to->count; i++) {
        const nl_key key = {(uint64_t)o->seed, NL_STREAM_DATA, 2 * (uint64_t)(first + i) + part};
        nl_real *x = to->x + i * steps;
        int32_t *label = to->label + i * steps;
        for (int64_t t = 0; t < steps; t++) {
            x[t] = BLANK;
            label[t] = o->blanks ? BLANK : -1;
        }
        x[say - 1] = SIGN;
        for (int64_t t = 0; t < MEMORY; t++) {
            const int64_t symbol = nl_random_below(key, (uint64_t)t, SYMBOLS);
            x[t] = (nl_real)symbol;
            label[say + t] = (int32_t)symbol;
        }
    }
}

static nl_status load(const void *self, const char *dir, nl_dataset *out)
{
    const copy *o = self;
    nl_cut cut;
    (void)dir;
    NL_TRY(nl_dataset_cut(&o->common, out->ops->name, NL_ANY_NUMBER, NL_ANY_NUMBER, &cut));
    out->shape = (nl_shape){.s = o->pause + 2 * MEMORY, .c = 1, .vocabulary = TOKENS};
    out->classes = CLASSES;
    out->each_step = true;
    out->target = 0.99;
    NL_TRY(nl_dataset_room(out, &cut));
    fill(o, &out->shape, &out->train, 0, 0);
    fill(o, &out->shape, &out->val, cut.val_at, 0);
    fill(o, &out->shape, &out->test, 0, 1);
    return NL_OK;
}

const nl_dataset_ops nl_dataset_copy = {
    NL_DATASET_HEADER,
    .name = "copy",
    .title = "symbols to be said again after a pause (synthetic)",
    .cite = "arjovsky2016unitary",
    .synthetic = true,
    .self_size = sizeof(copy),
    .options = options,
    .load = load,
};

/* reber: strings of the embedded Reber grammar (Hochreiter and Schmidhuber 1997, sec. 5.1):
 *
 *     B (T|P) inner (the same T|P) E          inner: a string of Reber's grammar
 *
 * Reber's grammar goes from state to state with either of two symbols, drawn evenly:
 *
 *     0 -B> 1    1 -T> 2 -P> 3    2 -S> 2 -X> 4    3 -T> 3 -V> 5    4 -X> 3 -S> 6
 *     5 -P> 4 -V> 6    6 -E> end
 *
 * What is hard is the last symbol but one: it is that of the second step, any time ago.
 *
 *     task=valid   is the string one of the grammar? Half are. Of the others a share `far` is wrong
 *                  in the last symbol but one alone, the rest in one symbol drawn anywhere.
 *     task=next    the next symbol, at each step but the last one; where two are allowed no network
 *                  can know which was drawn.
 *     task=recall  the last symbol but one, asked for at the step before it. */
#include <string.h>

#include "base/random.h"
#include "core/dataset.h"

typedef struct reber {
    nl_dataset_common common;
    nl_choice task;
    double far;
    int64_t length, seed;
} reber;

enum { VALID, NEXT, RECALL };
static const char *const tasks[] = {"valid", "next", "recall", NULL};
enum { SHORTEST = 9, LONGEST = 1000 };

static const nl_option options[] = {
    NL_DATASET_OPTIONS(reber, "3000", "1000", 1, "none"),
    NL_OPT_NAMES(reber, task, "valid", tasks, "what is asked for"),
    NL_OPT(reber, far, "0.5", 0, 1, "task=valid: share of wrong strings that only memory can tell"),
    NL_OPT(reber, length, "30", SHORTEST, LONGEST, "longest string; longer ones are drawn again"),
    NL_OPT(reber, seed, "0", 0, 1e15, "which strings are drawn; no part of the run's seed"),
    NL_OPT_END};

/* ---- the grammar */

enum { B, T, P, S, X, V, E, SYMBOLS };
enum { STATES = 7, END = 7 };

static const struct {
    uint8_t symbol[2], next[2];
} grammar[STATES] = {
    {{B, B}, {1, 1}}, {{T, P}, {2, 3}}, {{S, X}, {2, 4}},     {{T, V}, {3, 5}},
    {{X, S}, {3, 6}}, {{P, V}, {4, 6}}, {{E, E}, {END, END}},
};

typedef struct string {
    uint8_t at[LONGEST];
    int64_t length;
} string;

static bool is_inner(const uint8_t *at, int64_t length)
{
    int state = 0;
    for (int64_t t = 0; t < length; t++) {
        if (state == END)
            return false;
        if (at[t] == grammar[state].symbol[0])
            state = grammar[state].next[0];
        else if (at[t] == grammar[state].symbol[1])
            state = grammar[state].next[1];
        else
            return false;
    }
    return state == END;
}

static bool is_valid(const string *s)
{
    const uint8_t first = s->at[1], last = s->at[s->length - 2];
    return s->at[0] == B && s->at[s->length - 1] == E && (first == T || first == P) &&
           first == last && is_inner(s->at + 2, s->length - 4);
}

/* ---- drawing: numbers of an example in their order */

typedef struct draws {
    nl_key key;
    uint64_t used;
} draws;

static int64_t draw_below(draws *d, int64_t n) { return nl_random_below(d->key, d->used++, n); }

/* Whether a string of at most `most` symbols came out. */
static bool try_string(draws *d, int64_t most, string *s)
{
    s->at[0] = B;
    s->at[1] = draw_below(d, 2) ? T : P;
    s->length = 2;
    for (int state = 0; state != END;) {
        const int64_t way = draw_below(d, 2);
        if (s->length > most - 3)
            return false;
        s->at[s->length++] = grammar[state].symbol[way];
        state = grammar[state].next[way];
    }
    s->at[s->length++] = s->at[1];
    s->at[s->length++] = E;
    return true;
}

static void draw_string(draws *d, int64_t most, string *s)
{
    while (!try_string(d, most, s))
        ;
}

static void spoil_anywhere(draws *d, string *s)
{
    const string good = *s;
    while (is_valid(s)) {
        *s = good;
        s->at[draw_below(d, s->length)] = (uint8_t)draw_below(d, SYMBOLS);
    }
}

static void spoil(draws *d, double far, string *s)
{
    uint8_t *last = &s->at[s->length - 2];
    if (nl_random_uniform(d->key, d->used++) < far)
        *last = *last == T ? P : T;
    else
        spoil_anywhere(d, s);
}

/* ---- examples */

static void write_answers(const reber *o, const string *s, bool valid, int32_t *label)
{
    if (o->task.is == VALID) {
        *label = valid;
        return;
    }
    for (int64_t t = 0; t < o->length; t++)
        label[t] = o->task.is == NEXT && t + 1 < s->length ? s->at[t + 1] : -1;
    label[s->length - 3] = s->at[s->length - 2];
}

static void fill(const reber *o, nl_split *to, int64_t first, unsigned part)
{
    const int64_t answers = o->task.is == VALID ? 1 : o->length;
    for (int64_t i = 0; i < to->count; i++) {
        draws d = {.key = {(uint64_t)o->seed, NL_STREAM_DATA, 2 * (uint64_t)(first + i) + part}};
        const bool valid = o->task.is != VALID || draw_below(&d, 2);
        string s;
        draw_string(&d, o->length, &s);
        if (!valid)
            spoil(&d, o->far, &s);
        for (int64_t t = 0; t < s.length; t++)
            to->x[i * o->length + t] = (nl_real)s.at[t];
        to->length[i] = (int32_t)s.length;
        write_answers(o, &s, valid, to->label + i * answers);
    }
}

static nl_status load(const void *self, const char *dir, nl_dataset *out)
{
    const reber *o = self;
    nl_cut cut;
    (void)dir;
    NL_TRY(nl_dataset_cut(&o->common, out->ops->name, NL_ANY_NUMBER, NL_ANY_NUMBER, &cut));
    out->shape = (nl_shape){.s = o->length, .c = 1, .vocabulary = SYMBOLS};
    out->classes = o->task.is == VALID ? 2 : SYMBOLS;
    out->each_step = o->task.is != VALID;
    out->ragged = true;
    out->target = o->task.is == NEXT ? 0 : 0.95;
    NL_TRY(nl_dataset_room(out, &cut));
    fill(o, &out->train, 0, 0);
    fill(o, &out->val, cut.val_at, 0);
    fill(o, &out->test, 0, 1);
    return NL_OK;
}

const nl_dataset_ops nl_dataset_reber = {
    NL_DATASET_HEADER,
    .name = "reber",
    .title = "strings of the embedded Reber grammar (synthetic)",
    .cite = "hochreiter1997long",
    .synthetic = true,
    .self_size = sizeof(reber),
    .options = options,
    .load = load,
};

/* model.h: a network is layers, each reading the output of one before it and some adding that of
 * another (residual connections). A model is one file, models/NAME.c, that defines one
 * object `const nl_model_ops nl_model_NAME`: options, the paper's protocol as defaults, and a
 * function that adds layers by spec string. */
#ifndef NL_MODEL_H
#define NL_MODEL_H

#include "core/layer.h"

enum { NL_MODEL_ABI = 1, NL_MODEL_LAYERS_MAX = 256 };

typedef struct nl_model nl_model;

typedef struct nl_model_ops {
    uint32_t abi, real_bytes;
    const char *name, *title;
    const char *cite; /* BibTeX key, or "" */
    size_t self_size;
    const nl_option *options;
    const char *const *protocol; /* "key=value" of a run that the model changes; ends with NULL */
    const char *const *slots;    /* slots that norm= fills; ends with NULL */
    /* methods as its paper means them, "batch:eps=1e-3": options that count where a user says
     * nothing else; ends with NULL, or NULL */
    const char *const *norms;
    const char *const *data; /* data sets as its paper cuts and scales them, in the same way */
    nl_status (*build)(const void *self, nl_model *m);
} nl_model_ops;

#define NL_MODEL_HEADER .abi = NL_MODEL_ABI, .real_bytes = sizeof(nl_real)

/* ---- for models/NAME.c */

/* Appends a layer by spec ("dense:out=100:act=sigmoid"), reading the latest output. The run's norms
 * go into its slots at the sites in `normed` (NL_NORMED: any); weight-space methods always do, but
 * into NL_ANSWER, the layer that gives the logits, only those that say so. */
enum {
    NL_NOT_NORMED = 0,
    NL_ANSWER = NL_AT_ANSWER,
    NL_NORMED = NL_AT_PREACT | NL_AT_ACT | NL_AT_RNN
};
nl_status nl_model_add(nl_model *m, const char *name, unsigned normed, const char *fmt,
                       ...) NL_CHECKED __attribute__((format(printf, 4, 5)));
/* Outputs have numbers: NL_FROM_INPUT, then one a layer. */
int nl_model_latest(const nl_model *m);
void nl_model_from(nl_model *m, int output);     /* the next layer reads that one instead */
void nl_model_residual(nl_model *m, int output); /* and adds that one before its activation */
nl_shape nl_model_shape(const nl_model *m);      /* of what the next layer reads */
/* Slots that norm= fills instead of ops->slots; ends with NULL, stays the caller's. */
void nl_model_norms_go_to(nl_model *m, const char *const *slots);
/* NL_EOPTION where the run asks for a norm. why: "fixup=true is a net without norms" */
nl_status nl_model_wants_no_norm(const nl_model *m, const char *why) NL_CHECKED;
int64_t nl_model_outputs(const nl_model *m); /* logits the loss wants: classes, or 1 */
bool nl_model_each_step(const nl_model *m);  /* at each step */

/* ---- for the trainer, tests and benchmarks */

enum {
    NL_SLOT_PREACT,
    NL_SLOT_ACT,
    NL_SLOT_WEIGHT,
    NL_SLOT_X, /* of cells: input projection, recurrent projection, inner state */
    NL_SLOT_H,
    NL_SLOT_C,
    NL_MODEL_SLOTS
};

typedef struct nl_model_setup {
    nl_shape shape;   /* of one example */
    int64_t outputs;  /* logits of an answer */
    bool each_step;   /* an answer at each of the shape's steps, instead of one an example */
    int64_t batch;    /* examples of a training step */
    int64_t n;        /* most examples of any call */
    bool stateful;    /* recurrent layers keep their last states for calls that carry */
    const char *norm; /* spec for the model's default slots; "a+b": one a slot */
    const char *norm_slot[NL_MODEL_SLOTS]; /* override by slot, as nl_model_slot_names; NULL, "" */
    const char *init;                      /* initializer; NULL or "": the model's */
    uint64_t seed;
    bool any_policy; /* evaluation under every inference policy, not the norms' own alone */
} nl_model_setup;

extern const char *const nl_model_slot_names[NL_MODEL_SLOTS + 1]; /* ends with NULL */

nl_status nl_model_open(nl_model **out, const char *spec, const nl_model_setup *setup) NL_CHECKED;
void nl_model_close(nl_model *m); /* NULL is fine */

/* Logits (n, outputs), or (n, s, outputs) at each step, of x (n, s, c): borrowed until the next
 * call. c->x, c->n and what follows are the caller's; y, dy, dx are not used. */
nl_real *nl_model_forward(nl_model *m, const nl_layer_call *c);
/* Gradients of all parameters from d_logits, overwritten. Same call as forward. */
void nl_model_backward(nl_model *m, const nl_layer_call *c, nl_real *d_logits);

/* Wall seconds of one layer's calls, and of the norms in them. */
typedef struct nl_layer_seconds {
    double forward, backward, norm_forward, norm_backward;
} nl_layer_seconds;
/* For benchmarks: from now on calls add to seconds[i] of layer i; NULL: they take no time. */
void nl_model_clock(nl_model *m, nl_layer_seconds *seconds);

/* The call as that layer saw it in the latest forward: its x, y and the rest of `call`. */
void nl_model_layer_input(nl_model *m, const nl_layer *l, const nl_layer_call *call,
                          nl_layer_call *out);

/* For inference alone from now on: norms that evaluate as a scale and shift per channel (under the
 * policy; NULL: their own) go into the layer before them, as do methods on weights. *folded: how
 * many norms are gone. Logits stay the same but for rounding. */
nl_status nl_model_fold(nl_model *m, const nl_policy *policy, int *folded) NL_CHECKED;

void nl_model_after_step(nl_model *m);
void nl_model_epoch_begin(nl_model *m, int64_t epoch);
void nl_model_epoch_end(nl_model *m, int64_t epoch);

nl_store *nl_model_store(nl_model *m);
int nl_model_layers(const nl_model *m);
nl_layer *nl_model_layer(nl_model *m, int i);
/* Whether evaluation with batches of n works with every norm, under its own policy or the given
 * one. */
nl_status nl_model_accepts(const nl_model *m, const nl_policy *p, int64_t n) NL_CHECKED;
/* Whether some norm's evaluation takes statistics of the evaluation batch. */
bool nl_model_couples_evaluation(const nl_model *m);

/* "a" or "a+b" with the options that this model's paper has for these methods, as `norms` says; and
 * the same of a data set. */
nl_status nl_model_norm_spec(const char *model, const char *norm, nl_text *out) NL_CHECKED;
nl_status nl_model_data_spec(const char *model, const char *data, nl_text *out) NL_CHECKED;

nl_status nl_model_canonical(const char *spec, nl_text *out) NL_CHECKED;
/* BibTeX keys of what this model uses: model, layers' norms; space-separated, each once. */
void nl_model_citations(const nl_model *m, nl_text *out);

void nl_model_use(const nl_model_ops *const *entries, int count);
const nl_model_ops *nl_model_find(const char *name); /* NULL: not there */
const nl_model_ops *nl_model_at(int i);              /* NULL past the end */
/* NL_ENAME with the nearest name, *out NULL, where there is none. */
nl_status nl_model_find_or_say(const char *name, const nl_model_ops **out) NL_CHECKED;

#endif

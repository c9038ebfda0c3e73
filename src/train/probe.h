/* probe.h: a probe looks at training from the side. On its scheduled steps, after the update, it
 * may run the model at any parameters it likes on the step's batch; the host then puts everything
 * back, so the bytes of training are the same with and without it. One file each in
 * src/train/probes, one object `const nl_probe_ops nl_probe_NAME`, one line in the table of
 * probe.c.
 *
 * Below, w are all parameters in one vector (the store's slab, padding between variables being 0),
 * L(w) the mean loss of the step's batch in the training phase, with the step's dropout masks,
 * w0 the parameters before the step's update and w1 those after it. */
#ifndef NL_PROBE_H
#define NL_PROBE_H

#include "core/model.h"
#include "io/runlog.h"
#include "train/feeder.h"

enum { NL_PROBE_POINTS_MAX = 128 };

/* What a probe sees before the run: declares channels below /probes/NAME, takes memory. */
typedef struct nl_probe_setup {
    const char *name;
    nl_log *log;
    int timeline;
    nl_model *model;
    const nl_dataset *data;
    int64_t n;     /* examples of a training step */
    int64_t count; /* values of w */
} nl_probe_setup;

/* A channel /probes/NAME/... of `width` values a row (1: a number), labelled by `scale` or NULL. */
nl_status nl_probe_channel(const nl_probe_setup *s, int *id, const char *unit, const char *doc,
                           int64_t width, const char *scale, const char *fmt, ...) NL_CHECKED
    NL_PRINTF(7, 8);

/* One look. */
typedef struct nl_probe_look {
    nl_log *log;
    nl_model *model;
    const nl_dataset *data;
    const nl_layer_call *call; /* the step's, state held still */
    int64_t step;              /* updates made, this one included */
    uint64_t seed;
    double lr; /* of this update */
    int64_t n, count;
    nl_real *w;               /* where the model reads: w0 on entry, the probe's to change */
    const nl_real *w0, *w1;   /* before and after the update */
    const nl_real *g0;        /* dL/dw at w0 */
    double loss0;             /* L(w0) */
    const nl_real *g;         /* dL/dw of the latest nl_probe_gradient */
    nl_watch *watch;          /* told what backward passes make; NULL */
    struct nl_probes *probes; /* the host */
} nl_probe_look;

double nl_probe_loss(nl_probe_look *s);     /* L(w) */
double nl_probe_gradient(nl_probe_look *s); /* L(w), and dL/dw into g */
/* The same of examples [from, from + n) of the batch. */
double nl_probe_gradient_of(nl_probe_look *s, int64_t from, int64_t n);
/* The same of the batch of the step to come. */
double nl_probe_next_gradient(nl_probe_look *s);

/* Vectors of `count` values, summed in double in their order. */
double nl_probe_dot(const nl_real *a, const nl_real *b, int64_t count);
double nl_probe_distance(const nl_real *a, const nl_real *b, int64_t count);

/* The variables of layer l in w: those of the layer itself, and (norms) of its norms as well. Calls
 * f with offset and length of each. */
void nl_probe_each_of_layer(nl_model *m, const nl_layer *l, bool norms,
                            void (*f)(void *arg, int64_t at, int64_t count), void *arg);

/* The slots of a network that can be observed; norms: only those that have a norm. */
typedef struct nl_probe_place {
    nl_layer *layer;
    int slot;
} nl_probe_place;
typedef struct nl_probe_places {
    nl_probe_place *at; /* owned: nl_free */
    int count;
    int64_t widest; /* most values of an example in one place */
} nl_probe_places;
nl_status nl_probe_find_places(nl_model *m, bool norms, nl_probe_places *out) NL_CHECKED;

/* What the place sees before (pre) and gives after (post) at the latest nl_probe_loss. Gives the
 * values of all examples together. */
int64_t nl_probe_see(nl_probe_look *s, const nl_probe_place *p, nl_real *pre, nl_real *post);

typedef struct nl_probe_common {
    int64_t every;
} nl_probe_common;

#define NL_PROBE_EVERY(S) \
    NL_OPT_AS(S, common.every, "every", "0", 0, 1e12, "steps between looks; 0: about 20 a run")

typedef struct nl_probe_ops {
    const char *name, *title, *cite;
    size_t self_size; /* options, the first member being nl_probe_common, then the probe's own */
    const nl_option *options;
    nl_status (*open)(void *self, const nl_probe_setup *s);
    void (*look)(void *self, nl_probe_look *s);
    void (*close)(void *self); /* or NULL */
} nl_probe_ops;

const nl_probe_ops *nl_probe_at(int i); /* NULL past the end */
nl_status nl_probe_find(const char *name, const nl_probe_ops **out) NL_CHECKED;

/* "ics:every=100,landscape" with defaults expanded; fails on what is no probe. */
nl_status nl_probes_canonical(const char *list, nl_text *out) NL_CHECKED;

/* ---- the host, for the trainer */

typedef struct nl_probes nl_probes;

typedef struct nl_probes_setup {
    const char *list; /* "" : none, and *out becomes NULL */
    nl_log *log;      /* not begun */
    nl_model *model;
    const nl_batches *batches;
    int64_t total; /* steps of the run */
    uint64_t seed;
    nl_real *d_logits; /* lent: room for the gradient of a batch's outputs */
} nl_probes_setup;

nl_status nl_probes_open(nl_probes **out, const nl_probes_setup *s) NL_CHECKED;
void nl_probes_close(nl_probes *p); /* NULL is fine */

/* Whether a probe looks at this step (1, 2, ...); all of these take NULL. */
bool nl_probes_due(const nl_probes *p, int64_t step);
/* After backward, before the update. */
void nl_probes_before(nl_probes *p, double loss);
/* After the update of `step` with the learning rate lr. */
nl_status nl_probes_after(nl_probes *p, const nl_layer_call *call, const nl_batch *batch,
                          int64_t step, double lr) NL_CHECKED;

#endif

/* optim_run.h: an optimizer from inside. Private to src/core/optim*.c: optim.c has options, the cut
 * into blocks and the step; optim_rows.c has tables, whose rows wait until they are read. */
#ifndef NL_OPTIM_RUN_H
#define NL_OPTIM_RUN_H

#include "core/lookup.h"
#include "core/optim.h"

/* Rows of a table. */
typedef struct nl_optim_rows {
    nl_optim *of; /* for nl_lookup_update, which hands over these rows alone */
    const struct nl_optim_run *run;
    nl_item *item;
    int64_t *since;       /* (rows) steps made; NL_RESTS: no step without gradient moves the row */
    nl_optim_call *paces; /* of the latest NL_BACKLOG steps, step t at t % NL_BACKLOG */
    nl_real *nothing;     /* (cols) zeros: the gradient of a row that was not read */
} nl_optim_rows;

enum { NL_RESTS = -1, NL_BACKLOG = 1024 };

/* Neighbours in the slab that are updated alike, with the padding between them; or a table. */
typedef struct nl_optim_run {
    int64_t from, count;
    double lr, l2, l2_to;
    int constraint;
    bool decays, frozen;
    bool pulled;         /* moves without gradient: decay, a pull, a constraint */
    nl_optim_call pace;  /* of this step: a call without its block */
    nl_optim_rows *rows; /* a table that is not frozen; else NULL */
} nl_optim_run;

typedef struct nl_optim_block {
    const nl_optim_run *run;
    int64_t from, count;
} nl_optim_block;

struct nl_optim_shared;

struct nl_optim {
    const nl_optim_ops *ops;
    char *memory;                         /* of the options */
    const struct nl_optim_shared *shared; /* into memory */
    const void *self;                     /* into memory */
    nl_real *p, *g;
    nl_real *slot[NL_OPTIM_SLOTS_MAX]; /* NULL where not used */
    int64_t count;                     /* reals in each of these slabs */
    nl_optim_run *runs;
    int64_t nruns;
    nl_optim_block *blocks; /* of runs that are not frozen */
    int64_t nblocks;
    const nl_optim_block **whole; /* blocks of runs that are no tables: updated at every step */
    int64_t nwhole, work;
    double *part; /* (nblocks) sums of squares */
    int64_t total, steps;
    double lr, norm, scale; /* of the latest step */
};

/* Updates p[from ..] by gradient g at the step whose pace this is. */
void nl_optim_update(const nl_optim *o, const nl_optim_run *r, const nl_optim_call *pace,
                     int64_t from, int64_t count, const nl_real *g);

nl_status nl_optim_rows_open(nl_optim *o, nl_optim_run *r, nl_item *it) NL_CHECKED;
void nl_optim_rows_close(nl_optim_rows *rows); /* up to date, then freed; NULL is fine */
void nl_optim_rows_read(nl_optim_rows *rows);  /* all of them, up to date */
/* Slots and steps were set from outside: none lags. */
void nl_optim_rows_resume(nl_optim_rows *rows);
/* Step number o->steps, the run's pace set. */
void nl_optim_rows_step(nl_optim_rows *rows);
/* Squares of the gradients of p[from .. from + count). */
void nl_optim_rows_squares(const nl_optim_rows *rows, int64_t from, int64_t count,
                           double lane[NL_SQUARE_LANES]);

#endif

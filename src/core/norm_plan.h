/* norm_plan.h: how the core cuts a norm's areas into work. Private to src/core/norm*.c. */
#ifndef NL_NORM_PLAN_H
#define NL_NORM_PLAN_H

#include "base/cut.h"
#include "core/norm.h"
#include "kernel/area.h"

/* An area as rows: `segments` of `rows` rows each share statistics, `width` of them: the channels
 * (columns) or the channel groups. Row r of the call belongs to segment r / rows, or r % segments
 * when interleaved (examples of one position). The cut into chunks follows these extents alone. */
typedef struct nl_plan {
    bool columns;     /* channels are not reduced */
    bool interleaved; /* segments are positions: rows of one segment lie s apart */
    bool fused;       /* one row is one segment: done inside the write pass */
    int64_t segments, rows, width;
    int64_t chunks, spans; /* of a segment's rows and of the channels in the reduce pass */
    int64_t statistics;
} nl_plan;

/* Pointers of one area, this call's time step. Doubles unless said. */
typedef struct nl_area_memory {
    double *mean, *var, *a, *d; /* saved for backward; (statistics); d NULL where it is 0 */
    double *own;                /* the batch's mean: mean, or an array of its own where that is the
                                   * population's or a mixture */
    double *count;              /* saved live values, per statistic where masks can differ;
                                   * not for fused areas */
    double *G, *H, *dmean, *dvar;        /* scratch; not for fused areas */
    nl_real *center, *ra, *rd, *rp, *rq; /* scratch: coefficients in the storage type */
} nl_area_memory;

enum {
    NL_SAVED_MEAN,
    NL_SAVED_VAR,
    NL_SAVED_A,
    NL_SAVED_D,
    NL_SAVED_OWN,
    NL_SAVED_COUNT,
    NL_SAVED_ARRAYS
};
enum { NL_SCRATCH_ARRAYS = 4, NL_REAL_ARRAYS = 5 };

typedef struct nl_norm_area {
    nl_area is;
    nl_plan capacity;              /* for geom.n */
    int saved[NL_SAVED_ARRAYS];    /* store items, -1: not kept */
    int scratch, reals;            /* store items, arrays one after another */
    int state[NL_EPOCH_COUNT + 1]; /* variable index of each purpose, or -1 */
    bool by_example;               /* the method's own evaluation takes the example's statistics */
} nl_norm_area;

struct nl_norm {
    const nl_norm_ops *ops;
    nl_geom g;
    void *self;
    nl_store *store;
    char owner[96];
    uint64_t place;                    /* hash of owner */
    int nvars, item[NL_NORM_VARS_MAX]; /* store items, -1: switched off */
    int gamma, beta;                   /* variable indices, or -1 */
    bool pools;                        /* state is one for all time steps */
    bool per_step;                     /* some state has a copy for each time step */
    int trained;                       /* store item: time steps trained so far, if per_step */
    int nareas;
    nl_norm_area area[NL_AREAS_MAX];
    nl_policy own;
    int64_t gamma_rows;               /* 1, or s when gamma is per position and channel */
    int partials, counts, strips;     /* store items: scratch of the passes */
    int64_t partial_room, strip_room; /* of one task (doubles), of one block (reals) */
};

enum {
    NL_CHUNK_VALUES = 32768, /* values of one block: part of the results */
    NL_CHUNKS_MAX = 64,
    NL_CHUNK_ROWS = 256,        /* least rows of a chunk where channels can be cut instead */
    NL_SPAN_CHANNELS = 512,     /* least channels of a span; not part of the results */
    NL_STREAM_BYTES = 12 << 20, /* results of this size do not stay in cache */
    NL_TILE_BYTES = 16384,  /* read by a tile stay in the nearest cache; not part of the results */
    NL_TILE_ROWS_LEAST = 4, /* as many as are written together */
    NL_ROWS_AT_ONCE = 16    /* lanes of the widest register */
};

nl_plan nl_plan_of(const nl_area *a, const nl_geom *g, int64_t n);
int64_t nl_row_blocks(int64_t rows, int64_t c);
/* First row of block b. Blocks that have so many rows start where registers of rows do. */
int64_t nl_row_edge(int64_t rows, int64_t blocks, int64_t b);
/* Rows of a tile that reads `arrays` arrays: forward 1, which gives the most, backward 2. */
int64_t nl_tile_rows(int64_t c, int64_t arrays);
static inline int64_t nl_segment_of(const nl_plan *p, int64_t row)
{
    return p->interleaved ? row % p->segments : row / p->rows;
}

/* From statistic i on, of an array that need not be there. */
static inline double *nl_from(double *of, int64_t i) { return of ? of + i : NULL; }

/* Whether a call is one piece of several. */
static inline bool nl_is_piece(const nl_args *a) { return a->pieces > 1; }

/* One call in flight: what the passes hand to their blocks. */
typedef struct nl_pass {
    nl_norm *m;
    const nl_args *args;
    nl_call call;
    nl_plan plan[NL_AREAS_MAX];
    nl_area_memory mem[NL_AREAS_MAX];
    int64_t first, rows; /* of the call, or of its piece */
    int64_t c, ldx, ldy;
    double row_count[NL_AREAS_MAX]; /* live values of each statistic of a fused area */
    const nl_real *gamma, *beta;
    nl_real *dgamma, *dbeta;
    double *partials, *counts;
    nl_real *strips;
    int k; /* the area being reduced */
    const nl_real *g;
    int64_t ldg;
    bool stream;        /* what is written is too large to stay in cache */
    bool differentiate; /* the reduce pass turns dy into g = dL/d(gamma z + beta) first */
} nl_pass;

/* Moments of area k over the batch into mem[k].own, var, count. */
void nl_reduce_moments(nl_pass *p, int k);
/* G, H of area k into mem[k]; with differentiate set, g = dy act'(y) into its place on the way. */
void nl_reduce_gradients(nl_pass *p, int k);
/* mean and var of `count` statistics from `first` on, from the call's sources; own and var hold the
 * batch's on entry, own is mean where that comes from the batch. */
void nl_take_sources(const nl_pass *p, int k, const nl_stats *st, const double *own, double *mean,
                     double *var);
/* g = dy act'(y) for rows [from, to), g with stride ldg; g may be dy. */
void nl_differentiate_rows(const nl_pass *p, int64_t from, int64_t to, int64_t step, nl_real *g,
                           int64_t ldg);
/* dy from row `row` on, `step` rows apart, with what turns it into g and, with differentiate set,
 * the place of g. */
nl_arriving nl_arriving_at(const nl_pass *p, int64_t row, int64_t step);
/* Where g belongs: dL/dresidual is the same array. */
static inline nl_real *nl_place_of_g(const nl_pass *p, int64_t *ldg)
{
    *ldg = p->args->d_residual ? p->ldy : p->ldx;
    return p->args->d_residual ? p->args->d_residual : p->args->dx;
}
/* Takes the first `count` statistics of this call's batch into the population's. */
void nl_update_population(nl_pass *p, int k, int64_t count);
bool nl_needs_batch(const nl_policy *p, int k);
/* Reals of scratch that one block of rows needs in the write passes, or a chunk in the reduce pass:
 * whole cache lines. */
int64_t nl_strip_reals(const nl_norm *m);
/* A call with variables bound and nothing else, for hooks. */
void nl_hook_call(nl_pass *p, nl_norm *m, const nl_args *a);

#endif

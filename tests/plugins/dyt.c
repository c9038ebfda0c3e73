/* Dynamic tanh (DyT). Zhu et al. 2025 (arXiv:2503.10622), section 4.
 *
 * No statistics: whole passes over rows.
 *     t = tanh(alpha x),  y = gamma t + beta,  one alpha for all, gamma and beta per channel
 *     dx = dy gamma alpha (1 - t^2),  dgamma = sum dy t,  dbeta = sum dy,
 *     dalpha = sum dy gamma (1 - t^2) x
 *
 * Training and evaluation do the same; no state. Sums over rows are cut into blocks by the number
 * of rows and folded in a fixed tree, so threads do not show. */
#include <math.h>
#include <string.h>

#include "core/norm.h"
#include "par/par.h"

struct dyt {
    double alpha;
};

static const nl_option options[] = {
    NL_OPT(struct dyt, alpha, "0.5", 0, 1e6, "initial alpha (table 13: 0.5 but for large models)"),
    NL_OPT_END};

enum { ALPHA, GAMMA, BETA, SUMS, VARIABLES };
static const nl_variable variables[] = {
    [ALPHA] = {.name = "alpha",
               .role = NL_PARAM,
               .type = NL_TYPE_REAL,
               .init = 0.5,
               .flags = NL_LOGGED,
               .doc = "slope at 0"},
    NL_GAMMA_ROW(GAMMA, NULL),
    NL_BETA_ROW(BETA, NULL),
    [SUMS] = {.name = "sums",
              .role = NL_SCRATCH,
              .type = NL_TYPE_DOUBLE,
              .dim = {NL_USER, NL_USER},
              .doc = "dgamma, dbeta and dalpha of each block of rows"},
    [VARIABLES] = NL_ENDS_VARIABLES};

enum { BLOCKS_MAX = 64, ROWS_PER_BLOCK = 128 };

static int64_t blocks_of(int64_t rows)
{
    const int64_t blocks = (rows + ROWS_PER_BLOCK - 1) / ROWS_PER_BLOCK;
    return blocks < BLOCKS_MAX ? blocks : BLOCKS_MAX;
}

static int64_t extent(const void *self, const nl_geom *g, int id, int dim)
{
    (void)self, (void)id;
    return dim == 0 ? blocks_of(g->n * g->s) : 2 * g->c + 1;
}

static void start(const void *self, nl_call *c)
{
    const struct dyt *o = self;
    NL_REALS(c, ALPHA)[0] = (nl_real)o->alpha;
}

static int64_t rows_of(const nl_call *c) { return c->args->n * c->geom->s; }
static int64_t edge(const nl_call *c, int64_t b) { return rows_of(c) * b / blocks_of(rows_of(c)); }

static void forward_block(int64_t b, void *arg)
{
    const nl_call *c = arg;
    const nl_real *gamma = NL_REALS(c, GAMMA), *beta = NL_REALS(c, BETA);
    const nl_real alpha = NL_REALS(c, ALPHA)[0];
    for (int64_t r = edge(c, b); r < edge(c, b + 1); r++) {
        const nl_real *x = c->args->x + r * nl_ldx(c);
        nl_real *y = c->args->y + r * nl_ldy(c);
        for (int64_t j = 0; j < c->geom->c; j++)
            y[j] = gamma[j] * (nl_real)tanh((double)(alpha * x[j])) + beta[j];
    }
}

static void whole_forward(const void *self, nl_call *c)
{
    (void)self;
    nl_for(blocks_of(rows_of(c)), 16 * rows_of(c) * c->geom->c, forward_block, c);
}

/* dx holds dy on entry. */
static void backward_row(const nl_call *c, int64_t r, double *dgamma, double *dbeta, double *dalpha)
{
    const nl_real *gamma = NL_REALS(c, GAMMA), *x = c->args->x + r * nl_ldx(c);
    const double alpha = (double)NL_REALS(c, ALPHA)[0];
    nl_real *dx = c->args->dx + r * nl_ldx(c);
    for (int64_t j = 0; j < c->geom->c; j++) {
        const double t = tanh(alpha * (double)x[j]), dy = (double)dx[j];
        const double inner = dy * (double)gamma[j] * (1 - t * t);
        dgamma[j] += dy * t;
        dbeta[j] += dy;
        *dalpha += inner * (double)x[j];
        dx[j] = (nl_real)(inner * alpha);
    }
}

static void backward_block(int64_t b, void *arg)
{
    const nl_call *c = arg;
    const int64_t width = 2 * c->geom->c + 1;
    double *sums = NL_DOUBLES(c, SUMS) + b * width;
    memset(sums, 0, (size_t)width * sizeof *sums);
    for (int64_t r = edge(c, b); r < edge(c, b + 1); r++)
        if (nl_row_is_live(c, r))
            backward_row(c, r, sums, sums + c->geom->c, sums + 2 * c->geom->c);
}

static void whole_backward(const void *self, nl_call *c)
{
    const int64_t blocks = blocks_of(rows_of(c)), channels = c->geom->c;
    const double *sums = NL_DOUBLES(c, SUMS);
    (void)self;
    nl_for(blocks, 16 * rows_of(c) * channels, backward_block, c);
    nl_fold(NL_DOUBLES(c, SUMS), blocks, 2 * channels + 1);
    for (int64_t j = 0; j < channels; j++) {
        c->v[GAMMA].grad[j] += (nl_real)sums[j];
        c->v[BETA].grad[j] += (nl_real)sums[channels + j];
    }
    c->v[ALPHA].grad[0] += (nl_real)sums[2 * channels];
}

NL_NORM_DEFINE(dyt) = {
    NL_NORM_HEADER,
    .name = "dyt",
    .title = "Dynamic tanh",
    .cite = "",
    .sites = NL_AT_PREACT | NL_AT_ACT | NL_AT_RNN,
    .traits = 0,
    .gradient = NL_EXACT,
    .self_size = sizeof(struct dyt),
    .options = options,
    .variables = variables,
    .extent = extent,
    .start = start,
    .whole_forward = whole_forward,
    .whole_backward = whole_backward,
};

#include "layers/bias_gradient.h"

#include <string.h>

#include "core/norm_plan.h"
#include "par/par.h"

typedef struct job {
    nl_gradient_rows r;
    double *sums;
} job;

static void back_block(int64_t b, void *arg)
{
    const job *j = arg;
    const nl_gradient_rows *r = &j->r;
    const int64_t blocks = nl_row_blocks(r->rows, r->width);
    const int64_t from = nl_row_edge(r->rows, blocks, b), to = nl_row_edge(r->rows, blocks, b + 1);
    double *sum = j->sums + b * r->width;
    memset(sum, 0, (size_t)r->width * sizeof *sum);
    nl_act_kernel()->bias_backward(r->act, r->act == NL_LINEAR ? NULL : r->y + from * r->ld,
                                   r->g + from * r->ld, to - from, r->width, r->ld, sum);
}

void nl_add_bias_gradient(nl_gradient_rows r, nl_real *bias, double *sums)
{
    job j = {r, sums};
    const int64_t blocks = nl_row_blocks(r.rows, r.width);
    if (r.act == NL_LINEAR && !bias)
        return;
    nl_for(blocks, r.rows * r.width * (int64_t)sizeof *r.g, back_block, &j);
    if (!bias)
        return;
    nl_fold(sums, blocks, r.width);
    for (int64_t k = 0; k < r.width; k++)
        bias[k] += (nl_real)sums[k];
}

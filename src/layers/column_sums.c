#include "layers/column_sums.h"

#include <string.h>

#include "core/norm_plan.h"
#include "par/par.h"

typedef struct job {
    nl_matrix m;
    double *sums;
    nl_real *strips;
} job;

static void sum_block(int64_t b, void *arg)
{
    const job *j = arg;
    const nl_matrix *m = &j->m;
    const int64_t blocks = nl_row_blocks(m->rows, m->width);
    const int64_t from = nl_edge(m->rows, blocks, b), to = nl_edge(m->rows, blocks, b + 1);
    double *sum = j->sums + b * m->width;
    memset(sum, 0, (size_t)m->width * sizeof *sum);
    nl_column_kernel()->sums((nl_rows){m->x + from * m->ld, m->ld, to - from, NULL, 1}, m->width,
                             sum, j->strips + b * m->width);
}

void nl_add_column_sums(nl_matrix m, nl_real *to, double *sums, nl_real *strips)
{
    job j = {m, sums, strips};
    const int64_t blocks = nl_row_blocks(m.rows, m.width);
    nl_for(blocks, m.rows * m.width * (int64_t)sizeof *m.x, sum_block, &j);
    nl_fold(sums, blocks, m.width);
    for (int64_t k = 0; k < m.width; k++)
        to[k] += (nl_real)sums[k];
}

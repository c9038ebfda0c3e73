/* optim_rows.c: tables, of which a step reads few rows. The dense update moves every row at every
 * step: with gradient 0 moments still decay and parameters still move. Here a row waits until
 * somebody reads it and then replays the steps it missed, in cache, one after the other and by the
 * same loops: it gets the same bytes.
 *
 *     touched at this step      the missed steps, then this one with its gradient
 *     read or saved             the missed steps
 *     never touched             rests: its slots are 0, so no step without gradient moves it,
 *                               unless decay, a pull or a constraint does
 *
 * A step without gradient is known by its pace, so the latest NL_BACKLOG paces are kept, and at
 * each multiple of that many steps every row is brought up to date. */
#include <math.h>
#include <string.h>

#include "base/alloc.h"
#include "core/optim_run.h"
#include "par/par.h"

/* ---- one row */

/* Whether a step without gradient leaves the row and its slots as they are. */
static bool is_still(const nl_optim_rows *rows, int64_t row)
{
    const nl_optim *o = rows->of;
    const int64_t cols = rows->item->cols, from = rows->run->from + row * cols;
    if (rows->run->pulled)
        return false;
    for (int k = 0; k < NL_OPTIM_SLOTS_MAX; k++)
        for (int64_t i = 0; o->slot[k] && i < cols; i++)
            if (o->slot[k][from + i] != 0)
                return false;
    return true;
}

static void move(const nl_optim_rows *rows, int64_t row, int64_t step, const nl_real *gradient)
{
    const int64_t cols = rows->item->cols;
    nl_optim_update(rows->of, rows->run, &rows->paces[step % NL_BACKLOG],
                    rows->run->from + row * cols, cols, gradient);
}

static void replay(const nl_optim_rows *rows, int64_t row, int64_t until)
{
    if (rows->since[row] == NL_RESTS)
        return;
    for (int64_t step = rows->since[row] + 1; step <= until; step++)
        move(rows, row, step, rows->nothing);
    rows->since[row] = until;
}

static void learn(const nl_optim_rows *rows, int64_t row, int64_t step)
{
    replay(rows, row, step - 1);
    move(rows, row, step, rows->item->grad + row * rows->item->cols);
    rows->since[row] = nl_optim_slots(rows->of) || rows->run->pulled ? step : NL_RESTS;
}

/* ---- many rows */

typedef struct job {
    const nl_optim_rows *rows;
    const int64_t *row; /* NULL: all */
    int64_t count, blocks;
    void (*does)(const nl_optim_rows *rows, int64_t row, int64_t step);
} job;

/* Every blocks-th row: frequent rows, which owe little, stand together in a sorted list. */
static void do_block(int64_t b, void *arg)
{
    const job *j = arg;
    for (int64_t i = b; i < j->count; i += j->blocks)
        j->does(j->rows, j->row ? j->row[i] : i, j->rows->of->steps);
}

static int64_t steps_owed(const job *j)
{
    const nl_optim_rows *rows = j->rows;
    int64_t owed = 0;
    for (int64_t i = 0; i < j->count; i++) {
        const int64_t since = rows->since[j->row ? j->row[i] : i];
        owed += since == NL_RESTS ? j->does == learn : rows->of->steps - since;
    }
    return owed;
}

static void each_row(const nl_optim_rows *rows, const int64_t *row, int64_t count,
                     void (*does)(const nl_optim_rows *, int64_t, int64_t))
{
    enum { BLOCKS = 64, COST = 8 }; /* of a value's update, in flops */
    job j = {rows, row, count, count < BLOCKS ? count : BLOCKS, does};
    const int64_t owed = steps_owed(&j);
    if (owed > 0)
        nl_for(j.blocks, COST * owed * rows->item->cols, do_block, &j);
}

static void read_rows(void *who, const int64_t *row, int64_t count)
{
    each_row(who, row, count, replay);
}

/* ---- opening and closing */

nl_status nl_optim_rows_open(nl_optim *o, nl_optim_run *r, nl_item *it)
{
    nl_optim_rows *rows = r->rows = nl_alloc(1, sizeof *rows);
    if (!rows)
        return nl_fail(NL_ENOMEM, "%s: rows of %s", o->ops->name, it->owner);
    *rows = (nl_optim_rows){.of = o, .run = r, .item = it};
    rows->since = nl_alloc((size_t)it->rows, sizeof *rows->since);
    rows->paces = nl_alloc(NL_BACKLOG, sizeof *rows->paces);
    rows->nothing = nl_alloc((size_t)it->cols, sizeof *rows->nothing);
    if (!rows->since || !rows->paces || !rows->nothing)
        return nl_fail(NL_ENOMEM, "%s: the steps of %lld rows", o->ops->name, (long long)it->rows);
    for (int64_t row = 0; row < it->rows; row++)
        rows->since[row] = r->pulled ? o->steps : NL_RESTS;
    nl_lookup_read(it, NULL, it->rows); /* an optimizer before this one has its say */
    it->lookup->update = read_rows;
    it->lookup->who = rows;
    return NL_OK;
}

void nl_optim_rows_close(nl_optim_rows *rows)
{
    if (!rows)
        return;
    nl_lookup *t = rows->item->lookup;
    if (t->who == rows) {
        nl_optim_rows_read(rows);
        t->update = NULL;
        t->who = NULL;
    }
    nl_free(rows->since);
    nl_free(rows->paces);
    nl_free(rows->nothing);
    nl_free(rows);
}

void nl_optim_rows_read(nl_optim_rows *rows) { read_rows(rows, NULL, rows->item->rows); }

void nl_optim_rows_resume(nl_optim_rows *rows)
{
    for (int64_t row = 0; row < rows->item->rows; row++)
        rows->since[row] = is_still(rows, row) ? NL_RESTS : rows->of->steps;
}

/* ---- a step */

/* A scale that is no number makes every row such, as it does to the dense update's. */
static void wake_all(const nl_optim_rows *rows)
{
    for (int64_t row = 0; row < rows->item->rows; row++)
        if (rows->since[row] == NL_RESTS)
            rows->since[row] = rows->of->steps - 1;
}

void nl_optim_rows_step(nl_optim_rows *rows)
{
    const nl_optim *o = rows->of;
    const nl_lookup *t = rows->item->lookup;
    rows->paces[o->steps % NL_BACKLOG] = rows->run->pace;
    if (isnan(o->scale))
        wake_all(rows);
    each_row(rows, t->touched, t->count, learn);
    if (o->steps % NL_BACKLOG == 0)
        nl_optim_rows_read(rows);
}

/* Index of the first touched row that is not below `row`. */
static int64_t first_touched(const nl_lookup *t, int64_t row)
{
    int64_t low = 0, high = t->count;
    while (low < high) {
        const int64_t middle = low + (high - low) / 2;
        if (t->touched[middle] < row)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

void nl_optim_rows_squares(const nl_optim_rows *rows, int64_t from, int64_t count,
                           double lane[NL_SQUARE_LANES])
{
    const nl_item *it = rows->item;
    const nl_lookup *t = it->lookup;
    const int64_t start = from - rows->run->from, end = start + count, cols = it->cols;
    for (int64_t i = first_touched(t, start / cols); i < t->count && t->touched[i] * cols < end;
         i++) {
        const int64_t row = t->touched[i] * cols;
        const int64_t first = row > start ? row : start;
        const int64_t last = row + cols < end ? row + cols : end;
        nl_update_kernel()->squares(it->grad + first, last - first, first - start, lane);
    }
}

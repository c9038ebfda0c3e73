/* normlab apply: one norm on the arrays of an HDF5 file, the door for other languages. */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/alloc.h"
#include "cli/cli.h"
#include "core/norm.h"
#include "io/arrays.h"
#include "io/file.h"

struct input {
    const char *spec, *in, *out, *layout, *phase;
};

static const char OWNER[] = "norm";

/* x as (n, s, c) whatever its file's layout: rank 2 is (n, c), otherwise channels come last (nhwc)
 * or second (nchw). */
typedef struct job {
    const struct input *input;
    nl_arrays *in, *out;
    char part[PATH_MAX];  /* out until it is whole */
    nl_array_shape shape; /* of x in its file */
    nl_geom g;
    bool channels_second;
    nl_store *store;
    nl_norm *norm;
    nl_real *x, *y, *dy, *dx, *file; /* file: an array as it lies in a file */
    int64_t *whole;
    uint8_t *live;
} job;

static const char *const arrays[] = {"x", "dy", "mask", NULL};

/* ---- layout */

/* (n, c, s) <-> (n, s, c): `inner` values of each of `outer` rows, n times. */
static void transpose(const nl_real *from, nl_real *to, int64_t n, int64_t outer, int64_t inner)
{
    for (int64_t i = 0; i < n; i++)
        for (int64_t r = 0; r < outer; r++)
            for (int64_t k = 0; k < inner; k++)
                to[(i * inner + k) * outer + r] = from[(i * outer + r) * inner + k];
}

static nl_status read_activation(job *j, const char *name, nl_real *to)
{
    nl_array_shape s;
    char got[96], wanted[96];
    NL_TRY(nl_arrays_shape(j->in, name, &s));
    if (s.rank != j->shape.rank || memcmp(s.dim, j->shape.dim, sizeof s.dim) != 0)
        return nl_fail(NL_ESHAPE, "%s: %s: wants x's shape %s, got %s", j->input->in, name,
                       nl_array_print(&j->shape, wanted, sizeof wanted),
                       nl_array_print(&s, got, sizeof got));
    NL_TRY(nl_arrays_read(j->in, name, NL_TYPE_REAL, j->channels_second ? j->file : to));
    if (j->channels_second)
        transpose(j->file, to, j->g.n, j->g.c, j->g.s);
    return NL_OK;
}

static nl_status write_activation(job *j, const char *name, const nl_real *from)
{
    if (j->channels_second)
        transpose(from, j->file, j->g.n, j->g.s, j->g.c);
    return nl_arrays_write(j->out, name, NL_TYPE_REAL, j->shape.rank, j->shape.dim,
                           j->channels_second ? j->file : from);
}

/* ---- set-up */

static nl_status take_shape(job *j)
{
    char got[96];
    const char *path = j->input->in;
    NL_TRY(nl_arrays_shape(j->in, "x", &j->shape));
    const nl_array_shape *s = &j->shape;
    if (s->kind != NL_ARRAY_FLOAT && s->kind != NL_ARRAY_DOUBLE)
        return nl_fail(NL_EFORMAT, "%s: x: wants float32 or float64, got %s", path,
                       nl_array_kinds[s->kind]);
    if (s->rank < 2 || s->rank > 5)
        return nl_fail(NL_ESHAPE, "%s: x: wants 2 to 5 dimensions, got %s", path,
                       nl_array_print(s, got, sizeof got));
    if (s->count == 0)
        return nl_fail(NL_ESHAPE, "%s: x: is empty, %s", path, nl_array_print(s, got, sizeof got));
    j->channels_second = s->rank > 2 && strcmp(j->input->layout, "nchw") == 0;
    j->g = (nl_geom){.n = s->dim[0], .steps = 1};
    j->g.c = s->dim[j->channels_second ? 1 : s->rank - 1];
    j->g.s = s->count / (j->g.n * j->g.c);
    return NL_OK;
}

static nl_status take_memory(job *j)
{
    const size_t count = (size_t)j->shape.count;
    nl_real **const room[] = {&j->x, &j->y, &j->dy, &j->dx, &j->file};
    for (int k = 0; k < 5; k++)
        if (!(*room[k] = nl_alloc(count, sizeof **room[k])))
            return nl_fail(NL_ENOMEM, "x: %lld values", (long long)j->shape.count);
    return NL_OK;
}

/* mask has one flag an example, or one an example and position; 0 is padding. */
static nl_status read_mask(job *j)
{
    nl_array_shape s;
    char got[96];
    const int64_t rows = j->g.n * j->g.s;
    if (!nl_arrays_has(j->in, "mask"))
        return NL_OK;
    NL_TRY(nl_arrays_shape(j->in, "mask", &s));
    if (s.rank < 1 || s.dim[0] != j->g.n || (s.count != j->g.n && s.count != rows))
        return nl_fail(NL_ESHAPE, "%s: mask: wants %lld flags, one an example, or %lld, got %s",
                       j->input->in, (long long)j->g.n, (long long)rows,
                       nl_array_print(&s, got, sizeof got));
    if (s.kind != NL_ARRAY_WHOLE)
        return nl_fail(NL_EFORMAT, "%s: mask: wants whole numbers or booleans, got %s",
                       j->input->in, nl_array_kinds[s.kind]);
    j->whole = nl_alloc((size_t)s.count, sizeof *j->whole);
    j->live = nl_alloc((size_t)rows, 1);
    if (!j->whole || !j->live)
        return nl_fail(NL_ENOMEM, "mask: %lld flags", (long long)rows);
    NL_TRY(nl_arrays_read(j->in, "mask", NL_TYPE_INT64, j->whole));
    for (int64_t r = 0; r < rows; r++)
        j->live[r] = j->whole[s.count == rows ? r : r / j->g.s] != 0;
    return NL_OK;
}

/* ---- variables */

static bool is_known(const job *j, const char *name)
{
    for (int k = 0; arrays[k]; k++)
        if (strcmp(arrays[k], name) == 0)
            return true;
    const nl_item *it = nl_store_find(j->store, OWNER, name);
    return it && (it->decl->role == NL_PARAM || it->decl->role == NL_STATE);
}

static nl_status refuse_unknown(job *j)
{
    const char *name;
    for (int64_t i = 0; (name = nl_arrays_name(j->in, i)); i++) {
        if (is_known(j, name))
            continue;
        nl_nearest near = {.wanted = name};
        for (int k = 0; arrays[k]; k++)
            nl_nearest_offer(&near, arrays[k]);
        for (int k = 0; k < nl_store_count(j->store); k++)
            if (nl_store_at(j->store, k)->decl->role <= NL_STATE)
                nl_nearest_offer(&near, nl_store_at(j->store, k)->decl->name);
        return nl_fail(NL_ENAME, "%s: %s has no variable '%s'%s", j->input->in,
                       nl_norm_ops_of(j->norm)->name, name, nl_nearest_hint(&near));
    }
    return NL_OK;
}

/* Parameters of positions and channels follow the layout of x. */
static bool is_transposed(const job *j, const nl_item *it)
{
    return j->channels_second && it->decl->role == NL_PARAM && it->rows == j->g.s && it->rows > 1;
}

static nl_status read_variable(job *j, const nl_item *it)
{
    const char *name = it->decl->name;
    nl_array_shape s;
    char got[96];
    NL_TRY(nl_arrays_shape(j->in, name, &s));
    if (s.count != it->count)
        return nl_fail(NL_ESHAPE, "%s: %s: wants %lld values, got %s", j->input->in, name,
                       (long long)it->count, nl_array_print(&s, got, sizeof got));
    if (!is_transposed(j, it))
        return nl_arrays_read(j->in, name, it->decl->type, it->val);
    NL_TRY(nl_arrays_read(j->in, name, NL_TYPE_REAL, j->file));
    transpose(j->file, it->val, 1, it->cols, it->rows);
    return NL_OK;
}

static nl_status read_variables(job *j)
{
    NL_TRY(refuse_unknown(j));
    for (int k = 0; k < nl_store_count(j->store); k++) {
        const nl_item *it = nl_store_at(j->store, k);
        if (it->decl->role <= NL_STATE && nl_arrays_has(j->in, it->decl->name))
            NL_TRY(read_variable(j, it));
    }
    return NL_OK;
}

static nl_status write_variable(job *j, const char *name, const nl_item *it, const void *from)
{
    int64_t dim[] = {it->rows, it->cols};
    if (is_transposed(j, it)) {
        transpose(from, j->file, 1, it->rows, it->cols);
        from = j->file;
        dim[0] = it->cols, dim[1] = it->rows;
    }
    const int flat = it->rows == 1;
    return nl_arrays_write(j->out, name, it->decl->type, 2 - flat, dim + flat, from);
}

static nl_status write_variables(job *j, bool gradients)
{
    char name[96];
    for (int k = 0; k < nl_store_count(j->store); k++) {
        const nl_item *it = nl_store_at(j->store, k);
        snprintf(name, sizeof name, "d_%s", it->decl->name);
        if (it->decl->role == NL_STATE)
            NL_TRY(write_variable(j, it->decl->name, it, it->val));
        if (it->decl->role == NL_PARAM && gradients)
            NL_TRY(write_variable(j, name, it, it->grad));
    }
    return NL_OK;
}

/* ---- the call */

static nl_status write_results(job *j, bool gradients)
{
    snprintf(j->part, sizeof j->part, "%s.part", j->input->out);
    NL_TRY(nl_arrays_create(&j->out, j->part));
    NL_TRY(write_activation(j, "y", j->y));
    if (gradients)
        NL_TRY(write_activation(j, "dx", j->dx));
    NL_TRY(write_variables(j, gradients));
    nl_arrays *out = j->out;
    j->out = NULL;
    NL_TRY(nl_arrays_close(out));
    return nl_file_rename(j->part, j->input->out);
}

static nl_status open_norm(job *j)
{
    NL_TRY(nl_store_open(&j->store));
    NL_TRY(nl_norm_open(&j->norm, j->input->spec, &j->g, j->store, OWNER));
    return nl_store_commit(j->store);
}

static nl_status call_norm(job *j, bool *gradients)
{
    const bool train = strcmp(j->input->phase, "train") == 0;
    const nl_args a = {.n = j->g.n,
                       .phase = train ? NL_TRAIN : NL_EVAL,
                       .update = train,
                       .live = j->live,
                       .x = j->x,
                       .y = j->y,
                       .dy = j->dy,
                       .dx = j->dx};
    nl_policy own;
    nl_norm_own_policy(j->norm, &own);
    if (!train)
        NL_TRY(nl_norm_accepts(j->norm, &own, j->g.n));
    NL_TRY(read_activation(j, "x", j->x));
    *gradients = nl_arrays_has(j->in, "dy");
    if (*gradients)
        NL_TRY(read_activation(j, "dy", j->dy));
    nl_norm_start(j->norm, &a);
    NL_TRY(read_variables(j));
    nl_norm_forward(j->norm, &a);
    if (*gradients)
        nl_norm_backward(j->norm, &a);
    return NL_OK;
}

static nl_status work(job *j)
{
    bool gradients;
    NL_TRY(nl_arrays_open(&j->in, j->input->in));
    NL_TRY(take_shape(j));
    NL_TRY(cli_be_precision(j->shape.kind == NL_ARRAY_DOUBLE));
    NL_TRY(open_norm(j));
    NL_TRY(take_memory(j));
    NL_TRY(read_mask(j));
    NL_TRY(call_norm(j, &gradients));
    return write_results(j, gradients);
}

static nl_status apply(const struct input *input)
{
    job j = {.input = input};
    nl_status st = work(&j), closed = nl_arrays_close(j.in);
    st = st == NL_OK ? closed : st;
    closed = nl_arrays_close(j.out); /* open only where writing failed */
    st = st == NL_OK ? closed : st;
    if (st != NL_OK && j.part[0])
        unlink(j.part);
    nl_norm_close(j.norm);
    nl_store_close(j.store);
    nl_real *const room[] = {j.x, j.y, j.dy, j.dx, j.file};
    for (int k = 0; k < 5; k++)
        nl_free(room[k]);
    nl_free(j.whole);
    nl_free(j.live);
    return st;
}

/* ---- the command */

enum { KEY_IN = 256, KEY_OUT, KEY_LAYOUT, KEY_PHASE };
static const struct argp_option options[] = {
    {"in", KEY_IN, "FILE", 0, "HDF5 file with x and, optionally, dy, mask and variables by name",
     0},
    {"out", KEY_OUT, "FILE", 0, "HDF5 file to write: y, dx, d_NAME, state after the call", 0},
    {"layout", KEY_LAYOUT, "NAME", 0, "nhwc: channels last (default); nchw: channels second", 0},
    {"phase", KEY_PHASE, "NAME", 0, "train (default): batch statistics, state moves; eval", 0},
    {0}};

static error_t parse(int key, char *arg, struct argp_state *state)
{
    struct input *in = state->input;
    switch (key) {
    case KEY_IN: in->in = arg; return 0;
    case KEY_OUT: in->out = arg; return 0;
    case KEY_LAYOUT: in->layout = arg; return 0;
    case KEY_PHASE: in->phase = arg; return 0;
    case ARGP_KEY_ARG:
        if (in->spec)
            return cli_wrong("apply takes one method, got '%s' and '%s'", in->spec, arg), EINVAL;
        in->spec = arg;
        return 0;
    default: return ARGP_ERR_UNKNOWN;
    }
}

static int check(const struct input *in)
{
    if (!in->spec)
        return cli_wrong("apply wants a method, such as batch:eps=1e-3");
    if (!in->in || !in->out)
        return cli_wrong("apply wants --in FILE and --out FILE");
    if (strcmp(in->in, in->out) == 0)
        return cli_wrong("apply: --in and --out are the same file");
    if (strcmp(in->layout, "nchw") != 0 && strcmp(in->layout, "nhwc") != 0)
        return cli_wrong("--layout wants nchw or nhwc, got '%s'", in->layout);
    if (strcmp(in->phase, "train") != 0 && strcmp(in->phase, "eval") != 0)
        return cli_wrong("--phase wants train or eval, got '%s'", in->phase);
    return CLI_DONE;
}

int cli_apply(int argc, char **argv)
{
    static const struct argp argp = {
        options,
        parse,
        "METHOD",
        "Applies a normalization method to the arrays of an HDF5 file. x has 2 dimensions (rows, "
        "channels) to 5; with dy the gradients are computed too. float64 arrays are computed in "
        "double."
        "\vExample: normlab apply batch:eps=1e-3 --in in.h5 --out out.h5 --layout nchw",
        NULL,
        NULL,
        NULL};
    struct input in = {.layout = "nhwc", .phase = "train"};
    if (!cli_parse(&argp, argc, argv, &in) || check(&in) != CLI_DONE)
        return CLI_WRONG;
    const nl_status st = apply(&in);
    return st == NL_OK ? CLI_DONE : cli_failure(st);
}

/* The embedding: rows looked up, gradients summed in the order of positions, padding, and the
 * network of ziaee2022 that begins with one. */
#include <check.h>
#include <math.h>
#include <string.h>

#include "base/alloc.h"
#include "base/random.h"
#include "core/lookup.h"
#include "core/optim.h"
#include "io/checkpoint.h"
#include "layers/loss.h"
#include "one_layer.h"
#include "par/par.h"
#include "registry.h"
#include "suite.h"

enum { N = 7, S = 11, OUT = 70, POSITIONS = N * S };

typedef struct rig {
    nl_model *model;
    nl_item *table;
    nl_layer_call call;
    nl_real x[POSITIONS], dy[POSITIONS * OUT];
    uint8_t live[POSITIONS];
} rig;

static double draw(uint64_t what, int64_t i)
{
    return nl_random_uniform((nl_key){1, NL_STREAM_TEST, what}, (uint64_t)i);
}

/* Tokens come again, most often the low ones, as words do; every seventh position is padding, which
 * holds no token or one. */
static void open_rig(rig *r, int64_t vocabulary, int64_t out, bool pads)
{
    char spec[64];
    const nl_model_setup setup = {.shape = {.s = S, .c = 1, .vocabulary = vocabulary},
                                  .outputs = 1,
                                  .batch = N,
                                  .n = N,
                                  .seed = 1};
    memset(r, 0, sizeof *r);
    snprintf(spec, sizeof spec, "embedding:out=%lld", (long long)out);
    ck_assert_msg(open_one_layer(&r->model, spec, &setup) == NL_OK, "%s", nl_last_error());
    r->table = nl_store_find(nl_model_store(r->model), "l", "w");
    for (int i = 0; i < POSITIONS; i++) {
        r->x[i] = (nl_real)floor(pow((double)vocabulary, draw(1, i)) - 1);
        r->live[i] = i % 7 != 3;
        if (pads && !r->live[i])
            r->x[i] = (nl_real)(i % 2 ? -1 : 0);
    }
    for (int64_t i = 0; i < POSITIONS * out; i++)
        r->dy[i] = (nl_real)(draw(2, i) - 0.5);
    r->call = (nl_layer_call){
        .n = N, .phase = NL_TRAIN, .update = true, .x = r->x, .live = pads ? r->live : NULL};
}

static nl_real *back(rig *r)
{
    nl_model_forward(r->model, &r->call);
    nl_model_backward(r->model, &r->call, r->dy);
    return r->table->grad;
}

/* Of one, two and three digits of the sort. */
static const int64_t vocabularies[] = {1, 2, 30, 2048, 2049, 20000, 4194305};
enum { VOCABULARIES = 7, FEW = 2 };

START_TEST(each_position_gets_its_tokens_row)
{
    for (int k = 0; k < VOCABULARIES; k++)
        for (int pads = 0; pads < 2; pads++) {
            rig r;
            open_rig(&r, vocabularies[k], FEW, pads);
            const nl_real *y = nl_model_forward(r.model, &r.call), *w = r.table->val;
            for (int i = 0; i < POSITIONS; i++)
                for (int c = 0; c < FEW; c++)
                    ck_assert_double_eq(y[FEW * i + c],
                                        pads && !r.live[i] ? 0 : w[FEW * (int64_t)r.x[i] + c]);
            nl_model_close(r.model);
        }
}
END_TEST

START_TEST(a_rows_gradient_is_the_sum_over_its_positions_in_order)
{
    for (int k = 0; k < VOCABULARIES; k++)
        for (int pads = 0; pads < 2; pads++) {
            rig r;
            open_rig(&r, vocabularies[k], FEW, pads);
            const nl_real *g = back(&r);
            nl_real *want = nl_alloc((size_t)r.table->count, sizeof *want);
            for (int i = 0; i < POSITIONS; i++)
                for (int c = 0; c < FEW && (!pads || r.live[i]); c++)
                    want[FEW * (int64_t)r.x[i] + c] += r.dy[FEW * i + c];
            ck_assert_mem_eq(g, want, (size_t)r.table->count * sizeof *want);
            nl_free(want);
            nl_model_close(r.model);
        }
}
END_TEST

START_TEST(the_next_batch_starts_from_zero_unless_it_accumulates)
{
    rig r;
    open_rig(&r, 30, OUT, false);
    nl_real *once = nl_alloc((size_t)r.table->count, sizeof *once);
    memcpy(once, back(&r), (size_t)r.table->count * sizeof *once);
    ck_assert_mem_eq(back(&r), once, (size_t)r.table->count * sizeof *once);
    r.call.accumulate = true;
    const nl_real *twice = back(&r);
    for (int64_t i = 0; i < r.table->count; i++)
        ck_assert_double_eq_tol(twice[i], 2 * once[i], 1e-5);
    r.call.accumulate = false;
    for (int i = 0; i < POSITIONS; i++)
        r.x[i] = 29;
    const nl_real *g = back(&r);
    for (int64_t i = 0; i < 29 * OUT; i++)
        ck_assert_double_eq(g[i], 0);
    ck_assert_double_ne(g[29 * OUT], 0);
    nl_free(once);
    nl_model_close(r.model);
}
END_TEST

START_TEST(any_number_of_threads_gives_the_same_bytes)
{
    rig r;
    open_rig(&r, 50, OUT, true);
    nl_real *one = nl_alloc((size_t)r.table->count, sizeof *one);
    memcpy(one, back(&r), (size_t)r.table->count * sizeof *one);
    nl_par_ignore_work(true);
    nl_threads_set(2);
    nl_par_workers_seen();
    ck_assert_mem_eq(back(&r), one, (size_t)r.table->count * sizeof *one);
    ck_assert_int_eq(nl_par_workers_seen(), 2);
    nl_threads_set(1);
    nl_par_ignore_work(false);
    nl_free(one);
    nl_model_close(r.model);
}
END_TEST

START_TEST(values_are_no_tokens)
{
    const nl_model_setup setup = {.shape = {.s = S, .c = 2}, .outputs = 1, .batch = N, .n = N};
    nl_model *m;
    ck_assert_int_eq(open_one_layer(&m, "embedding", &setup), NL_ESHAPE);
    ck_assert_str_eq(nl_last_error(), "l: an embedding reads tokens, got values (11 x 2)");
}
END_TEST

/* ---- a network that begins with one */

static nl_model *open_network(const char *spec, const char *norm, int64_t vocabulary, int64_t steps)
{
    nl_model *m;
    const nl_model_setup setup = {.shape = {.s = steps, .c = 1, .vocabulary = vocabulary},
                                  .outputs = 1,
                                  .batch = N,
                                  .n = N,
                                  .norm = norm,
                                  .seed = 1};
    use_registries();
    ck_assert_msg(nl_model_open(&m, spec, &setup) == NL_OK, "%s", nl_last_error());
    return m;
}

static int64_t parameters_of(nl_model *m)
{
    nl_store *s = nl_model_store(m);
    int64_t count = 0;
    for (int i = 0; i < nl_store_count(s); i++)
        if (nl_store_at(s, i)->decl->role == NL_PARAM)
            count += nl_store_at(s, i)->count;
    return count;
}

/* The paper's 10,620,161 hold gamma and beta of 128 + 64 + 32 units, whatever the method. */
START_TEST(the_imdb_network_has_as_many_parameters_as_the_papers)
{
    static const char *const norms[] = {"none", "batch", "layer", "batch_layer"};
    for (int k = 0; k < 4; k++) {
        nl_model *m = open_network("lstm_bln", norms[k], 20, 80);
        const int64_t more_words = (20000 - 20) * 512, norm = k > 0 ? 2 * (128 + 64 + 32) : 0;
        ck_assert_int_eq(parameters_of(m) + more_words, 10620161 - 448 + norm);
        nl_model_close(m);
    }
}
END_TEST

START_TEST(the_imdb_networks_norms_are_on_outputs_in_cells_or_in_both)
{
    static const char *const specs[] = {"lstm_bln", "lstm_bln:slot=cells", "lstm_bln:slot=both"};
    static const char *const places[] = {"r1/act", "d1/act", "r1/x", "r2/h", "r2/c"};
    static const bool wanted[][5] = {{1, 1, 0, 0, 0}, {0, 0, 1, 1, 1}, {1, 1, 1, 1, 1}};
    for (int k = 0; k < 3; k++) {
        nl_model *m = open_network(specs[k], "layer", 20, 80);
        for (int i = 0; i < 5; i++)
            ck_assert(!nl_store_find(nl_model_store(m), places[i], "gamma") == !wanted[k][i]);
        nl_model_close(m);
    }
}
END_TEST

START_TEST(the_imdb_networks_table_starts_as_kerass)
{
    nl_model *m = open_network("lstm_bln", "none", 20000, 80);
    const nl_item *w = nl_store_find(nl_model_store(m), "emb", "w");
    const double limit = sqrt(6.0 / 20512);
    double largest = 0;
    ck_assert_int_eq(w->count, 20000 * 512);
    for (int64_t i = 0; i < w->count; i++)
        largest = fmax(largest, fabs((double)((nl_real *)w->val)[i]));
    ck_assert_double_le(largest, limit * (1 + 1e-7));
    ck_assert_double_ge(largest, limit * (1 - 1e-6));
    nl_model_close(m);
}
END_TEST

enum { STEPS = 40, TOKENS = 300 };

typedef struct network {
    nl_model *model;
    nl_optim *optim;
    double loss; /* of all calls */
} network;

static void start(network *n, const char *norm)
{
    *n = (network){
        .model = open_network("lstm_bln:embedding=24:units1=8:units2=6:units3=5", norm, TOKENS, S)};
    ck_assert_int_eq(
        nl_optim_open(&n->optim, "adam:lr=0.02:clip=1", nl_model_store(n->model), STEPS), NL_OK);
}

static void end(network *n)
{
    nl_optim_close(n->optim);
    nl_model_close(n->model);
}

/* Every step reads other tokens. */
static void call(network *n, int64_t step, nl_phase phase)
{
    nl_real x[POSITIONS], d_logits[N];
    int32_t label[N];
    for (int i = 0; i < N; i++)
        label[i] = i % 2;
    for (int i = 0; i < POSITIONS; i++)
        x[i] = (nl_real)floor(pow(TOKENS, draw((uint64_t)step + 9, i)) - 1);
    const nl_layer_call c = {.n = N,
                             .phase = phase,
                             .update = phase == NL_TRAIN,
                             .start = step == 0,
                             .step = step,
                             .seed = 1,
                             .x = x};
    const nl_real *logits = nl_model_forward(n->model, &c);
    const nl_answers answers = {.rows = N, .outputs = 1, .label = label};
    n->loss += nl_loss_of(&answers, logits, d_logits).loss;
    if (phase == NL_EVAL)
        return;
    nl_model_backward(n->model, &c, d_logits);
    nl_optim_step(n->optim, false);
    nl_model_after_step(n->model);
}

/* `reads_all` brings every row up to date at every step, as a dense update does. */
static double train(const char *norm, int threads, bool reads_all)
{
    network n;
    start(&n, norm);
    nl_par_ignore_work(threads > 1);
    nl_threads_set(threads);
    const long before = nl_alloc_calls();
    for (int64_t step = 0; step < STEPS; step++) {
        call(&n, step, NL_TRAIN);
        if (reads_all)
            nl_lookup_read_all(nl_model_store(n.model));
    }
    call(&n, STEPS, NL_EVAL);
    ck_assert_int_eq(nl_alloc_calls(), before);
    nl_threads_set(1);
    nl_par_ignore_work(false);
    end(&n);
    return n.loss;
}

START_TEST(rows_are_up_to_date_when_a_network_reads_them)
{
    static const char *const norms[] = {"none", "batch", "layer", "batch_layer:inference=FFFF"};
    for (int k = 0; k < 4; k++) {
        const double loss = train(norms[k], 1, true);
        ck_assert(isfinite(loss));
        ck_assert_double_eq(train(norms[k], 1, false), loss);
        ck_assert_double_eq(train(norms[k], 2, false), loss);
        ck_assert_double_eq(train(norms[k], 3, false), loss);
    }
}
END_TEST

START_TEST(a_checkpoint_holds_rows_that_are_up_to_date)
{
    const char *path = "embedding_checkpoint.nlc";
    network trained, loaded;
    nl_checkpoint head = {0};
    int64_t count;
    start(&trained, "none");
    start(&loaded, "none");
    for (int64_t step = 0; step < 9; step++)
        call(&trained, step, NL_TRAIN);
    ck_assert_int_eq(nl_checkpoint_save(path, &head, nl_model_store(trained.model), NULL, 0),
                     NL_OK);
    ck_assert_int_eq(nl_checkpoint_load(path, &head, nl_model_store(loaded.model), NULL, 0), NL_OK);
    nl_checkpoint_free(&head);
    remove(path);
    nl_optim_close(trained.optim); /* everything up to date */
    trained.optim = NULL;
    const nl_real *p = nl_store_params(nl_model_store(trained.model), &count);
    ck_assert_mem_eq(p, nl_store_params(nl_model_store(loaded.model), NULL),
                     (size_t)count * sizeof *p);
    end(&trained);
    end(&loaded);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("embedding");
    TCase *t = tcase_create("all");
    use_registries();
    tcase_set_timeout(t, 60);
    tcase_add_test(t, each_position_gets_its_tokens_row);
    tcase_add_test(t, a_rows_gradient_is_the_sum_over_its_positions_in_order);
    tcase_add_test(t, the_next_batch_starts_from_zero_unless_it_accumulates);
    tcase_add_test(t, any_number_of_threads_gives_the_same_bytes);
    tcase_add_test(t, values_are_no_tokens);
    tcase_add_test(t, the_imdb_network_has_as_many_parameters_as_the_papers);
    tcase_add_test(t, the_imdb_networks_norms_are_on_outputs_in_cells_or_in_both);
    tcase_add_test(t, the_imdb_networks_table_starts_as_kerass);
    tcase_add_test(t, rows_are_up_to_date_when_a_network_reads_them);
    tcase_add_test(t, a_checkpoint_holds_rows_that_are_up_to_date);
    suite_add_tcase(s, t);
    return run_suite(s);
}

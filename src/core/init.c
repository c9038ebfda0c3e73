#include "core/init.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/random.h"
#include "base/text.h"

/* What a row of the table works on. */
typedef struct job {
    nl_key key;
    nl_weight_shape shape; /* fans resolved */
    double arg[NL_INIT_ARGS_MAX];
    nl_real *w;
} job;

static int64_t size(const job *j) { return j->shape.rows * j->shape.cols; }

static nl_status uniform_between(const job *j, double lo, double hi)
{
    for (int64_t i = 0; i < size(j); i++)
        j->w[i] = (nl_real)(lo + (hi - lo) * nl_random_uniform(j->key, (uint64_t)i));
    return NL_OK;
}

static nl_status uniform_within(const job *j, double limit)
{
    return uniform_between(j, -limit, limit);
}

/* A normal deviate within +-2: draws again, from counters of its own, until it is. */
static double cut_normal(nl_key key, uint64_t index)
{
    enum { CUT = 2, TRY_BIT = 48 }; /* weights have fewer than 2^48 values */
    double v = nl_random_normal(key, index);
    for (uint64_t again = 1; fabs(v) > CUT; again++)
        v = nl_random_normal(key, index | again << TRY_BIT);
    return v;
}

static nl_status cut_normal_of(const job *j, double variance)
{
    const double cut_std = .87962566103423978; /* of a standard normal cut off at +-2 */
    const double std = sqrt(variance) / cut_std;
    for (int64_t i = 0; i < size(j); i++)
        j->w[i] = (nl_real)(std * cut_normal(j->key, (uint64_t)i));
    return NL_OK;
}

static double he_variance(const job *j) { return 2.0 / (double)j->shape.fan_in; }

static double glorot_variance(const job *j)
{
    return 2.0 / (double)(j->shape.fan_in + j->shape.fan_out);
}

static nl_status he_normal(const job *j) { return cut_normal_of(j, he_variance(j)); }
static nl_status he_uniform(const job *j) { return uniform_within(j, sqrt(3 * he_variance(j))); }
static nl_status glorot_normal(const job *j) { return cut_normal_of(j, glorot_variance(j)); }

static nl_status glorot_uniform(const job *j)
{
    return uniform_within(j, sqrt(3 * glorot_variance(j)));
}

static nl_status torch_linear(const job *j)
{
    return uniform_within(j, 1 / sqrt((double)j->shape.fan_in));
}

static nl_status uniform(const job *j) { return uniform_between(j, j->arg[0], j->arg[1]); }

static nl_status normal(const job *j)
{
    for (int64_t i = 0; i < size(j); i++)
        j->w[i] = (nl_real)(j->arg[0] * nl_random_normal(j->key, (uint64_t)i));
    return NL_OK;
}

static nl_status constant(const job *j)
{
    for (int64_t i = 0; i < size(j); i++)
        j->w[i] = (nl_real)j->arg[0];
    return NL_OK;
}

/* ---- orthogonal: Gram-Schmidt, every vector against the earlier ones twice ("twice is enough",
 * Giraud et al. 2005). Of a normal matrix this is uniform over the orthogonal ones, with no signs
 * to repair. */

static double dot(const double *a, const double *b, int64_t n)
{
    enum { LANES = 8 };
    double lane[LANES] = {0}, sum = 0;
    int64_t i = 0;
    for (; i + LANES <= n; i += LANES)
        for (int k = 0; k < LANES; k++)
            lane[k] += a[i + k] * b[i + k];
    for (int k = 0; k < LANES; k++)
        sum += lane[k];
    for (; i < n; i++)
        sum += a[i] * b[i];
    return sum;
}

static void orthonormalize(double *q, int64_t vectors, int64_t n)
{
    for (int64_t k = 0; k < vectors; k++) {
        double *v = q + k * n;
        for (int64_t e = 0; e < 2 * k; e++) {
            const double *earlier = q + e % k * n;
            const double along = dot(v, earlier, n);
            for (int64_t i = 0; i < n; i++)
                v[i] -= along * earlier[i];
        }
        const double length = sqrt(dot(v, v, n));
        for (int64_t i = 0; i < n; i++)
            v[i] /= length;
    }
}

/* The columns of a tall weight are orthonormal, the rows of a wide one. */
static nl_status orthogonal(const job *j)
{
    const int64_t rows = j->shape.rows, cols = j->shape.cols;
    const bool tall = rows >= cols;
    const int64_t vectors = tall ? cols : rows, n = tall ? rows : cols;
    double *q = nl_alloc((size_t)size(j), sizeof *q);
    if (!q)
        return nl_fail(NL_ENOMEM, "orthogonal weights of %lld x %lld", (long long)rows,
                       (long long)cols);
    for (int64_t i = 0; i < size(j); i++)
        q[i] = nl_random_normal(j->key, (uint64_t)i);
    orthonormalize(q, vectors, n);
    for (int64_t r = 0; r < rows; r++)
        for (int64_t c = 0; c < cols; c++)
            j->w[r * cols + c] = (nl_real)(j->arg[0] * (tall ? q[c * n + r] : q[r * n + c]));
    nl_free(q);
    return NL_OK;
}

static nl_status identity(const job *j)
{
    for (int64_t i = 0; i < size(j); i++)
        j->w[i] = (nl_real)(i / j->shape.cols == i % j->shape.cols ? j->arg[0] : 0);
    return NL_OK;
}

static const struct kind {
    nl_initializer is;
    nl_status (*fill)(const job *j);
} kinds[] = {
    {{"he_normal",
      "normal, cut off at 2 deviations: variance 2 / fan-in; Keras's",
      "he2015delving",
      0,
      "",
      {0}},
     he_normal},
    {{"he_uniform", "uniform in +-sqrt(6 / fan-in); Keras's", "he2015delving", 0, "", {0}},
     he_uniform},
    {{"glorot_normal",
      "normal, cut off at 2 deviations: variance 2 / (fan-in + fan-out); Keras's",
      "glorot2010understanding",
      0,
      "",
      {0}},
     glorot_normal},
    {{"glorot_uniform",
      "uniform in +-sqrt(6 / (fan-in + fan-out)); Keras's",
      "glorot2010understanding",
      0,
      "",
      {0}},
     glorot_uniform},
    {{"torch_linear", "uniform in +-1 / sqrt(fan-in): PyTorch's nn.Linear", "", 0, "", {0}},
     torch_linear},
    {{"orthogonal", "orthonormal rows or columns, times gain", "saxe2014exact", 1, "gain", {1}},
     orthogonal},
    {{"identity", "gain on the diagonal, 0 beside it", "le2015simple", 1, "gain", {1}}, identity},
    {{"normal", "normal with standard deviation std", "", 1, "std", {0.05}}, normal},
    {{"uniform", "uniform from lo to hi", "", 2, "lo/hi", {-0.05, 0.05}}, uniform},
    {{"constant", "v everywhere", "", 1, "v", {0}}, constant},
    {{"zeros", "0 everywhere", "", 0, "", {0}}, constant},
    {{"ones", "1 everywhere", "", 0, "", {1}}, constant},
};
enum { KINDS = sizeof kinds / sizeof *kinds };

const nl_initializer *nl_init_at(int i) { return i >= 0 && i < KINDS ? &kinds[i].is : NULL; }

/* ---- reading */

static nl_status unknown(const char *name, const char *what)
{
    nl_nearest near = {.wanted = name};
    for (int k = 0; k < KINDS; k++)
        nl_nearest_offer(&near, kinds[k].is.name);
    return nl_fail(NL_EOPTION, "%s: no initializer '%s'%s", what, name, nl_nearest_hint(&near));
}

/* "a/b)" into arg; false when it is not `count` numbers and a closing parenthesis. */
static bool read_args(const char *text, double *arg, int count)
{
    char number[NL_REAL_CHARS];
    for (int k = 0; k < count; k++) {
        const char *end = k + 1 < count ? "/" : ")";
        const size_t n = strcspn(text, end);
        if (n >= sizeof number || text[n] != *end)
            return false;
        memcpy(number, text, n);
        number[n] = 0;
        if (!nl_read_real(number, &arg[k]))
            return false;
        text += n + 1;
    }
    return *text == 0;
}

static const char *const takes[NL_INIT_ARGS_MAX + 1] = {"no numbers", "one number in ()",
                                                        "two numbers such as (-0.1/0.1)"};

static nl_status read_spec(const char *spec, const char *what, const struct kind **out, double *arg)
{
    char name[64];
    const size_t n = strcspn(spec, "(");
    snprintf(name, sizeof name, "%.*s", (int)(n < sizeof name ? n : sizeof name - 1), spec);
    for (int k = 0; k < KINDS; k++) {
        const nl_initializer *is = &kinds[k].is;
        if (strcmp(is->name, name) != 0)
            continue;
        *out = &kinds[k];
        memcpy(arg, is->preset, sizeof is->preset);
        if (spec[n] && !read_args(spec + n + 1, arg, is->args))
            return nl_fail(NL_EOPTION, "%s: %s takes %s, got '%s'", what, name, takes[is->args],
                           spec);
        return NL_OK;
    }
    return unknown(name, what);
}

nl_status nl_init_check(const char *spec, const char *what)
{
    const struct kind *found;
    double arg[NL_INIT_ARGS_MAX];
    return read_spec(spec, what, &found, arg);
}

nl_status nl_init_weights(const char *spec, uint64_t seed, const char *owner, const char *name,
                          nl_weight_shape shape, nl_real *w)
{
    const struct kind *found;
    char path[256];
    job j = {.shape = shape, .w = w};
    NL_TRY(read_spec(spec, owner, &found, j.arg));
    if (shape.fan_in == 0)
        j.shape.fan_in = shape.rows;
    if (shape.fan_out == 0)
        j.shape.fan_out = shape.cols;
    snprintf(path, sizeof path, "%s/%s", owner, name);
    j.key = (nl_key){.seed = seed, .stream = NL_STREAM_INIT, .epoch = nl_hash_text(path)};
    return found->fill(&j);
}

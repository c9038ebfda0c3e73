#include "kernel/act.h"

#include <math.h>

static nl_real apply(nl_act act, nl_real x)
{
    switch (act) {
    case NL_LINEAR: return x;
    case NL_RELU: return x > 0 || x != x ? x : 0;
    case NL_SIGMOID: return (nl_real)(1.0 / (1.0 + exp(-(double)x)));
    case NL_TANH: return (nl_real)tanh((double)x);
    }
    return x;
}

static nl_real slope(nl_act act, nl_real y)
{
    switch (act) {
    case NL_LINEAR: return 1;
    case NL_RELU: return y > 0 || y != y ? 1 : 0;
    case NL_SIGMOID: return y * (1 - y);
    case NL_TANH: return 1 - y * y;
    }
    return 1;
}

static void forward(nl_act act, const nl_real *x, nl_real *y, int64_t count)
{
    for (int64_t i = 0; i < count; i++)
        y[i] = apply(act, x[i]);
}

static void backward(nl_act act, const nl_real *y, const nl_real *dy, nl_real *dx, int64_t count)
{
    for (int64_t i = 0; i < count; i++)
        dx[i] = dy[i] * slope(act, y[i]);
}

static void bias_forward(nl_act act, const nl_real *x, const nl_real *bias, nl_real *y,
                         int64_t rows, int64_t c)
{
    for (int64_t r = 0; r < rows; r++)
        for (int64_t k = 0; k < c; k++)
            y[r * c + k] = apply(act, x[r * c + k] + (bias ? bias[k] : 0));
}

const nl_act_kernels NL_VARIANT(nl_act_kernel) = {forward, backward, bias_forward};

/* Every registered method keeps the contract, as it is and under the variants below.
 * Arguments: specs to check instead, or `quick` for the methods as they are. CK_RUN_CASE is the one
 * spec to check, where it is set. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/contract.h"
#include "core/norm.h"

#define NL_ENTRY(name) extern const nl_norm_ops nl_norm_##name;
#include "norms_table.inc"
#undef NL_ENTRY
#define NL_ENTRY(name) &nl_norm_##name,
static const nl_norm_ops *const table[] = {
#include "norms_table.inc"
};

static const char *const variants[] = {
    "batch:eval=batch",
    "batch:eval=cumulative:unbiased=false",
    "batch:eval=epoch:keras_momentum=0.9",
    "batch:eval=example",
    "batch:eval=mixture:own_weight=0.3",
    "batch:scale=false",
    "batch:center=false:gamma.init=0.1",
    "batch:scale=false:center=false",
    "layer:area=sc",
    "layer:area=sc:elementwise=true",
    "layer:elementwise=true:center=false",
    "layer:scale=false",
    "instance:scale=true:center=true",
    "group:groups=1",
    "group:groups=2:scale=false",
    "group:groups=8:center=false",
    "rms:center=true",
    "rms:scale=false",
    "weight:init=data",
    "batch_layer:area=ns",
    "batch_layer:m=live:divide=false",
    "batch_layer:m=live:area=ns:population=running",
    "batch_layer:population=cumulative:inference=TTTT:unbiased=false",
    "batch_layer:inference=FFTT",
    "batch_layer:inference=TFFT:scale=false",
    "batch_layer:tilt=0:center=false:inference=FFFF",
    "batch_renorm:r_max=3:d_max=5:momentum=0.3",
    "batch_renorm:r_max=1.2:d_max=0.1:eval=epoch",
    "batch_renorm:eval=cumulative:scale=false",
    "batch_renorm:r_max=1:d_max=0:eval=batch",
};

/* Methods whose backward is not the derivative of their forward, and what it is instead. */
static const struct {
    const char *name;
    nl_gradient gradient;
    const char *equation;
} not_exact[] = {
    {"batch_renorm", NL_HELD_EXACT,
     "dL/dx of z = (x - mu_B) / sigma_B r + d with r and d constant (algorithm 1)"},
};

static int gradients_are_as_listed(void)
{
    int unlisted = 0;
    const nl_norm_ops *o;
    for (int i = 0; (o = nl_norm_at(i)); i++) {
        nl_gradient listed = NL_EXACT;
        for (size_t k = 0; k < sizeof not_exact / sizeof *not_exact; k++)
            if (strcmp(not_exact[k].name, o->name) == 0)
                listed = not_exact[k].gradient;
        if (listed == o->gradient)
            continue;
        printf("%s: its gradient is of another kind than this test's list says\n", o->name);
        unlisted++;
    }
    return unlisted;
}

/* Under a sanitizer, which is slow, a sample has to do: of this many, one. */
#if defined(__SANITIZE_THREAD__) /* where each parallel loop starts its threads anew */
enum { METHODS = 6, VARIANTS = 6 };
#elif defined(__SANITIZE_ADDRESS__)
enum { METHODS = 1, VARIANTS = 4 };
#else
enum { METHODS = 1, VARIANTS = 1 };
#endif

static void say(void *to, const nl_finding *f)
{
    const char *spec = to;
    if (getenv("NL_CONTRACT_VERBOSE"))
        printf("%s %s: %d cases\n", spec, f->property, f->cases);
    if (f->verdict == NL_BROKEN)
        printf("%s: %s: %d of %d cases: %s\n", spec, f->property, f->failures, f->cases, f->detail);
}

static int broken_by(const char *spec)
{
    int broken;
    char copy[256];
    snprintf(copy, sizeof copy, "%s", spec);
    if (nl_contract_check(spec, say, copy, &broken) != NL_OK) {
        printf("%s: %s\n", spec, nl_last_error());
        return 1;
    }
    return broken;
}

int main(int argc, char **argv)
{
    int broken = 0;
    nl_norm_use(table, sizeof table / sizeof *table);
    const char *only = getenv("CK_RUN_CASE");
    if (only)
        return broken_by(only) != 0;
    const bool quick = argc > 1 && strcmp(argv[1], "quick") == 0; /* no variants */
    if (argc > 1 && !quick) {
        for (int k = 1; k < argc; k++)
            broken += broken_by(argv[k]);
        return broken != 0;
    }
    broken += gradients_are_as_listed();
    for (int k = 0; nl_norm_at(k); k += METHODS)
        broken += broken_by(nl_norm_at(k)->name);
    for (size_t k = 0; !quick && k < sizeof variants / sizeof *variants; k += VARIANTS)
        broken += broken_by(variants[k]);
    return broken != 0;
}

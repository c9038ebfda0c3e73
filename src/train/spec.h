/* spec.h: a run is its spec. One option table says what a run is (hashed), another how it is
 * carried out (not hashed: threads and places change no result). */
#ifndef NL_SPEC_H
#define NL_SPEC_H

#include <stdbool.h>
#include <stdint.h>

#include "core/dataset.h"
#include "core/option.h"
#include "train/words.h"

/* Grows when the same spec gives another run file than before; part of every hash. */
enum { NL_NUMERICS_VERSION = 11 };
/* NL_ESTATE where a file is of another version. */
nl_status nl_numerics_check(const char *path, int64_t version) NL_CHECKED;

enum { NL_PRECISION_FLOAT, NL_PRECISION_DOUBLE };

typedef struct nl_run_spec {
    nl_string data, model, norm, norm_preact, norm_act, norm_weight, norm_x, norm_h, norm_c;
    nl_string optimizer, init, probe;
    int64_t batch;         /* 0: all training examples */
    int64_t epochs, steps; /* the budget: exactly one of them is above 0 */
    int64_t seed;
    nl_choice order, last, precision; /* NL_ORDER_*, NL_LAST_* (batches.h), NL_PRECISION_* */
    int64_t eval, eval_batch;         /* eval 0: automatic */
    double target;                    /* 0: the data set's */

    int64_t threads, jobs; /* 0: one a run; as many runs as there are cores */
    int64_t checkpoint;
    nl_string log, out, record;     /* log: channels.h */
    bool record_init, record_order; /* what record names */
} nl_run_spec;

extern const nl_option nl_run_options[];     /* what the run is */
extern const nl_option nl_conduct_options[]; /* how it is carried out */

/* Whether a key may take a list of values and form a grid. */
bool nl_run_key_varies(const char *key);

/* One run: defaults, then the model's protocol, then the words. Every nested spec is checked by its
 * owner. Lists are refused. Messages about a file's words start with FILE:LINE:COLUMN. */
nl_status nl_spec_parse(const nl_words *words, nl_run_spec *out) NL_CHECKED;

/* The same with pick[k] choosing among the values of row k of nl_run_options (NULL: all 0). */
nl_status nl_spec_parse_pick(const nl_words *words, const int *pick, nl_run_spec *out) NL_CHECKED;

/* Updates of a run whose epochs have so many. */
int64_t nl_spec_steps(const nl_run_spec *spec, int64_t steps_of_epoch);

/* What a run needs of its data: a batch that the training set can fill. */
nl_status nl_spec_fits(const nl_run_spec *spec, const nl_dataset *data) NL_CHECKED;

/* "key=value" lines of what the run is, in table order, nested specs with defaults expanded; what
 * is empty or 0 by the other budget is left out. It parses back to the same canonical text. */
nl_status nl_spec_canonical(const nl_run_spec *spec, nl_text *out) NL_CHECKED;

/* "key=value" lines of both tables as the user wrote them: what a child process is started with. */
void nl_spec_print(const nl_run_spec *spec, nl_text *out);

/* Identity of a run: canonical text, content of its data, numerics version. */
nl_status nl_spec_hash(const nl_run_spec *spec, uint64_t data_checksum, uint64_t *hash) NL_CHECKED;

/* "batch-seed1-0a1b2c3d" below out=. */
enum { NL_FOLDER_MAX = 96 };
void nl_spec_folder(const nl_run_spec *spec, uint64_t hash, char folder[NL_FOLDER_MAX]);

#endif

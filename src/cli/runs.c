#include "cli/runs.h"

#include <math.h>
#include <string.h>
#include <unistd.h>

error_t cli_runs_word(cli_runs *r, const char *word)
{
    const bool keeps = strchr(word, '=') && access(word, F_OK) != 0;
    return cli_path(keeps ? &r->wanted : &r->paths, r->command, word);
}

static nl_status keep(nl_rundirs *runs, const char *word)
{
    char key[128];
    const size_t n = strcspn(word, "=");
    if (n >= sizeof key)
        return nl_fail(NL_EOPTION, "'%s' is no key of a run", word);
    memcpy(key, word, n);
    key[n] = 0;
    NL_TRY(nl_rundirs_keep(runs, key, word + n + 1));
    return NL_OK;
}

nl_status cli_runs_study(cli_runs *r)
{
    nl_compare_options how = NL_COMPARE_DEFAULTS;
    how.baseline = r->baseline;
    if (!r->paths.count)
        return nl_fail(NL_EOPTION, "%s wants a folder with runs", r->command);
    NL_TRY(nl_rundirs_read(&r->runs, r->paths.at, r->paths.count));
    for (int64_t i = 0; i < r->wanted.count; i++)
        NL_TRY(keep(&r->runs, r->wanted.at[i]));
    NL_TRY(nl_study_make(&r->study, r->runs.run, r->runs.count, &how));
    if (r->study->tasks > 1)
        return NL_OK;
    nl_study_close(r->study);
    r->study = NULL;
    NL_TRY(nl_rundirs_read_layers(&r->runs));
    NL_TRY(nl_study_make(&r->study, r->runs.run, r->runs.count, &how));
    return NL_OK;
}

void cli_runs_close(cli_runs *r)
{
    nl_study_close(r->study);
    nl_rundirs_close(&r->runs);
}

#include "cli/page.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "base/random.h"
#include "train/engine.h"

static nl_status name_page(const nl_compare *c, char *name, size_t room)
{
    nl_text hashes = {0};
    for (int64_t i = 0; i < c->runs_count; i++)
        nl_text_add(&hashes, "%s ", nl_rundata_text(c->runs[i], "hash", ""));
    const nl_status st = nl_text_status(&hashes);
    snprintf(name, room, "report-%08llx.html",
             (unsigned long long)(nl_hash_text(nl_text_of(&hashes)) >> 32));
    nl_text_free(&hashes);
    return st;
}

nl_status cli_report_write(const nl_compare *c, const nl_published *published, const char *folder,
                           FILE *to)
{
    char name[32], path[NL_PATH_MAX], latest[NL_PATH_MAX];
    NL_TRY(name_page(c, name, sizeof name));
    snprintf(path, sizeof path, "%s/%s", folder, name);
    snprintf(latest, sizeof latest, "%s/report.html", folder);
    NL_TRY(nl_report_write(c, published, path));
    unlink(latest);
    if (symlink(name, latest) != 0)
        return nl_fail(NL_EIO, "%s: cannot be linked to %s: %s", latest, name, strerror(errno));
    fprintf(to, "report: %s (%s)\n", latest, name);
    return NL_OK;
}

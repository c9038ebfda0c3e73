#include "train/provenance.h"

#include <hdf5.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/utsname.h>

#include "base/bibtex.h"
#include "core/optim.h"
#include "kernel/cpu.h"
#include "version.h"

void nl_provenance_cpu(char *name, size_t room)
{
    char line[512];
    snprintf(name, room, "unknown");
    FILE *f = fopen("/proc/cpuinfo", "r");
    while (f && fgets(line, sizeof line, f)) {
        const char *value = strstr(line, ": ");
        if (strncmp(line, "model name", 10) == 0 && value) {
            snprintf(name, room, "%.*s", (int)strcspn(value + 2, "\n"), value + 2);
            break;
        }
    }
    if (f)
        fclose(f);
}

static nl_status write_run(nl_log *log, const nl_run_spec *spec)
{
    nl_text canonical = {0};
    nl_status st = NL_OK;
    NL_GO(nl_spec_canonical(spec, &canonical));
    NL_GO(nl_log_set_text(log, "spec", nl_text_of(&canonical)));
    NL_GO(nl_log_set_text(log, "norm", spec->norm.is));
    NL_GO(nl_log_set_text(log, "model", spec->model.is));
    NL_GO(nl_log_set_text(log, "data", spec->data.is));
    NL_GO(nl_log_set_text(log, "optimizer", spec->optimizer.is));
    NL_GO(nl_log_set_int(log, "seed", spec->seed));
    NL_GO(nl_log_set_int(log, "numerics_version", NL_NUMERICS_VERSION));
done:
    nl_text_free(&canonical);
    return st;
}

static nl_status write_data(nl_log *log, const nl_run_spec *spec, const nl_dataset *data)
{
    char checksum[20], hash_text[20];
    uint64_t hash;
    NL_TRY(nl_spec_hash(spec, data->checksum, &hash));
    snprintf(hash_text, sizeof hash_text, "%016" PRIx64, hash);
    snprintf(checksum, sizeof checksum, "%016" PRIx64, data->checksum);
    NL_TRY(nl_log_set_text(log, "hash", hash_text));
    NL_TRY(nl_log_set_text(log, "data_checksum", checksum));
    NL_TRY(nl_log_set_int(log, "synthetic", data->synthetic));
    NL_TRY(nl_log_set_int(log, "train_examples", data->train.count));
    NL_TRY(nl_log_set_int(log, "val_examples", data->val.count));
    NL_TRY(nl_log_set_int(log, "test_examples", data->test.count));
    NL_TRY(nl_log_set_real(log, "target", spec->target > 0 ? spec->target : data->target));
    return NL_OK;
}

static nl_status write_machine(nl_log *log, int threads)
{
    char cpu[256], hdf5[32];
    struct utsname os;
    unsigned major = 0, minor = 0, release = 0;
    nl_provenance_cpu(cpu, sizeof cpu);
    memset(&os, 0, sizeof os);
    uname(&os);
    H5get_libversion(&major, &minor, &release);
    snprintf(hdf5, sizeof hdf5, "%u.%u.%u", major, minor, release);
    NL_TRY(nl_log_set_text(log, "normlab_version", NL_VERSION));
    NL_TRY(nl_log_set_text(log, "precision", NL_PRECISION));
    NL_TRY(nl_log_set_text(log, "compiler", NL_COMPILER));
    NL_TRY(nl_log_set_text(log, "hdf5_version", hdf5));
    NL_TRY(nl_log_set_text(log, "cpu", cpu));
    NL_TRY(nl_log_set_text(log, "cpu_variant", nl_cpu_name(nl_cpu_level())));
    NL_TRY(nl_log_set_text(log, "system", os.release));
    NL_TRY(nl_log_set_int(log, "threads", threads));
    return NL_OK;
}

/* The sources of the data and of the optimizer, after those of model and norms. */
static nl_status cite_rest(const nl_run_spec *spec, const nl_dataset *data, nl_text *keys)
{
    char name[64];
    const nl_optim_ops *optimizer;
    snprintf(name, sizeof name, "%.*s", (int)strcspn(spec->optimizer.is, ":"), spec->optimizer.is);
    NL_TRY(nl_optim_find_or_say(name, &optimizer));
    if (data->ops && data->ops->cite)
        nl_bibtex_unite(data->ops->cite, keys);
    if (optimizer->cite)
        nl_bibtex_unite(optimizer->cite, keys);
    return NL_OK;
}

nl_status nl_provenance_write(nl_log *log, const nl_run_spec *spec, const nl_dataset *data,
                              const nl_model *model, int threads)
{
    nl_text keys = {0}, entries = {0};
    nl_status st = NL_OK;
    NL_GO(write_run(log, spec));
    NL_GO(write_data(log, spec, data));
    NL_GO(write_machine(log, threads));
    nl_model_citations(model, &keys);
    NL_GO(cite_rest(spec, data, &keys));
    NL_GO(nl_text_status(&keys));
    nl_bibtex_entries(nl_text_of(&keys), &entries);
    NL_GO(nl_text_status(&entries));
    NL_GO(nl_log_set_text(log, "cite", nl_text_of(&keys)));
    NL_GO(nl_log_set_text(log, "bibtex", nl_text_of(&entries)));
done:
    nl_text_free(&entries);
    nl_text_free(&keys);
    return st;
}

/* train_state.c: checkpoints of a run. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "io/checkpoint.h"
#include "kernel/cpu.h"
#include "train/trainer.h"

enum { SLOTS_MAX = NL_OPTIM_SLOTS_MAX + 1 };

/* The optimizer's, and the former gradient where the log wants it. */
static int slots_of(trainer *t, nl_slot slot[SLOTS_MAX])
{
    int64_t count;
    int slots = nl_optim_slots(t->optim);
    for (int k = 0; k < slots; k++)
        slot[k].name = nl_optim_slot(t->optim, k, &slot[k].slab, &count);
    if (t->last_gradient)
        slot[slots++] = (nl_slot){"last_gradient", t->last_gradient};
    return slots;
}

static void checkpoint_path(const trainer *t, char *path, size_t room)
{
    snprintf(path, room, "%s/checkpoint.nlc", t->set->out);
}

static nl_status describe_state(const trainer *t, nl_checkpoint *c)
{
    uint64_t hash;
    c->step = t->step;
    c->epoch = t->step / t->batches.steps;
    c->batch = t->step % t->batches.steps;
    c->numerics = NL_NUMERICS_VERSION;
    memcpy(c->carry, t->sum, sizeof t->sum);
    NL_TRY(nl_spec_hash(t->spec, t->data->checksum, &hash));
    NL_TRY(nl_spec_canonical(t->spec, &c->spec));
    nl_text_add(&c->hash, "%016" PRIx64, hash);
    nl_text_add(&c->cpu, "%s", nl_cpu_name(nl_cpu_level()));
    return NL_OK;
}

nl_status nl_trainer_save(trainer *t)
{
    char path[NL_TRAIN_PATH_MAX];
    nl_checkpoint c = {0};
    nl_slot slot[SLOTS_MAX];
    nl_status st = NL_OK;
    const int slots = slots_of(t, slot);
    checkpoint_path(t, path, sizeof path);
    NL_GO(describe_state(t, &c));
    NL_GO(nl_log_sync(t->log));
    NL_GO(nl_checkpoint_save(path, &c, nl_model_store(t->model), slot, slots));
done:
    nl_checkpoint_free(&c);
    return st;
}

/* The checkpoint has to be of this run, this arithmetic and, unless asked, this class of CPU. */
static nl_status check_checkpoint(const trainer *t, const char *path, const nl_checkpoint *c)
{
    nl_checkpoint now = {0};
    nl_status st = NL_OK;
    NL_GO(describe_state(t, &now));
    NL_GO(nl_numerics_check(path, c->numerics));
    if (strcmp(nl_text_of(&c->hash), nl_text_of(&now.hash)) != 0)
        NL_BAIL(NL_ESTATE, "%s: belongs to another run (hash %s, this one %s)", path,
                nl_text_of(&c->hash), nl_text_of(&now.hash));
    if (!t->set->anyway && strcmp(nl_text_of(&c->cpu), nl_text_of(&now.cpu)) != 0)
        NL_BAIL(NL_ESTATE,
                "%s: made with %s kernels, this CPU runs %s: the rest would not be the same bytes "
                "(--resume-anyway goes on)",
                path, nl_text_of(&c->cpu), nl_text_of(&now.cpu));
done:
    nl_checkpoint_free(&now);
    return st;
}

nl_status nl_trainer_forget(const trainer *t)
{
    char path[NL_TRAIN_PATH_MAX];
    checkpoint_path(t, path, sizeof path);
    if (unlink(path) != 0 && errno != ENOENT)
        return nl_fail(NL_EIO, "%s: cannot be removed: %s", path, strerror(errno));
    return NL_OK;
}

nl_status nl_trainer_load(trainer *t, bool *found)
{
    char path[NL_TRAIN_PATH_MAX];
    nl_checkpoint c = {0};
    nl_slot slot[SLOTS_MAX];
    nl_status st = NL_OK;
    const int slots = slots_of(t, slot);
    checkpoint_path(t, path, sizeof path);
    *found = access(path, F_OK) == 0;
    if (!*found)
        return NL_OK;
    NL_GO(nl_checkpoint_peek(path, &c));
    NL_GO(check_checkpoint(t, path, &c));
    nl_checkpoint_free(&c);
    NL_GO(nl_checkpoint_load(path, &c, nl_model_store(t->model), slot, slots));
    t->step = c.step;
    memcpy(t->sum, c.carry, sizeof t->sum);
    nl_optim_set_steps(t->optim, t->step);
done:
    nl_checkpoint_free(&c);
    return st;
}

#include "train/rehearse.h"

#include "core/model.h"
#include "core/optim.h"
#include "train/channels.h"
#include "train/setup.h"

static nl_status check_log(const nl_run_spec *s, nl_model *m)
{
    nl_log_plan plan;
    NL_TRY(nl_log_plan_parse(s->log.is, &plan));
    NL_TRY(nl_log_plan_fits(&plan, m));
    return NL_OK;
}

static nl_status open_both(const nl_run_spec *s, const nl_model_setup *setup, nl_model **model,
                           nl_optim **optim)
{
    NL_TRY(nl_model_open(model, s->model.is, setup));
    if (s->eval_batch > 0)
        NL_TRY(nl_model_accepts(*model, NULL, s->eval_batch));
    NL_TRY(check_log(s, *model));
    NL_TRY(nl_optim_open(optim, s->optimizer.is, nl_model_store(*model), 1));
    return NL_OK;
}

nl_status nl_run_rehearse(const nl_run_spec *spec, const nl_dataset *data)
{
    nl_model *model = NULL;
    nl_optim *optim = NULL;
    NL_TRY(nl_spec_fits(spec, data));
    const int64_t batch = spec->batch > 0 ? spec->batch : data->train.count;
    const nl_model_setup setup = nl_spec_setup(spec, data, batch, batch);
    const nl_status st = open_both(spec, &setup, &model, &optim);
    nl_optim_close(optim);
    nl_model_close(model);
    return st;
}

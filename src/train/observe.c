#include "train/observe.h"

#include "base/alloc.h"
#include "train/agenda.h"
#include "train/observe_params.h"
#include "train/observe_slots.h"
#include "train/observe_steps.h"

struct nl_observer {
    nl_log_plan plan;
    nl_agenda agenda;
    nl_slot_observer *slots;
    nl_step_observer *steps;
    nl_param_observer *params;
};

nl_status nl_observer_open(nl_observer **out, const nl_observer_setup *s)
{
    nl_status st = NL_OK;
    *out = NULL;
    nl_observer *o = nl_alloc(1, sizeof *o);
    if (!o)
        return nl_fail(NL_ENOMEM, "the observer");
    o->plan = *s->plan;
    nl_observer_setup own = *s;
    own.plan = &o->plan;
    NL_GO(nl_agenda_open(&o->agenda, &own));
    NL_GO(nl_slot_observer_open(&o->slots, &o->agenda));
    NL_GO(nl_step_observer_open(&o->steps, &o->agenda));
    NL_GO(nl_param_observer_open(&o->params, &o->agenda));
    *out = o;
    return NL_OK;
done:
    nl_observer_close(o);
    return st;
}

void nl_observer_close(nl_observer *o)
{
    if (!o)
        return;
    nl_slot_observer_close(o->slots);
    nl_step_observer_close(o->steps);
    nl_param_observer_close(o->params);
    nl_free(o);
}

void nl_observe_begin(nl_observer *o, int64_t step, nl_layer_call *call)
{
    nl_agenda_turn(&o->agenda, step);
    call->logged = o->agenda.due[NL_LOG_ACTIVATIONS];
    call->watch = nl_slot_observer_watch(o->slots);
    call->steps = nl_step_observer_watch(o->steps);
}

void nl_observe_layers(nl_observer *o, const nl_layer_call *call)
{
    nl_observe_slots(o->slots, call);
    nl_observe_steps(o->steps, call);
}

nl_status nl_observe_end(nl_observer *o, double lr)
{
    nl_observe_step_gradients(o->steps);
    nl_observe_params(o->params, lr);
    NL_TRY(nl_agenda_end_rows(&o->agenda));
    return NL_OK;
}

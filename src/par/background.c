/* One thread, one job at a time. */
#include <pthread.h>
#include <stdio.h>

#include "base/alloc.h"
#include "par/par.h"

struct nl_background {
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    nl_status (*job)(void *arg);
    void *arg;
    enum { IDLE, ASKED, DONE, QUIT } state;
    bool inline_only, threaded;
    nl_status result;
    char message[1024];
};

static void keep_result(nl_background *w, nl_status st)
{
    w->result = st;
    if (st != NL_OK)
        snprintf(w->message, sizeof w->message, "%s", nl_last_error());
}

static void *serve(void *arg)
{
    nl_background *w = arg;
    nl_flush_denormals();
    pthread_mutex_lock(&w->lock);
    for (;;) {
        while (w->state != ASKED && w->state != QUIT)
            pthread_cond_wait(&w->changed, &w->lock);
        if (w->state == QUIT)
            break;
        pthread_mutex_unlock(&w->lock);
        const nl_status st = w->job(w->arg);
        pthread_mutex_lock(&w->lock);
        keep_result(w, st);
        w->state = DONE;
        pthread_cond_broadcast(&w->changed);
    }
    pthread_mutex_unlock(&w->lock);
    return NULL;
}

nl_status nl_background_open(nl_background **out, bool inline_only)
{
    *out = NULL;
    nl_background *w = nl_alloc(1, sizeof *w);
    if (!w)
        return nl_fail(NL_ENOMEM, "background worker");
    w->inline_only = inline_only;
    if (!inline_only) {
        pthread_mutex_init(&w->lock, NULL);
        pthread_cond_init(&w->changed, NULL);
        w->threaded = pthread_create(&w->thread, NULL, serve, w) == 0;
        w->inline_only = !w->threaded;
    }
    *out = w;
    return NL_OK;
}

void nl_background_start(nl_background *w, nl_status (*job)(void *arg), void *arg)
{
    if (w->inline_only) {
        keep_result(w, job(arg));
        return;
    }
    pthread_mutex_lock(&w->lock);
    while (w->state == ASKED)
        pthread_cond_wait(&w->changed, &w->lock);
    w->job = job;
    w->arg = arg;
    w->state = ASKED;
    pthread_cond_broadcast(&w->changed);
    pthread_mutex_unlock(&w->lock);
}

nl_status nl_background_wait(nl_background *w)
{
    if (w->threaded) {
        pthread_mutex_lock(&w->lock);
        while (w->state == ASKED)
            pthread_cond_wait(&w->changed, &w->lock);
        w->state = IDLE;
        pthread_mutex_unlock(&w->lock);
    }
    const nl_status st = w->result;
    w->result = NL_OK;
    if (st != NL_OK)
        return nl_fail(st, "%s", w->message);
    return NL_OK;
}

void nl_background_close(nl_background *w)
{
    if (!w)
        return;
    if (w->threaded) {
        pthread_mutex_lock(&w->lock);
        while (w->state == ASKED)
            pthread_cond_wait(&w->changed, &w->lock);
        w->state = QUIT;
        pthread_cond_broadcast(&w->changed);
        pthread_mutex_unlock(&w->lock);
        pthread_join(w->thread, NULL);
        pthread_mutex_destroy(&w->lock);
        pthread_cond_destroy(&w->changed);
    }
    nl_free(w);
}

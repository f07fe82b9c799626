#include "keystore/pkcs11/worker.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/host.h"
#include "base/stream.h"

#define PATIENCE 300  /* seconds, for a PIN pad */
#define GLANCE_MS 100 /* how often a waiting submitter looks for a signal */

struct worker {
    const char *name;
    pthread_t thread;
    pthread_mutex_t lock; /* for what follows */
    pthread_cond_t changed;
    struct job *queue; /* those that wait, in turn */
    bool stop, lost;
    bool inside;    /* its thread is in code of others */
    bool patient;   /* a person types */
    uint64_t moved; /* when the thread entered or left that code last; clock_ms */
    struct result (*ask)(void *arg, struct err *err);
    void *ask_arg;
    struct err *ask_err;
    bool asking;
    struct result answer;
};

static void add(struct worker *w, struct job *job)
{
    struct job **end = &w->queue;

    while (*end != NULL)
        end = &(*end)->next;
    *end = job;
}

/* Takes a job that was not begun out of the queue. */
static void remove_job(struct worker *w, const struct job *job)
{
    struct job **at = &w->queue;

    while (*at != job)
        at = &(*at)->next;
    *at = job->next;
}

/* Does one job of the queue; called and left with the lock held. */
static void do_next(struct worker *w)
{
    struct job *job = w->queue;

    w->queue = job->next;
    job->state = JOB_RUNS;
    pthread_mutex_unlock(&w->lock);
    struct host *before = host_enter(job->host);
    job->run(job);
    (void)host_enter(before);
    pthread_mutex_lock(&w->lock);
    job->state = JOB_DONE;
    pthread_cond_broadcast(&w->changed);
    if (!w->lost)
        return;
    pthread_mutex_unlock(&w->lock);
    job->free(job);
    pthread_mutex_lock(&w->lock);
}

static void *work(void *arg)
{
    struct worker *w = arg;

    pthread_mutex_lock(&w->lock);
    while (!w->stop && !w->lost) {
        if (w->queue != NULL)
            do_next(w);
        else
            pthread_cond_wait(&w->changed, &w->lock);
    }
    pthread_mutex_unlock(&w->lock);
    return NULL;
}

/* Signals are for the threads that wait, not for the worker's. */
static int start_thread(struct worker *w)
{
    sigset_t all, before;

    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int failed = pthread_create(&w->thread, NULL, work, w);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return failed;
}

static void init_sync(struct worker *w)
{
    pthread_condattr_t attr;

    pthread_mutex_init(&w->lock, NULL);
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(&w->changed, &attr);
    pthread_condattr_destroy(&attr);
}

static void free_unstarted(struct worker *w)
{
    pthread_cond_destroy(&w->changed);
    pthread_mutex_destroy(&w->lock);
    free(w);
}

struct result worker_new(struct worker **out, const char *name, struct err *err)
{
    struct worker *w = calloc(1, sizeof *w);

    if (w == NULL)
        return fail_memory(err);
    w->name = name;
    init_sync(w);
    int failed = start_thread(w);
    if (failed != 0) {
        free_unstarted(w);
        errno = failed;
        return fail_errno(err, "cannot start a thread");
    }
    *out = w;
    return OK;
}

void worker_free(struct worker *worker)
{
    pthread_mutex_lock(&worker->lock);
    worker->stop = true;
    pthread_cond_broadcast(&worker->changed);
    pthread_mutex_unlock(&worker->lock);
    pthread_join(worker->thread, NULL);
    free_unstarted(worker);
}

bool worker_is_lost(struct worker *worker)
{
    pthread_mutex_lock(&worker->lock);
    bool lost = worker->lost;
    pthread_mutex_unlock(&worker->lock);
    return lost;
}

/* True if somebody waits for the job that does this. */
static bool move(struct worker *w, bool inside)
{
    pthread_mutex_lock(&w->lock);
    w->inside = inside;
    w->moved = clock_ms();
    bool lost = w->lost;
    pthread_mutex_unlock(&w->lock);
    return !lost;
}

bool worker_enter(struct worker *worker)
{
    return move(worker, true);
}

bool worker_leave(struct worker *worker)
{
    return move(worker, false);
}

void worker_patience(struct worker *worker, bool patient)
{
    pthread_mutex_lock(&worker->lock);
    worker->patient = patient;
    pthread_mutex_unlock(&worker->lock);
}

struct result worker_ask(struct worker *worker, struct result (*ask)(void *arg, struct err *err),
                         void *arg, struct err *err)
{
    struct result r = FAIL;

    pthread_mutex_lock(&worker->lock);
    if (worker->lost) {
        (void)fail(err, ERR_STORE, "PKCS#11 module '%s' was given up", worker->name);
    } else {
        worker->ask = ask;
        worker->ask_arg = arg;
        worker->ask_err = err;
        worker->asking = true;
        pthread_cond_broadcast(&worker->changed);
        while (worker->asking)
            pthread_cond_wait(&worker->changed, &worker->lock);
        r = worker->answer;
    }
    pthread_mutex_unlock(&worker->lock);
    return r;
}

/* Runs what the job asks; called and left with the lock held. */
static void answer(struct worker *w)
{
    pthread_mutex_unlock(&w->lock);
    struct result r = w->ask(w->ask_arg, w->ask_err);
    pthread_mutex_lock(&w->lock);
    w->answer = r;
    w->asking = false;
    pthread_cond_broadcast(&w->changed);
}

static void glance(struct worker *w)
{
    struct timespec t = clock_after(GLANCE_MS);

    (void)pthread_cond_timedwait(&w->changed, &w->lock, &t);
}

/* Whether to give up on a thread that is in code of others; *err says why. */
static bool has_enough(const struct worker *w, unsigned timeout, struct err *err)
{
    unsigned allowed = w->patient && timeout < PATIENCE ? PATIENCE : timeout;

    if (host_is_program() && stream_interrupted()) {
        (void)fail(err, ERR_INTERRUPTED, "interrupted");
        return true;
    }
    if (clock_ms() - w->moved < (uint64_t)allowed * 1000)
        return false;
    (void)fail(err, ERR_STORE, "PKCS#11 module '%s' did not answer for %u seconds", w->name,
               allowed);
    return true;
}

/* Waits for the end of a job; false if the worker was lost before that. With the lock held. */
static bool wait_done(struct worker *w, const struct job *job, unsigned timeout, struct err *err)
{
    while (job->state != JOB_DONE && !w->lost) {
        if (w->asking && job->state == JOB_RUNS) {
            answer(w);
            continue;
        }
        glance(w);
        if (job->state == JOB_WAITS && stream_interrupted())
            break;
        if (job->state == JOB_RUNS && !w->asking && w->inside && has_enough(w, timeout, err)) {
            w->lost = true;
            pthread_detach(w->thread);
            pthread_cond_broadcast(&w->changed);
            return false;
        }
    }
    if (job->state == JOB_DONE)
        return true;
    if (stream_interrupted())
        (void)fail(err, ERR_INTERRUPTED, "interrupted");
    else
        (void)fail(err, ERR_STORE, "PKCS#11 module '%s' does not answer any more", w->name);
    return false;
}

bool worker_do(struct worker *worker, struct job *job, unsigned timeout, struct err *err)
{
    job->state = JOB_WAITS;
    job->next = NULL;
    job->host = host_current();
    pthread_mutex_lock(&worker->lock);
    add(worker, job);
    pthread_cond_broadcast(&worker->changed);
    bool done = wait_done(worker, job, timeout, err);
    bool begun = job->state != JOB_WAITS;
    if (!begun)
        remove_job(worker, job);
    pthread_mutex_unlock(&worker->lock);
    if (!begun)
        job->free(job);
    return done;
}

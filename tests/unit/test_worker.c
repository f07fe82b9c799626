/* The worker: jobs in turn, and one that is given up while it is in code of others. */
#include <pthread.h>
#include <semaphore.h>
#include <string.h>

#include "keystore/pkcs11/worker.h"
#include "tests/unit/test.h"

/* struct trial: a job, and what became of it. */
struct trial {
    struct job job; /* the first member */
    struct worker *worker;
    sem_t *inside, *back; /* where not NULL: it waits in code of others */
    sem_t freed;
    pthread_t asked_on;
    bool ran, entered, left, entered_again, asked, asks;
};

static struct worker *volatile left_behind; /* in reach, for who looks for leaks */

static struct result note_thread(void *arg, struct err *err)
{
    (void)err;
    *(pthread_t *)arg = pthread_self();
    return OK;
}

static void run(struct job *job)
{
    struct trial *t = (struct trial *)job;
    struct err err;

    t->ran = true;
    t->entered = worker_enter(t->worker);
    if (t->inside != NULL)
        sem_post(t->inside);
    if (t->back != NULL)
        sem_wait(t->back);
    t->left = worker_leave(t->worker);
    t->entered_again = worker_enter(t->worker);
    (void)!worker_leave(t->worker);
    if (t->asks)
        t->asked = worker_ask(t->worker, note_thread, &t->asked_on, &err).ok;
}

static void freed(struct job *job)
{
    sem_post(&((struct trial *)job)->freed);
}

static struct trial trial(struct worker *worker)
{
    struct trial t = {.job = {.run = run, .free = freed}, .worker = worker, .asks = true};

    sem_init(&t.freed, 0, 0);
    return t;
}

static bool is_freed(struct trial *t)
{
    int n = 0;

    sem_getvalue(&t->freed, &n);
    return n > 0;
}

static void a_job_is_done_and_may_ask_its_submitter(void)
{
    struct worker *worker;
    struct err err;

    MUST(worker_new(&worker, "m", &err).ok);
    for (int i = 0; i < 3; i++) {
        struct trial t = trial(worker);
        CHECK(worker_do(worker, &t.job, 60, &err));
        CHECK(t.ran && t.entered && t.left && t.entered_again && t.asked && !is_freed(&t));
        CHECK(pthread_equal(t.asked_on, pthread_self()));
    }
    CHECK(!worker_is_lost(worker));
    worker_free(worker);
}

/* struct submitter: a thread with jobs of its own. */
struct submitter {
    pthread_t thread;
    struct worker *worker;
    int done;
};

static void *submit(void *arg)
{
    struct submitter *s = arg;
    struct err err;

    for (int i = 0; i < 50; i++) {
        struct trial t = trial(s->worker);
        s->done += worker_do(s->worker, &t.job, 60, &err) && t.asked &&
                   pthread_equal(t.asked_on, pthread_self());
    }
    return NULL;
}

static void jobs_of_several_threads_are_done_in_turn(void)
{
    struct submitter all[4];
    struct worker *worker;
    struct err err;

    MUST(worker_new(&worker, "m", &err).ok);
    for (size_t i = 0; i < 4; i++) {
        all[i] = (struct submitter){.worker = worker};
        MUST(pthread_create(&all[i].thread, NULL, submit, &all[i]) == 0);
    }
    for (size_t i = 0; i < 4; i++) {
        pthread_join(all[i].thread, NULL);
        CHECK(all[i].done == 50);
    }
    worker_free(worker);
}

static void *give_up(void *arg)
{
    struct trial *t = arg;
    struct err err = {0};

    CHECK(!worker_do(t->worker, &t->job, 0, &err));
    CHECK(err.class == ERR_STORE);
    return NULL;
}

/* Whether the second job waits in the queue when the first is given up, or comes after that. */
static void a_job_that_hangs_is_left_behind_and_freed_when_it_comes_back(void)
{
    struct worker *worker;
    struct err err = {0};
    sem_t inside, back;
    pthread_t thread;

    MUST(worker_new(&worker, "m", &err).ok);
    MUST(sem_init(&inside, 0, 0) == 0 && sem_init(&back, 0, 0) == 0);
    struct trial hung = trial(worker), next = trial(worker);
    hung.inside = &inside;
    hung.back = &back;
    MUST(pthread_create(&thread, NULL, give_up, &hung) == 0);
    sem_wait(&inside);
    CHECK(!worker_do(worker, &next.job, 60, &err));
    CHECK(err.class == ERR_STORE && strstr(err.text, "does not answer any more") != NULL);
    CHECK(!next.ran && is_freed(&next));
    pthread_join(thread, NULL);
    CHECK(worker_is_lost(worker) && !is_freed(&hung));
    sem_post(&back);
    sem_wait(&hung.freed);
    CHECK(hung.entered && !hung.left && !hung.entered_again && !hung.asked);
    left_behind = worker;
}

int main(void)
{
    struct err err = {0};

    MUST(secret_init(&err).ok);
    RUN(a_job_is_done_and_may_ask_its_submitter);
    RUN(jobs_of_several_threads_are_done_in_turn);
    RUN(a_job_that_hangs_is_left_behind_and_freed_when_it_comes_back);
    return DONE();
}

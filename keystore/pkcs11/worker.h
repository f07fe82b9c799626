/* worker: a thread of its own for foreign code, which may hang.
 *
 * Jobs wait in a queue and are done in turn. The thread that submits a job waits for its end. It
 * gives up at a signal, or if the worker stays in foreign code for too long. The worker is then
 * lost: its thread is left alone, and no further job begins. If the foreign code ever returns,
 * worker_leave tells the job to end, the worker frees it, and the thread ends. Nobody gives up
 * while the thread is in code of bulla, which ends soon. */
#ifndef BULLA_KEYSTORE_PKCS11_WORKER_H
#define BULLA_KEYSTORE_PKCS11_WORKER_H

#include "base/err.h"

struct worker;

enum job_state { JOB_WAITS, JOB_RUNS, JOB_DONE };

/* struct job: the first member of what lies on the heap and owns all that run works on, or a share
 * of it, since it may outlive its submitter's patience. */
struct job {
    void (*run)(struct job *job);  /* on the worker's thread */
    void (*free)(struct job *job); /* on that thread too, of a job that was given up */
    enum job_state state;          /* the worker's, as are the next two */
    struct host *host;             /* whom its submitter works for */
    struct job *next;
};

/* worker_new starts a thread, with the name of a module for messages, which outlives it: the caller
 * ends it by worker_free, which waits for the thread, once no job is left. */
FALLIBLE worker_new(struct worker **out, const char *name, struct err *err);
void worker_free(struct worker *worker);

/* worker_do submits a job and waits for its end. False if the caller gave up, after so many seconds
 * of silence or because of a signal, or if the worker was lost before: then the job is no longer
 * the caller's, and *err says why. */
__attribute__((warn_unused_result)) bool worker_do(struct worker *worker, struct job *job,
                                                   unsigned timeout, struct err *err);

/* worker_is_lost is true once somebody gave up: it must not be freed then. */
bool worker_is_lost(struct worker *worker);

/* The following are for the worker's thread, in a job. */

/* worker_enter comes before code of others, and worker_leave after it. Either is false if nobody
 * waits for the job any more: then it calls no more code of others, and ends. */
__attribute__((warn_unused_result)) bool worker_enter(struct worker *worker);
__attribute__((warn_unused_result)) bool worker_leave(struct worker *worker);

/* worker_ask has a function run by the waiting submitter's thread, which may talk to the user; the
 * time that takes does not count. It fails, and runs nothing, if nobody waits. */
FALLIBLE worker_ask(struct worker *worker, struct result (*ask)(void *arg, struct err *err),
                    void *arg, struct err *err);

/* worker_patience lets the submitter wait longer, or with false no longer so, while a person types
 * on a PIN pad. */
void worker_patience(struct worker *worker, bool patient);

#endif

#include "keystore/pkcs11/module.h"

#include <dlfcn.h>
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/place.h"
#include "base/stream.h"
#include "keystore/pkcs11/ckr.h"
#include "keystore/pkcs11/configured.h"
#include "keystore/pkcs11/token.h"

#define PATIENCE 300  /* seconds, for a PIN pad */
#define GLANCE_MS 100 /* how often a waiting caller looks for a signal */

/* struct worker: a module with its thread. */
struct worker {
    struct module module; /* the first member */
    struct worker *next;
    char *path, *args;
    void *handle;
    bool initialised; /* by us, so it is ours to finalise */
    unsigned users;

    pthread_t thread;
    pthread_mutex_t lock; /* for what follows */
    pthread_cond_t changed;
    struct job *job;  /* being done; others wait until it is not */
    struct job *gone; /* given up, kept in reach: the thread may still work on them */
    struct result result;
    bool done, stop, lost;
    bool inside; /* its thread is in code of the module */
    struct result (*ask)(void *arg, struct err *err);
    void *ask_arg;
    struct err *ask_err;
    bool asking;
    struct result answer;
    atomic_uint moves;
    atomic_bool patient;
};

/* Every module of the process; PKCS#11's state is of the process too. The lock is for the list and
 * users. A lost module stays here for ever. */
static struct worker *workers;
static pthread_mutex_t workers_lock = PTHREAD_MUTEX_INITIALIZER;

/* True once somebody gave up on it. */
static bool is_lost(struct worker *w)
{
    pthread_mutex_lock(&w->lock);
    bool lost = w->lost;
    pthread_mutex_unlock(&w->lock);
    return lost;
}

/* Says whether its thread is in code of the module; true if nobody waits any more. */
static bool set_inside(struct worker *w, bool inside)
{
    pthread_mutex_lock(&w->lock);
    w->inside = inside;
    bool lost = w->lost;
    pthread_mutex_unlock(&w->lock);
    return lost;
}

void module_enter(struct module *module)
{
    struct worker *w = (struct worker *)module;

    atomic_fetch_add(&w->moves, 1);
    (void)set_inside(w, true);
}

/* Whether this says that the session, its login or the objects found in it are gone; or that a TPM
 * has no room for one more key, which a logout frees. */
static bool means_lost(CK_RV rv)
{
    static const CK_RV those[] = {
        CKR_SESSION_HANDLE_INVALID, CKR_SESSION_CLOSED,        CKR_DEVICE_ERROR,
        CKR_DEVICE_REMOVED,         CKR_TOKEN_NOT_PRESENT,     CKR_USER_NOT_LOGGED_IN,
        CKR_KEY_HANDLE_INVALID,     CKR_OBJECT_HANDLE_INVALID, CKR_GENERAL_ERROR,
        CKR_DEVICE_MEMORY,
    };

    for (size_t i = 0; i < sizeof those / sizeof *those; i++)
        if (those[i] == rv)
            return true;
    return false;
}

CK_RV module_back(struct module *module, CK_RV rv)
{
    if (set_inside((struct worker *)module, false))
        for (;;)
            pause();
    module->lost_session = module->lost_session || means_lost(rv);
    return rv;
}

bool module_left_behind(void)
{
    bool left = false;

    pthread_mutex_lock(&workers_lock);
    for (struct worker *w = workers; w != NULL; w = w->next)
        left = left || is_lost(w);
    pthread_mutex_unlock(&workers_lock);
    return left;
}

void module_patience(struct module *module, bool patient)
{
    atomic_store(&((struct worker *)module)->patient, patient);
}

static void *work(void *arg)
{
    struct worker *w = arg;

    pthread_mutex_lock(&w->lock);
    while (!w->stop) {
        if (w->job == NULL || w->done) {
            pthread_cond_wait(&w->changed, &w->lock);
            continue;
        }
        struct job *job = w->job;
        pthread_mutex_unlock(&w->lock);
        struct result r = job->run(job);
        pthread_mutex_lock(&w->lock);
        w->result = r;
        w->done = true;
        pthread_cond_broadcast(&w->changed);
    }
    pthread_mutex_unlock(&w->lock);
    return NULL;
}

struct result module_ask(struct module *module, struct result (*ask)(void *arg, struct err *err),
                         void *arg, struct err *err)
{
    struct worker *w = (struct worker *)module;

    pthread_mutex_lock(&w->lock);
    w->ask = ask;
    w->ask_arg = arg;
    w->ask_err = err;
    w->asking = true;
    pthread_cond_broadcast(&w->changed);
    while (w->asking)
        pthread_cond_wait(&w->changed, &w->lock);
    struct result r = w->answer;
    pthread_mutex_unlock(&w->lock);
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

/* Waits until the job is done; false after too long a silence or a signal, with the thread in code
 * of the module. With the lock held. */
static bool wait_done(struct worker *w, unsigned timeout, struct err *err)
{
    uint64_t since = clock_ms();
    unsigned moves = atomic_load(&w->moves);

    while (!w->done) {
        unsigned allowed = atomic_load(&w->patient) && timeout < PATIENCE ? PATIENCE : timeout;
        if (w->asking) {
            answer(w);
            since = clock_ms();
            continue;
        }
        glance(w);
        if (atomic_load(&w->moves) != moves) {
            moves = atomic_load(&w->moves);
            since = clock_ms();
        }
        if (w->done || w->asking || !w->inside)
            continue;
        if (stream_interrupted()) {
            (void)fail(err, ERR_INTERRUPTED, "interrupted");
            return false;
        }
        if (clock_ms() - since >= (uint64_t)allowed * 1000) {
            (void)fail(err, ERR_STORE, "PKCS#11 module '%s' did not answer for %u seconds",
                       w->module.name, allowed);
            err_hint_option(err, "--token-timeout lets it take longer");
            return false;
        }
    }
    return true;
}

bool module_run(struct job *job, const struct token_options *options, struct result *done,
                struct err *err)
{
    struct worker *w = (struct worker *)job->module;
    bool answered = false;

    pthread_mutex_lock(&w->lock);
    while (w->job != NULL && !w->lost)
        pthread_cond_wait(&w->changed, &w->lock);
    if (w->lost && stream_interrupted()) {
        (void)fail(err, ERR_INTERRUPTED, "interrupted");
    } else if (w->lost) {
        (void)fail(err, ERR_STORE, "PKCS#11 module '%s' does not answer any more", w->module.name);
    } else {
        w->job = job;
        w->done = false;
        pthread_cond_broadcast(&w->changed);
        answered = wait_done(w, options->timeout, err);
        *done = w->result;
        w->job = NULL;
        w->lost = !answered;
        pthread_cond_broadcast(&w->changed);
    }
    if (!answered) {
        job->next = w->gone;
        w->gone = job;
    }
    pthread_mutex_unlock(&w->lock);
    return answered;
}

static struct result load(struct worker *w, struct err *err)
{
    CK_C_GetFunctionList get = NULL;

    /* What it does when it is loaded may hang like any call of it. It stays when it is closed: some
     * modules leave code behind that runs when the thread ends. */
    module_enter(&w->module);
    w->handle = dlopen(w->path, RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE);
    (void)module_back(&w->module, CKR_OK);
    if (w->handle == NULL) {
        (void)fail(err, ERR_STORE, "cannot load PKCS#11 module: %s", dlerror());
        err_hint_option(err, "install it, or name another by module-path, --module or "
                             "BULLA_PKCS11_MODULE");
        return FAIL;
    }
    void *symbol = dlsym(w->handle, "C_GetFunctionList");
    memcpy(&get, &symbol, sizeof get);
    if (symbol == NULL) {
        (void)fail(err, ERR_STORE, "'%s' is not a PKCS#11 module", w->path);
        err_hint(err, "it has no function C_GetFunctionList");
        return FAIL;
    }
    module_enter(&w->module);
    CK_RV rv = module_back(&w->module, get(&w->module.functions));
    if (rv != CKR_OK)
        return ckr_fail(err, rv, "PKCS#11 module '%s': C_GetFunctionList", w->path);
    if (w->module.functions == NULL)
        return fail(err, ERR_STORE, "PKCS#11 module '%s' has no functions", w->path);
    /* The list of a later 3.x has what 2.x has, in its place, whatever version it names. */
    CK_VERSION version = w->module.functions->version;
    if (version.major != 2 && version.major != 3)
        return fail(err, ERR_STORE, "PKCS#11 module '%s' is of version %d.%d, not 2.x or 3.x",
                    w->path, version.major, version.minor);
    return OK;
}

static struct result start(struct job *job)
{
    struct worker *w = (struct worker *)job->module;
    CK_C_INITIALIZE_ARGS args = {.flags = CKF_OS_LOCKING_OK, .pReserved = w->args};

    if (!load(w, &job->err).ok)
        return FAIL;
    CK_RV rv = CALL(&w->module, C_Initialize, &args);
    if (rv == CKR_CRYPTOKI_ALREADY_INITIALIZED)
        return OK;
    /* They may be meant for another module of the run. */
    if (rv == CKR_ARGUMENTS_BAD && w->args != NULL)
        rv = CALL(&w->module, C_Initialize, &(CK_C_INITIALIZE_ARGS){.flags = CKF_OS_LOCKING_OK});
    if (rv == CKR_NEED_TO_CREATE_THREADS || rv == CKR_CANT_LOCK)
        rv = CALL(&w->module, C_Initialize, &(CK_C_INITIALIZE_ARGS){.pReserved = w->args});
    w->initialised = rv == CKR_OK;
    if (rv == CKR_OK)
        return OK;
    (void)ckr_fail(&job->err, rv, "PKCS#11 module '%s': C_Initialize", w->path);
    err_hint_option(
        &job->err,
        "this user may have no right to read its settings or tokens (SoftHSM finds them by "
        "SOFTHSM2_CONF); some modules want --module-args (BULLA_PKCS11_INIT_ARGS), NSS for one");
    return FAIL;
}

static struct result finish(struct job *job)
{
    struct worker *w = (struct worker *)job->module;

    tokens_free(&w->module);
    if (w->initialised)
        (void)CALL(&w->module, C_Finalize, NULL);
    if (w->handle != NULL)
        dlclose(w->handle);
    return OK;
}

static void worker_free(struct worker *w)
{
    pthread_cond_destroy(&w->changed);
    pthread_mutex_destroy(&w->lock);
    free(w->path);
    free(w->args);
    free(w);
}

/* Runs one of the two above; false if the module fell silent. */
static bool run_plain(struct worker *w, struct result (*run)(struct job *),
                      const struct token_options *options, struct result *r, struct err *err)
{
    struct job *job = calloc(1, sizeof *job);

    if (job == NULL) {
        *r = fail(err, ERR_FAILED, "out of memory");
        return true;
    }
    job->run = run;
    job->module = &w->module;
    if (!module_run(job, options, r, err))
        return false;
    if (!r->ok)
        *err = job->err;
    free(job);
    return true;
}

static void stop_thread(struct worker *w)
{
    pthread_mutex_lock(&w->lock);
    w->stop = true;
    pthread_cond_broadcast(&w->changed);
    pthread_mutex_unlock(&w->lock);
    pthread_join(w->thread, NULL);
}

/* Signals are for the threads that wait, not for the module's. */
static int start_thread(struct worker *w)
{
    sigset_t all, before;

    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int failed = pthread_create(&w->thread, NULL, work, w);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return failed;
}

static void unlist(struct worker *w)
{
    struct worker **at = &workers;

    while (*at != w)
        at = &(*at)->next;
    *at = w->next;
}

static struct worker *find(const char *path)
{
    struct worker *w = workers;

    while (w != NULL && strcmp(w->path, path) != 0)
        w = w->next;
    return w;
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

/* Ends a module that nobody uses: takes it off the list, unless it fell silent. */
static void end(struct worker *w, const struct token_options *options)
{
    struct err ignored = {0};
    struct result r;

    if (is_lost(w) || !run_plain(w, finish, options, &r, &ignored))
        return;
    stop_thread(w);
    unlist(w);
    worker_free(w);
}

static struct result start_worker(struct worker *w, const struct token_options *options,
                                  struct err *err)
{
    struct result r;
    int failed = start_thread(w);

    if (failed != 0) {
        unlist(w);
        worker_free(w);
        errno = failed;
        return fail_errno(err, "cannot start a thread");
    }
    if (!run_plain(w, start, options, &r, err))
        return FAIL;
    if (!r.ok)
        end(w, options);
    return r;
}

static struct result copy(char **out, const char *text, struct err *err)
{
    *out = strdup(text);
    return *out != NULL ? OK : fail(err, ERR_FAILED, "out of memory");
}

/* Where the module of a URI is, and what it is started with: what the user gave, or else what is
 * configured for it. */
static struct result locate(struct worker *w, const struct uri *uri,
                            const struct token_options *options, struct err *err)
{
    /* With a default module, the arguments are that one's. */
    bool wanted = options->module == NULL || strcmp(options->module, uri->module) == 0;
    const char *args = wanted ? options->module_args : NULL;

    if (!(uri->module_is_name ? configured_module(uri->module, &w->path, &w->args, err)
                              : copy(&w->path, uri->module, err))
             .ok)
        return FAIL;
    w->module.name = w->path;
    if (args == NULL || args[0] == '\0')
        return OK;
    free(w->args);
    return copy(&w->args, args, err);
}

/* A worker for the module of a URI, not yet listed; NULL if that failed. */
static struct worker *prepare(const struct uri *uri, const struct token_options *options,
                              struct err *err)
{
    struct worker *w = calloc(1, sizeof *w);

    if (w == NULL) {
        (void)fail(err, ERR_FAILED, "out of memory");
        return NULL;
    }
    init_sync(w);
    if (locate(w, uri, options, err).ok)
        return w;
    worker_free(w);
    return NULL;
}

static struct result get(struct module **out, const struct uri *uri,
                         const struct token_options *options, struct err *err)
{
    struct worker *made = prepare(uri, options, err);

    if (made == NULL)
        return FAIL;
    struct worker *w = find(made->path);
    if (w != NULL) {
        worker_free(made);
    } else {
        w = made;
        w->next = workers;
        workers = w;
        if (!start_worker(w, options, err).ok)
            return FAIL;
    }
    w->users++;
    *out = &w->module;
    return OK;
}

struct result module_get(struct module **out, const struct uri *uri,
                         const struct token_options *options, struct err *err)
{
    pthread_mutex_lock(&workers_lock);
    struct result r = get(out, uri, options, err);
    pthread_mutex_unlock(&workers_lock);
    return r;
}

void module_put(struct module *module, const struct token_options *options)
{
    struct worker *w = (struct worker *)module;

    if (w == NULL)
        return;
    pthread_mutex_lock(&workers_lock);
    if (--w->users == 0)
        end(w, options);
    pthread_mutex_unlock(&workers_lock);
}

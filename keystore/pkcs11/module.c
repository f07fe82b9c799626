#include "keystore/pkcs11/module.h"

#include <dlfcn.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/late_library.h"
#include "keystore/pkcs11/ckr.h"
#include "keystore/pkcs11/module_file.h"

/* struct loaded: a module of the process. */
struct loaded {
    struct module module; /* the first member */
    struct loaded *next;
    char *path, *args;
    void *handle;
    bool initialised; /* by us, so we must finalise it */
    unsigned users;
};

/* The lock protects the list and users. A module whose thread hangs stays in the list for ever. */
static struct loaded *modules;
static pthread_mutex_t modules_lock = PTHREAD_MUTEX_INITIALIZER;

bool module_enter(struct module *module)
{
    return worker_enter(module->worker);
}

/* Whether an error says that the session, its login or its objects are gone, or that a TPM has no
 * room for another key, which a logout frees. */
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
    if (!worker_leave(module->worker))
        return CKR_GIVEN_UP;
    module->lost_session = module->lost_session || means_lost(rv);
    return rv;
}

bool modules_left_behind(void)
{
    bool left = false;

    pthread_mutex_lock(&modules_lock);
    for (struct loaded *l = modules; l != NULL; l = l->next)
        left = left || worker_is_lost(l->module.worker);
    pthread_mutex_unlock(&modules_lock);
    return left;
}

bool module_do(struct module *module, struct job *job, unsigned timeout, struct err *err)
{
    if (worker_do(module->worker, job, timeout, err))
        return true;
    if (err->class == ERR_STORE)
        err_hint_option(err, "--token-timeout lets it take longer");
    return false;
}

/* struct turn: the job that begins or ends a module. */
struct turn {
    struct job job; /* the first member */
    struct loaded *loaded;
    struct result (*run)(struct loaded *l, struct err *err);
    struct result result;
    struct err err;
};

static void run_turn(struct job *job)
{
    struct turn *turn = (struct turn *)job;

    turn->result = turn->run(turn->loaded, &turn->err);
}

static void free_turn(struct job *job)
{
    free(job);
}

/* Runs the job; *lost is set if the module hangs. */
static struct result take_turn(struct loaded *l,
                               struct result (*run)(struct loaded *, struct err *),
                               unsigned timeout, bool *lost, struct err *err)
{
    struct turn *turn = calloc(1, sizeof *turn);

    *lost = false;
    if (turn == NULL)
        return fail_memory(err);
    *turn = (struct turn){.job = {.run = run_turn, .free = free_turn}, .loaded = l, .run = run};
    if (!module_do(&l->module, &turn->job, timeout, err)) {
        *lost = true;
        return FAIL;
    }
    struct result r = turn->result;
    if (!r.ok)
        *err = turn->err;
    free(turn);
    return r;
}

static struct result not_loaded(const char *why, struct err *err)
{
    if (late_library_lacks_memory(why))
        return fail(err, ERR_FAILED, "out of memory: cannot load PKCS#11 module: %s", why);
    (void)fail(err, ERR_STORE, "cannot load PKCS#11 module: %s", why);
    return fail_hint_option(err, "install it, or name another by module-path, --module or "
                                 "BULLA_PKCS11_MODULE");
}

/* Loads the module and finds C_GetFunctionList in it. The module may hang while it is loaded. It is
 * never unloaded: some modules leave code that runs when the thread ends. */
static struct result load(struct loaded *l, CK_C_GetFunctionList *get, struct err *err)
{
    if (!module_enter(&l->module))
        return FAIL;
    l->handle = dlopen(l->path, RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE);
    (void)module_back(&l->module, CKR_OK);
    if (l->handle == NULL)
        return not_loaded(dlerror(), err);
    void *symbol = dlsym(l->handle, "C_GetFunctionList");
    memcpy(get, &symbol, sizeof *get);
    if (symbol != NULL)
        return OK;
    (void)fail(err, ERR_STORE, "'%s' is not a PKCS#11 module", l->path);
    return fail_hint(err, "it has no function C_GetFunctionList");
}

static struct result get_functions(struct loaded *l, struct err *err)
{
    CK_C_GetFunctionList get = NULL;

    if (!load(l, &get, err).ok || !module_enter(&l->module))
        return FAIL;
    CK_RV rv = module_back(&l->module, get(&l->module.functions));
    if (rv != CKR_OK)
        return ckr_fail(err, rv, "PKCS#11 module '%s': C_GetFunctionList", l->path);
    if (l->module.functions == NULL)
        return fail(err, ERR_STORE, "PKCS#11 module '%s' has no functions", l->path);
    /* The function list of any 3.x begins like that of 2.x. */
    CK_VERSION version = l->module.functions->version;
    if (version.major != 2 && version.major != 3)
        return fail(err, ERR_STORE, "PKCS#11 module '%s' is of version %d.%d, not 2.x or 3.x",
                    l->path, version.major, version.minor);
    return OK;
}

static struct result start(struct loaded *l, struct err *err)
{
    CK_C_INITIALIZE_ARGS args = {.flags = CKF_OS_LOCKING_OK, .pReserved = l->args};

    if (!get_functions(l, err).ok)
        return FAIL;
    CK_RV rv = CALL(&l->module, C_Initialize, &args);
    if (rv == CKR_CRYPTOKI_ALREADY_INITIALIZED)
        return OK;
    /* The arguments may be meant for another module of the run. */
    if (rv == CKR_ARGUMENTS_BAD && l->args != NULL)
        rv = CALL(&l->module, C_Initialize, &(CK_C_INITIALIZE_ARGS){.flags = CKF_OS_LOCKING_OK});
    if (rv == CKR_NEED_TO_CREATE_THREADS || rv == CKR_CANT_LOCK)
        rv = CALL(&l->module, C_Initialize, &(CK_C_INITIALIZE_ARGS){.pReserved = l->args});
    l->initialised = rv == CKR_OK;
    if (rv == CKR_OK)
        return OK;
    (void)ckr_fail(err, rv, "PKCS#11 module '%s': C_Initialize", l->path);
    return fail_hint_option(
        err, "this user may have no right to read its settings or tokens (SoftHSM finds them by "
             "SOFTHSM2_CONF); some modules want --module-args (BULLA_PKCS11_INIT_ARGS), NSS for "
             "one");
}

static struct result finish(struct loaded *l, struct err *err)
{
    (void)err;
    if (l->module.end_sessions != NULL)
        l->module.end_sessions(&l->module);
    if (l->initialised)
        (void)CALL(&l->module, C_Finalize, NULL);
    if (l->handle != NULL && module_enter(&l->module)) {
        dlclose(l->handle);
        (void)module_back(&l->module, CKR_OK);
    }
    return OK;
}

static void loaded_free(struct loaded *l)
{
    if (l->module.worker != NULL)
        worker_free(l->module.worker);
    free(l->path);
    free(l->args);
    free(l);
}

static void unlist(const struct loaded *l)
{
    struct loaded **at = &modules;

    while (*at != l)
        at = &(*at)->next;
    *at = l->next;
}

static struct loaded *find(const char *path)
{
    struct loaded *l = modules;

    while (l != NULL && strcmp(l->path, path) != 0)
        l = l->next;
    return l;
}

/* Ends a module that nobody uses, and takes it off the list. One that hangs stays. */
static void end(struct loaded *l, unsigned timeout)
{
    struct err ignored = {0};
    bool lost = worker_is_lost(l->module.worker);

    if (!lost)
        (void)take_turn(l, finish, timeout, &lost, &ignored).ok;
    if (lost)
        return;
    unlist(l);
    loaded_free(l);
}

static struct result copy(char **out, const char *text, struct err *err)
{
    *out = strdup(text);
    return *out != NULL ? OK : fail_memory(err);
}

/* Where the module of a URI is, and what it is started with: what the user gave, or else what is
 * configured for it. */
static struct result locate(struct loaded *l, const struct uri *uri,
                            const struct token_options *options, struct err *err)
{
    /* With a default module, the arguments are that one's. */
    bool wanted = options->module == NULL || strcmp(options->module, uri->module) == 0;
    const char *args = wanted ? options->module_args : NULL;

    if (!(uri->module_is_name ? module_file_read(uri->module, &l->path, &l->args, err)
                              : copy(&l->path, uri->module, err))
             .ok)
        return FAIL;
    l->module.name = l->path;
    if (args == NULL || args[0] == '\0')
        return OK;
    free(l->args);
    return copy(&l->args, args, err);
}

/* The module of a URI, not yet listed nor started; NULL if that failed. */
static struct loaded *prepare(const struct uri *uri, const struct token_options *options,
                              struct err *err)
{
    struct loaded *l = calloc(1, sizeof *l);

    if (l == NULL) {
        (void)fail_memory(err);
        return NULL;
    }
    if (locate(l, uri, options, err).ok)
        return l;
    loaded_free(l);
    return NULL;
}

static struct result begin(struct loaded *l, unsigned timeout, struct err *err)
{
    bool lost;

    if (!worker_new(&l->module.worker, l->path, err).ok) {
        loaded_free(l);
        return FAIL;
    }
    l->next = modules;
    modules = l;
    struct result r = take_turn(l, start, timeout, &lost, err);
    if (!r.ok && !lost)
        end(l, timeout);
    return r;
}

static struct result get(struct module **out, const struct uri *uri,
                         const struct token_options *options, struct err *err)
{
    struct loaded *made = prepare(uri, options, err);

    if (made == NULL)
        return FAIL;
    struct loaded *l = find(made->path);
    if (l != NULL)
        loaded_free(made);
    else if (begin(made, options->timeout, err).ok)
        l = made;
    else
        return FAIL;
    l->users++;
    *out = &l->module;
    return OK;
}

struct result module_get(struct module **out, const struct uri *uri,
                         const struct token_options *options, struct err *err)
{
    pthread_mutex_lock(&modules_lock);
    struct result r = get(out, uri, options, err);
    pthread_mutex_unlock(&modules_lock);
    return r;
}

void module_put(struct module *module, unsigned timeout)
{
    struct loaded *l = (struct loaded *)module;

    if (l == NULL)
        return;
    pthread_mutex_lock(&modules_lock);
    if (--l->users == 0)
        end(l, timeout);
    pthread_mutex_unlock(&modules_lock);
}

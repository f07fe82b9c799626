/* module: a PKCS#11 module (v2.40), loaded, and the one thread that calls it.
 *
 * Modules are not to be trusted with threads, and some fall silent: all calls of a module are made
 * by a thread of its own, and whoever waits for one gives up after a time. From then on the module
 * is lost: it is not called again, all that it may still touch stays where it is until the process
 * ends, and exit handlers must not run. Nobody gives up while the thread is in code of bulla, which
 * ends soon: all that this uses can go as usual. What PKCS#11 knows of an application, like a
 * login, is of the whole process, so a module is loaded once, whoever asks for it. */
#ifndef BULLA_KEYSTORE_PKCS11_MODULE_H
#define BULLA_KEYSTORE_PKCS11_MODULE_H

#include <p11-kit/pkcs11.h>

#include "base/err.h"
#include "keystore/pkcs11/uri.h"

struct token;

struct module {
    CK_FUNCTION_LIST *functions; /* for the module's thread alone, by CALL */
    struct token *tokens;        /* for the module's thread alone (token.h) */
    const char *name;            /* for messages: its path */
    bool lost_session;           /* a call said so of a session since this was last set to false */
};

/* CALL calls a function of a module, on its thread, and lets who waits know that it moves. If
 * nobody waits any more when the function comes back, the thread goes no further. */
#define CALL(module, function, ...)                                                                \
    (module_enter(module), module_back(module, (module)->functions->function != NULL               \
                                                   ? (module)->functions->function(__VA_ARGS__)    \
                                                   : CKR_FUNCTION_NOT_SUPPORTED))
void module_enter(struct module *module);
CK_RV module_back(struct module *module, CK_RV rv);

/* module_get gives the module of a URI, loaded and initialised by its own thread; module_put gives
 * it back, and the last one to do so ends it. ERR_STORE. */
FALLIBLE module_get(struct module **out, const struct uri *uri, const struct token_options *options,
                    struct err *err);
void module_put(struct module *module, const struct token_options *options);

/* module_left_behind is true if the thread of a lost module may still be in the module's code. */
bool module_left_behind(void);

/* struct job: something to be done on the module's thread. It lies on the heap with all that it
 * works on, since it may outlive the caller's patience. */
struct job {
    struct result (*run)(struct job *job); /* fills err on failure */
    struct err err;
    struct module *module; /* it runs on */
    struct job *next;      /* of those that were given up */
};

/* module_run runs a job to its end, once those of other threads are done; false if the caller gave
 * up, after options->timeout seconds without a move or because of a signal: then the job is no
 * longer the caller's, and *err says why. Otherwise *done says how it ended, and job->err why it
 * failed. */
__attribute__((warn_unused_result)) bool module_run(struct job *job,
                                                    const struct token_options *options,
                                                    struct result *done, struct err *err);

/* module_ask lets a running job have a function run by the waiting caller's thread, which may talk
 * to the user; the time that takes does not count. */
FALLIBLE module_ask(struct module *module, struct result (*ask)(void *arg, struct err *err),
                    void *arg, struct err *err);

/* module_patience lets the caller wait longer, or with false no longer so, while a person types on
 * a PIN pad. */
void module_patience(struct module *module, bool patient);

#endif

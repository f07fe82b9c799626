/* module: a PKCS#11 module (v2.40), loaded, with the one thread that calls it (worker.h): modules
 * are not to be trusted with threads, and some fall silent.
 *
 * What PKCS#11 knows of an application, like a login, is of the whole process: it allows one
 * C_Initialize of a module, which all that the process does with it shares. So the list of modules
 * is of the process too, whoever asks for one; what else the store remembers is its host's. */
#ifndef BULLA_KEYSTORE_PKCS11_MODULE_H
#define BULLA_KEYSTORE_PKCS11_MODULE_H

#include <p11-kit/pkcs11.h>

#include "base/err.h"
#include "keystore/pkcs11/uri.h"
#include "keystore/pkcs11/worker.h"

/* struct module: for its thread alone, but for name and worker. */
struct module {
    const char *name; /* for messages: its path */
    struct worker *worker;
    CK_FUNCTION_LIST *functions;           /* by CALL */
    bool lost_session;                     /* a call said so since this was last set to false */
    void *sessions;                        /* what its users keep while it is loaded, or NULL */
    void (*end_sessions)(struct module *); /* frees that before the module ends; or NULL */
};

/* CALL calls a function of a module, on its thread. Where nobody waits for the job any more, it
 * calls nothing and gives CKR_GIVEN_UP, as any call does during which that came to be: the job then
 * ends as after every call that fails. */
#define CALL(module, function, ...)                                                                \
    (!module_enter(module) ? CKR_GIVEN_UP                                                          \
                           : module_back(module, (module)->functions->function != NULL             \
                                                     ? (module)->functions->function(__VA_ARGS__)  \
                                                     : CKR_FUNCTION_NOT_SUPPORTED))
#define CKR_GIVEN_UP (CKR_VENDOR_DEFINED | 0x62756c6cul) /* no module's */
__attribute__((warn_unused_result)) bool module_enter(struct module *module);
CK_RV module_back(struct module *module, CK_RV rv);

/* module_get gives the module of a URI, loaded and initialised by its own thread; module_put gives
 * it back, and the last one to do so ends it, unless it was left behind. ERR_STORE. */
FALLIBLE module_get(struct module **out, const struct uri *uri, const struct token_options *options,
                    struct err *err);
void module_put(struct module *module, unsigned timeout);

/* module_do is worker_do with the module's worker. */
__attribute__((warn_unused_result)) bool module_do(struct module *module, struct job *job,
                                                   unsigned timeout, struct err *err);

/* modules_left_behind is true if the thread of a module that fell silent was left behind: it may be
 * in the module's code until the process ends, and what that uses must not be taken from it. */
bool modules_left_behind(void);

#endif

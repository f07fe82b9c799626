/* setup: what a session and the stores need of the command line and the environment. */
#ifndef BULLA_CMD_SETUP_H
#define BULLA_CMD_SETUP_H

#include "cmd/options.h"
#include "libbulla/session.h"
#include "storage/storage.h"

/* setup_env fills what stores need of the command line; o must outlive it. */
void setup_env(struct keystore_env *env, const struct options *o);

/* setup_storage fills what storages need of the command line; crypto is of whoever writes. */
void setup_storage(struct storage_env *env, const struct options *o, const struct crypto *crypto);

/* setup_threads is the number of threads that may work at once: -j, else the CPUs there are, but
 * not so many that they would need more memory than is promised. */
unsigned setup_threads(const struct options *o);

/* setup_fit_threads lowers the number of threads that each work on a file of their own to what the
 * limits of the process leave room for, and warns if -j asked for more. */
void setup_fit_threads(const struct options *o, unsigned *threads);

/* setup_session fills what a session needs of the command line, before it is opened. */
void setup_session(struct session *s, const struct options *o);

/* setup_sync takes --sync. ERR_USAGE. */
FALLIBLE setup_sync(struct session *s, const struct options *o, struct err *err);

/* setup_context reads K=V words. */
FALLIBLE setup_context(struct context *context, const struct list *words, struct err *err);

#endif

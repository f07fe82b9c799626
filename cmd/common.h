/* common: what several verbs do alike. */
#ifndef BULLA_CMD_COMMON_H
#define BULLA_CMD_COMMON_H

#include "cmd/options.h"
#include "libbulla/open.h"
#include "storage/storage.h"

/* common_env fills what stores need of the command line; o must outlive it. */
void common_env(struct keystore_env *env, const struct options *o);

/* common_storage fills what storages need of the command line; crypto is of whoever writes. */
void common_storage(struct storage_env *env, const struct options *o, const struct crypto *crypto);

/* common_threads is the number of threads that may work at once: -j, else the CPUs there are, but
 * not so many that they would need more memory than is promised. */
unsigned common_threads(const struct options *o);

/* common_fit_threads lowers the number of threads that each work on a file of their own to what the
 * limits of the process leave room for, and warns if -j asked for more. */
void common_fit_threads(const struct options *o, unsigned *threads);

/* common_fallback is the key of BULLA_KEY, which stands in for a list without any; NULL if there is
 * none. */
const char *common_fallback(const struct list *keys);

/* common_takes_keys is true if the operands of a verb are keys. */
bool common_takes_keys(const struct verb *v);

/* common_visit_keys calls visit for each key of a command line, as the user named it. */
void common_visit_keys(const struct verb *v, const struct options *o,
                       void (*visit)(void *arg, enum use use, const char *given), void *arg);

/* common_session fills what a session needs of the command line, before it is opened. */
void common_session(struct session *s, const struct options *o);

/* common_keys opens a session with the keys of -k, else of BULLA_KEY, else of the config file, in
 * which names are looked up. Without any key: ERR_USAGE if need is true. */
FALLIBLE common_keys(struct session *s, const struct options *o, bool need, struct err *err);

/* common_keyset opens the keys of a list. */
FALLIBLE common_keyset(struct keyset *set, struct keystore_env *env, const struct list *list,
                       struct err *err);

/* common_name_fits fails unless a name that bulla made fits into its file system; hint says how the
 * user gives another. */
FALLIBLE common_name_fits(const struct place *made, const char *hint, struct err *err);

/* common_not_typed refuses to read sealed data from a terminal. ERR_USAGE. */
FALLIBLE common_not_typed(const struct sealed_place *from, struct err *err);

/* common_calls tells, with --json, how often the keys asked a token or a service, if they did. */
void common_calls(const struct options *o, uint64_t calls);

/* common_is_name is true for what can only be a name of the config file: it has no scheme, and
 * neither '/' nor '.' in front of a '#'. */
bool common_is_name(const char *given);

/* common_reference replaces a name of the config file by its reference, and an alias by what it
 * stands for (key_alias.h); the caller frees. ERR_MISSING if no config file has the name. */
FALLIBLE common_reference(const char *given, char **reference, struct err *err);

/* common_sync takes --sync. ERR_USAGE. */
FALLIBLE common_sync(struct session *s, const struct options *o, struct err *err);

/* common_run does what a verb does that has one thing to do, and returns the exit status. */
int common_run(struct result (*run)(const struct options *o, struct err *err),
               const struct options *o);

/* common_status is the exit status of a run over so many keys of which one failed like that. */
int common_status(size_t count, int failed);

/* common_left reports every name of the files that were left as they are because some of their
 * names were not found, and gives the number of these names. */
uint64_t common_left(const struct session *s, const struct options *o);

/* common_finish syncs what was left to the end of a run, and gives its exit status. */
int common_finish(const struct session *s, int status);

/* common_context reads K=V words. */
FALLIBLE common_context(struct context *context, const struct list *words, struct err *err);

/* is_stdio is true for "-". */
bool is_stdio(const char *operand);

#endif

/* named: what one reference names on a token, and the tasks that are done with it on the module's
 * thread. */
#ifndef BULLA_KEYSTORE_PKCS11_NAMED_H
#define BULLA_KEYSTORE_PKCS11_NAMED_H

#include "keystore/pkcs11/keys.h"

/* struct named: a reference, its token and its keys. */
struct named {
    struct master_key key; /* the first member */
    const struct keystore_env *env;
    struct uri uri;
    struct module *module;
    struct token *token; /* or NULL, for references to several */
    struct token_keys keys;
    bool complete;   /* the keys were looked for after a login too */
    bool abandoned;  /* its task was given up: the module's thread may still work on it */
    bool secret;     /* it wrapped by an AES key */
    bool warned;     /* that its private key is not in sight */
    struct err away; /* why it could not be opened, in a run that can do without it */
};

/* named_close closes what named_do opened; NULL is fine. */
void named_close(struct named *n);

/* The following are for the module's thread. */

/* named_resolve finds token and keys; it logs in only where what is named is not to be seen else.
 */
FALLIBLE named_resolve(struct named *n, struct err *err);

/* named_login logs in and looks for the keys if there were none, or with again true anew, since a
 * login shows more; what was found before stays if that fails. */
FALLIBLE named_login(struct named *n, bool again, struct err *err);

/* named_one gives the one key to wrap by or to export. */
FALLIBLE named_one(struct named *n, const struct token_key **key, struct err *err);

/* struct task: a job with a reference, and what goes in and comes out. */
struct task {
    struct job job; /* the first member */
    struct named *named;
    struct result (*run)(struct task *task, struct err *err);
    uint8_t branch_id[BRANCH_ID_SIZE];
    struct secret branch_key;
    struct slot slot;
    enum unwrapped unwrapped;
    struct key_wanted wanted;
    struct key_info info;
    char *text;
    struct fact *facts; /* in order; task_tell hands them on */
    size_t fact_count;
    bool lost; /* there was no memory for a fact: the task fails */
    bool once; /* it made something: it is not done again after a session was lost */
};

/* task_new makes a task; NULL if memory is out. */
struct task *task_new(struct named *n, struct result (*what)(struct task *task, struct err *err),
                      struct err *err);

/* task_do does it; false if it failed or was given up, and then *task is freed or out of reach. */
__attribute__((warn_unused_result)) bool task_do(struct task *task, struct err *err);
void task_free(struct task *task);

/* named_do opens a reference and does one task with it, for which want may be NULL. On failure
 * there is nothing left to close or free; else both are the caller's, the task to be freed first.
 */
FALLIBLE named_do(struct named **out, struct task **done, const struct keystore_env *env,
                  const char *reference, struct result (*what)(struct task *task, struct err *err),
                  const struct key_wanted *want, struct err *err);

/* task_fact adds a fact to those that task_tell tells; with begin true the name and reference of
 * what the facts after it are of. A value NULL is one that there was no memory for. */
void task_fact(struct task *task, bool begin, const char *name, const char *value);

/* task_tell hands the facts on. */
void task_tell(const struct task *task, const struct key_sink *sink);

/* task_warn warns the user, from the module's thread. */
void task_warn(struct task *task, const char *text);

#endif

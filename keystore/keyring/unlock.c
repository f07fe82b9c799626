#include "keystore/keyring/unlock.h"

#include <pthread.h>
#include <stdlib.h>

struct unlock {
    struct unlock *next;
    struct stat file;
    size_t holders;
    struct secret passphrase; /* empty until it was asked for */
    bool refused;
    struct err why;
};

/* Of the process, for the two sessions of a reencryption may name one file. */
static struct unlock *held;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

/* The one of the file, or where the next one goes. */
static struct unlock **find(const struct stat *file)
{
    struct unlock **at = &held;

    while (*at != NULL && !file_same(&(*at)->file, file))
        at = &(*at)->next;
    return at;
}

struct result unlock_hold(struct unlock **u, const struct stat *file, struct err *err)
{
    pthread_mutex_lock(&lock);
    struct unlock **at = find(file);
    if (*at == NULL && (*at = calloc(1, sizeof **at)) != NULL)
        (*at)->file = *file;
    *u = *at;
    if (*u != NULL)
        (*u)->holders++;
    pthread_mutex_unlock(&lock);
    return *u != NULL ? OK : fail(err, ERR_FAILED, "out of memory");
}

void unlock_drop(struct unlock *u)
{
    if (u == NULL)
        return;
    pthread_mutex_lock(&lock);
    if (--u->holders == 0) {
        *find(&u->file) = u->next;
        secret_free(&u->passphrase);
        free(u);
    }
    pthread_mutex_unlock(&lock);
}

struct result unlock_ring(struct unlock *u, const struct reference *at, struct ring *ring,
                          const struct keystore_env *env, struct err *err)
{
    struct result r = FAIL;

    pthread_mutex_lock(&lock);
    if (u->refused)
        *err = u->why;
    else if (u->passphrase.bytes != NULL || reference_ask(at, env, &u->passphrase, err).ok)
        r = reference_unlock_by(at, ring, env, &u->passphrase, err);
    if (!r.ok && !u->refused) {
        u->refused = true;
        u->why = *err;
        secret_free(&u->passphrase);
    }
    pthread_mutex_unlock(&lock);
    return r;
}

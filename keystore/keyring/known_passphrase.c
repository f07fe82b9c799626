#include "keystore/keyring/known_passphrase.h"

#include <pthread.h>
#include <stdlib.h>

#include "base/host.h"

struct known_passphrase {
    struct known_passphrase *next;
    const struct host *host;
    struct stat file;
    size_t holders;

    pthread_mutex_t lock;     /* of what follows; held while the host is asked */
    struct secret passphrase; /* empty until it was asked for */
    bool refused;
    struct err why;
};

/* Of all sessions of a host: the two of a reencryption may name one file. */
static struct known_passphrase *held;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; /* of the list */

/* The one of the file, or where the next one goes. */
static struct known_passphrase **find(const struct host *host, const struct stat *file)
{
    struct known_passphrase **at = &held;

    while (*at != NULL && ((*at)->host != host || !file_same(&(*at)->file, file)))
        at = &(*at)->next;
    return at;
}

static struct known_passphrase *make(const struct stat *file)
{
    struct known_passphrase *u = calloc(1, sizeof *u);

    if (u == NULL)
        return NULL;
    u->host = host_current();
    u->file = *file;
    pthread_mutex_init(&u->lock, NULL);
    return u;
}

struct result known_passphrase_hold(struct known_passphrase **u, const struct stat *file,
                                    struct err *err)
{
    pthread_mutex_lock(&lock);
    struct known_passphrase **at = find(host_current(), file);
    if (*at == NULL)
        *at = make(file);
    *u = *at;
    if (*u != NULL)
        (*u)->holders++;
    pthread_mutex_unlock(&lock);
    return *u != NULL ? OK : fail_memory(err);
}

void known_passphrase_drop(struct known_passphrase *u)
{
    if (u == NULL)
        return;
    pthread_mutex_lock(&lock);
    if (--u->holders == 0) {
        *find(u->host, &u->file) = u->next;
        pthread_mutex_destroy(&u->lock);
        secret_free(&u->passphrase);
        free(u);
    }
    pthread_mutex_unlock(&lock);
}

struct result known_passphrase_ring(struct known_passphrase *u, const struct reference *at,
                                    struct ring *ring, const struct keystore_env *env,
                                    struct err *err)
{
    struct result r = FAIL;

    pthread_mutex_lock(&u->lock);
    if (u->refused)
        *err = u->why;
    else if (u->passphrase.bytes != NULL || reference_ask(at, env, &u->passphrase, err).ok)
        r = reference_unlock_by(at, ring, env, &u->passphrase, err);
    if (!r.ok && !u->refused) {
        u->refused = true;
        u->why = *err;
        secret_free(&u->passphrase);
    }
    pthread_mutex_unlock(&u->lock);
    return r;
}

#include "aws/account.h"

#include <stdlib.h>

#include "base/host.h"

/* One for each host: what one host reads is not for another. */
static struct account *all;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; /* of the list */

static struct account **find(const struct host *host)
{
    struct account **at = &all;

    while (*at != NULL && (*at)->host != host)
        at = &(*at)->next;
    return at;
}

static struct result make(struct account **out, const struct environment *environment,
                          unsigned timeout, struct err *err)
{
    struct account *a = calloc(1, sizeof *a);

    if (a == NULL)
        return fail_memory(err);
    if (!aws_open(&a->aws, environment, timeout, err).ok) {
        free(a);
        return FAIL;
    }
    pthread_mutex_init(&a->lock, NULL);
    a->chain.aws = &a->aws;
    a->host = host_current();
    *out = a;
    return OK;
}

struct result account_open(struct account **out, const struct environment *environment,
                           unsigned timeout, struct err *err)
{
    struct result r = OK;

    pthread_mutex_lock(&lock);
    struct account **at = find(host_current());
    if (*at == NULL)
        r = make(at, environment, timeout, err);
    if (r.ok) {
        (*at)->users++;
        *out = *at;
    }
    pthread_mutex_unlock(&lock);
    return r;
}

static void drop(struct account *a)
{
    chain_free(&a->chain);
    aws_close(&a->aws);
    pthread_mutex_destroy(&a->lock);
    free(a);
}

void account_close(struct account **account)
{
    struct account *a = *account;

    *account = NULL;
    if (a == NULL)
        return;
    pthread_mutex_lock(&lock);
    if (--a->users == 0) {
        *find(a->host) = a->next;
        drop(a);
    }
    pthread_mutex_unlock(&lock);
}

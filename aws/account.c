#include "aws/account.h"

#include <stdlib.h>

static struct account *shared;

struct result account_open(struct account **out, const struct environment *environment,
                           unsigned timeout, struct err *err)
{
    if (shared == NULL) {
        struct account *a = calloc(1, sizeof *a);
        if (a == NULL)
            return fail(err, ERR_FAILED, "out of memory");
        if (!aws_open(&a->aws, environment, timeout, err).ok) {
            free(a);
            return FAIL;
        }
        pthread_mutex_init(&a->lock, NULL);
        a->chain.aws = &a->aws;
        shared = a;
    }
    shared->users++;
    *out = shared;
    return OK;
}

void account_close(struct account **account)
{
    struct account *a = *account;

    *account = NULL;
    if (a == NULL || --a->users > 0)
        return;
    chain_free(&a->chain);
    aws_close(&a->aws);
    pthread_mutex_destroy(&a->lock);
    free(a);
    shared = NULL;
}

/* account: the identity that calls AWS. All keys of a host share it, so that credentials are looked
 * for once: they come from the environment, which is the same for all. */
#ifndef BULLA_AWS_ACCOUNT_H
#define BULLA_AWS_ACCOUNT_H

#include <pthread.h>

#include "aws/credentials/chain.h"

struct account {
    struct aws aws;
    struct chain chain;   /* its region is filled by the first who needs one */
    pthread_mutex_t lock; /* held while the chain is used, so during a call: threads share keys */
    unsigned users;
    const struct host *host;
    struct account *next; /* of another host */
};

/* account_open gives the account of this thread's host, with an environment and a timeout in
 * seconds, which the first sets for all; each success is paid back by account_close. */
FALLIBLE account_open(struct account **out, const struct environment *environment, unsigned timeout,
                      struct err *err);
void account_close(struct account **account);

#endif

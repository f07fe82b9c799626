/* chain: the places that credentials come from, in the order of the AWS tools. */
#ifndef BULLA_AWS_CREDENTIALS_CHAIN_H
#define BULLA_AWS_CREDENTIALS_CHAIN_H

#include "aws/call.h"

/* struct chain: {now = {0}} has found none yet. */
struct chain {
    const struct aws *aws;
    char region[REGION_MAX + 1]; /* for STS */
    struct credentials now;
    uint64_t lasts; /* seconds that those were good for when they came */
};

/* chain_credentials gives credentials that are good for ten minutes at least, or for a third of the
 * time they had, if they can be had; with renew true fresh ones, because the old were refused as
 * expired. *out belongs to the chain and is good until the next call. */
FALLIBLE chain_credentials(struct chain *chain, bool renew, const struct credentials **out,
                           struct err *err);
/* chain_region sets the region for STS, to that of the user if there is one, unless it is set. */
void chain_region(struct chain *chain, const char *region);

void chain_free(struct chain *chain);

/* chain_caller is the chain as somebody who calls. */
struct caller chain_caller(struct chain *chain);

#endif

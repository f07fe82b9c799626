/* sign: requests that say who asks (Signature Version 4). */
#ifndef BULLA_AWS_SIGN_H
#define BULLA_AWS_SIGN_H

#include "aws/credentials/credentials.h"
#include "http/http.h"

/* struct signature: {0} is none and safe to free. */
struct signature {
    char provider[REGION_MAX + 32];
    struct http_sigv4 sigv4;
    char *headers[2]; /* ended by NULL */
};

#define SIGNATURE_CLEANUP __attribute__((cleanup(signature_free)))

/* sign_request has a request signed for a service in a region. The request points into *s and *c,
 * which must outlive it. */
FALLIBLE sign_request(struct http_request *request, struct signature *s,
                      const struct credentials *c, const char *region, const char *service,
                      struct err *err);
void signature_free(struct signature *s);

#endif

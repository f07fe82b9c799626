/* sign: signs requests (AWS Signature Version 4): the method, the host, the path and the query of
 * the URL, every header and the body, as they are sent.
 * docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html */
#ifndef BULLA_AWS_SIGN_H
#define BULLA_AWS_SIGN_H

#include "aws/credentials/credentials.h"
#include "http/http.h"

/* struct signature: the headers that were made; {0} is none and safe to free. */
struct signature {
    char *headers[6]; /* ended by NULL */
};

#define SIGNATURE_CLEANUP __attribute__((cleanup(signature_free)))

/* struct signing: what a request is signed for. */
struct signing {
    const char *region, *service;
    uint64_t time;         /* seconds since 1970 */
    const char *body_hash; /* SHA-256 of the body in hex, which is sent too, as S3 wants it; NULL =
                            * it is made of what is in memory, and only signed */
};

/* sign_request has a request signed, by headers that take the place of its more_headers. The path
 * of its URL is already percent-encoded, and has no "." or ".." but for S3. The request points into
 * *s, which must outlive it. */
FALLIBLE sign_request(struct http_request *request, struct signature *s,
                      const struct credentials *c, const struct signing *signing, struct err *err);
void signature_free(struct signature *s);

#endif

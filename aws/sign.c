#include "aws/sign.h"

#include <stdio.h>

#include "http/wiping_allocator.h"

struct result sign_request(struct http_request *request, struct signature *s,
                           const struct credentials *c, const char *region, const char *service,
                           struct err *err)
{
    const char *token = (const char *)c->token.bytes;

    if (token != NULL && asprintf(&s->headers[0], "X-Amz-Security-Token: %s", token) < 0) {
        s->headers[0] = NULL;
        return fail(err, ERR_FAILED, "out of memory");
    }
    snprintf(s->provider, sizeof s->provider, "aws:amz:%s:%s", region, service);
    s->sigv4 = (struct http_sigv4){s->provider, (const char *)c->access_key.bytes,
                                   (const char *)c->secret_key.bytes};
    request->sigv4 = &s->sigv4;
    request->more_headers = (const char *const *)s->headers;
    return OK;
}

void signature_free(struct signature *s)
{
    wiping_text_free(&s->headers[0]);
}

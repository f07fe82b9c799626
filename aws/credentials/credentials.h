/* credentials: who calls AWS. */
#ifndef BULLA_AWS_CREDENTIALS_CREDENTIALS_H
#define BULLA_AWS_CREDENTIALS_CREDENTIALS_H

#include "aws/aws.h"
#include "http/json.h"

#define CREDENTIALS_SOURCE_MAX 256 /* bytes, with the terminating zero */
#define CREDENTIALS_TEXT_MAX 16384 /* bytes of each of the three secrets */
#define EXPIRES_NEVER UINT64_MAX   /* or nobody said when */

/* struct credentials: texts that end with a zero; {0} is none and safe to free. */
struct credentials {
    struct secret access_key, secret_key;
    struct secret token;                 /* empty for long-lived ones */
    uint64_t expires;                    /* seconds since 1970, or EXPIRES_NEVER */
    char source[CREDENTIALS_SOURCE_MAX]; /* for people */
};

#define CREDENTIALS_CLEANUP __attribute__((cleanup(credentials_free)))

void credentials_free(struct credentials *c);

/* struct credentials_text: the same as somebody said it. token and expiration may be NULL. */
struct credentials_text {
    const char *access_key, *secret_key, *token, *expiration;
};

/* credentials_make copies what a source said; ERR_POLICY if it is not well-formed: a header is made
 * of it. *source is set by a format. */
__attribute__((format(printf, 4, 5))) FALLIBLE credentials_make(struct credentials *c,
                                                                const struct credentials_text *text,
                                                                struct err *err, const char *source,
                                                                ...);

/* credentials_from_json is credentials_make for the JSON of a process or a metadata service, in
 * which the token has this name. */
FALLIBLE credentials_from_json(struct credentials *c, const json_t *json, const char *token,
                               const char *source, struct err *err);

/* expiry_read reads a time in seconds since 1970, 0 for one before: RFC 3339 in any zone, and what
 * programs make of it: a blank in place of the "T" or before the zone, no seconds, "+0000", "+00",
 * "UTC". */
bool expiry_read(uint64_t *seconds, const char *text);

#endif

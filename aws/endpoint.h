/* endpoint: regions, and where the services of AWS are to be found in them. */
#ifndef BULLA_AWS_ENDPOINT_H
#define BULLA_AWS_ENDPOINT_H

#include <stdbool.h>

#include "base/err.h"

#define REGION_MAX 32    /* bytes, without the terminating zero */
#define ENDPOINT_MAX 448 /* bytes, with the terminating zero */

/* region_is_valid is true for what may be a part of a host's name: letters, digits and dashes. */
bool region_is_valid(const char *region);

/* struct endpoint_wish: what the user wants of an endpoint. */
struct endpoint_wish {
    const char *service; /* "kms", "sts" or "s3" */
    const char *region;
    const char *custom; /* a URL in place of the usual one, or NULL */
    bool fips, dual_stack;
};

/* endpoint_find writes the URL of a service in a region of any partition. ERR_USAGE if a custom one
 * is not https, nor http to this machine, or has more than a path of unreserved characters. */
FALLIBLE endpoint_find(char out[ENDPOINT_MAX], const struct endpoint_wish *wish, struct err *err);

#endif

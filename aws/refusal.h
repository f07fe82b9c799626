/* refusal: what the error names of the services of AWS mean. */
#ifndef BULLA_AWS_REFUSAL_H
#define BULLA_AWS_REFUSAL_H

#include "base/err.h"

/* struct refusal: what a name means, whatever the HTTP status. */
struct refusal {
    const char *name;     /* as the service calls it */
    enum err_class class; /* ERR_STORE: it may pass by itself */
    const char *hint;     /* what to do, or NULL */
};

/* refusal_find gives what is known of a name, or NULL. What all services say is known; own, which
 * may be NULL, is what one says besides, ended by a name of NULL. */
const struct refusal *refusal_find(const struct refusal *own, const char *name);

#endif

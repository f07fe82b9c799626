/* redact_uri: references to tokens as they may be printed, and the attributes of PKCS#11 URIs by
 * which that is decided. */
#ifndef BULLA_KEYSTORE_PKCS11_REDACT_URI_H
#define BULLA_KEYSTORE_PKCS11_REDACT_URI_H

#include <stdbool.h>

#define PKCS11_SCHEME "pkcs11:"
#define URI_ATTRIBUTES 17

/* The attributes of RFC 7512, 2.3 and 2.4, that mean something for a key. */
extern const struct uri_attribute {
    const char *name;
    bool query;  /* after the '?' */
    bool secret; /* not to be shown */
} uri_attributes[URI_ATTRIBUTES];

/* redact_uri gives a reference as it may be printed, with stars for every value in a PKCS#11
 * URI, or what looks like one, that may be a PIN; the caller frees it. NULL if memory is out. */
char *redact_uri(const char *reference);

#endif

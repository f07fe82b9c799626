/* uri: what a PKCS#11 URI (RFC 7512) names. p11-kit parses it. Refused here is what p11-kit
 * accepts: attributes that are given twice, are unknown, contradict each other or have no meaning
 * for keys. */
#ifndef BULLA_KEYSTORE_PKCS11_URI_H
#define BULLA_KEYSTORE_PKCS11_URI_H

#include <p11-kit/uri.h>

#include "base/wire.h"
#include "keystore/pkcs11/options.h"
#include "keystore/pkcs11/slots.h"

/* struct uri: {0} is empty and safe to free. */
struct uri {
    P11KitUri *parsed;
    char *text; /* for messages: without pin-value */
    char label[SLOT_KEY_LABEL_MAX + 1];
    bool has_label;
    uint8_t id[SLOT_CKA_ID_MAX];
    size_t id_size; /* 0 = not named */
    bool has_class;
    unsigned long class; /* CKO_PUBLIC_KEY, CKO_PRIVATE_KEY or CKO_SECRET_KEY */
    const char *module;  /* an absolute path, or a name of p11-kit's */
    bool module_is_name;
    const char *pin_source; /* a path, or NULL */
    const char *pin_value;  /* or NULL */
};

#define URI_CLEANUP __attribute__((cleanup(uri_free)))

/* uri_read takes a reference apart. The module is the URI's, or else that of options. ERR_USAGE,
 * with no PIN in the text. */
FALLIBLE uri_read(struct uri *uri, const char *reference, const struct token_options *options,
                  struct err *err);
void uri_free(struct uri *uri);

/* uri_pin_file gives the path in a reference's pin-source; the caller frees it. *path is NULL if it
 * has none. */
FALLIBLE uri_pin_file(const char *reference, char **path, struct err *err);

/* uri_for makes the URI of a key, or with label and id NULL of a token, with the module of uri; the
 * caller frees it. NULL if memory is out. */
char *uri_for(const struct uri *uri, const CK_TOKEN_INFO *token, const char *label,
              const struct view *id);

#endif

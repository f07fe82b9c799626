/* options: the options of the store for tokens. */
#ifndef BULLA_KEYSTORE_PKCS11_OPTIONS_H
#define BULLA_KEYSTORE_PKCS11_OPTIONS_H

#include "keystore/store_option.h"

extern const struct store_option pkcs11_options[];

/* struct token_options: the same, read. Strings belong to others and may be NULL. */
struct token_options {
    const char *module, *module_args; /* where a reference names none */
    unsigned timeout;                 /* seconds to wait for a module */
    bool pin_in_uri;
};

struct token_options token_options_read(const struct store_settings *settings);

#endif

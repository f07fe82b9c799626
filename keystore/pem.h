/* pem: the public key of a token's key pair as a text file (RFC 7468, 13), with lines in front that
 * say where the private key lies. docs/FORMAT.md section 8. */
#ifndef BULLA_KEYSTORE_PEM_H
#define BULLA_KEYSTORE_PEM_H

#include "keystore/key_pair.h"

#define PEM_MAX 8192 /* bytes */

/* struct pem: a public key and its hints; {0} has none. */
struct pem {
    struct spki spki;
    char token_label[SLOT_TOKEN_LABEL_MAX + 1], token_serial[SLOT_TOKEN_SERIAL_MAX + 1];
    char key_label[SLOT_KEY_LABEL_MAX + 1];
    uint8_t id[SLOT_CKA_ID_MAX];
    size_t id_size;
};

/* pem_read reads such a text; ERR_DAMAGED or ERR_UNSUPPORTED. Lines that it does not know are
 * passed over, as RFC 7468 has it. */
FALLIBLE pem_read(struct pem *pem, const struct crypto *crypto, const char *text, size_t size,
                  struct err *err);

/* pem_text writes it; the caller frees *text. */
FALLIBLE pem_text(const struct pem *pem, char **text, struct err *err);

/* pem_hints gives views of the hints. */
struct key_pair_hints pem_hints(const struct pem *pem);

#endif

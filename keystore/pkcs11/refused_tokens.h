/* refused_tokens: the tokens that refused a PIN. They are not asked again for the same host,
 * whatever reference names them, because a token counts wrong PINs. */
#ifndef BULLA_KEYSTORE_PKCS11_REFUSED_TOKENS_H
#define BULLA_KEYSTORE_PKCS11_REFUSED_TOKENS_H

#include "keystore/pkcs11/token.h"

/* struct refused_tokens: a host's list; threads may share it. */
struct refused_tokens;

/* refused_tokens_of gives a share of the list of the host that has these states; NULL has none
 * between two keys. The caller drops it. */
FALLIBLE refused_tokens_of(struct refused_tokens **out, struct store_states *states,
                           const struct keystore_ops *store, struct err *err);
void refused_tokens_drop(struct refused_tokens *list);

/* refused_tokens_find tells whether a token refused a PIN; *rv and *err are what it said. */
bool refused_tokens_find(struct refused_tokens *list, const struct token *token, CK_RV *rv,
                         struct err *err);

/* refused_tokens_room makes room for one more, which comes before a PIN is tried: one that could
 * not be remembered would be tried again. refused_tokens_add takes it, or frees it with token NULL.
 */
struct refused_token;
FALLIBLE refused_tokens_room(struct refused_token **out, struct err *err);
void refused_tokens_add(struct refused_tokens *list, struct refused_token *room,
                        const struct token *token, CK_RV rv, const struct err *why);

#endif

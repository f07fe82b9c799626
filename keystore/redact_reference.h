/* redact_reference: key references as they may be printed. */
#ifndef BULLA_KEYSTORE_REDACT_REFERENCE_H
#define BULLA_KEYSTORE_REDACT_REFERENCE_H

/* redact_reference gives a reference without what any key store takes for a secret in it, such as a
 * PIN; the caller frees it. NULL if memory is out. */
char *redact_reference(const char *reference);

#endif

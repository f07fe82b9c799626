/* secret_file: small files that may hold a secret, read whole into protected memory; and what
 * counts as a passphrase or a PIN. */
#ifndef BULLA_BASE_SECRET_FILE_H
#define BULLA_BASE_SECRET_FILE_H

#include "base/secret.h"

/* secret_read reads a descriptor to its end. *text has a zero behind what was read. *size is max +
 * 1 if there are more than max bytes. name is for messages. */
FALLIBLE secret_read(struct secret *text, size_t *size, size_t max, int fd, const char *name,
                     struct err *err);

/* secret_read_line makes *line the first line of a file, with a zero at its end; ERR_USAGE if the
 * file has more than max bytes. */
FALLIBLE secret_read_line(struct secret *line, size_t max, const char *path, struct err *err);

#define SECRET_TYPED_MAX 1024 /* bytes of a passphrase or a PIN */

/* secret_typed makes *out what somebody typed, or wrote where it is read: size bytes of read, but
 * for one line end at their end. ERR_USAGE if that is empty, longer than SECRET_TYPED_MAX or not
 * UTF-8; the message calls it "the NOUN from FROM". */
FALLIBLE secret_typed(struct secret *out, const struct secret *read, size_t size, const char *noun,
                      const char *from, struct err *err);

/* secret_read_typed is secret_typed of all that comes from a descriptor, which has a name for
 * messages. */
FALLIBLE secret_read_typed(struct secret *out, int fd, const char *name, const char *noun,
                           const char *from, struct err *err);

/* secret_oddity is what an editor or another system seems to have put into what was read for a
 * passphrase or a PIN: "begins with a byte order mark" or "has a line end in it"; else NULL. */
const char *secret_oddity(const struct secret *s);

#endif

/* secret_file: small files that may hold a secret, read whole into protected memory; and the rules
 * for passphrases and PINs. */
#ifndef BULLA_BASE_SECRET_FILE_H
#define BULLA_BASE_SECRET_FILE_H

#include <sys/stat.h>

#include "base/secret.h"

/* struct secret_file: which file is to be read, and what it must be. */
struct secret_file {
    const char *noun, *path; /* for messages: the "config file" of this path */
    size_t max;              /* bytes */
    bool regular;            /* nothing else; else a pipe is waited for */
    bool believed;           /* nobody else may have written it, or it fails like trusted_file */
    struct err *doubt; /* if not NULL, takes that failure, and the file is read all the same */
};

/* secret_file_read reads it whole: *text has a zero after the *size bytes, and *st is of what was
 * opened. ERR_MISSING if nothing is there, ERR_USAGE if it is longer than max. */
FALLIBLE secret_file_read(const struct secret_file *f, struct secret *text, size_t *size,
                          struct stat *st, struct err *err);

/* secret_read reads a descriptor to its end. *text has a zero after what was read. *size is max +
 * 1 if there are more than max bytes. name is for messages. */
FALLIBLE secret_read(struct secret *text, size_t *size, size_t max, int fd, const char *name,
                     struct err *err);

/* secret_file_line is secret_file_read of the first line, with a zero at its end. */
FALLIBLE secret_file_line(const struct secret_file *f, struct secret *line, struct err *err);

#define SECRET_TYPED_MAX 1024 /* bytes of a passphrase or a PIN */

/* secret_typed makes *out what somebody typed, or wrote where it is read: size bytes of read, but
 * for one line end at their end. ERR_USAGE if that is empty, longer than SECRET_TYPED_MAX or not
 * UTF-8; the message calls it "the NOUN from FROM". */
FALLIBLE secret_typed(struct secret *out, const struct secret *read, size_t size, const char *noun,
                      const char *from, struct err *err);

/* secret_read_typed is secret_typed of all that comes from a descriptor, and secret_file_typed of
 * all that a file has, which nobody else may have written. */
FALLIBLE secret_read_typed(struct secret *out, int fd, const char *noun, const char *from,
                           struct err *err);
FALLIBLE secret_file_typed(struct secret *out, const char *path, const char *file_noun,
                           const char *noun, struct err *err);

/* secret_oddity tells what an editor or another system seems to have added to a passphrase or a
 * PIN: "begins with a byte order mark" or "has a line end in it"; else NULL. */
const char *secret_oddity(const struct secret *s);

#endif

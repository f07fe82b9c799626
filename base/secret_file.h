/* secret_file: small files that may hold a secret, read whole into protected memory. */
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

#endif

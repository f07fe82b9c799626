/* status: which files hang on which keys; what 'bulla status' and 'bulla key destroy --check'
 * share. */
#ifndef BULLA_CMD_STATUS_H
#define BULLA_CMD_STATUS_H

#include "cmd/options.h"
#include "keystore/keystore.h"

/* status_needs counts in *needed the files at or below the paths that only this key opens. A file
 * that could not be read makes it fail; *needed has those that could. */
FALLIBLE status_needs(const struct master_key *key, const struct list *paths, uint64_t *needed,
                      struct err *err);

#endif

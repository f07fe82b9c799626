/* status: which files depend on which keys; what 'bulla status' and 'bulla key destroy --check'
 * share. */
#ifndef BULLA_CMD_STATUS_H
#define BULLA_CMD_STATUS_H

#include "cmd/options.h"
#include "keystore/keystore.h"

/* status_needs counts in *needed the files at or below the paths of --check that only this key
 * opens. ERR_PARTIAL if there is none, but not all could be looked at. */
FALLIBLE status_needs(const struct master_key *key, const struct options *o, uint64_t *needed,
                      struct err *err);

#endif

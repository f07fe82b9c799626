/* status: which files depend on which keys; what 'bulla status' and 'bulla key destroy --check'
 * share. */
#ifndef BULLA_CMD_STATUS_H
#define BULLA_CMD_STATUS_H

#include "cmd/options.h"
#include "libbulla/session.h"

/* status_needs counts in *needed the files at or below the paths of --check that only this key
 * opens; reference is how the user named it. If a file names other keys too, this key opens its
 * envelope to see whether that is true. ERR_PARTIAL if no file needs the key, but not all could be
 * looked at or believed. */
FALLIBLE status_needs(struct session *s, struct master_key *key, const char *reference,
                      const struct options *o, uint64_t *needed, struct err *err);

#endif

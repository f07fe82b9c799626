/* confine: what a run may reach, settled before it opens a key or a file.
 *
 *     keys             new privileges   files (Landlock)     system calls (seccomp)
 *     in files         none             those of the run     all but those of seccomp.h, by what
 *                                                            the run makes
 *     on tokens        none             all                  all
 *     of a service     as before        all                  all
 *
 * A module of a token does what it likes, with files and daemons of its own; and programs that the
 * user named, for a passphrase, a PIN, for credentials or as the source, must work as they do
 * elsewhere, sudo too. So a run with --passphrase-command, --from-command or the like is confined
 * as one with keys of a service. So is one whose configuration comes by a pipe, because its keys
 * are known only later.
 *
 * Where the kernel cannot do one of them, the run continues without. In BULLA_CONFINE "must" makes
 * that an error, and "no" confines nothing.
 *
 * What is found out of the keys also tells whether OpenSSL is for bulla alone. */
#ifndef BULLA_CMD_CONFINE_H
#define BULLA_CMD_CONFINE_H

#include "cmd/options.h"

/* confine does that to this thread and those it starts, and calls crypto_alone if all keys are in
 * files. ERR_USAGE, or ERR_UNSUPPORTED for "must". */
FALLIBLE confine(const struct verb *verb, const struct options *o, struct err *err);

#endif

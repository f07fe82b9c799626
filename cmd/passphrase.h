/* passphrase: where passphrases and PINs come from. In this order, each source in three forms: for
 * the passphrase that is, with "new" in its name for the one that is to be, and with "pin" in place
 * of "passphrase" for a token's PIN (BULLA_PIN_FILE, bulla.pin):
 *
 *     --passphrase-fd N          --new-passphrase-fd N
 *     --passphrase-command CMD   --new-passphrase-command CMD
 *     BULLA_PASSPHRASE_FILE      BULLA_NEW_PASSPHRASE_FILE
 *     $CREDENTIALS_DIRECTORY/bulla.passphrase   .../bulla.new-passphrase   (systemd)
 *     the terminal, twice for a new one
 *
 * One line end at the end is not part of it. Never from the command line itself. */
#ifndef BULLA_CMD_PASSPHRASE_H
#define BULLA_CMD_PASSPHRASE_H

#include "cmd/options.h"
#include "keystore/keystore.h"

#define TERMINAL "/dev/tty"

/* passphrase_env fills the part of env that gets secrets; o must outlive it. */
void passphrase_env(struct keystore_env *env, const struct options *o);

/* passphrase_by_command is true if the command line names a program to be run for a secret. */
bool passphrase_by_command(const struct options *o);

/* passphrase_files calls visit for each file that a secret may be read from by its name, with the
 * variable that names it or its directory; the terminal is not among them. */
void passphrase_files(void (*visit)(void *arg, const char *variable, const char *path), void *arg);

#endif

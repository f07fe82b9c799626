/* module_file: a module by the name that the system's configuration of p11-kit has for it.
 *
 * p11-kit itself loads every module that is configured to find one, each of which may hang. So the
 * file of this one is read here: NAME.module in /etc/pkcs11/modules, and what that leaves out from
 * the directory of packages. What a user configures is not looked at: whose it is depends on HOME.
 */
#ifndef BULLA_KEYSTORE_PKCS11_MODULE_FILE_H
#define BULLA_KEYSTORE_PKCS11_MODULE_FILE_H

#include "base/err.h"

/* module_file_read gives the path of a module and the arguments for its start, or NULL if it has
 * none; the caller frees both. ERR_STORE if there is no such module. */
FALLIBLE module_file_read(const char *name, char **path, char **arguments, struct err *err);

#endif

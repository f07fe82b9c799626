/* process: credentials that another program prints (credential_process of a profile). */
#ifndef BULLA_AWS_CREDENTIALS_PROCESS_H
#define BULLA_AWS_CREDENTIALS_PROCESS_H

#include "aws/credentials/credentials.h"

/* process_credentials runs a command, without a shell and without our standard input, for at most
 * aws->timeout seconds, and takes the credentials from what it prints. source is for people. */
FALLIBLE process_credentials(const struct aws *aws, const char *command, const char *source,
                             struct credentials *out, struct err *err);

#endif

/* metadata: credentials from a service beside the machine: of a container, or of an EC2 instance.
 */
#ifndef BULLA_AWS_CREDENTIALS_METADATA_H
#define BULLA_AWS_CREDENTIALS_METADATA_H

#include "aws/credentials/credentials.h"

/* container_credentials asks the endpoint that ECS or EKS put into the environment; *found is false
 * if there is none. */
FALLIBLE container_credentials(const struct aws *aws, struct credentials *out, bool *found,
                               struct err *err);

/* instance_credentials asks the instance metadata service, in version 2 only; *found is false where
 * there is no such service or no role. */
FALLIBLE instance_credentials(const struct aws *aws, struct credentials *out, bool *found,
                              struct err *err);

#endif

/* profile: the config and credentials files that AWS tools share.
 *
 * They are read here and not by inih, which as Debian builds it cuts lines at 200 bytes (a session
 * token is longer) and values at " ;". What the Python tools of AWS refuse is refused: a line that
 * is passed over may be the one that says whose credentials to use. */
#ifndef BULLA_KEYSTORE_AWSKMS_PROFILE_H
#define BULLA_KEYSTORE_AWSKMS_PROFILE_H

#include "base/secret.h"

/* struct profiles: both files; {0} is empty and safe to free. */
struct profiles {
    struct profile_file {
        struct secret text;         /* cut up by zeros */
        struct profile_pair *pairs; /* into text, sorted */
        size_t count;
    } config, credentials;
};

/* profiles_read reads AWS_CONFIG_FILE (~/.aws/config) and AWS_SHARED_CREDENTIALS_FILE
 * (~/.aws/credentials). A file that is missing and was not named counts as empty, and so does
 * /dev/null. ERR_FAILED if one cannot be read, ERR_USAGE if it has a line that makes no sense,
 * which the message names, ERR_POLICY if one that somebody else may have written names a program, a
 * role, a server or an authority. */
FALLIBLE profiles_read(struct profiles *profiles, struct err *err);
void profiles_free(struct profiles *profiles);

bool profile_exists(const struct profiles *profiles, const char *profile);

/* profile_get gives a value of a profile, or NULL; the credentials file goes first, as it does for
 * the AWS tools. An empty value counts as none. */
const char *profile_get(const struct profiles *profiles, const char *profile, const char *key);

/* profile_get_in looks in one of the two files alone. */
const char *profile_get_in(const struct profile_file *file, const char *profile, const char *key);

/* profile_is_empty is true if the value that profile_get looks for is there and empty. */
bool profile_is_empty(const struct profiles *profiles, const char *profile, const char *key);

/* profile_has_services tells whether the config file has this "services" section, and
 * profile_service_get gives a value from the lines below a service in it, or NULL. */
bool profile_has_services(const struct profiles *profiles, const char *section);
const char *profile_service_get(const struct profiles *profiles, const char *section,
                                const char *service, const char *key);

#endif

#include "keystore/awskms/options.h"

#define WITH_FILES (STORE_OPENS | STORE_SEALS)

static const char *const addresses[] = {"AWS_ENDPOINT_URL_KMS", "AWS_ENDPOINT_URL", NULL};

const struct store_option awskms_options[] = {
    [AWSKMS_ENDPOINT] = {"endpoint", "URL", STORE_TEXT, WITH_FILES, .in_config = true,
                         .before_config = addresses,
                         .help = "where AWS KMS is, in place of its usual address and of\n"
                                 "AWS_ENDPOINT_URL_KMS"},
    [AWSKMS_TIMEOUT] = {"kms-timeout", "SECONDS", STORE_NUMBER, WITH_FILES, .usual = STORE_TIMEOUT,
                        .most = STORE_TIMEOUT_MAX, .unit = " seconds",
                        .help = "how long one operation of AWS KMS may take, with its\n"
                                "retries (60)"},
    {0},
};

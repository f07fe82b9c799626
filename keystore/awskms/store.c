#include "keystore/awskms/store.h"

#include "keystore/awskms/options.h"
#include "keystore/awskms/slots.h"

static const struct keystore_scheme schemes[] = {
    {"aws-kms:", false, "aws-kms://ARN", "a key of AWS KMS; also a bare ARN, or alias/NAME"},
    {"arn:", false},
    {"alias/", false},
    {0},
};

/* They mean what they mean to the tools of AWS. */
static const struct store_variable variables[] = {
    {"AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_SESSION_TOKEN,\n"
     "  AWS_SECURITY_TOKEN, AWS_CREDENTIAL_EXPIRATION",
     "credentials"},
    {"AWS_DEFAULT_PROFILE, AWS_PROFILE", "the profile"},
    {"AWS_CONFIG_FILE, AWS_SHARED_CREDENTIALS_FILE", "the files of profiles"},
    {"AWS_CREDENTIAL_FILE", "refused, if there are no other credentials"},
    {"AWS_ROLE_ARN, AWS_ROLE_SESSION_NAME, AWS_WEB_IDENTITY_TOKEN_FILE", "a web identity"},
    {"AWS_CONTAINER_CREDENTIALS_RELATIVE_URI, AWS_CONTAINER_CREDENTIALS_FULL_URI,\n"
     "  AWS_CONTAINER_AUTHORIZATION_TOKEN, AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE",
     "the credentials of a container"},
    {"AWS_EC2_METADATA_DISABLED, AWS_EC2_METADATA_SERVICE_ENDPOINT,\n"
     "  AWS_EC2_METADATA_SERVICE_ENDPOINT_MODE, AWS_METADATA_SERVICE_TIMEOUT,\n"
     "  AWS_METADATA_SERVICE_NUM_ATTEMPTS",
     "the credentials of an EC2 machine"},
    {"AWS_REGION, AWS_DEFAULT_REGION", "the region"},
    {"AWS_ENDPOINT_URL, AWS_ENDPOINT_URL_KMS, AWS_ENDPOINT_URL_STS,\n"
     "  AWS_IGNORE_CONFIGURED_ENDPOINT_URLS, AWS_USE_FIPS_ENDPOINT,\n"
     "  AWS_USE_DUALSTACK_ENDPOINT",
     "the address"},
    {"AWS_CA_BUNDLE", "certificates of authorities, in place of the system's"},
    {"AWS_MAX_ATTEMPTS", "how often a request is tried"},
    {"HTTPS_PROXY, HTTP_PROXY, NO_PROXY", "a proxy, as curl takes it"},
    {0},
};

static const char *const file_variables[] = {
    "AWS_CONFIG_FILE",
    "AWS_SHARED_CREDENTIALS_FILE",
    "AWS_WEB_IDENTITY_TOKEN_FILE",
    "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE",
    "AWS_CA_BUNDLE",
    NULL,
};

#ifdef BULLA_AWSKMS
#include "keystore/awskms/awskms.h"
#define OPS &awskms_ops
#define ADMIN &awskms_admin
#else
#define OPS NULL
#define ADMIN &keystore_no_admin
#endif

const struct keystore awskms_store = {
    .title = "AWS KMS",
    .schemes = schemes,
    .methods = (const struct slot_method *const[]){awskms_methods, NULL},
    .options = (const struct store_option *const[]){awskms_options, NULL},
    .variables = variables,
    .reach = REACH_PROGRAMS,
    .ops = OPS,
    .admin = ADMIN,
    .file_variables = file_variables,
};

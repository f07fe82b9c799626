#include "aws/refusal.h"

#include <string.h>

static const char wrong_clock[] =
    "set the clock of this machine: by it, the request is minutes too old or from the future";

static const struct refusal refusals[] = {
    {"AccessDeniedException", ERR_POLICY, KMS_DENIED, NULL},
    {"AccessDenied", ERR_POLICY, KMS_DENIED, NULL},
    {"DryRunOperationException", ERR_POLICY, KMS_DRY_RUN, NULL},
    {"IncorrectKeyException", ERR_NO_KEY, KMS_OTHER_KEY, "it was sealed to another key"},
    {"InvalidCiphertextException", ERR_NO_KEY, KMS_REFUSED,
     "the wrap or the context of the file is not as it was sealed"},
    {"NotFoundException", ERR_NO_KEY, KMS_REFUSED,
     "there is no such key in this account and region"},
    {"DisabledException", ERR_POLICY, KMS_REFUSED, "'aws kms enable-key' enables it"},
    {"KMSInvalidStateException", ERR_POLICY, KMS_REFUSED,
     "the key may be waiting for its deletion, or have no key material; 'bulla key check' shows its "
     "state"},
    {"InvalidKeyUsageException", ERR_POLICY, KMS_REFUSED,
     "the key must be symmetric, for ENCRYPT_DECRYPT"},
    {"UnrecognizedClientException", ERR_POLICY, KMS_REFUSED,
     "AWS does not know these credentials; 'bulla key check' shows where they are from"},
    {"InvalidClientTokenId", ERR_POLICY, KMS_REFUSED,
     "AWS does not know these credentials; 'bulla key check' shows where they are from"},
    {"InvalidSignatureException", ERR_POLICY, KMS_REFUSED,
     "the secret key is wrong, or the clock of this machine"},
    {"SignatureDoesNotMatch", ERR_POLICY, KMS_REFUSED,
     "the secret key is wrong, or the clock of this machine"},
    {"ExpiredTokenException", ERR_POLICY, KMS_REFUSED, "the credentials have expired"},
    {"ExpiredToken", ERR_POLICY, KMS_REFUSED, "the credentials have expired"},
    {"RequestExpired", ERR_POLICY, KMS_REFUSED, wrong_clock},
    {"RequestTimeTooSkewed", ERR_POLICY, KMS_REFUSED, wrong_clock},
    {"RequestInTheFuture", ERR_POLICY, KMS_REFUSED, wrong_clock},
};

const struct refusal *refusal_find(const char *name)
{
    for (size_t i = 0; i < sizeof refusals / sizeof *refusals; i++)
        if (strcmp(refusals[i].name, name) == 0)
            return &refusals[i];
    return NULL;
}

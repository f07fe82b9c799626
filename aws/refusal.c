#include "aws/refusal.h"

#include <string.h>

static const char wrong_clock[] =
    "set the clock of this machine: by it, the request is minutes too old or from the future";
static const char unknown_caller[] =
    "AWS does not know these credentials; 'bulla key check' shows where they are from";
static const char wrong_signature[] = "the secret key is wrong, or the clock of this machine";
static const char too_old[] = "the credentials have expired";

/* Those that pass begin with botocore's throttling and transient errors. */
static const struct refusal common[] = {
    {"Throttling", ERR_STORE, NULL},
    {"ThrottlingException", ERR_STORE, NULL},
    {"ThrottledException", ERR_STORE, NULL},
    {"RequestThrottledException", ERR_STORE, NULL},
    {"RequestThrottled", ERR_STORE, NULL},
    {"TooManyRequestsException", ERR_STORE, NULL},
    {"ProvisionedThroughputExceededException", ERR_STORE, NULL},
    {"TransactionInProgressException", ERR_STORE, NULL},
    {"RequestLimitExceeded", ERR_STORE, NULL},
    {"BandwidthLimitExceeded", ERR_STORE, NULL},
    {"LimitExceededException", ERR_STORE, NULL},
    {"SlowDown", ERR_STORE, NULL},
    {"PriorRequestNotComplete", ERR_STORE, NULL},
    {"RequestTimeout", ERR_STORE, NULL},
    {"RequestTimeoutException", ERR_STORE, NULL},
    {"IDPCommunicationError", ERR_STORE, NULL},
    {"InternalFailure", ERR_STORE, NULL},
    {"ServiceUnavailable", ERR_STORE, NULL},
    {"ServiceUnavailableException", ERR_STORE, NULL},
    {"AccessDeniedException", ERR_POLICY, NULL}, /* whoever asked knows what it takes */
    {"AccessDenied", ERR_POLICY, NULL},
    {"UnrecognizedClientException", ERR_POLICY, unknown_caller},
    {"InvalidClientTokenId", ERR_POLICY, unknown_caller},
    {"InvalidSignatureException", ERR_POLICY, wrong_signature},
    {"SignatureDoesNotMatch", ERR_POLICY, wrong_signature},
    {"ExpiredTokenException", ERR_POLICY, too_old},
    {"ExpiredToken", ERR_POLICY, too_old},
    {"RequestExpired", ERR_POLICY, wrong_clock},
    {"RequestTimeTooSkewed", ERR_POLICY, wrong_clock},
    {"RequestInTheFuture", ERR_POLICY, wrong_clock},
    {NULL, ERR_NONE, NULL},
};

static const struct refusal *find(const struct refusal *rows, const char *name)
{
    for (; rows != NULL && rows->name != NULL; rows++)
        if (strcmp(rows->name, name) == 0)
            return rows;
    return NULL;
}

const struct refusal *refusal_find(const struct refusal *own, const char *name)
{
    const struct refusal *found = find(own, name);

    return found != NULL ? found : find(common, name);
}

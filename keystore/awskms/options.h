/* options: the options of the store for AWS KMS. */
#ifndef BULLA_KEYSTORE_AWSKMS_OPTIONS_H
#define BULLA_KEYSTORE_AWSKMS_OPTIONS_H

#include "keystore/store_option.h"

enum { AWSKMS_ENDPOINT, AWSKMS_TIMEOUT };

extern const struct store_option awskms_options[];

#endif

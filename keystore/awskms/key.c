#include "keystore/awskms/key.h"

#include <string.h>

struct result key_pin(struct kms_master *k, const struct arn *answered, struct err *err)
{
    bool known = k->arn.text[0] != '\0';

    if (known ? strcmp(k->arn.text, answered->text) == 0
              : key_name_fits(&k->name, k->kms.region, answered) &&
                    strcmp(k->kms.region, answered->region) == 0) {
        k->arn = *answered;
        return OK;
    }
    (void)fail(err, ERR_POLICY, "key '%s': another key answered: '%s'", k->name.id, answered->text);
    err_hint(err, "if an alias was moved just now, run it again; else do not trust this endpoint");
    return FAIL;
}

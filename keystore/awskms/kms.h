/* kms: the operations of AWS KMS that wrap, unwrap and move branch keys (KMS API, JSON 1.1). */
#ifndef BULLA_KEYSTORE_AWSKMS_KMS_H
#define BULLA_KEYSTORE_AWSKMS_KMS_H

#include "aws/account.h"
#include "aws/endpoint.h"
#include "crypto/slot.h"
#include "keystore/awskms/arn.h"
#include "keystore/awskms/slots.h"
#include "keystore/keystore.h"

/* enum kms_refusal: what of a refusal matters to those who ask. */
enum kms_refusal {
    KMS_NOT_REFUSED,
    KMS_OTHER_KEY, /* the blob is not of the key that was named */
    KMS_DENIED,    /* no permission */
    KMS_DRY_RUN,   /* it would have been done */
    KMS_REFUSED    /* anything else */
};

/* struct kms: KMS in one region, and who asks it. */
struct kms {
    struct account *account;
    char region[REGION_MAX + 1];
    char url[ENDPOINT_MAX];
    uint64_t *calls; /* operations that KMS answered */
    struct err down; /* why it could not be reached, and until when that is believed */
    uint64_t down_until;
};

/* struct blob: a branch key under a key of KMS, or the name of one to be made. */
struct blob {
    struct arn arn;                          /* of the key, as KMS says */
    char material[SLOT_MATERIAL_ID_MAX + 1]; /* KeyMaterialId; empty where KMS did not say */
    uint8_t bytes[SLOT_WRAP_MAX];            /* CiphertextBlob */
    size_t size;
};

/* struct kms_request: one operation. */
struct kms_request {
    const char *key_id, *to; /* as the user named them; to is for kms_reencrypt alone */
    const struct branch_identity *branch;
    struct view wrapped; /* not for kms_encrypt */
    bool dry_run;
};

/* struct kms_reply: what came of it; {0} before. */
struct kms_reply {
    struct blob blob;         /* of kms_encrypt and kms_reencrypt */
    struct arn opened_by;     /* of kms_decrypt and kms_reencrypt: the key that opened wrapped */
    enum kms_refusal refusal; /* if KMS refused */
};

/* Each of these asks for one operation. A refusal is in *err too: ERR_STORE if it may pass,
 * ERR_NO_KEY if KMS says that this key does not open the blob, else ERR_POLICY. */

/* kms_encrypt wraps a secret. */
FALLIBLE kms_encrypt(struct kms *kms, const struct kms_request *request,
                     const struct secret *secret, struct kms_reply *reply, struct err *err);

/* kms_decrypt gives the plaintext, which the caller frees. */
FALLIBLE kms_decrypt(struct kms *kms, const struct kms_request *request, struct kms_reply *reply,
                     struct secret *secret, struct err *err);

/* kms_reencrypt moves a wrap from one key to another, or to the current material of the same one.
 */
FALLIBLE kms_reencrypt(struct kms *kms, const struct kms_request *request, struct kms_reply *reply,
                       struct err *err);

/* struct kms_key: what KMS tells of a key. */
struct kms_key {
    struct arn arn;
    char material[SLOT_MATERIAL_ID_MAX + 1]; /* CurrentKeyMaterialId; empty where KMS did not say */
    char state[33], usage[33];
    bool multi_region;
};

FALLIBLE kms_describe(struct kms *kms, const char *key_id, struct kms_key *key, struct err *err);

#endif

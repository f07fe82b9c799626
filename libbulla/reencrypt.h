/* reencrypt: a new data key and a new body for a sealed file, in its place. */
#ifndef BULLA_LIBBULLA_REENCRYPT_H
#define BULLA_LIBBULLA_REENCRYPT_H

#include "libbulla/open.h"
#include "libbulla/seal.h"

struct reencrypt_options {
    enum suite suite;    /* 0 = as the file has it */
    uint64_t generation; /* 0 = as the file has it; ERR_POLICY if it is lower */
    bool any_keys;       /* whether the file may lose keys that it has; else ERR_POLICY */
};

/* reencrypt_file opens a self-contained file with the keys of one session and seals it to those of
 * another, chunk by chunk; the same session may be both. The old file is replaced when the new one
 * is durable and was read back to its last byte. A file with several names is replaced when the
 * last of them comes, and all become names of the new file. A detached pair is refused: it cannot
 * be replaced in one step. */
FALLIBLE reencrypt_file(struct session *from, struct session *to,
                        const struct reencrypt_options *options, const struct sealed_place *at,
                        struct seal_report *report, struct err *err);

/* reencrypt_object does that for an object in a storage, which is replaced in one step if nobody
 * else did so meanwhile: ERR_STORE then. The storage checks each part that it takes by a hash;
 * nothing is read back. */
FALLIBLE reencrypt_object(struct session *from, struct session *to,
                          const struct reencrypt_options *options, const struct object *o,
                          struct seal_report *report, struct err *err);

/* reencrypt_stream does that for *f into a sink; nothing is read back. */
FALLIBLE reencrypt_stream(struct session *from, struct session *to,
                          const struct reencrypt_options *options, struct sealed *f,
                          struct sink *sink, struct seal_report *report, struct err *err);

#endif

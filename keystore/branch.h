/* branch: branch keys, so that one call to a master key serves a whole run. */
#ifndef BULLA_KEYSTORE_BRANCH_H
#define BULLA_KEYSTORE_BRANCH_H

#include "crypto/envelope.h"
#include "keystore/registry.h"

/* struct branch: a branch key with its wraps, for sealing and rewrapping; {0} is empty and safe to
 * free. */
struct branch {
    struct branch_key key;
    struct context context;
    struct slot *slots; /* one for each master key */
    size_t slot_count;
};

#define BRANCH_CLEANUP __attribute__((cleanup(branch_free)))

/* branch_new draws a branch key and wraps it by every key of the set. */
FALLIBLE branch_new(struct branch *b, const struct crypto *crypto, const struct keyset *keys,
                    const struct context *context, struct err *err);
void branch_free(struct branch *b);

/* struct branches: those that a run made, one for each set of master keys and each context; {0} is
 * empty. Of many contexts the oldest are forgotten. */
struct branches {
    bool prove; /* their slots take the place of others: each key must be seen to open one first */
    struct made_branch *list;
    size_t count, next;
    uint64_t wraps; /* by master keys */
};

/* branch_wrap wraps a branch key by one master key, and where that can unwrap, sees that it does.
 */
FALLIBLE branch_wrap(struct master_key *key, const struct branch_identity *identity,
                     const struct secret *branch_key, struct slot *slot, struct err *err);

/* branch_prove makes sure that a key opens a slot that it just made, before slots of other keys are
 * dropped. It does so once in a run, and not for keys that only seal. */
FALLIBLE branch_prove(struct master_key *key, const struct branch_identity *identity,
                      const struct secret *branch_key, const struct slot *slot, struct err *err);

/* branch_unwrap_own unwraps a slot that was just made of a branch key. UNWRAP_OPENED only if that
 * comes back: another is UNWRAP_FAILED. */
enum unwrapped branch_unwrap_own(struct master_key *key, const struct branch_identity *identity,
                                 const struct slot *slot, const struct secret *branch_key,
                                 struct err *err);

/* struct branch_table: the branch keys that were opened or made in this run, by branch id and slot,
 * to the byte: a key serves no file whose own slots did not give it. {0} is empty. */
#define BRANCH_TABLE_MAX 131072 /* entries of 64 bytes */
struct branch_table {
    struct secret entries;
    uint32_t *index; /* an open hash of entry numbers, from 1 */
    size_t count, room;
    uint64_t unwraps;   /* calls to a master key that gave a key */
    uint64_t forgotten; /* keys that did not fit any more */
};

#define BRANCH_TABLE_CLEANUP __attribute__((cleanup(branch_table_free)))

/* struct branch_opened: the keys of an envelope; {0} is empty and safe to free. */
struct branch_opened {
    struct branch_key branch;
    struct secret data_key;
    bool tag_fits; /* nobody without the branch key changed the slots */
};

#define BRANCH_OPENED_CLEANUP __attribute__((cleanup(branch_opened_free)))

/* branch_open opens an envelope by any key of the set and any slot, asking a master key only for
 * slots that are not in the table; the caller frees *o. ERR_NO_KEY, in the same words whatever the
 * reason, if none does; ERR_UNSUPPORTED if a slot that is not understood might; but if a store
 * failed on the way (ERR_STORE, ERR_POLICY), its error. */
FALLIBLE branch_open(struct branch_table *table, const struct crypto *crypto,
                     const struct keyset *keys, const struct envelope *e, struct branch_opened *o,
                     struct err *err);

/* branches_need gives the branch of this run for the keys, in their order, and the context; it
 * makes one if there is none, and puts that into the table. *out is valid until the next call. */
FALLIBLE branches_need(struct branches *b, struct branch_table *table, const struct crypto *crypto,
                       const struct keyset *keys, const struct context *context,
                       const struct branch **out, struct err *err);
void branches_free(struct branches *b);

/* branch_slot_known is true if a slot of an envelope already gave the branch key in *o in this run.
 */
bool branch_slot_known(const struct branch_table *table, const struct envelope *e,
                       const struct slot *slot, const struct branch_opened *o);

/* branch_slot_opens tells whether a master key opens a slot of an envelope to the branch key in *o,
 * or did so in this run. If it does not, *err says why the key failed; it is untouched if the slot
 * is simply not of this key. */
bool branch_slot_opens(struct branch_table *table, struct master_key *key, const struct envelope *e,
                       const struct slot *slot, const struct branch_opened *o, struct err *err);

/* branch_remember lets the table open what has a slot of a branch of this run. */
FALLIBLE branch_remember(struct branch_table *table, const struct branch_key *key,
                         const struct slot *slots, size_t count, struct err *err);

void branch_opened_free(struct branch_opened *o);
void branch_table_free(struct branch_table *table);

#endif

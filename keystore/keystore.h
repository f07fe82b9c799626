/* keystore: the interface behind which master keys live.
 *
 * A store is one const struct of operations, reached by the scheme of a key reference (registry.h).
 * Stores do not know each other.
 *
 * One key is used by one thread at a time, which its user sees to. Two keys may be used at once, of
 * one store too: what they share, a store locks itself. */
#ifndef BULLA_KEYSTORE_KEYSTORE_H
#define BULLA_KEYSTORE_KEYSTORE_H

#include <sys/stat.h>

#include "base/secret.h"
#include "crypto/envelope_core.h"
#include "crypto/slot.h"
#include "keystore/store_option.h"

struct keystore_ops;

/* What may be asked of the user. */
enum wanted {
    WANT_PASSPHRASE,
    WANT_NEW_PASSPHRASE, /* asked for twice on a terminal */
    WANT_PIN,            /* which counts wrong tries */
    WANT_PIN_TYPED       /* its last try: from a person alone */
};

/* struct store_state: what a store remembers for one host, from key to key. A store's own struct
 * begins with it. */
struct store_state {
    struct store_state *next;
    const struct keystore_ops *store;
    void (*drop)(struct store_state *state); /* the host's share of it */
};

/* struct store_states: those of a host, which opens one key at a time; {0} is empty. */
struct store_states {
    struct store_state *first;
};

/* store_states_find gives what a store remembers for a host; NULL if it does not yet. states may be
 * NULL. store_states_add gives it to the host, which frees all by store_states_free when no key is
 * open any more. */
struct store_state *store_states_find(const struct store_states *states,
                                      const struct keystore_ops *store);
void store_states_add(struct store_states *states, struct store_state *state);
void store_states_free(struct store_states *states);

/* struct keystore_env: what a store needs of the program around it. It outlives every key opened
 * with it. */
struct keystore_env {
    const struct crypto *crypto;

    /* What the stores remember between two keys; NULL = nothing. */
    struct store_states *states;

    /* Gets a passphrase or a PIN for what is named, from the user or from where the user said. The
     * caller frees *out. */
    struct result (*passphrase)(void *arg, const char *what, enum wanted wanted, struct secret *out,
                                struct err *err);
    uint32_t kdf_memory_kib; /* what a passphrase may cost at most */

    const char *credentials; /* the directory of the unit's credentials, by systemd; or NULL */

    bool seals; /* the run only seals: a key that is missing may be a new one */

    /* There are other keys, and any of them will do: one that is out of reach does not end the run,
     * but only what needs it. */
    bool may_be_away;

    /* The run moves files to new versions: only then does a name without a version wrap by the
     * highest. */
    bool rotating;

    struct store_settings settings; /* with the environment of the run */

    /* What a person should know though nothing failed. The text is not escaped. NULL drops it. */
    void (*warn)(void *arg, const char *text);

    void *arg; /* of the two */
};

/* struct master_key: one key reference, opened. A store's own struct begins with it. */
struct master_key {
    const struct keystore_ops *ops;
    uint64_t calls;    /* asked of a device or a service, which the store counts; for reports */
    uint64_t kdf_work; /* done on the slots of one file: keyset_next_file sets it to 0 */
    bool proved;       /* it opened what it wrapped, in this run */
    char *shown;       /* its reference, as it may be printed; or NULL */
};

/* struct branch_identity: what a wrap is bound to. */
struct branch_identity {
    const uint8_t *id;             /* BRANCH_ID_SIZE bytes */
    const struct context *context; /* of the core */
};

enum unwrapped {
    UNWRAP_OPENED,
    UNWRAP_NOT_MINE, /* another key may open this slot; err is untouched */
    UNWRAP_FAILED    /* this key should open it but cannot: err says why */
};

enum key_state {
    KEY_ACTIVE,   /* wraps and unwraps */
    KEY_RETIRED,  /* unwraps only */
    KEY_DISABLED, /* neither, until enabled */
    KEY_DESTROYED /* neither, for ever */
};

/* What may be done to a version of a key. The states and their order follow NIST SP 800-57, 7. */
enum key_change {
    KEY_RETIRE,     /* active -> retired */
    KEY_DISABLE,    /* active or retired -> disabled */
    KEY_ENABLE,     /* disabled -> retired */
    KEY_DESTROY,    /* retired or disabled -> destroyed */
    KEY_MAY_DESTROY /* only tells whether KEY_DESTROY is allowed */
};

/* What a slot is to a key. */
enum slot_match {
    SLOT_OTHER, /* of another key */
    SLOT_MAYBE, /* looks like one of this key, but that is not to be seen (a passphrase) */
    SLOT_DEAD,  /* for a reference to one version: of another version, which is destroyed and so no
                 * way into a file */
    SLOT_OLD,   /* of this key, but not what it would wrap now */
    SLOT_CURRENT, /* of this key's active version */
    SLOT_NEWER /* of a version above all that the keyring knows of this key: the keyring is out of
                * date, and moves nothing */
};

#define KEY_INFO_NAME_MAX 128 /* bytes */

/* struct key_info: one version of a key, for lists. */
struct key_info {
    char name[KEY_INFO_NAME_MAX + 1];
    const char *kind; /* a constant */
    char id[33];      /* hex; of a longer one the beginning */
    uint32_t version;
    uint32_t highest; /* version of this key that its file knows of; 0 = not known */
    char check[9];    /* hex; two versions of one number that differ in it are two keys; or "" */
    size_t destroyed; /* versions in its file, of whatever key */
    enum key_state state;
    uint64_t created;      /* seconds since 1970 */
    uint32_t rotate_after; /* days that a version should be active at most; 0 = not stated */
    const char *lives; /* as "on the token": where one lies that cannot be copied, and has no states
                        * nor times; a constant, or NULL for one in a file */
};

/* struct key_wanted: a key to be made. */
struct key_wanted {
    uint64_t now;
    const char *kind;      /* NULL = the store's usual one */
    uint32_t rotate_after; /* days, 0 if not stated */
    bool passphrase;       /* protect it by one */
};

/* struct key_sink: takes what a store tells of keys. A list takes keys that have versions as rows.
 * Of others, and of what they lie in, it takes facts, a name and a value at a time, neither of them
 * escaped: begin tells what the facts after it are of, such as "key", and by which reference that
 * is named. Of one key there are facts alone: row and begin may be NULL. */
struct key_sink {
    void (*row)(void *arg, const struct key_info *info);
    void (*begin)(void *arg, const char *what, const char *reference);
    void (*fact)(void *arg, const char *name, const char *value);
    void *arg;
};

/* What keys of a store have the process do, besides reading and writing files. */
enum keystore_reach {
    REACH_FILES,   /* nothing */
    REACH_MODULES, /* what the code of others does that is loaded */
    REACH_PROGRAMS /* talk to a service, and run what the user named for that */
};

#define KEY_DOUBT_MAX 96 /* bytes, with the zero */

/* struct keystore_ops: what is done with a key of a store, to open and to seal. */
struct keystore_ops {
    const char *name;

    /* Opens what a reference names, without asking for more than is needed for that. The caller
     * closes *out. Required. */
    struct result (*open)(struct master_key **out, const struct keystore_env *env,
                          const char *reference, struct err *err);

    /* Wraps branch_key (KEY_SIZE bytes) by the key's active version and fills *slot. Required. */
    struct result (*wrap)(struct master_key *key, const struct branch_identity *branch,
                          const struct secret *branch_key, struct slot *slot, struct err *err);

    /* Unwraps a slot; on UNWRAP_OPENED the caller owns *branch_key, else it is untouched. Required.
     */
    enum unwrapped (*unwrap)(struct master_key *key, const struct branch_identity *branch,
                             const struct slot *slot, struct secret *branch_key, struct err *err);

    /* Whether the key can only wrap, as the public half of a pair. Optional: NULL = it can do both.
     */
    bool (*seals_only)(const struct master_key *key);

    /* Whether a fresh wrap is unwrapped at once, to see that it opens. Not where the key can only
     * wrap, nor where each unwrap costs a call or a PIN: then once in a run, if old slots go.
     * Required. */
    bool (*reopens)(const struct master_key *key);

    /* What may be wrong with the key as it was given, if it did not open a slot of its kind: a
     * clause. *out is untouched for other slots. Optional: NULL = nothing may. */
    void (*doubt)(const struct master_key *key, const struct slot *slot, char out[KEY_DOUBT_MAX]);

    /* Tells what a slot is to the key, without using the key. Required. */
    enum slot_match (*match)(const struct master_key *key, const struct slot *slot);

    /* Frees what open gave, but for what a module that hangs may still touch. It cannot fail.
     * Required. */
    void (*close)(struct master_key *key);

    /* Turns a slot of one key into a fresh slot of another of this store, or of the same key's
     * active version, without the branch key coming here. As unwrap; on UNWRAP_OPENED *fresh is
     * filled, else it is untouched. UNWRAP_NOT_MINE too where the two keys are too far apart for
     * that. Optional. */
    enum unwrapped (*move)(struct master_key *from, struct master_key *to,
                           const struct branch_identity *branch, const struct slot *old,
                           struct slot *fresh, struct err *err);

    /* Learns which key is named, and with version true what it would wrap with now: what match then
     * goes by, where that takes a call to a service. Optional. */
    struct result (*locate)(struct master_key *key, bool version, struct err *err);

    /* Looks again whether the version that wrap used is still the one to wrap by, as its user does
     * before a result takes its place and before a source is removed. ERR_POLICY if it is not; OK
     * if nothing was wrapped. It is called for every file, so it is cheap unless something changed,
     * and asks for nothing. Optional. */
    struct result (*still_active)(struct master_key *key, struct err *err);

    /* Whether *st is the file that the key lives in, which must not be removed or written over.
     * Optional. */
    bool (*lives_in)(const struct master_key *key, const struct stat *st);

    /* Whether the version that wraps is older than its key's stated time; *info tells of name,
     * version and rotate_after. Optional. */
    bool (*overdue)(const struct master_key *key, uint64_t now, struct key_info *info);

    /* Tells all there is to know of an opened key that may help when it does not work, for 'bulla
     * key check'; it may ask the device or the service. Optional. */
    struct result (*describe)(struct master_key *key, const struct key_sink *sink, struct err *err);
};

/* struct keystore_admin: what is done to keys; each is optional. keystore_no_admin is that of a
 * store where nothing is. */
extern const struct keystore_admin keystore_no_admin;
struct keystore_admin {
    /* Makes a key as *want says, at the reference; *info tells of it. */
    struct result (*create)(const struct keystore_env *env, const char *reference,
                            const struct key_wanted *want, struct key_info *info, struct err *err);

    /* Makes the next version of a key, active; the one that was active retires. */
    struct result (*rotate)(const struct keystore_env *env, const char *reference, uint64_t now,
                            struct key_info *info, struct err *err);

    /* Sets a new passphrase on what holds the keys of the reference, or with remove true takes it
     * away. */
    struct result (*protect)(const struct keystore_env *env, const char *reference, bool remove,
                             struct err *err);

    /* Gives the text of a public key file for a key's active version; the caller frees *text.
     * */
    struct result (*export_public)(const struct keystore_env *env, const char *reference,
                                   char **text, struct err *err);

    /* Changes the state of the version that the reference names; without a version, KEY_RETIRE
     * means the active one. *info tells of it; KEY_MAY_DESTROY tells what KEY_DESTROY would make,
     * and KEY_DESTROY takes that *info. ERR_POLICY if the state does not allow the change, or the
     * version is to be destroyed and a run on this host seals to it, or another was destroyed since
     * KEY_MAY_DESTROY: a file that was looked at in between may need this one now. */
    struct result (*change)(const struct keystore_env *env, const char *reference,
                            enum key_change change, struct key_info *info, struct err *err);

    /* Calls sink for each version of each key that the reference names. */
    struct result (*list)(const struct keystore_env *env, const char *reference,
                          const struct key_sink *sink, struct err *err);
};

/* struct keystore_scheme: a way in which a reference to a key of a store may begin; the prefix of
 * the last of a list is NULL. One that ends in ':' is written in any case, "" takes what no other
 * does. */
struct keystore_scheme {
    const char *prefix;
    bool strip;       /* the store does not get to see it */
    const char *form; /* as the help shows a reference, or NULL for one that another shows */
    const char *help; /* what that is */
};

/* struct store_variable: variables of the environment that a store or its libraries read by
 * themselves, as the help has them; names of the last of a list is NULL. */
struct store_variable {
    const char *names, *help;
};

/* struct keystore: a store, as the list of all has it (keystore/store_list.c). What it says of
 * itself is there in every build; what it does may not be. */
struct keystore {
    const char
        *title; /* for people, as in "no keyring key store"; NULL = it is not told of by itself */
    const struct keystore_scheme *schemes;
    const struct slot_method *const *methods;  /* lists of them; NULL after the last */
    const struct store_option *const *options; /* the same */
    const struct store_variable *variables;    /* or NULL */
    enum keystore_reach reach;
    const struct keystore_ops *ops; /* NULL: not in this build */
    const struct keystore_admin *admin;

    /* Gives a reference, of whatever store, with stars for what may be a secret in one of this; the
     * caller frees it. NULL if memory is out. A NULL redact: a reference has no secrets. */
    char *(*redact)(const char *reference);

    /* Whether a reference, without the prefix where that is stripped, is one for this store, where
     * several have one scheme: the first that takes it gets it. NULL = any is. */
    bool (*takes)(const char *reference);

    /* Gives the path of the file that a reference is in; the caller frees it. NULL where keys are
     * not in files. */
    struct result (*file)(const char *reference, char **path, struct err *err);

    /* Gives the path of the file that is read for a reference: the one that it is in, or that its
     * PIN is in; the caller frees it. *path is NULL if there is none. NULL where there never is. */
    struct result (*reads)(const char *reference, char **path, struct err *err);

    /* The variables among those above that name files; NULL after the last. NULL = none does. */
    const char *const *file_variables;

    /* Whether a thread that the store gave up on may still run code of others. NULL = never. */
    bool (*left_behind)(void);
};

/* keystore_shown names a key in messages. */
const char *keystore_shown(const struct master_key *key);

/* key_state_name gives the word for a state, a constant: in keyrings, in lists and in messages. */
const char *key_state_name(enum key_state state);

/* key_state_by_name is its inverse; false if there is no such state, and then *state is untouched.
 */
bool key_state_by_name(const char *name, enum key_state *state);

#endif

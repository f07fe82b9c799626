/* registry: from a key reference to its store. */
#ifndef BULLA_KEYSTORE_REGISTRY_H
#define BULLA_KEYSTORE_REGISTRY_H

#include "keystore/keystore.h"

/* registry_find gives the store of a reference and the reference as the store takes it, without a
 * "file:" in front. ERR_UNSUPPORTED if this build has no such store. */
FALLIBLE registry_find(const struct keystore **store, const char **rest, const char *reference,
                       struct err *err);

/* registry_has_scheme is true if a reference begins by saying what kind it is of. */
bool registry_has_scheme(const char *reference);

/* registry_check_no_pin fails with ERR_USAGE if a reference of a store without secrets may have a
 * PIN.
 */
FALLIBLE registry_check_no_pin(const char *reference, struct err *err);

/* registry_each calls visit for each key store that has a title. */
void registry_each(void (*visit)(void *arg, const struct keystore *store), void *arg);

/* registry_options calls visit for each option of all stores, once. */
void registry_options(void (*visit)(void *arg, const struct keystore *store,
                                    const struct store_option *option),
                      void *arg);

/* registry_has_option is true if an option is one of a store's. */
bool registry_has_option(const struct keystore *store, const struct store_option *option);

/* registry_option gives the option of a name; NULL if there is none. */
const struct store_option *registry_option(const char *name);

/* registry_set says something for the option of a name, as store_set. */
void registry_set(struct store_settings *s, const char *name, const char *text, uint64_t number);

/* registry_left_behind is true if a store left a thread behind in code of others, as of a module
 * that hangs: then the process must end without exit handlers, which take from that code what it
 * works with. */
bool registry_left_behind(void);

/* struct keyset: the master keys a user named, in that order; {0} is empty and safe to close. */
struct keyset {
    struct master_key **keys;
    size_t count;
};

#define KEYSET_CLEANUP __attribute__((cleanup(keyset_close)))

/* keyset_open opens every reference, or none. */
FALLIBLE keyset_open(struct keyset *set, const struct keystore_env *env,
                     const char *const *references, size_t count, struct err *err);
void keyset_close(struct keyset *set);

/* keyset_locate asks every key that can for what match goes by, up to the first that fails. */
FALLIBLE keyset_locate(const struct keyset *set, bool version, struct err *err);

/* keyset_still_active is still_active of every key that has it, up to the first that fails. */
FALLIBLE keyset_still_active(const struct keyset *set, struct err *err);

/* keyset_next_file begins a new file: the keys may do the full amount of KDF work on its slots. */
void keyset_next_file(const struct keyset *set);

/* keyset_calls gives how often the keys asked a token or a service. */
uint64_t keyset_calls(const struct keyset *set);

/* keyset_lives_in is true if one of the keys lives in the file *st. */
bool keyset_lives_in(const struct keyset *set, const struct stat *st);

/* keyset_check_age fails with ERR_POLICY if a slot is of a later version than one of the keys knows
 * of: that key would move the file back. */
FALLIBLE keyset_check_age(const struct keyset *set, const struct slot *slots, size_t count,
                          struct err *err);

/* keyset_matches is true if a slot is, or may be, of one of the keys. */
bool keyset_matches(const struct keyset *set, const struct slot *slot);

#endif

/* options: the command line. Each verb's file has its struct verb with rows for its options;
 * parser, help, hints, confinement and freeing all walk these rows. */
#ifndef BULLA_CMD_OPTIONS_H
#define BULLA_CMD_OPTIONS_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "keystore/store_option.h"

/* struct list: strings of the command line, not owned. */
struct list {
    const char **items;
    size_t count;
};

/* struct store_value: what is given for an option of a key store. */
struct store_value {
    const char *text;
    uint64_t number;
    unsigned choice;
    bool flag;
};

/* Which keys stand in for those that are not given. */
enum fallback {
    FALLBACK_NONE,
    FALLBACK_OPERAND, /* BULLA_KEY alone, for an operand */
    FALLBACK_SEAL,    /* BULLA_KEY, else what the config file has for the path that is sealed */
    FALLBACK_KEEP,    /* BULLA_KEY, else the default keys of the config file */
    FALLBACK_OPEN     /* BULLA_KEY, else the keys by which it opens files */
};

/* struct options: what the command line says; strings belong to argv. */
struct options {
    struct list keys, to, add, remove_keys, context, require_context, check, needs, operands, tags,
        metadata;
    const char *output, *envelope, *name, *require_name, *files_from, *shard, *rotate_after, *kind,
        *passphrase_fd, *passphrase_command, *new_passphrase_fd, *new_passphrase_command, *offset,
        *pin_fd, *pin_command, *from_command, *storage_class, *sse_kms_key, *acl, *older_than,
        *inventory;
    const char *group;      /* "key": the group whose verbs the help shows; NULL = all */
    const char *topic;      /* a topic that it shows instead; NULL = none */
    enum fallback fallback; /* of the verb */
    uint64_t generation, min_generation, max_kdf_mem, jobs, length, bandwidth, expected_size;
    unsigned progress, suite, sync;               /* as the choices of their rows say */
    struct store_value stores[STORE_OPTIONS_MAX]; /* as the rows of store_rows.h have them */
    bool allow_empty, allow_wider;
    bool deletes, detach, dry_run, follow, force, help, json, no_condition, null, one_file_system,
        only_copies, passphrase, preserve_times, quiet, recursive, remove, remove_source,
        requester_pays, same_owner, share_branch, verbose, versions;
};

/* Where a row sets a field of struct options. */
#define FIELD(name) offsetof(struct options, name)

/* What a verb does with what it is given. */
enum use {
    USE_NOTHING,
    USE_READ,
    USE_ANYWHERE, /* words that may lead to any file, which is read */
    USE_CHANGE,   /* or makes it */
    USE_REPLACE,  /* changes it, or replaces it in all directories that have a name of it */
    USE_BESIDE,   /* reads it, and makes others beside it where -o names no other place */
    USE_KEY,      /* it is a key, which is read */
    USE_NEW_KEY   /* or changed, or made */
};

enum kind {
    FLAG,         /* bool */
    TEXT,         /* const char * */
    DESCRIPTOR,   /* const char *, the number of one */
    NUMBER,       /* uint64_t, 1 or more; 0 = not given */
    CHOICE,       /* unsigned, the value of a word */
    LIST_OF_TEXT, /* struct list */
};

/* struct row: an option. */
struct row {
    const char *name; /* NULL after the last of an array */
    char letter;      /* 0 = none */
    const char *metavar;
    enum kind kind;
    size_t offset; /* of what it sets in struct options */
    const char *help;
    enum use use; /* of what it names */
    uint64_t most;
    const char *unit;
    const struct choice *choices;
};

struct verb {
    const char *group; /* "key" of "key new", or NULL */
    const char *name;
    const char *operands; /* as the help shows them */
    size_t least, most;   /* operands; ANY_NUMBER */
    const char *summary;
    const char *more; /* a paragraph for the verb's help */
    int (*run)(const struct options *o);
    enum use operand; /* of each operand */
    enum fallback fallback;
    bool gives;                    /* results get the group or owner of what they were made from */
    const struct row *const *rows; /* arrays of them; NULL after the last */
    const struct row *const *key_rows; /* the same, of what keys need; or NULL */
    unsigned store_uses;               /* of enum store_use, where it has key_rows */
    const char *examples;              /* lines of a shell, or NULL */
};

#define ANY_NUMBER SIZE_MAX

/* options_parse reads a command line: *verb is NULL where it asks for the overview. It may change
 * the order of argv. The caller frees by options_free. ERR_USAGE. */
FALLIBLE options_parse(struct options *o, const struct verb **verb, int argc, char **argv,
                       struct err *err);
void options_free(struct options *o);

/* options_visit calls visit for each value of each option that is given. */
void options_visit(const struct verb *verb, const struct options *o,
                   void (*visit)(void *arg, const struct row *row, const char *value), void *arg);

/* options_next walks the rows of a verb: begin with {0}; NULL after the last. */
struct row_walk {
    size_t array, at;
    bool keys;   /* it has reached key_rows */
    bool stores; /* and the rows of key stores */
};
const struct row *options_next(struct row_walk *w, const struct verb *verb);

/* struct options_state: what is known of a command line after some of its words. */
struct options_state {
    const struct verb *verb; /* NULL = not given yet */
    const char *group;       /* that is given, or NULL */
    const struct row *row;   /* whose value the next word is, or NULL */
    bool only_operands;      /* "--" was given */
    bool unknown;            /* there is no such verb */
};

/* options_follow reads words as options_parse would, but not what comes after the last. */
void options_follow(struct options_state *at, const char *const *words, size_t count);

/* options_row gives the row of a long option of the verb, or of any if that is NULL; size is the
 * number of its bytes. NULL if there is none. */
const struct row *options_row(const struct verb *verb, const char *name, size_t size);

#define VERB_NAME_MAX 32 /* bytes of "envelope restore", with the terminating zero */

/* options_verb_name is out, filled with group and name. */
const char *options_verb_name(const struct verb *v, char out[VERB_NAME_MAX]);

/* options_is_in is true if the verb is one of the group, or with NULL of none. */
bool options_is_in(const struct verb *v, const char *group);

#endif

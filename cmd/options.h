/* options: the command line. One row for each verb and one for each option give the parser and the
 * help. */
#ifndef BULLA_CMD_OPTIONS_H
#define BULLA_CMD_OPTIONS_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

/* struct list: strings of the command line, not owned. */
struct list {
    const char **items;
    size_t count;
};

/* struct options: what the command line says; strings belong to argv. */
struct options {
    struct list keys, to, add, remove_keys, context, require_context, check, needs, operands;
    const char *output, *envelope, *name, *require_name, *suite, *files_from, *shard, *rotate_after,
        *sync, *kind, *progress, *passphrase_fd, *passphrase_command, *new_passphrase_fd,
        *new_passphrase_command, *offset, *endpoint, *pin_fd, *pin_command, *module, *module_args,
        *oaep, *from_command;
    const char *group; /* "key": whose verbs the help shows; NULL = all */
    uint64_t generation, min_generation, max_kdf_mem, jobs, length, kms_timeout, token_timeout;
    bool allow_empty, allow_pin_in_uri, allow_wider;
    bool detach, dry_run, follow, force, help, json, null, one_file_system, passphrase,
        preserve_times, quiet, recursive, remove, remove_source, same_owner, share_branch;
};

/* What a verb does with the files that it is given. */
enum use {
    USE_NOTHING,
    USE_READ,
    USE_CHANGE,  /* or makes it */
    USE_REPLACE, /* changes it, or replaces it in all directories that have a name of it */
    USE_BESIDE,  /* reads it, and makes others beside it where -o names no other place */
    USE_KEY,     /* it is a key, which is read */
    USE_NEW_KEY  /* or changed, or made */
};

struct verb {
    unsigned bit;      /* for the option table */
    const char *group; /* "key" of "key new", or NULL */
    const char *name;
    const char *operands; /* as the help shows them */
    size_t least, most;   /* operands */
    const char *summary;
    const char *more; /* a paragraph for the verb's help */
    int (*run)(const struct options *o);
    enum use operand, envelope; /* of each operand, of what --envelope names */
    bool fallback;              /* takes BULLA_KEY for a key that is not given */
};

/* options_parse reads a command line: *verb is NULL where it asks for the overview. The caller
 * frees by options_free. ERR_USAGE. */
FALLIBLE options_parse(struct options *o, const struct verb **verb, int argc, char **argv,
                       struct err *err);
void options_free(struct options *o);

/* options_help prints the help of a verb, or for NULL that of a group or the overview, to standard
 * output. */
void options_help(const struct options *o, const struct verb *verb);

#endif

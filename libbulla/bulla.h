/* bulla: envelope encryption for backups at rest, as a library (docs/LIBRARY.md).
 *
 * A handle holds keys and settings, and nothing of it is shared with another handle. Calls on one
 * handle take turns; two handles work at the same time in two threads.
 *
 * The library neither prints nor ends the process, reads no environment, starts no program, and
 * leaves the signals, the umask, the allocators and the descriptors 0 to 2 of the process alone.
 * What it needs of the world around it, it asks for by the callbacks of the handle, each of which
 * may be left out.
 *
 * Every struct that a caller fills begins with its size, which BULLA_INIT sets: members that later
 * versions add are zero for a program that does not know them. Zero is the usual choice everywhere.
 * Strings end with a zero and are UTF-8. What a caller passes in belongs to the caller, and need
 * not outlive the call; bulla_new says what must. */
#ifndef BULLA_H
#define BULLA_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* BULLA_INIT begins a struct: struct bulla_input in = {BULLA_INIT(struct bulla_input), .fd = 3}; */
#define BULLA_INIT(type) .size = sizeof(type)

/* enum bulla_status: what became of a call, and what a callback returns. The numbers are the exit
 * statuses of the program bulla. More may be added, none changes. */
enum bulla_status {
    BULLA_DONE = 0,
    BULLA_FAILED = 1,     /* I/O, memory and the rest */
    BULLA_USAGE = 2,      /* the call makes no sense, as with a reference that names no key */
    BULLA_PARTIAL = 3,    /* part of a batch failed; no call of this version has batches */
    BULLA_DAMAGED = 4,    /* damaged or forged data */
    BULLA_NO_KEY = 5,     /* none of the keys of the handle opens it */
    BULLA_STORE = 6,      /* a key store or file system cannot be reached; a retry may help */
    BULLA_POLICY = 7,     /* refused: generation, context, name, state of a key, or by a callback */
    BULLA_NEWER = 8,      /* made by a newer bulla, or needs a part that this build lacks */
    BULLA_EXISTS = 9,     /* the output is there already */
    BULLA_MISSING = 10,   /* the input is not there */
    BULLA_FOREIGN = 11,   /* it is no sealed file, or no key file */
    BULLA_CANCELLED = 130 /* by bulla_cancel */
};

/* struct bulla_error: why a call failed. text says what failed on what, hint, if it is not empty,
 * what to do; neither ever holds a secret, nor is it escaped: it may quote names of files. Every
 * call takes a pointer to one, or NULL, and writes to it only if it fails. */
struct bulla_error {
    int status; /* enum bulla_status */
    char text[1024];
    char hint[512];
};

struct bulla; /* a handle */

/* Callbacks return BULLA_DONE or why not. They are called by the thread that called the library, or
 * by a thread of the library while that one waits; never two at once for one
 * handle, but that with several threads those of an input and of an output may be. A callback may
 * use other handles, not its own, of which it may only call bulla_cancel. */

/* What a secret is wanted for. */
enum bulla_secret {
    BULLA_PASSPHRASE,
    BULLA_NEW_PASSPHRASE, /* to seal by: have it typed twice */
    BULLA_PIN,            /* of a token */
    BULLA_PIN_LAST        /* its last try: a wrong one locks the token */
};

/* struct bulla_key: a key that the program wraps by itself. References "external:NAME" name it. The
 * name is stored in what is sealed, for all to see. */
struct bulla_key {
    size_t size;
    const char *name; /* 1 to 64 bytes */

    /* Wraps the 32 bytes of key, so that only who is to open the file can unwrap them, and writes
     * at most room bytes (6144). bound must come back with the wrap unchanged, or unwrap must fail:
     * it is meant as the additional data of authenticated encryption. NULL = this key only opens.
     */
    int (*wrap)(void *arg, const uint8_t key[32], const uint8_t *bound, size_t bound_size,
                uint8_t *out, size_t room, size_t *out_size);

    /* Unwraps what wrap made. BULLA_NO_KEY if it is of another key of that name. NULL = this key
     * only seals. */
    int (*unwrap)(void *arg, const uint8_t *wrapped, size_t size, const uint8_t *bound,
                  size_t bound_size, uint8_t key[32]);
    void *arg;
};

/* struct bulla_options: a handle's. Strings, keys and callbacks must last as long as the handle. */
struct bulla_options {
    size_t size;

    const char *const *keys; /* references, as bulla-keys(7) has them: "file:/etc/backup.ring" */
    size_t key_count;        /* 0 = none, for bulla_inspect */
    const struct bulla_key *const *external; /* what "external:" references name */
    size_t external_count;

    unsigned threads; /* of one call; 0 = the calling one alone */

    const char *token_module;       /* PKCS#11 module where a reference names none */
    unsigned token_timeout;         /* seconds; 0 = 60 */
    const char *kms_endpoint;       /* URL in place of that of AWS KMS */
    unsigned kms_timeout;           /* seconds; 0 = 60 */
    uint32_t passphrase_memory_kib; /* that opening by a passphrase may take; 0 = 1048576 */

    void *arg; /* of the callbacks that follow */

    /* Gives a secret for what is named: at most room bytes, *out_size of them. NULL = BULLA_POLICY.
     */
    int (*secret)(void *arg, const char *what, int kind, char *out, size_t room, size_t *out_size);

    /* Gives what the program reads from its environment (AWS_PROFILE, HOME and so on), or NULL. The
     * text lasts as long as the handle. NULL = nothing is set. */
    const char *(*variable)(void *arg, const char *name);

    /* Runs a command that the AWS configuration names (credential_process) without a shell, and
     * writes at most room bytes of what it prints. argv ends with NULL. NULL = BULLA_POLICY. */
    int (*run)(void *arg, const char *const *argv, unsigned seconds, char *out, size_t room,
               size_t *out_size);

    /* Takes what a person should know though nothing failed. NULL drops it. */
    void (*warn)(void *arg, const char *text);
};

/* bulla_new makes a handle and opens its keys: files are read, tokens and services asked only when
 * they are needed. *handle is untouched on failure. */
int bulla_new(struct bulla **handle, const struct bulla_options *options,
              struct bulla_error *error);

/* bulla_free wipes and frees a handle, or NULL. No call on it may be running. */
void bulla_free(struct bulla *handle);

/* bulla_cancel makes the running call of a handle, and all later ones, end with BULLA_CANCELLED;
 * from any thread, or from a signal handler. What blocks in a callback ends only when that returns.
 * bulla_resume undoes it. */
void bulla_cancel(struct bulla *handle);
void bulla_resume(struct bulla *handle);

/* struct bulla_input: where bytes come from: a callback, or a descriptor, which stays open. */
struct bulla_input {
    size_t size;
    const char *name; /* for messages; NULL = "input" */

    /* Reads up to room bytes, *got of them, 0 only at the end, where it may be asked again. NULL =
     * fd is read. */
    int (*read)(void *arg, void *out, size_t room, size_t *got);
    void *arg;
    int fd;
};

/* struct bulla_output: where bytes go to, in order: a callback, or a descriptor, which stays open
 * and is not synced; not of the file that is read, nor of a keyring of the handle. */
struct bulla_output {
    size_t size;
    const char *name; /* for messages; NULL = "output" */

    /* Takes all of the bytes. NULL = they are written to fd; a pipe that nobody reads raises
     * SIGPIPE, as with write(2). */
    int (*write)(void *arg, const void *bytes, size_t size);
    void *arg;
    int fd;
};

enum bulla_suite {
    BULLA_SUITE_USUAL, /* of a new file AES-256-GCM; of a reencrypted one as it was */
    BULLA_SUITE_AES_256_GCM,
    BULLA_SUITE_CHACHA20_POLY1305
};

/* struct bulla_seal_options: what is stored with a file, authenticated but not secret. */
struct bulla_seal_options {
    size_t size;
    const char *name;           /* at most 1024 bytes; NULL = none */
    uint64_t generation;        /* 0 = none */
    const char *const *context; /* "KEY=VALUE" */
    size_t context_count;
    int suite; /* enum bulla_suite */
};

/* struct bulla_report: what a call did. The caller fills in size alone. */
struct bulla_report {
    size_t size;
    uint64_t plain_size; /* bytes */
    uint8_t file_id[16];
};

/* bulla_seal seals all of in to the keys of the handle. What out got is whole only if the call
 * succeeds: else drop it. options and report may be NULL. */
int bulla_seal(struct bulla *handle, const struct bulla_seal_options *options,
               const struct bulla_input *in, const struct bulla_output *out,
               struct bulla_report *report, struct bulla_error *error);

/* struct bulla_open_options: what a file must have, else BULLA_POLICY. */
struct bulla_open_options {
    size_t size;
    const char *name;           /* NULL = any */
    uint64_t generation;        /* at least */
    const char *const *context; /* "KEY=VALUE", these and perhaps others */
    size_t context_count;
    int strict; /* true: slots that somebody without the key changed are BULLA_DAMAGED */
};

/* bulla_open opens a sealed file. out gets authentic bytes only, but they are all, and in the end
 * meant for it, only if the call succeeds: else drop them. options and report may be NULL. */
int bulla_open(struct bulla *handle, const struct bulla_open_options *options,
               const struct bulla_input *in, const struct bulla_output *out,
               struct bulla_report *report, struct bulla_error *error);

/* bulla_verify is bulla_open that drops the plaintext, and is strict. */
int bulla_verify(struct bulla *handle, const struct bulla_open_options *options,
                 const struct bulla_input *in, struct bulla_report *report,
                 struct bulla_error *error);

/* struct bulla_change: other keys for a file that the keys of the handle open. to is instead of all
 * keys that it has; add and remove change these. Without any, each slot of a key of the handle
 * moves to that key's active version. */
struct bulla_change {
    size_t size;
    const char *const *to, *const *add, *const *remove;
    size_t to_count, add_count, remove_count;
    int dry_run;        /* true: only tells */
    int preserve_times; /* true: modification times stay */
};

enum bulla_rewrapped {
    BULLA_REWRAP_CURRENT, /* nothing was to be done */
    BULLA_REWRAP_OTHER,   /* neither, for it is sealed to other keys */
    BULLA_REWRAP_DONE,    /* or, in a dry run, would be */
    BULLA_REWRAP_COPIED,  /* done by a copy, for the envelope needed more room */
    BULLA_REWRAP_WAITS    /* until the handle is given the other names (hard links) of the file */
};

/* bulla_rewrap changes the envelope of the file at path, in place where it can; the data are
 * neither read nor written. At every instant the file opens with the keys that it had or with those
 * it gets. *outcome (enum bulla_rewrapped) may be NULL, and so may change. BULLA_NO_KEY if no key
 * of the handle opens the file, but for BULLA_REWRAP_OTHER. */
int bulla_rewrap(struct bulla *handle, const struct bulla_change *change, const char *path,
                 int *outcome, struct bulla_error *error);

/* bulla_rewrap_stream writes in with the changed envelope to out, whole or not: what out got counts
 * only if the call succeeds, and then it is the whole file, changed or not. In a dry run out is
 * NULL. */
int bulla_rewrap_stream(struct bulla *handle, const struct bulla_change *change,
                        const struct bulla_input *in, const struct bulla_output *out, int *outcome,
                        struct bulla_error *error);

/* struct bulla_reencrypt_options: what the new file has; zero = as the old one. */
struct bulla_reencrypt_options {
    size_t size;
    const char *const *to; /* keys of the new file; NULL = those of the handle */
    size_t to_count;
    uint64_t generation; /* BULLA_POLICY if it is lower than the old one's */
    int suite;           /* enum bulla_suite */
};

/* bulla_reencrypt opens in and seals that to out by a new data key, chunk by chunk. Unless to names
 * keys, BULLA_POLICY if in is sealed to keys that the handle does not have. options and report may
 * be NULL. */
int bulla_reencrypt(struct bulla *handle, const struct bulla_reencrypt_options *options,
                    const struct bulla_input *in, const struct bulla_output *out,
                    struct bulla_report *report, struct bulla_error *error);

/* struct bulla_slot: one key that a file is sealed to, by what the file says of it. Anybody who
 * can write the file can say that. */
struct bulla_slot {
    const char *method; /* "keyring-xaes", "passphrase" and so on, or "unknown" */
    const char *key;    /* which key: for people, escaped */
    unsigned code;      /* of the method, as docs/FORMAT.md has it */
};

/* struct bulla_info: what a file says of itself. Made by the library, which may add members at its
 * end. Nothing of it is authentic before the file was opened. */
struct bulla_info {
    uint8_t file_id[16];
    uint64_t created; /* seconds since 1970 */
    uint64_t generation;
    const char *name; /* "" = none */
    const char *suite;
    const char *const *context; /* "KEY=VALUE" */
    size_t context_count;
    const struct bulla_slot *const *slots;
    size_t slot_count;
    unsigned copies_good; /* of the 2 of its envelope */
    uint64_t envelope_size;
};

/* bulla_inspect reads the envelope of a file, which takes no key. The caller frees *info by
 * bulla_info_free. */
int bulla_inspect(struct bulla *handle, const struct bulla_input *in, struct bulla_info **info,
                  struct bulla_error *error);
void bulla_info_free(struct bulla_info *info);

/* struct bulla_state: what a file is to the keys of a handle, by the names in its slots. */
struct bulla_state {
    size_t size;
    size_t slots;         /* all */
    size_t current;       /* of an active version of a key of the handle */
    size_t old;           /* of another version of one */
    size_t maybe;         /* that look like one, as a passphrase's */
    size_t other;         /* of keys that the handle does not have */
    int due;              /* whether bulla_rewrap without a change would do something */
    unsigned copies_good; /* of the 2 of its envelope */
};

/* bulla_status tells what a file is to the keys of the handle without opening it. */
int bulla_status(struct bulla *handle, const struct bulla_input *in, struct bulla_state *state,
                 struct bulla_error *error);

/* bulla_version is that of the library, such as "0.1.0". */
const char *bulla_version(void);

#ifdef __cplusplus
}
#endif

#endif

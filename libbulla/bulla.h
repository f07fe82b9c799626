/* bulla: envelope encryption for backups at rest, as a library (docs/LIBRARY.md).
 *
 * A handle holds keys and settings, and shares nothing with another handle but the logins of
 * PKCS#11 tokens, which belong to the process. Calls on one handle take turns; two handles work at
 * the same time in two threads.
 *
 * The library neither prints nor ends the process, reads no environment, starts no program, and
 * leaves the signals, the umask, the allocators and the descriptors 0 to 2 of the process alone. It
 * asks for what it needs through the callbacks of the handle, each of which may be left out.
 *
 * Every struct that a caller fills begins with its size, which BULLA_INIT sets: members that later
 * versions add are zero for a program that does not know them. Zero is the default everywhere.
 * Strings end with a zero and are UTF-8. What a caller passes in belongs to the caller, and need
 * not outlive the call, except where bulla_new says so. */
#ifndef BULLA_H
#define BULLA_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* BULLA_INIT begins a struct: struct bulla_input in = {BULLA_INIT(struct bulla_input), .fd = 3}; */
#define BULLA_INIT(type) .size = sizeof(type)

/* enum bulla_status: the result of a call, and of a callback. The numbers are the exit statuses of
 * the program bulla. More may be added, none changes. */
enum bulla_status {
    BULLA_DONE = 0,
    BULLA_FAILED = 1,     /* I/O, memory and the rest */
    BULLA_USAGE = 2,      /* the call makes no sense, for example a reference that names no key */
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

/* struct bulla_error: why a call failed. text says what failed; hint, if it is not empty, says what
 * to do. Neither ever holds a secret. Neither is escaped, and both may quote names of files. Every
 * call takes a pointer to one, or NULL, and writes to it only if it fails. */
struct bulla_error {
    int status; /* enum bulla_status */
    char text[1024];
    char hint[512];
};

struct bulla; /* a handle */

/* Callbacks return BULLA_DONE, or another status that says why not. They are called by the thread
 * that called the library, or by a thread of the library while that one waits. Only one callback of
 * a handle runs at a time, except that with several threads an input and an output may be called at
 * once. A callback may use other handles. On its own handle it may call only bulla_cancel. */

/* What a secret is wanted for. */
enum bulla_secret {
    BULLA_PASSPHRASE,
    BULLA_NEW_PASSPHRASE, /* for sealing: ask for it twice */
    BULLA_PIN,            /* of a token */
    BULLA_PIN_LAST        /* its last try: a wrong one locks the token */
};

/* struct bulla_key: a key that the program itself wraps with. The reference "external:NAME" names
 * it. The name is stored in sealed files, where anybody can read it. */
struct bulla_key {
    size_t size;
    const char *name; /* 1 to 64 bytes */

    /* Wraps the 32 bytes of key, so that only those who may open the file can unwrap them. Writes
     * at most room (6144) bytes to out. unwrap must fail unless it gets the same bound: use it as
     * the additional data of authenticated encryption. NULL = this key only opens. */
    int (*wrap)(void *arg, const uint8_t key[32], const uint8_t *bound, size_t bound_size,
                uint8_t *out, size_t room, size_t *out_size);

    /* Unwraps what wrap made. Returns BULLA_NO_KEY if another key of that name made it. NULL = this
     * key only seals. */
    int (*unwrap)(void *arg, const uint8_t *wrapped, size_t size, const uint8_t *bound,
                  size_t bound_size, uint8_t key[32]);
    void *arg;
};

/* struct bulla_options: the settings of a handle. Strings, keys and callbacks must last as long as
 * the handle. */
struct bulla_options {
    size_t size;

    const char *const *keys; /* references as in bulla-keys(7), such as "file:/etc/backup.ring" */
    size_t key_count;        /* 0 = none, for bulla_inspect */
    const struct bulla_key *const *external; /* what "external:" references name */
    size_t external_count;

    unsigned threads; /* of one call; 0 = only the calling thread */

    const char *token_module;       /* PKCS#11 module of references that name none */
    unsigned token_timeout;         /* seconds; 0 = 60 */
    const char *kms_endpoint;       /* URL instead of that of AWS KMS */
    unsigned kms_timeout;           /* seconds; 0 = 60 */
    uint32_t passphrase_memory_kib; /* that opening with a passphrase may take; 0 = 1048576 */

    void *arg; /* for the callbacks that follow */

    /* Writes the secret of kind (enum bulla_secret) for what to out: at most room bytes, *out_size
     * of them. NULL = a call that needs one fails with BULLA_POLICY. */
    int (*secret)(void *arg, const char *what, int kind, char *out, size_t room, size_t *out_size);

    /* Returns the value of a variable that the program bulla would read from its environment
     * (AWS_PROFILE, HOME and so on), or NULL. The text lasts as long as the handle. NULL = no
     * variable is set. */
    const char *(*variable)(void *arg, const char *name);

    /* Runs a command that the AWS configuration names (credential_process), without a shell and for
     * at most so many seconds, and writes at most room bytes of its output to out. argv ends with
     * NULL. NULL = a call that needs one fails with BULLA_POLICY. */
    int (*run)(void *arg, const char *const *argv, unsigned seconds, char *out, size_t room,
               size_t *out_size);

    /* Gets a warning for people. NULL drops them. */
    void (*warn)(void *arg, const char *text);
};

/* bulla_new makes a handle and opens its keys. It reads key files and looks for keys on their
 * tokens, which may take the PIN; services are asked only when they are needed. Of several keys,
 * one whose token is away is a warning, and what needs it fails. *handle stays as it is on
 * failure. */
int bulla_new(struct bulla **handle, const struct bulla_options *options,
              struct bulla_error *error);

/* bulla_free wipes and frees a handle, or NULL. No call on it may be running. */
void bulla_free(struct bulla *handle);

/* bulla_cancel makes the running call of a handle, and all later ones, end with BULLA_CANCELLED.
 * Call it from any thread, or from a signal handler. A call that waits for a callback ends only
 * when the callback returns. bulla_resume undoes it. */
void bulla_cancel(struct bulla *handle);
void bulla_resume(struct bulla *handle);

/* struct bulla_input: the source of bytes: a callback, or a descriptor, which stays open. */
struct bulla_input {
    size_t size;
    const char *name; /* for messages; NULL = "input" */

    /* Reads up to room bytes, and sets *got to their number, 0 only at the end. May be called again
     * after the end. NULL = fd is read. */
    int (*read)(void *arg, void *out, size_t room, size_t *got);
    void *arg;
    int fd;
};

/* struct bulla_output: where bytes go, in order: a callback, or a descriptor, which stays open and
 * is not synced. It must not be that of the file that is read, nor of a keyring of the handle. */
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
    BULLA_SUITE_USUAL, /* AES-256-GCM for a new file; unchanged in bulla_reencrypt */
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

/* struct bulla_report: what a call did. The caller sets only size. */
struct bulla_report {
    size_t size;
    uint64_t plain_size; /* bytes */
    uint8_t file_id[16];
};

/* bulla_seal seals all of in to the keys of the handle. The output is complete only if the call
 * succeeds; otherwise drop it. options and report may be NULL. */
int bulla_seal(struct bulla *handle, const struct bulla_seal_options *options,
               const struct bulla_input *in, const struct bulla_output *out,
               struct bulla_report *report, struct bulla_error *error);

/* struct bulla_open_options: what a file must have; otherwise the call fails with BULLA_POLICY. */
struct bulla_open_options {
    size_t size;
    const char *name;           /* NULL = any */
    uint64_t generation;        /* at least */
    const char *const *context; /* "KEY=VALUE", these and perhaps others */
    size_t context_count;
    int strict; /* true: slots that somebody without the key changed are BULLA_DAMAGED */
};

/* bulla_open opens a sealed file. out gets only authentic bytes, but they are complete only if the
 * call succeeds; otherwise drop them. options and report may be NULL. */
int bulla_open(struct bulla *handle, const struct bulla_open_options *options,
               const struct bulla_input *in, const struct bulla_output *out,
               struct bulla_report *report, struct bulla_error *error);

/* bulla_verify is a strict bulla_open that drops the plaintext. */
int bulla_verify(struct bulla *handle, const struct bulla_open_options *options,
                 const struct bulla_input *in, struct bulla_report *report,
                 struct bulla_error *error);

/* struct bulla_change: other keys for a file that the keys of the handle open. to replaces all its
 * keys; add and remove change them. With none of these, each slot of a key of the handle moves to
 * that key's active version. */
struct bulla_change {
    size_t size;
    const char *const *to, *const *add, *const *remove;
    size_t to_count, add_count, remove_count;
    int dry_run;        /* true: nothing is changed */
    int preserve_times; /* true: modification times stay */
};

enum bulla_rewrapped {
    BULLA_REWRAP_CURRENT, /* there was nothing to do */
    BULLA_REWRAP_OTHER,   /* there was nothing to do: the file is sealed to other keys */
    BULLA_REWRAP_DONE,    /* or, in a dry run, would be */
    BULLA_REWRAP_COPIED,  /* done by a copy, because the envelope needed more room */
    BULLA_REWRAP_WAITS    /* until the handle is given the other names (hard links) of the file */
};

/* bulla_rewrap changes the envelope of the file at path, in place if possible, without reading or
 * writing the data. At every instant the file opens with its old keys or with its new ones.
 * *outcome is of enum bulla_rewrapped; outcome and change may be NULL. BULLA_NO_KEY if no key of
 * the handle opens the file, unless the outcome is BULLA_REWRAP_OTHER. */
int bulla_rewrap(struct bulla *handle, const struct bulla_change *change, const char *path,
                 int *outcome, struct bulla_error *error);

/* bulla_rewrap_stream copies in to out with the changed envelope. The output is complete only if
 * the call succeeds; it is then the whole file, even if nothing was to be changed. In a dry run out
 * is NULL. The body is copied as it is: whether it is whole, only bulla_verify says. */
int bulla_rewrap_stream(struct bulla *handle, const struct bulla_change *change,
                        const struct bulla_input *in, const struct bulla_output *out, int *outcome,
                        struct bulla_error *error);

/* struct bulla_reencrypt_options: what the new file gets; zero = as in the old one. */
struct bulla_reencrypt_options {
    size_t size;
    const char *const *to; /* keys of the new file; NULL = those of the handle */
    size_t to_count;
    uint64_t generation; /* BULLA_POLICY if it is lower than the old one's */
    int suite;           /* enum bulla_suite */
};

/* bulla_reencrypt opens in and seals it to out under a new data key, chunk by chunk. BULLA_POLICY
 * if to names no keys and in is sealed to keys that the handle does not have. options and report
 * may be NULL. */
int bulla_reencrypt(struct bulla *handle, const struct bulla_reencrypt_options *options,
                    const struct bulla_input *in, const struct bulla_output *out,
                    struct bulla_report *report, struct bulla_error *error);

/* struct bulla_slot: one key that a file is sealed to, as the file says. Whoever can write to the
 * file can put anything there. */
struct bulla_slot {
    const char *method; /* "keyring-xaes", "passphrase" and so on, or "unknown" */
    const char *key;    /* which key: for people, escaped */
    unsigned code;      /* of the method, as in docs/FORMAT.md */
};

/* struct bulla_info: what a file says of itself. Made by the library, which may add members at its
 * end. Nothing in it is authenticated: that takes bulla_verify. */
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

/* bulla_inspect reads the envelope of a file, which needs no key. The caller frees *info with
 * bulla_info_free. */
int bulla_inspect(struct bulla *handle, const struct bulla_input *in, struct bulla_info **info,
                  struct bulla_error *error);
void bulla_info_free(struct bulla_info *info);

/* struct bulla_state: how many slots of a file belong to the keys of a handle, by the names in the
 * slots. */
struct bulla_state {
    size_t size;
    size_t slots;         /* all */
    size_t current;       /* of an active version of a key of the handle */
    size_t old;           /* of another version of one */
    size_t maybe;         /* that may be, such as those of passphrases */
    size_t other;         /* of keys that the handle does not have */
    int due;              /* whether bulla_rewrap without a change would do something */
    unsigned copies_good; /* of the 2 of its envelope */
};

/* bulla_status fills *state without opening the file. */
int bulla_status(struct bulla *handle, const struct bulla_input *in, struct bulla_state *state,
                 struct bulla_error *error);

/* bulla_version returns the version of the library, such as "0.1.0". */
const char *bulla_version(void);

#ifdef __cplusplus
}
#endif

#endif

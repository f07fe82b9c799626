/* session: what the files of one run share: the master keys, one branch key, the caches. */
#ifndef BULLA_LIBBULLA_SESSION_H
#define BULLA_LIBBULLA_SESSION_H

#include <pthread.h>

#include "base/file_systems.h"
#include "base/place.h"
#include "base/threads.h"
#include "keystore/branch.h"
#include "libbulla/hard_links.h"

/* struct written: the files that this run put in their places, so that it does not replace its own
 * results by others of the same name. An open hash of inodes; {0} is empty. */
struct written {
    struct inode {
        dev_t device;
        ino_t number;
        bool used;
    } * slots;
    size_t count, room;
};

/* struct claim: a file that a thread of the run replaces or changes. {0} is none. */
struct claim {
    struct session *session; /* NULL: none */
    struct claim *next;
    dev_t device;
    ino_t number;
};

#define CLAIM_CLEANUP __attribute__((cleanup(claim_drop)))

/* When results are made durable. */
enum sync_policy {
    SYNC_EACH, /* before each takes its place */
    SYNC_END,  /* all at the end of the run, by session_sync */
    SYNC_NONE  /* when the system likes */
};

/* struct session: {0} is empty and safe to close. */
struct session {
    struct crypto *crypto;
    struct keystore_env env; /* all but crypto is filled before session_open */
    struct keyset keys;
    enum sync_policy sync;
    unsigned threads;  /* that may work at once; filled before session_open, 0 = 1 */
    struct crew *crew; /* of these: the own one, or filled before with that of another session */
    struct crew own_crew;

    pthread_mutex_t turn; /* of the thread that puts a result in its place; taken before the lock */
    pthread_mutex_t lock; /* for what follows and for the keys, which it gives to one thread at a
                           * time; those of two sessions may be used at once */
    struct claim *claims; /* of the threads, on their stacks */
    pthread_cond_t dropped;
    bool told_context;        /* the user, of what an encryption by a storage loses */
    struct branches branches; /* made when the first file of their keys and context is */
    struct branch_table table;
    struct written written;
    struct hard_links links;          /* of files that are replaced whole */
    struct file_systems file_systems; /* for SYNC_END */

    const struct watch
        *watch; /* of all that is read of files to be sealed or opened; may be NULL */
};

#define SESSION_CLEANUP __attribute__((cleanup(session_close)))

/* session_open opens the keys that the references name; none is allowed, for what needs no key. */
FALLIBLE session_open(struct session *s, const char *const *references, size_t count,
                      struct err *err);
void session_close(struct session *s);

/* session_will_write comes before something is made at path, in the open directory dir, so that
 * session_sync knows of it. */
FALLIBLE session_will_write(struct session *s, int dir, const char *path, struct err *err);

/* session_syncs_each is true if each file that is made in an open directory is to be durable at
 * once: also with SYNC_END on a FUSE, which cannot be synced as a whole. */
bool session_syncs_each(const struct session *s, int dir);

/* session_sync makes durable what SYNC_END left to the end. */
FALLIBLE session_sync(const struct session *s, struct err *err);

/* session_wrote remembers a file that was put in its place; session_has_written tells of one. */
FALLIBLE session_wrote(struct session *s, const struct stat *st, struct err *err);
bool session_has_written(struct session *s, const struct stat *st);

/* The same by name, for a FUSE, where an inode's number may change with its name. */
FALLIBLE session_wrote_name(struct session *s, const struct place *place, struct err *err);
bool session_has_written_name(struct session *s, const struct place *place);

/* session_claim waits until no other thread has the file *st, and takes it for this one: a file may
 * be given twice, or by several names. The caller looks at the file again, and drops the claim. */
void session_claim(struct session *s, struct claim *c, const struct stat *st);
void claim_drop(struct claim *c);

/* session_find_names notes a name of a file that is to be replaced whole, if it has several. *all
 * is as from hard_links_found, and NULL if there is one name. *waits is true until the last was
 * found.
 */
FALLIBLE session_find_names(struct session *s, const struct stat *st, const struct place *name,
                            struct hard_link_group **all, bool *waits, struct err *err);

/* session_open_keys is branch_open with the session's keys. */
FALLIBLE session_open_keys(struct session *s, const struct envelope *e, struct branch_opened *o,
                           struct err *err);

/* session_replaces comes before slots of these keys replace others: each key must then open a slot
 * that it made first. It warns of keys that only seal, which cannot. */
void session_replaces(struct session *s, const struct keyset *keys);

/* session_still_active looks once more whether what the keys wrapped by may still be used: before a
 * result takes its place, and before a source goes. ERR_POLICY if not. */
FALLIBLE session_still_active(struct session *s, struct err *err);

/* session_warn tells the user, by the warn of env. */
__attribute__((format(printf, 2, 3))) void session_warn(const struct session *s, const char *fmt,
                                                        ...);

/* session_warn_health tells of every envelope copy that is not good. */
void session_warn_health(const struct session *s, const char *name,
                         const struct envelope_health *health);

#endif

/* storage: places for sealed files that are no file systems, behind one interface.
 *
 * An object is read in ranges, and is created, replaced or removed as a whole: never half, and only
 * as the condition says. One kind of storage is one const struct of operations (registry.h).
 * Threads may share a storage. */
#ifndef BULLA_STORAGE_STORAGE_H
#define BULLA_STORAGE_STORAGE_H

#include <stdatomic.h>
#include <sys/stat.h>

#include "base/budget.h"
#include "base/environment.h"
#include "base/stream.h"
#include "base/wire.h"
#include "crypto/primitives.h"

#define OBJECT_VERSION_SIGN "?versionId=" /* between a name and a version of it */
#define OBJECT_TAG_MAX 255 /* bytes of what tells one content of an object from another */

/* struct storage_env: what a storage needs of the program around it. It outlives the storage. */
struct storage_env {
    struct environment environment;
    const struct crypto *crypto; /* of whoever writes; NULL for one that only reads */
    unsigned timeout;            /* seconds that a small operation may take, with its retries */
    uint64_t bandwidth;          /* bytes a second that may move; 0 = as many as there are */
    bool requester_pays;         /* and not the owner of the bucket */
    bool no_condition;           /* the user vouches that nobody else writes meanwhile */

    /* Tells the user of what was left behind; its first argument is NULL. It may be NULL. */
    void (*warn)(void *arg, const char *text);
};

struct storage_ops;

/* struct storage: an opened one. The struct of each kind begins with it. */
struct storage {
    const struct storage_ops *ops;
    struct budget reading, writing; /* bytes of memory, beyond a little for each object */
    atomic_bool versions;           /* a write of the run said that what was there before is kept */
};

#define STORAGE_LITTLE ((size_t)32 << 10)  /* bytes that an object may take without asking */
#define STORAGE_READING ((size_t)16 << 20) /* bytes that all reads of a storage may take */
#define STORAGE_WRITING ((size_t)20 << 20) /* and all writes. Who does both reads first */

/* storage_init makes what all kinds have; storage_end frees it. */
void storage_init(struct storage *s, const struct storage_ops *ops);
void storage_end(struct storage *s);

/* storage_share is what an object of so many bytes takes of these, with the block that whoever
 * opens or seals it works in. */
uint64_t storage_share(uint64_t bytes);

/* struct object: a name in a storage; {0} is none and safe to close. */
struct object {
    struct storage *storage;
    char *key;     /* its name there, not empty unless it is a prefix of others */
    char *path;    /* as the user wrote it, for messages */
    char *version; /* of it, that is meant; NULL = the current one */
};

/* struct object_look: what an object is at the moment; {0} is nothing and safe to end. */
struct object_look {
    uint64_t size;                /* bytes */
    uint64_t modified;            /* seconds since 1970; 0 = not known */
    char tag[OBJECT_TAG_MAX + 1]; /* of its content; "" = not looked at yet */
    char *kept;  /* what else belongs to it and goes with it when it is replaced, for its storage */
    bool tagged; /* there is more of that kind to be asked for */
    bool lacks;  /* and some that is not shown at all */
    bool versioned;                   /* what it replaced is kept, and can still be read */
    char version[OBJECT_TAG_MAX + 1]; /* by this name, as this will be; "" = it is not */
    uint64_t held;   /* nobody may remove this before, in seconds since 1970; 0 = it is free */
    bool archived;   /* it cannot be read before it is restored */
    bool context;    /* its encryption may have one, which is not shown, so that nothing keeps it */
    bool apart;      /* it says that it is an envelope, made with a body that has none of its own */
    bool replicated; /* another place has a copy of it, or will have, with versions of its own */

    /* Of the file that it was made of, where it says that; seconds is 0 if not. */
    struct timespec file_time;
    mode_t file_mode;
};

#define OBJECT_LOOK_CLEANUP __attribute__((cleanup(object_look_end)))

/* What must be there when an object takes its place. */
enum object_condition {
    OBJECT_NEW,       /* nothing of this name */
    OBJECT_UNCHANGED, /* what was looked at */
    OBJECT_ANY
};

/* struct object_wish: what a new object is to have. */
struct object_wish {
    const char *storage_class, *sse_key, *acl; /* as the storage calls them; NULL = the usual */
    const char *const *tags, *const *metadata; /* "NAME=VALUE" */
    size_t tag_count, metadata_count;
    bool little; /* it is an envelope: whoever writes its body waits for memory, not it */
    const struct stat *like; /* the file whose permissions and time it is to say; NULL = none */
    bool apart;              /* it says that it is an envelope whose body has none of its own */
};

/* struct object_making: how an object is made. */
struct object_making {
    enum object_condition condition;
    const struct object_look *look; /* what it replaces, whose kept it keeps; NULL = nothing */
    const struct object_wish *wish; /* of one that keeps nothing; NULL = none */
};

/* struct object_writer: an object that is being made. */
struct object_writer {
    struct sink sink; /* takes its bytes, in order */

    /* Puts what was written in its place, whole and durable. ERR_EXISTS if something is there that
     * must not be. */
    struct result (*commit)(struct object_writer *w, struct err *err);

    /* Drops what was not committed, and frees *w. */
    void (*close)(struct object_writer *w);
};

#define OBJECT_HELD UINT64_MAX /* for ever, or until somebody lets it go */

/* struct object_entry: one of a list. */
struct object_entry {
    const char *key;
    struct object_look look; /* with kept NULL */
    const char *upload;      /* the name of one on its way; NULL = it is an object */
    bool old;                /* what the name had before: look.version says which */
    bool marker;             /* no object, but a mark that what the name had was removed */
};

/* Whether the storage shows that a body which did not move is what it was. */
enum object_proof {
    PROOF_NOT_DUE, /* it moved */
    PROOF_NONE,    /* it keeps no checksum */
    PROOF_AGREES   /* its checksum agrees */
};

/* struct object_losses: what is not kept when an object is replaced, if it is there. */
struct object_losses {
    bool rules; /* of access, of the object's own (ACL) */
    bool locks; /* until a time: whether the storage has any may not be asked */
};

/* struct object_cost: what it takes to give an object another beginning. */
struct object_cost {
    const char *class;      /* of the object, as its storage calls it; a constant */
    uint64_t reads, writes; /* requests */
    uint64_t down, up;      /* bytes */
    uint64_t price;         /* of the requests, in millionths of a cent */
    uint64_t price_of_look; /* of one that looked at it */
};

/* What is listed. */
enum object_list {
    LIST_OBJECTS,  /* those that there are now */
    LIST_VERSIONS, /* these and all that they replaced, which follows them from new to old */
    LIST_UPLOADS   /* what was begun and is not whole; modified is when, by this machine's clock */
};

/* struct storage_ops: one kind of storage. On failure, what is stored is as it was. Messages name
 * the object by its path. */
struct storage_ops {
    /* Reads at most size bytes from an offset; *got is less only at the object's end. *look is
     * filled, and if it has a tag already, what is read is of that content: ERR_FAILED if the
     * object has another by now. ERR_MISSING if there is none. */
    struct result (*read)(const struct object *o, struct object_look *look, uint64_t offset,
                          void *buf, size_t size, size_t *got, struct err *err);

    /* Replaces the object, if it is still what *look says, by these bytes; all that look->kept
     * names is kept or ERR_POLICY. */
    struct result (*replace)(const struct object *o, const struct object_look *look,
                             struct view bytes, struct err *err);

    /* Does the same with these bytes, at most splice_size, and what the object has after as many;
     * that is not moved, but for what comes before splice_size. The object is larger than that.
     * *proof is set, and ERR_DAMAGED tells that what was not moved is not what it was. */
    struct result (*splice)(const struct object *o, const struct object_look *look,
                            struct view bytes, enum object_proof *proof, struct err *err);
    size_t splice_size;

    /* Says, once for a storage, what no replacement of its objects keeps. ERR_POLICY if an object
     * may have what must be kept and may not be read: then it is not replaced either. */
    struct result (*losses)(const struct object *o, const struct object_look *look,
                            struct object_losses *l, struct err *err);

    /* What replacing an object of which the first bytes, moved, change would take, or splicing it.
     * *look has kept. */
    struct object_cost (*cost)(const struct object_look *look, uint64_t moved);

    /* Begins an object. ERR_EXISTS if it is there already and may not be; ERR_STORE, at its commit,
     * if it is not what was looked at; ERR_USAGE for a wish that no object can have. */
    struct result (*create)(struct object_writer **out, const struct object *o,
                            const struct object_making *how, struct err *err);

    /* Removes an object that is still what *look says; or its version, whatever *look is. */
    struct result (*remove)(const struct object *o, const struct object_look *look,
                            struct err *err);

    /* Drops an upload that a list has. */
    struct result (*drop)(const struct object *o, const char *upload, struct err *err);

    /* Calls each for every object whose name begins with o->key, in the order of the bytes of their
     * names, until it says false. */
    struct result (*list)(const struct object *o, enum object_list what,
                          bool (*each)(void *arg, const struct object_entry *entry), void *arg,
                          struct err *err);

    void (*close)(struct storage *s);
};

/* object_in makes an object of a name in a storage; path is for messages. */
FALLIBLE object_in(struct object *o, struct storage *s, const char *key, const char *path,
                   struct err *err);

/* object_copy makes the same object, of the same version, once more. */
FALLIBLE object_copy(struct object *copy, const struct object *o, struct err *err);

/* object_stays is true if what an object was when it was looked at is still there, now that a write
 * has replaced it: as an old version, which can be read. */
bool object_stays(const struct object *o, const struct object_look *look);

/* object_path_size gives the bytes of the path before the version, which may be named as an empty
 * one. */
size_t object_path_size(const struct object *o);

/* object_beside is the object of o's name with suffix appended. */
FALLIBLE object_beside(struct object *beside, const struct object *o, const char *suffix,
                       struct err *err);

/* object_version makes *o mean a version of it, and its path says so. */
FALLIBLE object_version(struct object *o, const char *version, struct err *err);

/* object_name is the last part of an object's name, after its last slash. */
const char *object_name(const struct object *o);

void object_close(struct object *o);
#define OBJECT_CLEANUP __attribute__((cleanup(object_close)))

void object_look_end(struct object_look *look);

#endif

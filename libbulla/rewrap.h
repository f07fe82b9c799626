/* rewrap: other master keys or key versions for a sealed file. The core, the data key and the body
 * stay as they are, and the body is neither read nor written, but for its first 56 bytes. */
#ifndef BULLA_LIBBULLA_REWRAP_H
#define BULLA_LIBBULLA_REWRAP_H

#include "libbulla/open.h"
#include "libbulla/slot_table.h"

/* struct rewrap: what is to be done. Without any of the three sets, every slot of one of the
 * session's keys moves to that key's active version. {0} is empty and safe to end. */
struct rewrap {
    struct session *session;   /* its keys open */
    struct keyset to;          /* exactly these */
    struct keyset add, remove; /* these more, these no more */
    bool dry_run, preserve_times;
    bool share_branch; /* a key that is added may open all files of a branch that stays */

    /* Under the session's lock. */
    struct slot_table made; /* by key stores, for branches that stay */
    struct slot *scratch;
    uint64_t wraps; /* calls to a master key that made a slot of a branch that stays */
};

enum rewrapped {
    REWRAP_CURRENT, /* there was nothing to do */
    REWRAP_OTHER,   /* there was nothing to do: the file is sealed to other keys */
    REWRAP_DONE,    /* in place, or by a new file */
    REWRAP_GREW,    /* by a copy with larger regions */
    REWRAP_WAITS    /* until the other names of the file are found */
};

/* What is known of an exported envelope, which is not ours to change. */
enum export {
    EXPORT_NONE,  /* it takes no key that the file does not have, or there is none */
    EXPORT_OLD,   /* it still has the slots of before */
    EXPORT_UNREAD /* it could not be looked at */
};

/* struct rewrap_report: what became of one file. */
struct rewrap_report {
    enum rewrapped outcome;
    bool stayed;             /* the branch key */
    enum export exported;    /* of an envelope that was exported beside it */
    bool versioned;          /* what was replaced is kept, with the slots of before */
    bool replicated;         /* and another place has a copy of it */
    enum object_proof proof; /* of a body that did not move */
    struct object_cost cost; /* of an object, with the looks at it; class NULL = it is a file */
};

/* rewrap_start comes before rewrap_file, once all sets are there: it asks the keys what that goes
 * by. */
FALLIBLE rewrap_start(struct rewrap *r, struct err *err);

/* rewrap_file rewraps one file. Where a key store can move a slot from one of its keys to another
 * by itself, the branch key does not come here. ERR_POLICY if no key would be left; ERR_NO_KEY if
 * none of the session's keys opens the file. At every instant the file opens with the keys it had
 * or with those it gets. A file that is replaced whole is replaced when the last of its names
 * comes. */
FALLIBLE rewrap_file(struct rewrap *r, const struct place *file, struct rewrap_report *report,
                     struct err *err);

/* rewrap_still_active fails with ERR_POLICY unless the keys that wrapped are still active: nothing
 * moves to a version that is retired by now. */
FALLIBLE rewrap_still_active(const struct rewrap *r, struct err *err);

/* rewrap_wraps gives the calls to master keys that made a slot. */
uint64_t rewrap_wraps(const struct rewrap *r);

void rewrap_end(struct rewrap *r);

#endif

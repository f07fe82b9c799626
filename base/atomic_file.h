/* atomic_file: a file that appears whole and durable in its place, or not at all.
 *
 * It is written without a name (O_TMPFILE) where the file system can do that, so that even a
 * process killed while writing leaves nothing behind; elsewhere, and for the instant of replacing
 * an old file, it has a temporary name, ".bulla-" and 16 hex digits, in the same directory. For
 * another instant the old file may have that name. fsync is never retried: after a failed one
 * nobody knows what is on the disk. What a file system cannot do is done the next best way, and the
 * user is told (base/unsupported.h). */
#ifndef BULLA_BASE_ATOMIC_FILE_H
#define BULLA_BASE_ATOMIC_FILE_H

#include <sys/stat.h>

#include "base/err.h"
#include "base/place.h"
#include "base/temporary_name.h"

/* struct atomic_file: {0} is empty and safe to discard. */
struct atomic_file {
    int fd; /* to write to; belongs to the atomic_file */
    const struct place *place;
    bool open, replace, named;
    bool there;               /* a file was in the place, and replace lets it go */
    const struct stat *over;  /* the only file to be replaced; set if the new one is made from it */
    char temp[TEMPORARY_MAX]; /* the temporary name, if named */
    unsigned lacks;           /* of its file system: enum unsupported */
    bool in_order;            /* it may take bytes only in order */
    bool handed_over;         /* all bytes, see atomic_file_hand_over */
    bool tried;               /* to put it in its place */
    bool placed;              /* it is in its place, even if the commit failed in the end */
};

/* Whose a file or directory is that is made like another. */
enum whose {
    WHOSE_CALLER, /* the caller's: the other's owner gains nothing */
    WHOSE_OWN,    /* for root: root's, so that nobody else can remove it; else as WHOSE_SAME */
    WHOSE_SAME    /* that of the other's owner and group, where the system lets us */
};

#define ATOMIC_FILE_CLEANUP __attribute__((cleanup(atomic_file_discard)))

/* fd_like gives an open file or directory the times and permissions (below 01000) of *st. With
 * WHOSE_CALLER these are cut by the umask, and to those of the owner where *st is not the caller's:
 * a stranger must not choose who else reads. With WHOSE_OWN root's file is never writable for
 * others, and has the permissions of the owner alone where *st is not root's. A group that is not
 * kept takes its permissions with it, so that no other group gets them. What the file system does
 * not keep is added to *lacks (enum unsupported). Returns as a system call does. */
int fd_like(int fd, const struct stat *st, enum whose whose, unsigned *lacks);

/* fd_readable_by_more is true if a new file or directory is open to readers that fd_like would not
 * let in, as where a file system has permissions of its own. *st NULL is for any new file (0666
 * less the umask). *mode is what it has, *wanted what it should have. */
bool fd_readable_by_more(int fd, const struct stat *st, enum whose whose, mode_t *mode,
                         mode_t *wanted);

/* atomic_file_open makes an empty file for place, which must outlive *f. It fails if anything is
 * there but a regular file, and at that too unless replace is true. */
FALLIBLE atomic_file_open(struct atomic_file *f, const struct place *place, bool replace,
                          struct err *err);

/* atomic_file_guard fails with ERR_POLICY if somebody could read the file who must not, as
 * fd_readable_by_more says. Call it before anything is written. */
FALLIBLE atomic_file_guard(const struct atomic_file *f, const struct stat *st, enum whose whose,
                           struct err *err);

/* atomic_file_private is the same for a file that nobody but the caller may own or use, as where a
 * file system has no permissions. */
FALLIBLE atomic_file_private(const struct atomic_file *f, struct err *err);

/* atomic_file_like makes the file like *st, as fd_like does. */
FALLIBLE atomic_file_like(struct atomic_file *f, const struct stat *st, enum whose whose,
                          struct err *err);

/* atomic_file_public gives the file the permissions of any new file (0666 less the umask). */
FALLIBLE atomic_file_public(struct atomic_file *f, struct err *err);

/* atomic_file_commit syncs the file, puts it in its place and syncs the directory. It fails if
 * the place has another file than *over by then. After a failure the place is as before, unless
 * only the last step failed, which the text says. */
FALLIBLE atomic_file_commit(struct atomic_file *f, struct err *err);

/* atomic_file_hand_over gives the file system all that was written, as closing the file would: some
 * store it only then, and only then say if they cannot. Nothing may be written after it. It happens
 * by itself before the file is put in its place. */
FALLIBLE atomic_file_hand_over(struct atomic_file *f, struct err *err);

/* atomic_file_read_back opens what was written for reading, after atomic_file_hand_over. The caller
 * closes *fd. */
FALLIBLE atomic_file_read_back(const struct atomic_file *f, int *fd, struct err *err);

/* The steps of atomic_file_commit, for callers that have something to do between them:
 * atomic_file_sync makes the bytes durable, atomic_file_put puts the file in its place,
 * atomic_file_end closes it there and with sync true syncs the directory. Without the syncs, after
 * a power cut the file may be there without its bytes. */
FALLIBLE atomic_file_sync(struct atomic_file *f, struct err *err);
FALLIBLE atomic_file_put(struct atomic_file *f, struct err *err);
FALLIBLE atomic_file_end(struct atomic_file *f, bool sync, struct err *err);

/* atomic_file_link makes the name at place another name (hard link) of the file at made, in one
 * step, and durable; place must be the file *over until then. Both are in one file system. */
FALLIBLE atomic_file_link(const struct place *made, const struct place *place,
                          const struct stat *over, struct err *err);

/* atomic_file_discard drops the file unless it was committed. */
void atomic_file_discard(struct atomic_file *f);

#endif

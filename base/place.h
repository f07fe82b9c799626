/* place: a name in an open directory, so that no part of a path is looked up twice. */
#ifndef BULLA_BASE_PLACE_H
#define BULLA_BASE_PLACE_H

#include <sys/stat.h>

#include "base/cleanup.h"
#include "base/err.h"

/* struct place: {0} is empty and safe to close. */
struct place {
    int dir;    /* the directory; if it may only be searched, opened with O_PATH */
    char *name; /* the last component */
    char *path; /* as the user wrote it, for messages */
    bool open;
};

#define PLACE_CLEANUP __attribute__((cleanup(place_close)))

/* place_open opens the directory that holds the last component of path. A path that ends in a slash
 * must name a directory. ERR_MISSING if there is no such directory. */
FALLIBLE place_open(struct place *p, const char *path, struct err *err);

/* place_open_new is place_open for what is to be made: ERR_FAILED without the directory. */
FALLIBLE place_open_new(struct place *p, const char *path, struct err *err);

/* place_in makes a place of a name in dir; dir is duplicated. path is for messages. */
FALLIBLE place_in(struct place *p, int dir, const char *name, const char *path, struct err *err);

/* place_beside is the place of p's name with suffix appended, in the same directory. */
FALLIBLE place_beside(struct place *beside, const struct place *p, const char *suffix,
                      struct err *err);

void place_close(struct place *p);

/* place_readable fails unless the directory may be read, as it must be to be synced or locked: it
 * comes before anything is made or removed there. */
FALLIBLE place_readable(const struct place *p, struct err *err);

/* file_open opens a name of a directory as openat does, where only a regular file is wanted, and
 * waits for nothing. To open a pipe would take what somebody waits to write into it, and to open a
 * device may do more: they get a descriptor that is good for fstat alone. */
int file_open(int dir, const char *name, int flags);

/* place_open_file opens for reading what stands there, unless it is a directory, and fills *st.
 * With follow false what is not a regular file, a symbolic link too, is refused, without waiting.
 * ERR_MISSING if nothing does.
 * The caller closes *fd. */
FALLIBLE place_open_file(const struct place *p, bool follow, int *fd, struct stat *st,
                         struct err *err);

/* fd_stat is fstat, but of what the file is now: network file systems and FUSE remember for a while
 * what it was, as the number of names that it had. */
int fd_stat(int fd, struct stat *st);

/* place_stat tells what stands there, not following a symbolic link; *exists is false if nothing.
 */
FALLIBLE place_stat(const struct place *p, struct stat *st, bool *exists, struct err *err);

/* place_fits fails unless the file system takes so long a name; for names that are longer than
 * those the user gave. */
FALLIBLE place_fits(const struct place *p, struct err *err);

/* place_removable fails if what was opened there, *st, is not to be removed by place_remove: it is
 * no regular file, or the name is that of a symbolic link, and not what was read. */
FALLIBLE place_removable(const struct place *p, const struct stat *st, struct err *err);

/* place_remove unlinks the name and syncs the directory, if the name is still the regular file *st
 * with the size and time of then. A process that is killed in between may leave the file under a
 * temporary name in the same directory. */
FALLIBLE place_remove(const struct place *p, const struct stat *st, struct err *err);

/* fd_sync makes an open file or directory durable. Where a file system cannot sync one alone, it
 * syncs the whole file system of the directory dir, and adds UNSUPPORTED_SYNC to *lacks. Returns as
 * a system call does. */
int fd_sync(int fd, int dir, unsigned *lacks);

/* fd_hand_over gives the file system all that was written to an open file, as closing it would:
 * some store it only then, and only then say if they cannot. The file stays open, and a lock on it
 * is kept. Returns as a system call does. */
int fd_hand_over(int fd);

/* dir_is_fuse is true if a directory lies in a FUSE. There syncfs reaches nobody, and what the
 * number of an inode means is up to the program behind it: it may change with the name. */
bool dir_is_fuse(int dir);

/* place_sync makes changes of the directory durable. */
FALLIBLE place_sync(const struct place *p, struct err *err);

/* file_same is true if both are the same inode. */
bool file_same(const struct stat *a, const struct stat *b);

/* file_unchanged is true if both have one size and modification time. */
bool file_unchanged(const struct stat *a, const struct stat *b);

#endif

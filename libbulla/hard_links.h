/* hard_links: files with several names (hard links) that must be replaced whole.
 *
 * A new file takes the place of one name only, and the others would keep the old file. So it is
 * made once all names are found, and gets them all. */
#ifndef BULLA_LIBBULLA_HARD_LINKS_H
#define BULLA_LIBBULLA_HARD_LINKS_H

#include <sys/stat.h>

#include "base/place.h"

/* struct hard_links: the names found so far; {0} is empty and safe to free. One thread at a time.
 */
struct hard_links {
    void *groups; /* a tree (tsearch(3)) */
    size_t held;  /* bytes that they take */
};

/* struct hard_link_group: the names of one file. */
struct hard_link_group {
    dev_t device;
    ino_t number;
    size_t wanted, count;
    struct link_name {
        dev_t dir_device;
        ino_t dir_number;
        char *path;
    } * names;
};

#define LINK_GROUP_CLEANUP __attribute__((cleanup(hard_link_group_drop)))

/* hard_links_found notes a name of the file *st. *all is the group, which the caller drops, once it
 * has as many names as the file; until then NULL. ERR_FAILED if there are more names than can be
 * held.
 */
FALLIBLE hard_links_found(struct hard_links *l, const struct stat *st, const struct place *name,
                          struct hard_link_group **all, struct err *err);

/* hard_link_group_move makes all names of a group, but for that at place, names of the file that is
 * there by now. A name that is another file by then stays that, and is an error. */
FALLIBLE hard_link_group_move(const struct hard_link_group *all, const struct place *place,
                              struct err *err);

void hard_link_group_drop(struct hard_link_group **all);

/* hard_links_left calls each for every name in a group that lacks others. */
void hard_links_left(const struct hard_links *l,
                     void (*each)(void *arg, const char *path, size_t wanted, size_t found),
                     void *arg);

void hard_links_free(struct hard_links *l);

#endif

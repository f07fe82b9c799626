/* look: what a file seems to be, by its bytes and by what lies beside it. It takes no key. */
#ifndef BULLA_LIBBULLA_LOOK_H
#define BULLA_LIBBULLA_LOOK_H

#include "libbulla/open.h"

/* enum look: what a file seems to be. */
enum look {
    LOOK_PLAIN,    /* not sealed, by name or bytes */
    LOOK_GONE,     /* there is no such file any more */
    LOOK_UNKNOWN,  /* it cannot be read */
    LOOK_SEALED,   /* it has an envelope, or what is left of one */
    LOOK_BODY,     /* its envelope lies beside it */
    LOOK_BROKEN,   /* named like a sealed file or an envelope, but there is no envelope */
    LOOK_DETACHED, /* the envelope of a body beside it, which has none of its own */
    LOOK_EXPORTED, /* an envelope beside a file that has its own */
    LOOK_ALONE     /* an envelope with no file beside it */
};

/* look_at tells what a regular file seems to be. One copy of an envelope that begins as it should
 * is enough, wherever it may be, so that no damage to the other makes a sealed file a plain one. */
enum look look_at(const struct place *file);

/* look_is_named is true for a name that ends like that of a sealed file or of an envelope beside
 * one. */
bool look_is_named(const char *name);

/* look_is_sealed is true for a file that a run of sealing has no more to do with: it is named like
 * a sealed file or an envelope, and it has an envelope or, named like a body, one lies beside it.
 */
bool look_is_sealed(const struct place *file);

#endif

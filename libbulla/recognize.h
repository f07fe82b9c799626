/* recognize: what a file seems to be, by its bytes and the files beside it. It needs no key. */
#ifndef BULLA_LIBBULLA_RECOGNIZE_H
#define BULLA_LIBBULLA_RECOGNIZE_H

#include "libbulla/open.h"

/* enum recognized: what a file seems to be. */
enum recognized {
    RECOGNIZED_PLAIN,    /* not sealed, by name or bytes */
    RECOGNIZED_GONE,     /* there is no such file any more */
    RECOGNIZED_UNKNOWN,  /* it cannot be read */
    RECOGNIZED_SEALED,   /* it has an envelope, or what is left of one */
    RECOGNIZED_BODY,     /* its envelope lies beside it */
    RECOGNIZED_BROKEN,   /* named like a sealed file or an envelope, but there is no envelope */
    RECOGNIZED_DETACHED, /* the envelope of a body beside it, which has none of its own */
    RECOGNIZED_EXPORTED, /* an envelope beside a file that has its own */
    RECOGNIZED_ALONE     /* an envelope with no file beside it */
};

/* recognize tells what a regular file seems to be. One copy of an envelope that begins as it should
 * is enough, wherever it may be, so that no damage to the other makes a sealed file a plain one. */
enum recognized recognize(const struct place *file);

/* recognize_object tells what an object seems to be by its first bytes, and with beside by what
 * lies beside it under the name of its envelope: RECOGNIZED_PLAIN, _GONE, _UNKNOWN, _SEALED or
 * _BODY. */
enum recognized recognize_object(const struct object *o, bool beside);

/* recognize_is_named is true for a name that ends like that of a sealed file or of an envelope
 * beside one. */
bool recognize_is_named(const char *name);

/* recognize_is_sealed is true for a file that a run of sealing has no more to do with: it is named
 * like a sealed file or an envelope, and it has an envelope or, named like a body, one lies beside
 * it.
 */
bool recognize_is_sealed(const struct place *file);

#endif

/* named_place: what one name of the command line leads to: a file, or an object in a storage. */
#ifndef BULLA_CMD_NAMED_PLACE_H
#define BULLA_CMD_NAMED_PLACE_H

#include "base/place.h"
#include "cmd/options.h"
#include "libbulla/open.h"
#include "storage/registry.h"

/* struct named_place: {0} is none and safe to close; not to be moved once open. */
struct named_place {
    struct place place;     /* open if it is a file */
    struct object object;   /* else this one */
    struct storage_env env; /* whoever writes an object sets crypto first */
    struct storages storages;
};

/* named_place_open opens what is there, named_place_open_new what is to be made. ERR_USAGE for a
 * prefix of objects. */
FALLIBLE named_place_open(struct named_place *n, const char *name, const struct options *o,
                          struct err *err);
FALLIBLE named_place_open_new(struct named_place *n, const char *name, const struct options *o,
                              struct err *err);

/* named_place_beside makes a place next to n, with n's name and a suffix. If that name is too long,
 * it fails with hint, which tells the user how to give another name. */
FALLIBLE named_place_beside(struct named_place *beside, const struct named_place *n,
                            const char *suffix, const char *hint, struct err *err);

void named_place_close(struct named_place *n);
#define NAMED_PLACE_CLEANUP __attribute__((cleanup(named_place_close)))

/* named_place_sealed is a sealed file that lies there. */
struct sealed_place named_place_sealed(const struct named_place *n);

/* named_place_envelope opens the place that --envelope names, if it is given, and *from has its
 * envelope there. */
FALLIBLE named_place_envelope(struct named_place *n, struct sealed_place *from,
                              const struct options *o, struct err *err);

/* named_place_fits fails unless a name that bulla made fits into its file system; hint says how the
 * user gives another. */
FALLIBLE named_place_fits(const struct place *made, const char *hint, struct err *err);

#endif

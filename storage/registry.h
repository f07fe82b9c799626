/* registry: the kinds of storage, by the schemes of their names. */
#ifndef BULLA_STORAGE_REGISTRY_H
#define BULLA_STORAGE_REGISTRY_H

#include "storage/storage.h"

/* storage_names is true if a name that the user gave is that of an object in some storage, or of a
 * prefix, and not that of a file. */
bool storage_names(const char *text);

/* struct storages: those that a run has opened; {0} is none and safe to close. One thread at a
 * time.
 */
struct storages {
    const struct storage_env *env;
    struct opened_storage *first;
};

/* storages_object makes an object of a name that the user gave, and opens its storage if that is
 * not open yet. "?versionId=ID" at its end means a version of it; a name that ends so itself is
 * given with one more, without ID. The object must not outlive *s. ERR_USAGE if it is no name,
 * ERR_UNSUPPORTED if this build lacks the kind of storage. */
FALLIBLE storages_object(struct storages *s, const char *text, struct object *o, struct err *err);
void storages_close(struct storages *s);

#endif

/* batch: from the operands of a command line to files one by one, and where each result goes.
 *
 * A failing file is reported, and the rest is done. */
#ifndef BULLA_CMD_BATCH_H
#define BULLA_CMD_BATCH_H

#include <jansson.h>

#include "base/atomic_file.h"
#include "base/place.h"
#include "cmd/options.h"
#include "libbulla/rewrap_object.h"
#include "libbulla/session.h"
#include "storage/storage.h"

/* struct item: one file of the batch. */
struct item {
    const struct place *source; /* NULL = standard input */
    bool follow;                /* whether source may be a symbolic link */
    const struct place *target; /* NULL = standard output, or the verb writes nothing */
    uint64_t size;              /* bytes of the source; 0 if not known */

    /* In place of source and of target: objects in a storage; NULL = none. */
    const struct object *object, *result;
    enum envelope_beside envelope; /* beside the object */
    bool old;                      /* it is a version that was replaced or removed */
    bool archived;                 /* it cannot be read; an envelope apart from it may be */
    bool unnamed;                  /* the object is not named like a sealed file, and may be one */
    const char *name;              /* of the source, for messages; NULL = it is standard input */
};

/* What a bucket keeps of an object that was replaced or removed still opens with the keys of then.
 */
enum which_versions { VERSIONS_NOW, VERSIONS_ALL, VERSIONS_OLD };

#define OBJECTS_AT_ONCE 64 /* small requests, which wait for the network most of the time */

struct batch {
    const struct options *options;

    /* The verb's part for one file; if parallel is true, called by several threads at once. report
     * is an object for --json to add to. */
    struct result (*each)(void *arg, const struct item *item, json_t *report, struct err *err);
    void *arg;
    bool parallel;
    unsigned objects_at_once; /* that each may be called for, unless -j says; 0 = as of files */
    const char *done;         /* "sealed", for the summary */

    struct session *session; /* of a verb with -o: when what is written is made durable */
    enum whose whose;        /* and new directories are */
    bool guard;              /* and none is made that could be read by others who must not */

    /* How a result is named after its source: by one of the two; neither if nothing is written. */
    const char *add, *take;

    /* What a walk takes: names with this ending (NULL = all), and unless take is set, what has one
     * of these looks (1 << enum recognized), whatever its name, and what fails when it is opened.
     * Anything else that may be sealed, or was not looked at, keeps the run from ending with
     * status 0. */
    const char *only;
    unsigned looks;

    bool takes_objects, makes_objects; /* as sources, and by -o; else these are refused */
    bool envelopes;                    /* of an archived one, an envelope apart does */
    const struct crypto *crypto;       /* of a verb that writes objects */
    enum which_versions versions;      /* of objects, that are taken */

    /* A walk or a list in which nothing sealed was found fails, unless --allow-empty. */
    bool proof;

    /* Told of each mark that an object was removed, where old versions are taken; or NULL. */
    void (*marker)(void *arg, const char *path, bool old);
};

/* batch_run does all operands, standard input if there is none, and returns the exit status. */
int batch_run(const struct batch *b);

#endif

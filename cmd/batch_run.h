/* batch_run: what the parts of a batch share: files, trees and lists (batch.c), and objects in a
 * storage (batch_objects.c). */
#ifndef BULLA_CMD_BATCH_RUN_H
#define BULLA_CMD_BATCH_RUN_H

#include <stdatomic.h>

#include "base/thread_pool.h"
#include "cmd/batch.h"
#include "cmd/file_list.h"
#include "cmd/link_targets.h"
#include "cmd/shard.h"
#include "cmd/tally.h"
#include "storage/registry.h"

/* struct run: one batch on its way. */
struct run {
    const struct batch *batch;
    struct place out; /* the directory that -o names, if it is one, */
    int out_dir;      /* and that directory, opened */
    bool to_directory;
    struct object out_object; /* or the object or prefix that it names */
    bool lists_objects;       /* --files-from does */
    size_t root;              /* bytes of the directory that is walked, in the paths below it */
    struct storage_env storage_env;
    struct storages storages;
    const struct object *prefix; /* that is walked */
    struct shard shard;
    struct thread_pool *pool; /* NULL: files are done as they come */
    bool one_stream;          /* the results come one after another on standard output */
    bool cut;                 /* and one failed, so that what follows is left out, which was told */
    struct link_targets roots;
    atomic_size_t found; /* sealed files, and all that was told instead of one */
    struct tally tally;
};

/* struct task: an item with the places it points to. */
struct task {
    struct item item;
    struct place source, target;
    struct object object, result;
};

void run_task_end(struct task *t);
#define TASK_CLEANUP __attribute__((cleanup(run_task_end)))

/* run_submit does a task, or hands it to a thread; its places and objects are taken over. Each may
 * be empty. */
FALLIBLE run_submit(struct run *r, struct task *made, struct err *err);

/* run_writes is true if the verb makes results. */
bool run_writes(const struct run *r);

/* run_failed_early counts and tells what failed before it came to the verb, run_unseen what was not
 * looked at, though it may be sealed. */
void run_failed_early(struct run *r, const char *file, const struct err *err);
void run_unseen(struct run *r, const char *path, const char *why);

/* run_missed says why a file that a verb does not take counts as not looked at, by enum recognized;
 * NULL where it does not. The others are not sealed, gone, or the envelope of a file that is looked
 * at. */
extern const char *const run_missed[];

/* run_check_found fails if nothing sealed was found since before: a walk or a list without any, as
 * in an archive that is not mounted, is no proof of anything. */
FALLIBLE run_check_found(const struct run *r, size_t before, const char *where, struct err *err);

/* run_takes_unnamed looks at an object that is not named like a sealed file; if the verb does not
 * take it, that is counted. */
bool run_takes_unnamed(struct run *r, const struct item *item);

/* run_objects does an operand that names an object, or all below a prefix. */
FALLIBLE run_objects(struct run *r, const char *operand, struct err *err);

/* run_inventory does the objects in a list of S3 Inventory. */
FALLIBLE run_inventory(struct run *r, const char *path, struct err *err);

#endif

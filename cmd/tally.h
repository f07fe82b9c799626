/* tally: counts what became of all that a run met, reports it, and prints the sums.
 *
 * Files that failed are reported. So is what was not looked at, because nothing is known of it.
 * Both keep the run from ending with status 0. */
#ifndef BULLA_CMD_TALLY_H
#define BULLA_CMD_TALLY_H

#include <jansson.h>
#include <pthread.h>

#include "base/err.h"

/* struct tally: the caller sets what is before the lock, and initialises the lock. All functions
 * but tally_end may be called by several threads at once. */
struct tally {
    const char *done_word; /* "sealed", for the summary */
    bool json;
    bool many;  /* it is a batch, whatever number of files it has */
    bool looks; /* the bytes of a file say whether it is sealed, not its name alone */

    pthread_mutex_t lock; /* for what follows */
    size_t done, plain, skipped, unseen, failed, entered;
    int status; /* of the last failure */
};

/* tally_report makes an object for --json to add to, with the name of a file. */
json_t *tally_report(const char *file);

/* tally_done counts a file that was done; report may be NULL, and is taken over. */
void tally_done(struct tally *a, json_t *report);

/* tally_failed counts and tells a failure; report as in tally_done. */
void tally_failed(struct tally *a, json_t *report, const struct err *err);

/* tally_plain counts a regular file that is not sealed. */
void tally_plain(struct tally *a);

/* tally_skipped counts what needs nothing more, and reports why unless that is NULL. */
void tally_skipped(struct tally *a, const char *path, const char *why);

/* tally_unseen counts what was not looked at, though it may be or hold a sealed file. The first
 * ones are named, quiet or not. */
void tally_unseen(struct tally *a, const char *path, const char *why);

/* tally_entered counts a directory of another file system that a walk goes into. */
void tally_entered(struct tally *a);

/* tally_end tells the sums and returns the exit status. */
int tally_end(const struct tally *a);

#endif

/* account: what became of all that a run came across, told one by one and summed up.
 *
 * Files that failed are reported. So is what was not looked at, because nothing is known of it.
 * Both keep the run from ending with status 0. */
#ifndef BULLA_CMD_ACCOUNT_H
#define BULLA_CMD_ACCOUNT_H

#include <jansson.h>
#include <pthread.h>

#include "base/err.h"

/* struct account: the caller sets what is before the lock, and initialises the lock. All functions
 * but account_end may be called by several threads at once. */
struct account {
    const char *done_word; /* "sealed", for the summary */
    bool json;
    bool many;  /* it is a batch, whatever number of files it has */
    bool looks; /* the bytes of a file say whether it is sealed, not its name alone */

    pthread_mutex_t lock; /* for what follows */
    size_t done, plain, skipped, unseen, failed, entered;
    int status; /* of the last failure */
};

/* account_report makes an object for --json to add to, with the name of a file. */
json_t *account_report(const char *file);

/* account_done counts a file that was done; report may be NULL, and is taken over. */
void account_done(struct account *a, json_t *report);

/* account_failed counts and tells a failure; report as in account_done. */
void account_failed(struct account *a, json_t *report, const struct err *err);

/* account_plain counts a regular file that is not sealed. */
void account_plain(struct account *a);

/* account_skipped counts what needs nothing more, and reports why unless that is NULL. */
void account_skipped(struct account *a, const char *path, const char *why);

/* account_unseen counts what was not looked at, though it may be or hold a sealed file. The first
 * ones are named, quiet or not. */
void account_unseen(struct account *a, const char *path, const char *why);

/* account_entered counts a directory of another file system that a walk goes into. */
void account_entered(struct account *a);

/* account_end tells the sums and returns the exit status. */
int account_end(const struct account *a);

#endif

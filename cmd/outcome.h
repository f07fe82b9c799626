/* outcome: how a verb ends: what is told at its end, and its exit status. */
#ifndef BULLA_CMD_OUTCOME_H
#define BULLA_CMD_OUTCOME_H

#include "cmd/options.h"
#include "libbulla/session.h"

/* outcome_calls tells, with --json, how often the keys asked a token or a service, if they did. */
void outcome_calls(const struct options *o, uint64_t calls);

/* outcome_run does what a verb does that has one thing to do, and returns the exit status. */
int outcome_run(struct result (*run)(const struct options *o, struct err *err),
                const struct options *o);

/* outcome_status is the exit status of a run over so many keys of which one failed like that. */
int outcome_status(size_t count, int failed);

/* outcome_left reports every name of the files that were left as they are because some of their
 * names were not found, and gives the number of these names. */
uint64_t outcome_left(const struct session *s, const struct options *o);

/* outcome_stays tells of so many objects that were replaced, and still open with the old keys: as
 * old versions, or as replicas in other buckets. */
void outcome_stays(uint64_t versioned, uint64_t replicated);

/* outcome_finish syncs what was left to the end of a run, and gives its exit status. */
int outcome_finish(const struct session *s, int status);

#endif

/* rewrap_plan: which slots a rewrap gives an envelope, of which branch. Nothing is written here.
 *
 * What the slots of a file say is not believed. Each slot whose key is at hand is opened, or moved
 * by its key store; for the others the tag must vouch. */
#ifndef BULLA_LIBBULLA_REWRAP_PLAN_H
#define BULLA_LIBBULLA_REWRAP_PLAN_H

#include "libbulla/rewrap.h"

/* struct plan: {0} is empty and safe to end. */
struct plan {
    struct envelope envelope; /* as the file is to have it, but for region and sequence number; its
                               * core is the file's */
    struct branch_opened opened; /* the keys of the file, if they were needed */
    bool other;   /* none of its slots is of our keys, and no key was named to change that */
    bool changed; /* it is to have other slots than it has */
    bool stays;   /* and the branch key that it had */
};

#define PLAN_CLEANUP __attribute__((cleanup(rewrap_plan_end)))

/* rewrap_plan_make makes the plan for a sealed file; the caller ends it. Its errors do not name the
 * file. Only one thread at a time: the session's lock. */
FALLIBLE rewrap_plan_make(struct plan *p, struct rewrap *r, const struct sealed *f,
                          struct err *err);

/* rewrap_plan_is_due tells by the names in the slots alone whether a rewrap would change them. */
bool rewrap_plan_is_due(struct rewrap *r, const struct envelope *e);

/* rewrap_plan_export looks at the envelope that was exported of a file, or with NULL at whichever
 * lies beside one. */
enum export rewrap_plan_export(struct rewrap *r, const struct sealed_place *exported,
                               const struct sealed *file);

void rewrap_plan_end(struct plan *p);

#endif

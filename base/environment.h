/* environment: the environment variables of this run. Only the program asks the system for them;
 * other code asks its caller. */
#ifndef BULLA_BASE_ENVIRONMENT_H
#define BULLA_BASE_ENVIRONMENT_H

/* struct environment: how to look up a variable. get gives NULL for one that is not set, else a
 * text that stays as long as whatever was made with the environment; {0} has none. */
struct environment {
    const char *(*get)(void *arg, const char *name);
    void *arg;
};

/* environment_get gives a variable, or NULL if it is not set or empty. */
const char *environment_get(const struct environment *e, const char *name);

#endif

/* err: how every fallible function of bulla reports.
 *
 * A fallible function returns a struct, so that a result can be neither dropped nor used as a truth
 * value by accident, and takes a struct err as its last parameter. The innermost function fills it
 * by fail(); callers may put context in front. Only cmd/ prints it. On failure a function's other
 * outputs are untouched unless its comment says otherwise. On success *err is as it was: who tries
 * what may fail, and goes on, has an err of its own for that. */
#ifndef BULLA_BASE_ERR_H
#define BULLA_BASE_ERR_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>

/* The class of an error is the exit status it leads to. Values are part of the command line's
 * contract: more may be added, none changes. */
enum err_class {
    ERR_NONE = 0,
    ERR_FAILED = 1,       /* I/O and the rest */
    ERR_USAGE = 2,        /* the command line */
    ERR_PARTIAL = 3,      /* part of a batch failed */
    ERR_DAMAGED = 4,      /* damaged or forged data */
    ERR_NO_KEY = 5,       /* none of the given keys opens it */
    ERR_STORE = 6,        /* key store or file system not reachable; a retry may help */
    ERR_POLICY = 7,       /* refused by policy: generation, context, name, key state */
    ERR_UNSUPPORTED = 8,  /* made by a newer bulla, or needs a part this build lacks */
    ERR_EXISTS = 9,       /* the output is there already */
    ERR_MISSING = 10,     /* the input is not there */
    ERR_FOREIGN = 11,     /* it is no sealed file, or no key file */
    ERR_INTERRUPTED = 130 /* by a signal */
};

#define ERR_TEXT_MAX 1024 /* bytes, with the terminating zero; longer texts lose their middle */
#define ERR_HINT_MAX 512

/* struct err: {0} is "no error". text says what failed on what, in lower case and without a full
 * stop; hint, if not empty, says what to do. Neither is escaped and neither ever holds a secret. */
struct err {
    enum err_class class;
    bool named; /* the text names the file that it is about; else it may speak of one as "it" */
    char text[ERR_TEXT_MAX];
    char hint[ERR_HINT_MAX];
};

struct result {
    bool ok;
};

#define FALLIBLE __attribute__((warn_unused_result)) struct result
#define OK ((struct result){true})
#define FAIL ((struct result){false})

/* fail sets class and text, drops any earlier hint, and is FAIL. That is plain to see where it is
 * called, for compilers and analyzers, which cannot look into err.c. */
#define fail(...) (err_set(__VA_ARGS__), FAIL)

#define fail_memory(err) fail((err), ERR_FAILED, "out of memory")

/* fail_errno is fail with class ERR_FAILED, or ERR_INTERRUPTED after EINTR, or ERR_STORE if the
 * file system is gone, with ": " and the description of errno after the text. */
#define fail_errno(...) (err_set_errno(__VA_ARGS__), FAIL)

__attribute__((format(printf, 3, 4))) void err_set(struct err *err, enum err_class class,
                                                   const char *fmt, ...);
__attribute__((format(printf, 2, 3))) void err_set_errno(struct err *err, const char *fmt, ...);
__attribute__((format(printf, 2, 3))) void err_set_input(struct err *err, const char *fmt, ...);

/* fail_input is fail_errno for what is to be read: with class ERR_MISSING if it is not there. */
#define fail_input(...) (err_set_input(__VA_ARGS__), FAIL)

/* fail_named is fail with a text that names the file. */
#define fail_named(err, ...) (err_set((err), __VA_ARGS__), (err)->named = true, FAIL)

/* err_file puts the file's name in front of the text, unless the text has one. The function that
 * knows which file was worked on calls it, so that those that read, write, decrypt and ask for keys
 * need not. */
void err_file(struct err *err, const char *name);

/* err_context puts a text and ": " in front of the error's text, unless the error is an
 * interruption, which is about nothing in particular. */
__attribute__((format(printf, 2, 3))) void err_context(struct err *err, const char *fmt, ...);

/* err_done is err_context for what was done all the same, which an interruption does not undo. */
__attribute__((format(printf, 2, 3))) void err_done(struct err *err, const char *fmt, ...);

/* err_hint sets the hint of an error; fail_hint does, and is FAIL. */
__attribute__((format(printf, 2, 3))) void err_hint(struct err *err, const char *fmt, ...);
#define fail_hint(...) (err_hint(__VA_ARGS__), FAIL)

/* err_hint_option is err_hint by an option of the command line, which other hosts than the program
 * (base/host.h) do not have: they get no hint. */
__attribute__((format(printf, 2, 3))) void err_hint_option(struct err *err, const char *fmt, ...);
#define fail_hint_option(...) (err_hint_option(__VA_ARGS__), FAIL)

/* err_checked returns a result. In a build with sanitizers, the process ends there if the result is
 * a success but *err, which was {0} before, is not. */
FALLIBLE err_checked(struct result result, const struct err *err);

/* err_format is vsnprintf, but what does not fit loses its middle: the end of a message says why.
 */
__attribute__((format(printf, 3, 0))) void err_format(char *out, size_t room, const char *fmt,
                                                      va_list ap);

#endif

/* cleanup: descriptors and strings that end with the variable they are in. */
#ifndef BULLA_BASE_CLEANUP_H
#define BULLA_BASE_CLEANUP_H

#include <string.h>

/* TAKE moves what a variable holds out of it, and leaves zero there: how ownership leaves a
 * function whose variable is freed at its end. */
#define TAKE(variable)                                                                             \
    __extension__({                                                                                \
        __typeof__(variable) taken_ = (variable);                                                  \
        memset(&(variable), 0, sizeof(variable));                                                  \
        taken_;                                                                                    \
    })

/* fd_close closes *fd unless it is -1, which it is then. */
void fd_close(int *fd);
#define FD_CLEANUP __attribute__((cleanup(fd_close)))

/* string_free frees *s, which is NULL then. */
void string_free(char **s);
#define STRING_CLEANUP __attribute__((cleanup(string_free)))

#endif

/* result_place: where the result of a file goes, given the name of that file. */
#ifndef BULLA_CMD_RESULT_PLACE_H
#define BULLA_CMD_RESULT_PLACE_H

#include "cmd/batch.h"

/* result_place_name is the name of a result of that of its source; the caller frees. */
FALLIBLE result_place_name(const struct batch *b, const char *name, char **out, struct err *err);

/* result_place_in is the place of the result of a file of that name, in the open directory dir,
 * which the first size bytes of directory name; NULL if the name says it all. ERR_USAGE if a file
 * of that name can have no result. */
FALLIBLE result_place_in(const struct batch *b, const char *source_name, int dir,
                         const char *directory, size_t size, struct place *target, struct err *err);

/* result_place_beside is the place beside the file. */
FALLIBLE result_place_beside(const struct batch *b, const struct place *source,
                             struct place *target, struct err *err);

#endif

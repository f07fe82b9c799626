/* file_list: the names in a list of files (--files-from). */
#ifndef BULLA_CMD_FILE_LIST_H
#define BULLA_CMD_FILE_LIST_H

#include "base/err.h"

/* file_list_has_objects is true if the first name in a list, empty ones aside, is that of an
 * object: then the others may be too, and the run needs the network. null is as for file_list_read,
 * which still gets every name that is not empty. */
bool file_list_has_objects(const char *path, bool null);

/* file_list_check fails with ERR_MISSING if there is no list at path, before anything is done; NULL
 * is fine. */
FALLIBLE file_list_check(const char *path, struct err *err);

/* file_list_read calls each for every name in the list at path, "-" for standard input, until each
 * is false or a signal comes. With null true a zero byte ends a name, else a line end; empty names
 * are left out. */
FALLIBLE file_list_read(const char *path, bool null, bool (*each)(void *arg, const char *name),
                        void *arg, struct err *err);

#endif

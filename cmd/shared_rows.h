/* shared_rows: options that several verbs have, in arrays of options that belong together. */
#ifndef BULLA_CMD_SHARED_ROWS_H
#define BULLA_CMD_SHARED_ROWS_H

#include "cmd/options.h"

extern const struct row rows_all[];         /* of every verb */
extern const struct row rows_allow_empty[]; /* of a verb that proves something */
extern const struct row rows_batch[];       /* which files, and what is told of them */
extern const struct row rows_envelope[];    /* that is read */
extern const struct row rows_follow[];
extern const struct row rows_force[]; /* replaces what exists */
extern const struct row rows_generation[];
extern const struct row rows_inventory[];
extern const struct row rows_jobs[];
extern const struct row rows_json[];
extern const struct row rows_key[];
extern const struct row rows_new_passphrase[];
extern const struct row rows_one_file_system[]; /* of a verb that walks */
extern const struct row rows_output[];
extern const struct row rows_passphrase[];
extern const struct row rows_pin[];
extern const struct row rows_require[]; /* what a file must have */
extern const struct row rows_result[];  /* when it is durable, and what goes then */
extern const struct row rows_suite[];
extern const struct row rows_to[];

#endif

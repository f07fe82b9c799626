/* store_rows: the options of the key stores, as rows of the command line. */
#ifndef BULLA_CMD_STORE_ROWS_H
#define BULLA_CMD_STORE_ROWS_H

#include "cmd/options.h"

/* store_rows gives the rows of all stores; the name of the last is NULL. */
const struct row *store_rows(void);

/* store_rows_option is the option that a row was made of. */
const struct store_option *store_rows_option(const struct row *row);

/* store_rows_settings passes on the options of the command line. */
void store_rows_settings(struct store_settings *settings, const struct options *o);

#endif

/* terminal: all that bulla says. Messages go to standard error, escaped, problem first:
 *
 *     bulla: 'x.bulla': chunk 17 does not authenticate
 *     bulla: hint: what to do
 *
 * On a terminal the first word has a colour, unless NO_COLOR is set.
 *
 * Standard output has results only: data, JSON, or what the verb is asked to show. They are printed
 * here and not by printf, whose stream and descriptor 1 belong to whatever code of others prints.
 */
#ifndef BULLA_CMD_TERMINAL_H
#define BULLA_CMD_TERMINAL_H

#include <jansson.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

/* terminal_begin puts standard output aside (stream_keep_output); before anything is printed. */
FALLIBLE terminal_begin(struct err *err);

/* terminal_quiet drops warnings and notes from then on. */
void terminal_quiet(bool quiet);

/* terminal_verbose has what is done with keys told from then on (host_explain), as notes. */
void terminal_verbose(void);

/* terminal_about names the file that this thread works on, for these notes; NULL = none. The name
 * must live until the next call. */
void terminal_about(const char *file);

/* terminal_error prints an error with its hint and returns its class, the exit status. */
int terminal_error(const struct err *err);

/* terminal_warn has the shape of a session's warn. */
void terminal_warn(void *arg, const char *text);
__attribute__((format(printf, 1, 2))) void terminal_note(const char *fmt, ...);

/* terminal_print prints to standard output what is ours; what comes from outside is for
 * terminal_show. */
__attribute__((format(printf, 1, 2))) void terminal_print(const char *fmt, ...);

/* terminal_show prints bytes from outside to standard output, escaped. */
void terminal_show(const void *bytes, size_t size);

/* terminal_size writes a number of bytes for people: 1234567 as "1.2 MiB". */
#define TERMINAL_SIZE_MAX 16
const char *terminal_size(uint64_t bytes, char out[TERMINAL_SIZE_MAX]);

/* terminal_has_reader is true if standard output is a terminal, where a person reads. */
bool terminal_has_reader(void);

/* terminal_fact prints a name and a value, escaped, or puts them into object if that is not NULL.
 */
void terminal_fact(json_t *object, const char *name, const char *value);

/* terminal_text makes a JSON string of bytes from outside; what is not UTF-8 is escaped first. */
json_t *terminal_text(const void *bytes, size_t size);

/* The same for key references: without a PIN that one may hold. */
void terminal_reference(const char *reference);
json_t *terminal_reference_text(const char *reference);

/* terminal_put and terminal_append add to JSON and take the value over. What cannot be added counts
 * as lost for terminal_finish, so that nothing is left out with exit status 0. */
void terminal_put(json_t *object, const char *name, json_t *value);
void terminal_append(json_t *array, json_t *value);

/* terminal_json prints one line of ASCII JSON to standard output and drops the reference. */
void terminal_json(json_t *json);

/* terminal_lost tells that something for standard output could not be made. */
void terminal_lost(void);

/* terminal_finish flushes standard output and returns status, or ERR_FAILED if what was printed
 * there did not arrive. */
int terminal_finish(int status);

#endif

/* progress: what a run that takes longer than a second shows on the terminal, on standard error:
 * files and bytes done, the rate, the time left. The time in which somebody is asked for a secret
 * does not count, and a file that is almost done then begins no line. Nothing if that is not a
 * terminal or with -q; lines of JSON, once a second, with --progress=json. */
#ifndef BULLA_CMD_PROGRESS_H
#define BULLA_CMD_PROGRESS_H

#include <stdint.h>

#include "base/stream.h"
#include "cmd/options.h"

/* What --progress may say in place of what a run shows by itself. */
enum { PROGRESS_JSON = 1, PROGRESS_NONE };

/* progress_init takes --progress. */
void progress_init(const struct options *o);

/* progress_at_once tells that several files are read at once; call it before any thread starts. */
void progress_at_once(unsigned files);

/* progress_file tells that a file is begun; size is its bytes, 0 if they are not known. */
void progress_file(const char *name, uint64_t size);

/* progress_size tells the bytes of the file that was begun, where they are known only now. */
void progress_size(uint64_t size);

/* progress_read is the watch of every source: bytes were read. */
void progress_read(void *arg, size_t bytes);

/* progress_file_done counts a file. */
void progress_file_done(void);

/* progress_clear takes the line off the terminal, for a message. */
void progress_clear(void);

/* progress_pause stops the clock, and takes the line off the terminal, while somebody is asked for
 * a secret; progress_resume lets both go on. One thread at a time pauses. */
void progress_pause(void);
void progress_resume(void);

#endif

/* stream: sources and sinks of bytes.
 *
 * Both wait for a descriptor that does not block, retry after EINTR and short counts, and give up
 * with ERR_INTERRUPTED once this thread's host was interrupted (base/host.h). */
#ifndef BULLA_BASE_STREAM_H
#define BULLA_BASE_STREAM_H

#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>

#include "base/err.h"

/* stream_interrupted is true once the host of this thread was interrupted. */
bool stream_interrupted(void);

/* struct watch: a callback that is told how many bytes were read. */
struct watch {
    void (*read)(void *arg, size_t bytes);
    void *arg;
};

/* struct remote: bytes of a known number that are no file's, and can be read at any place; threads
 * may do so at once. */
struct remote {
    struct result (*read_at)(void *arg, uint64_t offset, void *buf, size_t size, struct err *err);
    void (*expect)(void *arg); /* says that all will be read */
    void *arg;
    uint64_t size;
};

/* struct source: a readable descriptor, or remote bytes, which belong to the caller, and a name for
 * messages. */
struct source {
    int fd;
    const struct remote *remote; /* NULL: the descriptor's */
    uint64_t remote_at;          /* how many of these were read in order */
    const char *name;
    const struct watch *watch; /* told of what is read; NULL = nobody */
    uint8_t *ahead;            /* bytes that were put back, owned; NULL if none */
    size_t ahead_at, ahead_size;

    /* Reads in place of fd, which is -1: up to size bytes, 0 only at the end. NULL = fd is read. */
    struct result (*read)(void *arg, void *buf, size_t size, size_t *got, struct err *err);
    void *read_arg;

    /* Called when nothing more comes: OK means that this is the end; a failure is a failure to
     * read. NULL = it is the end. */
    struct result (*end)(void *arg, struct err *err);
    void *end_arg;
    bool ended; /* end was asked, and nothing more is read */
};

/* source_look fills *st for a source that somebody else opened, all zero if it is no descriptor,
 * and asks for a larger buffer if it is a pipe. */
FALLIBLE source_look(const struct source *s, struct stat *st, struct err *err);

/* source_read fills buf with size bytes; *got is less only at the end of the source. */
FALLIBLE source_read(struct source *s, void *buf, size_t size, size_t *got, struct err *err);

/* source_rewind goes back to the beginning of a source of remote bytes or of a file, and drops what
 * was put back. */
FALLIBLE source_rewind(struct source *s, struct err *err);

/* source_extent is true if the rest of the source is a file that can be read at any place: *offset
 * is where that begins in the file and *size its bytes, as far as the system knows now. */
bool source_extent(const struct source *s, uint64_t *offset, uint64_t *size);

/* source_expect tells the system that all of a file will be read, by several threads at once. */
void source_expect(const struct source *s);

/* source_read_at fills buf from a place in the file, without moving the source; threads may call it
 * at once. A file that is too short for that fails as one that changed. */
FALLIBLE source_read_at(const struct source *s, uint64_t offset, void *buf, size_t size,
                        struct err *err);

/* source_skip reads and drops size bytes; *got is less only at the end of the source. */
FALLIBLE source_skip(struct source *s, uint64_t size, uint64_t *got, struct err *err);

/* source_unread puts bytes back in front of what is still to be read; once for a source. */
FALLIBLE source_unread(struct source *s, const void *bytes, size_t size, struct err *err);

/* source_read_ahead reads *size bytes and puts them back; *size is less only at the end of the
 * source. Not after source_unread, nor before it: a source holds one lot of bytes. */
FALLIBLE source_read_ahead(struct source *s, size_t *size, struct err *err);

/* source_forget drops what was put back. */
void source_forget(struct source *s);
#define SOURCE_CLEANUP __attribute__((cleanup(source_forget)))

/* source_settle comes before a file is read. From then on, the file's time shows what others write
 * to it through a mapping (mmap(2)): a written page gives the file a new time only once the system
 * has begun to store it. Where nobody has the file open to write, it does nothing. Memory (tmpfs)
 * and overlays store nothing, and show nothing. */
void source_settle(const struct source *s);

/* source_unchanged fails if the file behind a regular source is not as *before says (size, mtime).
 */
FALLIBLE source_unchanged(const struct source *s, const struct stat *before, struct err *err);

/* source_touched is true if something about that file changed (ctime): what it holds, even if
 * whoever wrote that set the old time again, or only a name, an owner or permissions. */
bool source_touched(const struct source *s, const struct stat *before);

/* source_changed fails with the message of source_unchanged. */
FALLIBLE source_changed(const struct source *s, struct err *err);

/* pipe_widen asks for a larger buffer of a pipe, so that both of its ends work at once; anything
 * else is left as it is, and so is a pipe of another host than the program. */
void pipe_widen(int fd);

/* struct sink: takes bytes in order, and if write_at is not NULL in any order after those; each
 * kind of sink begins with one. */
struct sink {
    struct result (*write)(struct sink *self, const void *bytes, size_t size, struct err *err);
    struct result (*write_at)(struct sink *self, uint64_t offset, const void *bytes, size_t size,
                              struct err *err);
    struct result (*expect)(struct sink *self, uint64_t size, struct err *err); /* may be NULL */
};

FALLIBLE sink_write(struct sink *s, const void *bytes, size_t size, struct err *err);

/* sink_write_at writes at an offset from the end of what sink_write wrote; threads may call it at
 * once, and nobody sink_write any more. Only for sinks that have it. */
FALLIBLE sink_write_at(struct sink *s, uint64_t offset, const void *bytes, size_t size,
                       struct err *err);

/* sink_expect tells that size more bytes will come, so that a disk without that much room is known
 * before anything is read, and a file written at several places lies in one piece. */
FALLIBLE sink_expect(struct sink *s, uint64_t size, struct err *err);

/* fd_sink writes to a descriptor, which belongs to somebody else. */
struct fd_sink {
    struct sink sink;
    int fd;
    const char *name;
    uint64_t written; /* bytes, in order */
};

struct fd_sink fd_sink(int fd, const char *name);

/* new_file_sink is an fd_sink for a file that was empty, which takes bytes in any order unless
 * in_order is true. */
struct fd_sink new_file_sink(int fd, const char *name, bool in_order);

/* null_sink drops what it is given. */
struct sink null_sink(void);

/* compare_sink fails with ERR_DAMAGED when what it is given differs from what the source holds. The
 * source must be at its end afterwards: compare_sink_finish checks that. */
struct compare_sink {
    struct sink sink;
    struct source against;
};

struct compare_sink compare_sink(struct source against);
FALLIBLE compare_sink_finish(struct compare_sink *s, struct err *err);

#endif

#include "cmd/progress.h"

#include <inttypes.h>
#include <jansson.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/text.h"
#include "cmd/terminal.h"

#define FIRST_MS 1000 /* nothing is shown before */
#define LINE_MS 200   /* between two changes of the line */
#define JSON_MS 1000
#define RATE_MIN_MS 100

enum mode { OFF, LINE, JSON };

static struct {
    enum mode mode;
    bool line_shown;
    uint64_t begun, shown; /* ms; begun is later by the pauses */
    uint64_t files, all;   /* done; bytes read in this run */
    uint64_t bytes, size;  /* of the file that is being read */
    uint64_t at_once;      /* files; of several, bytes are those of all */
    uint64_t paused;       /* ms: since when; 0 = it is not */
    char name[TEXT_ESCAPED(64)];
} now;

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; /* of now */

void progress_init(const struct options *o)
{
    now.begun = clock_ms();
    if (o->progress == PROGRESS_JSON)
        now.mode = JSON;
    else if (o->progress == 0 && !o->quiet && isatty(STDERR_FILENO))
        now.mode = LINE;
}

void progress_at_once(unsigned files)
{
    now.at_once = files;
}

/* Bytes in a second since the run began. */
static uint64_t rate(uint64_t time)
{
    uint64_t ms = time - now.begun;

    return ms < RATE_MIN_MS ? 0 : now.all * 1000 / ms;
}

/* Seconds left in this file, or -1. */
static int64_t left(uint64_t time)
{
    uint64_t r = rate(time);

    if (r == 0 || now.size < now.bytes)
        return -1;
    return (int64_t)((now.size - now.bytes) / r);
}

static void show_line(uint64_t time)
{
    char done[TERMINAL_SIZE_MAX], size[TERMINAL_SIZE_MAX], speed[TERMINAL_SIZE_MAX];
    char eta[32] = "", files[32] = "";

    if (left(time) >= 0)
        snprintf(eta, sizeof eta, ", %" PRId64 " s left", left(time));
    if (now.files > 0)
        snprintf(files, sizeof files, "%" PRIu64 " file%s done; ", now.files,
                 now.files == 1 ? "" : "s");
    fprintf(stderr, "\r\033[K%s%s: %s%s%s, %s/s%s", files, now.name, terminal_size(now.bytes, done),
            now.size > 0 ? " of " : "", now.size > 0 ? terminal_size(now.size, size) : "",
            terminal_size(rate(time), speed), eta);
    (void)fflush(stderr);
    now.line_shown = true;
}

static void show_json(uint64_t time)
{
    json_t *json = json_pack("{s:I, s:s, s:I, s:I, s:I, s:I}", "files_done", (json_int_t)now.files,
                             "file", now.name, "bytes", (json_int_t)now.bytes, "size",
                             (json_int_t)now.size, "bytes_per_second", (json_int_t)rate(time),
                             "seconds_left", (json_int_t)left(time));

    if (json == NULL)
        return;
    /* It is written in pieces, and warnings of other threads come between lines. */
    flockfile(stderr);
    json_dumpf(json, stderr, JSON_COMPACT | JSON_ENSURE_ASCII);
    fputc('\n', stderr);
    funlockfile(stderr);
    json_decref(json);
}

/* For one file that is almost done, no line is begun: it would be gone before anybody could read
 * it. With several files, or a pipe, nobody knows how much is left. */
static bool would_flash(uint64_t time)
{
    int64_t seconds = left(time);

    return now.mode == LINE && now.shown == 0 && now.files == 0 && now.at_once <= 1 &&
           seconds >= 0 && seconds * 1000 < FIRST_MS;
}

static void show(void)
{
    uint64_t time = clock_ms(), since = time - now.shown;

    if (now.paused != 0 || time - now.begun < FIRST_MS ||
        since < (now.mode == JSON ? JSON_MS : LINE_MS) || would_flash(time))
        return;
    now.shown = time;
    if (now.mode == JSON)
        show_json(time);
    else
        show_line(time);
}

void progress_file(const char *name, uint64_t size)
{
    if (now.mode == OFF)
        return;
    pthread_mutex_lock(&lock);
    now.size = now.at_once > 1 ? 0 : size;
    if (now.at_once > 1)
        snprintf(now.name, sizeof now.name, "%" PRIu64 " at once", now.at_once);
    else
        text_escape(now.name, sizeof now.name, name, strlen(name));
    if (now.at_once <= 1)
        now.bytes = 0;
    pthread_mutex_unlock(&lock);
}

void progress_size(uint64_t size)
{
    pthread_mutex_lock(&lock);
    if (now.at_once <= 1)
        now.size = size;
    pthread_mutex_unlock(&lock);
}

void progress_read(void *arg, size_t bytes)
{
    (void)arg;
    if (now.mode == OFF)
        return;
    pthread_mutex_lock(&lock);
    now.bytes += bytes;
    now.all += bytes;
    show();
    pthread_mutex_unlock(&lock);
}

void progress_file_done(void)
{
    if (now.mode == OFF)
        return;
    pthread_mutex_lock(&lock);
    now.files++;
    if (now.mode == JSON) /* a line that says no more than that would be cleared at once */
        show();
    pthread_mutex_unlock(&lock);
}

static void clear_line(void)
{
    if (now.line_shown)
        fputs("\r\033[K", stderr);
    now.line_shown = false;
}

void progress_clear(void)
{
    pthread_mutex_lock(&lock);
    clear_line();
    pthread_mutex_unlock(&lock);
}

void progress_pause(void)
{
    pthread_mutex_lock(&lock);
    clear_line();
    now.paused = clock_ms();
    pthread_mutex_unlock(&lock);
}

void progress_resume(void)
{
    pthread_mutex_lock(&lock);
    now.begun += clock_ms() - now.paused;
    now.paused = 0;
    pthread_mutex_unlock(&lock);
}

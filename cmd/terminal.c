#include "cmd/terminal.h"

#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/host.h"
#include "base/text.h"
#include "cmd/progress.h"
#include "cmd/standard_streams.h"
#include "keystore/redact_reference.h"

#define LINE_MAX_SIZE (2 * ERR_TEXT_MAX)
#define PREFIX_MAX 40

static bool quiet;
static atomic_bool lost; /* something for standard output */
static FILE *kept;       /* standard output, once it was put aside */

static FILE *output(void)
{
    return kept != NULL ? kept : stdout;
}

struct result terminal_begin(struct err *err)
{
    if (!standard_output_keep(err).ok)
        return FAIL;
    kept = fdopen(standard_output_fd(), "w");
    return kept != NULL ? OK : fail_errno(err, "cannot use standard output");
}

void terminal_quiet(bool q)
{
    quiet = q;
}

/* The kinds of lines: the word in front, and its colour. An error has no word, so the name of the
 * program is coloured. */
enum line_kind { LINE_ERROR, LINE_WARNING, LINE_NOTE, LINE_HINT };

static const struct {
    const char *before, *word, *after, *colour;
} kinds[] = {
    [LINE_ERROR] = {"", "bulla:", " ", "\033[1;31m"},
    [LINE_WARNING] = {"bulla: ", "warning:", " ", "\033[1;33m"},
    [LINE_NOTE] = {"", "bulla:", " ", ""},
    [LINE_HINT] = {"bulla: ", "hint:", " ", "\033[36m"},
};

/* Only on a terminal, and unless the user turned colours off (https://no-color.org). */
static bool has_colours(void)
{
    const char *no = getenv("NO_COLOR"), *terminal = getenv("TERM");

    return isatty(STDERR_FILENO) && (no == NULL || no[0] == '\0') && terminal != NULL &&
           terminal[0] != '\0' && strcmp(terminal, "dumb") != 0;
}

static const char *prefix(enum line_kind kind, char out[PREFIX_MAX])
{
    bool coloured = kinds[kind].colour[0] != '\0' && has_colours();

    snprintf(out, PREFIX_MAX, "%s%s%s%s%s", kinds[kind].before, coloured ? kinds[kind].colour : "",
             kinds[kind].word, coloured ? "\033[0m" : "", kinds[kind].after);
    return out;
}

/* Prints in one piece, so that the lines of several threads do not mix. */
static void line(enum line_kind kind, const char *text, const char *hint)
{
    char escaped[TEXT_ESCAPED(LINE_MAX_SIZE)], more[TEXT_ESCAPED(ERR_HINT_MAX)];
    char first[PREFIX_MAX], second[PREFIX_MAX] = "";

    text_escape(escaped, sizeof escaped, text, strlen(text));
    text_escape(more, sizeof more, hint, strlen(hint));
    if (hint[0] != '\0')
        (void)prefix(LINE_HINT, second);
    progress_clear();
    fprintf(stderr, "%s%s\n%s%s%s", prefix(kind, first), escaped, second, more,
            hint[0] != '\0' ? "\n" : "");
}

static _Thread_local const char *about;

void terminal_about(const char *file)
{
    about = file;
}

static void explain(void *arg, const char *text)
{
    char all[LINE_MAX_SIZE];

    (void)arg;
    snprintf(all, sizeof all, "%s%s%s%s", about != NULL ? "'" : "", about != NULL ? about : "",
             about != NULL ? "': " : "", text);
    line(LINE_NOTE, all, "");
}

void terminal_verbose(void)
{
    host_program()->explain = explain;
}

int terminal_error(const struct err *err)
{
    line(LINE_ERROR, err->text, err->hint);
    return (int)err->class;
}

void terminal_warn(void *arg, const char *text)
{
    (void)arg;
    if (!quiet)
        line(LINE_WARNING, text, "");
}

void terminal_note(const char *fmt, ...)
{
    char text[LINE_MAX_SIZE];
    va_list ap;

    if (quiet)
        return;
    va_start(ap, fmt);
    err_format(text, sizeof text, fmt, ap);
    va_end(ap);
    line(LINE_NOTE, text, "");
}

void terminal_print(const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    vfprintf(output(), fmt, ap);
    va_end(ap);
}

void terminal_show(const void *bytes, size_t size)
{
    char *escaped = malloc(TEXT_ESCAPED(size));

    if (escaped != NULL)
        fputs(text_escape(escaped, TEXT_ESCAPED(size), bytes, size), output());
    else
        lost = true;
    free(escaped);
}

json_t *terminal_text(const void *bytes, size_t size)
{
    if (text_is_utf8(bytes, size))
        return json_stringn(bytes, size);
    char *escaped = malloc(TEXT_ESCAPED(size));
    json_t *json =
        escaped == NULL ? NULL : json_string(text_escape(escaped, TEXT_ESCAPED(size), bytes, size));
    free(escaped);
    return json;
}

void terminal_reference(const char *reference)
{
    char *shown = redact_reference(reference);

    if (shown != NULL)
        terminal_show(shown, strlen(shown));
    else
        lost = true;
    free(shown);
}

json_t *terminal_reference_text(const char *reference)
{
    char *shown = redact_reference(reference);
    json_t *text = shown == NULL ? NULL : terminal_text(shown, strlen(shown));

    free(shown);
    return text;
}

void terminal_put(json_t *object, const char *name, json_t *value)
{
    if (json_object_set_new(object, name, value) != 0)
        lost = true;
}

void terminal_append(json_t *array, json_t *value)
{
    if (json_array_append_new(array, value) != 0)
        lost = true;
}

/* DEL is ASCII to JSON, but not to a terminal. */
static int put_json(const char *text, size_t size, void *arg)
{
    (void)arg;
    for (size_t i = 0; i < size; i++)
        if (text[i] == 0x7f ? fputs("\\u007f", output()) == EOF : putc(text[i], output()) == EOF)
            return -1;
    return 0;
}

void terminal_json(json_t *json)
{
    flockfile(output());
    lost = lost || json == NULL; /* then a line may lack something, and is not printed */
    if (!lost && json_dump_callback(json, put_json, NULL,
                                    JSON_COMPACT | JSON_ENSURE_ASCII | JSON_PRESERVE_ORDER) != 0)
        lost = true;
    if (!lost)
        putc('\n', output());
    json_decref(json);
    (void)fflush(output()); /* what fails here is seen at the end */
    funlockfile(output());
}

void terminal_lost(void)
{
    lost = true;
}

int terminal_finish(int status)
{
    progress_clear();
    if (fflush(output()) == 0 && !ferror(output()) && !lost)
        return status;
    line(LINE_ERROR, "cannot write standard output", "");
    return status == ERR_NONE ? ERR_FAILED : status;
}

const char *terminal_size(uint64_t bytes, char out[TERMINAL_SIZE_MAX])
{
    static const char *const units[] = {"B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
    double v = (double)bytes;
    size_t u = 0;

    for (; v >= 1023.5 && u + 1 < sizeof units / sizeof *units; u++)
        v /= 1024;
    snprintf(out, TERMINAL_SIZE_MAX, u == 0 || v >= 99.5 ? "%.0f %s" : "%.1f %s", v, units[u]);
    return out;
}

bool terminal_has_reader(void)
{
    return isatty(standard_output_fd());
}

void terminal_fact(json_t *object, const char *name, const char *value)
{
    if (object != NULL) {
        terminal_put(object, name, terminal_text(value, strlen(value)));
        return;
    }
    terminal_print("  %-20s", name);
    terminal_show(value, strlen(value));
    terminal_print("\n");
}

#include "cmd/inventory.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/text.h"
#include "cmd/file_list.h"

enum column { BUCKET, KEY, VERSION, IS_LATEST, IS_MARKER, COLUMNS };

/* struct reading: a list on its way. */
struct reading {
    bool (*each)(void *arg, const char *bucket, const struct object_entry *entry);
    void *arg;
    uint64_t line;
    struct err *err;
    bool failed;
};

/* Takes a column off the line, which is quoted, with two quotes for one; NULL if it is none. */
static char *take_column(char **line)
{
    char *from = *line, *to = from, *begin = from;

    if (*from++ != '"')
        return NULL;
    for (; *from != '\0' && (from[0] != '"' || from[1] == '"'); from++) {
        from += from[0] == '"';
        *to++ = *from;
    }
    if (*from != '"' || (from[1] != ',' && from[1] != '\0' && from[1] != '\r'))
        return NULL;
    *line = from + 1 + (from[1] == ',');
    *to = '\0';
    return begin;
}

static bool is_truth(const char *text)
{
    return text != NULL && (strcmp(text, "true") == 0 || strcmp(text, "false") == 0);
}

/* Fills columns up to those that tell versions, as far as the line has them. */
static size_t take_columns(char *line, char *column[COLUMNS])
{
    size_t count = 0;

    for (; count < COLUMNS; count++)
        if ((column[count] = take_column(&line)) == NULL)
            break;
    return count;
}

/* A line; *entry is of an old version, or a marker, where the list has them. */
static bool read_line(char *line, char **bucket, struct object_entry *entry)
{
    char *column[COLUMNS] = {NULL};
    size_t count = take_columns(line, column);
    bool versions = count == COLUMNS && is_truth(column[IS_LATEST]) && is_truth(column[IS_MARKER]);

    if (count <= KEY || column[BUCKET][0] == '\0' || column[KEY][0] == '\0' ||
        !text_unpercent(column[KEY]))
        return false;
    *bucket = column[BUCKET];
    *entry = (struct object_entry){.key = column[KEY], .look.size = UINT64_MAX};
    entry->old = versions && strcmp(column[IS_LATEST], "false") == 0;
    entry->marker = versions && strcmp(column[IS_MARKER], "true") == 0;
    return true;
}

static bool on_line(void *arg, const char *text)
{
    struct reading *r = arg;
    struct object_entry entry;
    char *bucket, *line STRING_CLEANUP = strdup(text);

    r->line++;
    if (line != NULL && read_line(line, &bucket, &entry))
        return entry.old || entry.marker || r->each(r->arg, bucket, &entry);
    (void)fail(r->err, line != NULL ? ERR_USAGE : ERR_FAILED,
               "line %" PRIu64 " is not of a list of S3 Inventory in CSV", r->line);
    err_hint(r->err, "unpack it first: zcat LIST.csv.gz | bulla … --inventory -");
    r->failed = true;
    return false;
}

struct result inventory_read(const char *path,
                             bool (*each)(void *arg, const char *bucket,
                                          const struct object_entry *entry),
                             void *arg, struct err *err)
{
    struct err why = {0};
    struct reading r = {each, arg, 0, &why, false};

    if (!file_list_read(path, false, on_line, &r, err).ok)
        return FAIL;
    if (!r.failed)
        return OK;
    *err = why;
    err_file(err, path);
    return FAIL;
}

#include "storage/s3/wishes.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/text.h"
#include "storage/s3/request.h"

#define META "x-amz-meta-"
#define LOCK "x-amz-object-lock-"
#define TIME_MAX 40 /* bytes of a time in a header */
#define APART "bulla-envelope: apart"
#define META_ALL_MAX 2048 /* bytes of all names and values of metadata */
#define TAGS_MAX 10
#define TAG_NAME_MAX 128
#define TAG_VALUE_MAX 256

/* struct lines: headers as they are made. */
struct lines {
    char *text;
    size_t meta; /* bytes of metadata so far */
};

__attribute__((format(printf, 3, 4))) static struct result add(struct lines *l, struct err *err,
                                                               const char *format, ...)
{
    char *more, *longer;
    va_list ap;

    va_start(ap, format);
    int size = vasprintf(&more, format, ap);
    va_end(ap);
    if (size < 0)
        return fail_memory(err);
    size = asprintf(&longer, "%s%s\n", l->text != NULL ? l->text : "", more);
    free(more);
    if (size < 0)
        return fail_memory(err);
    free(l->text);
    l->text = longer;
    return OK;
}

static bool is_printable(const char *text)
{
    for (; *text != '\0'; text++)
        if (*text < ' ' || *text > '~')
            return false;
    return true;
}

/* A word that goes into a header as it is; NULL for none. */
static struct result add_word(struct lines *l, const char *header, const char *option,
                              const char *word, struct err *err)
{
    if (word == NULL)
        return OK;
    if (word[0] == '\0' || !is_printable(word) || strchr(word, ' ') != NULL)
        return fail(err, ERR_USAGE, "'%s' is not what %s takes", word, option);
    return add(l, err, "%s: %s", header, word);
}

/* Takes a pair apart; *size is that of the name. */
static struct result split(const char *pair, const char *option, size_t *size, struct err *err)
{
    const char *sign = strchr(pair, '=');

    if (sign == NULL || sign == pair)
        return fail(err, ERR_USAGE, "%s takes NAME=VALUE, not '%s'", option, pair);
    *size = (size_t)(sign - pair);
    return OK;
}

static struct result add_metadata(struct lines *l, const char *pair, struct err *err)
{
    static const char usual[] = "abcdefghijklmnopqrstuvwxyz0123456789-_.";
    size_t size;

    if (!split(pair, "--metadata", &size, err).ok)
        return FAIL;
    if (strspn(pair, usual) != size || !is_printable(pair + size))
        return fail(
            err, ERR_USAGE,
            "--metadata '%s': a name has lower case letters, digits, '-', '_' and '.', and a "
            "value printable ASCII",
            pair);
    l->meta += strlen(pair) - 1;
    if (l->meta > META_ALL_MAX)
        return fail(err, ERR_USAGE, "all metadata of an object has at most %d bytes", META_ALL_MAX);
    return add(l, err, META "%.*s: %s", (int)size, pair, pair + size + 1);
}

/* Appends a pair to the text of a header. */
static struct result append_tag(char **text, const char *pair, struct err *err)
{
    char name[TEXT_PERCENT(TAG_NAME_MAX)], value[TEXT_PERCENT(TAG_VALUE_MAX)],
        plain[TAG_NAME_MAX + 1];
    char *longer;
    size_t size;

    if (!split(pair, "--tag", &size, err).ok)
        return FAIL;
    if (size > TAG_NAME_MAX || strlen(pair + size + 1) > TAG_VALUE_MAX ||
        !text_is_utf8(pair, strlen(pair)))
        return fail(err, ERR_USAGE, "--tag '%s': a name has at most %d bytes, a value %d", pair,
                    TAG_NAME_MAX, TAG_VALUE_MAX);
    memcpy(plain, pair, size);
    plain[size] = '\0';
    text_percent(name, plain);
    text_percent(value, pair + size + 1);
    if (asprintf(&longer, "%s%s%s=%s", *text != NULL ? *text : "", *text != NULL ? "&" : "", name,
                 value) < 0)
        return fail_memory(err);
    free(*text);
    *text = longer;
    return OK;
}

static struct result add_tags(struct lines *l, const struct object_wish *w, struct err *err)
{
    char *text = NULL;
    struct result r = OK;

    if (w->tag_count == 0)
        return OK;
    if (w->tag_count > TAGS_MAX)
        return fail(err, ERR_USAGE, "an object has at most %d tags", TAGS_MAX);
    for (size_t i = 0; r.ok && i < w->tag_count; i++)
        r = append_tag(&text, w->tags[i], err);
    if (r.ok)
        r = add(l, err, "x-amz-tagging: %s", text);
    free(text);
    return r;
}

/* Times before 1970 are left out. */
static struct result add_file(struct lines *l, const struct stat *st, struct err *err)
{
    if (st == NULL || !S_ISREG(st->st_mode) || st->st_mtim.tv_sec <= 0)
        return OK;
    return add(l, err, META "mtime: %lld.%09ld", (long long)st->st_mtim.tv_sec, st->st_mtim.tv_nsec)
                   .ok
               ? add(l, err, META "mode: %o", (unsigned)st->st_mode)
               : FAIL;
}

static struct result add_all(struct lines *l, const struct object_wish *w, struct err *err)
{
    struct result r = add(l, err, "Content-Type: application/octet-stream");

    if (w == NULL || !r.ok)
        return r;
    if (!add_word(l, "x-amz-storage-class", "--storage-class", w->storage_class, err).ok ||
        !add_word(l, "x-amz-acl", "--acl", w->acl, err).ok)
        return FAIL;
    if (w->sse_key != NULL && (!add(l, err, "x-amz-server-side-encryption: aws:kms").ok ||
                               !add_word(l, "x-amz-server-side-encryption-aws-kms-key-id",
                                         "--sse-kms-key", w->sse_key, err)
                                    .ok))
        return FAIL;
    if (w->apart)
        r = add(l, err, META APART);
    for (size_t i = 0; r.ok && i < w->metadata_count; i++)
        r = add_metadata(l, w->metadata[i], err);
    return r.ok && add_tags(l, w, err).ok ? add_file(l, w->like, err) : FAIL;
}

struct result s3_wished(const struct object_wish *wish, char **kept, struct err *err)
{
    struct lines l = {0};

    if (!add_all(&l, wish, err).ok) {
        free(l.text);
        return FAIL;
    }
    *kept = l.text;
    return OK;
}

/* The value of a header among those that are kept; NULL if it is not there. */
static const char *value_of(const char *kept, const char *name)
{
    size_t size = strlen(name);

    while (kept != NULL && *kept != '\0') {
        if (strncasecmp(kept, name, size) == 0 && kept[size] == ':')
            return kept + size + 1 + strspn(kept + size + 1, " ");
        kept = strchr(kept, '\n');
        kept = kept != NULL ? kept + 1 : NULL;
    }
    return NULL;
}

/* Digits after the point, as many as there are, are a fraction of a second. */
static long read_fraction(const char *digits)
{
    long nanoseconds = 0;

    for (long unit = 100000000; unit > 0 && *digits >= '0' && *digits <= '9'; unit /= 10)
        nanoseconds += (*digits++ - '0') * unit;
    return nanoseconds;
}

void s3_read_file_look(struct object_look *look)
{
    const char *apart = value_of(look->kept, META "bulla-envelope"),
               *time = value_of(look->kept, META "mtime"),
               *mode = value_of(look->kept, META "mode");
    char *end;

    look->apart = apart != NULL && strncmp(apart, "apart\n", 6) == 0;
    if (time == NULL || *time < '0' || *time > '9')
        return;
    errno = 0;
    unsigned long long seconds = strtoull(time, &end, 10);
    if (errno != 0 || seconds > TEXT_TIME_MAX || (*end != '.' && *end != '\n'))
        return;
    look->file_time = (struct timespec){.tv_sec = (time_t)seconds,
                                        .tv_nsec = *end == '.' ? read_fraction(end + 1) : 0};
    if (mode != NULL && *mode >= '0' && *mode <= '7')
        look->file_mode = (mode_t)strtoul(mode, NULL, 8) & 0777;
}

/* Takes a line out; at is in it. */
static void drop_line(char *kept, const char *at)
{
    char *begin = kept + (at - kept), *end = begin + strcspn(begin, "\n");

    while (begin > kept && begin[-1] != '\n')
        begin--;
    end += *end == '\n';
    memmove(begin, end, strlen(end) + 1);
}

void s3_drop_past_lock(char *kept, uint64_t now)
{
    static const char *const names[] = {LOCK "retain-until-date", LOCK "mode"};
    const char *until = value_of(kept, names[0]), *at;
    char text[TIME_MAX] = "";
    size_t size = until != NULL ? strcspn(until, "\r\n") : 0;

    if (size < sizeof text)
        memcpy(text, until != NULL ? until : "", size);
    uint64_t end = s3_time(text);
    if (end == 0 || end > now)
        return;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if ((at = value_of(kept, names[i])) != NULL)
            drop_line(kept, at);
}

#include "libbulla/open.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "libbulla/recognize.h"

void sealed_close(struct sealed *f)
{
    if (!f->open)
        return;
    fd_close(&f->owned);
    source_forget(&f->source);
    place_close(&f->beside);
    object_source_close(&f->remote);
    object_close(&f->beside_object);
    object_look_end(&f->beside_look);
    envelope_free(&f->envelope);
    envelope_free(&f->other);
    *f = (struct sealed){0};
}

/* If the name of a file says that it was sealed, it is damaged even if nothing of its envelope is
 * left. */
static struct result name_damage(const char *name, struct err *err)
{
    if (err->class == ERR_FOREIGN && recognize_is_named(name))
        (void)fail(err, ERR_DAMAGED,
                   "'%s' is not a sealed file, or both copies of its envelope are damaged", name);
    return FAIL;
}

/* Reads an envelope from a source in which nothing else may be. */
static struct result read_alone(struct sealed *f, const struct session *s, struct source *source,
                                struct err *err)
{
    char more;
    size_t got;

    struct result r = envelope_read(&f->envelope, &f->other, source, &f->health, err);
    if (r.ok)
        r = source_read(source, &more, 1, &got, err);
    source_forget(source);
    if (!r.ok)
        return name_damage(source->name, err);
    if (got != 0)
        return fail(err, ERR_DAMAGED, "'%s' has data after the envelope", source->name);
    f->separate = true;
    session_warn_health(s, source->name, &f->health);
    return OK;
}

/* Reads an envelope from a file of its own. */
static struct result read_separate(struct sealed *f, const struct session *s,
                                   const struct place *place, bool beside, struct err *err)
{
    int fd FD_CLEANUP = -1;

    if (!place_open_file(place, !beside, &fd, &f->envelope_st, err).ok)
        return FAIL;
    struct source source = {.fd = fd, .name = place->path};
    return read_alone(f, s, &source, err);
}

/* The same from an object. */
static struct result read_separate_object(struct sealed *f, const struct session *s,
                                          const struct object *o, struct object_look *look,
                                          struct err *err)
{
    struct object_source *remote __attribute__((cleanup(object_source_close))) = NULL;

    if (!object_source_open(&remote, o, err).ok)
        return FAIL;
    struct source source = object_source_of(remote, NULL);
    if (!read_alone(f, s, &source, err).ok)
        return FAIL;
    *look = object_source_take_look(remote);
    return OK;
}

static struct result read_given_object(struct sealed *f, const struct session *s,
                                       const struct object *o, struct err *err)
{
    struct object_look look OBJECT_LOOK_CLEANUP = {0};

    return read_separate_object(f, s, o, &look, err);
}

/* And from one beside another object. */
static struct result read_beside_object(struct sealed *f, const struct session *s,
                                        const struct object *body, struct err *err)
{
    struct err why = {0};

    if (!object_beside(&f->beside_object, body, ENVELOPE_SUFFIX, err).ok)
        return FAIL;
    if (!read_separate_object(f, s, &f->beside_object, &f->beside_look, &why).ok) {
        if (why.class == ERR_MISSING)
            err_hint_option(err, "if it was sealed with --detach, '%s' belongs beside it",
                            f->beside_object.path);
        else
            *err = why;
        return FAIL;
    }
    return source_rewind(&f->source, err);
}

/* The file has no envelope of its own, as *err says: perhaps one lies beside it. If not, *err stays
 * but for its hint. */
static struct result read_beside(struct sealed *f, const struct session *s,
                                 const struct place *body, struct err *err)
{
    struct err why = {0};
    struct stat st;
    bool there;

    if (!place_beside(&f->beside, body, ENVELOPE_SUFFIX, &why).ok ||
        !place_stat(&f->beside, &st, &there, &why).ok)
        return FAIL;
    if (!there) {
        return fail_hint_option(err, "if it was sealed with --detach, '%s' belongs beside it",
                                f->beside.path);
    }
    if (!read_separate(f, s, &f->beside, true, err).ok)
        return FAIL;
    return source_rewind(&f->source, err);
}

static struct result read_envelope(struct sealed *f, const struct session *s,
                                   const struct sealed_place *from, struct err *err)
{
    struct err why = {0};

    if (from->envelope != NULL)
        return read_separate(f, s, from->envelope, false, err);
    if (from->envelope_object != NULL)
        return read_given_object(f, s, from->envelope_object, err);
    if (envelope_read(&f->envelope, &f->other, &f->source, &f->health, &why).ok) {
        session_warn_health(s, f->source.name, &f->health);
        return OK;
    }
    if (from->body != NULL || from->object != NULL)
        (void)name_damage(f->source.name, &why);
    bool none = !from->alone && (why.class == ERR_DAMAGED || why.class == ERR_FOREIGN);
    struct result r = FAIL;
    if (none && from->object != NULL)
        r = read_beside_object(f, s, from->object, &why);
    else if (none && from->body != NULL && S_ISREG(f->st.st_mode))
        r = read_beside(f, s, from->body, &why);
    if (!r.ok)
        *err = why;
    return r;
}

/* The stat of an object: it belongs to the caller, and has the time and the permissions of the file
 * that it was made from, if it says so. */
static struct result open_object(struct sealed *f, const struct session *s, const struct object *o,
                                 struct err *err)
{
    if (!object_source_open(&f->remote, o, err).ok)
        return FAIL;
    f->source = object_source_of(f->remote, s->watch);
    const struct object_look *look = object_source_look(f->remote);
    f->st = (struct stat){.st_mode = S_IFREG | look->file_mode,
                          .st_uid = geteuid(),
                          .st_gid = getegid(),
                          .st_size = (off_t)look->size,
                          .st_atim = look->file_time,
                          .st_mtim = look->file_time};
    return OK;
}

struct result sealed_open(struct sealed *f, const struct session *s,
                          const struct sealed_place *from, struct err *err)
{
    struct sealed made SEALED_CLEANUP = {.open = true, .owned = -1};

    if (from->object != NULL) {
        if (!open_object(&made, s, from->object, err).ok)
            return FAIL;
    } else if (from->body == NULL) {
        made.source = *from->stream;
        made.source.watch = s->watch;
        if (!source_look(&made.source, &made.st, err).ok)
            return FAIL;
    } else {
        if (!place_open_file(from->body, from->follow, &made.owned, &made.st, err).ok)
            return FAIL;
        made.source =
            (struct source){.fd = made.owned, .name = from->body->path, .watch = s->watch};
    }
    if (!read_envelope(&made, s, from, err).ok)
        return FAIL;
    *f = TAKE(made);
    return OK;
}

struct result sealed_open_apart(struct sealed *f, const struct session *s, const struct object *o,
                                struct object *envelope, bool *found, struct err *err)
{
    const struct sealed_place from = {.object = envelope, .alone = true};
    struct err why = {0};

    if (!object_beside(envelope, o, ENVELOPE_SUFFIX, err).ok)
        return FAIL;
    *found = sealed_open(f, s, &from, &why).ok && object_source_look(f->remote)->apart;
    if (!*found)
        sealed_close(f);
    return OK;
}

/* If the result is gone or changed when it is read back, the input is not to blame. */
static struct result lost_result(struct err *err)
{
    if (err->class == ERR_FOREIGN)
        err->class = ERR_DAMAGED;
    if (err->class == ERR_MISSING)
        err->class = ERR_FAILED;
    return FAIL;
}

struct result sealed_read(struct sealed *f, const struct session *s, int fd, const char *name,
                          struct err *err)
{
    struct sealed made SEALED_CLEANUP = {
        .open = true, .owned = -1, .source = {.fd = fd, .name = name}};

    if (fstat(fd, &made.st) != 0)
        return fail_errno(err, "cannot look at '%s'", name);
    if (!envelope_read(&made.envelope, &made.other, &made.source, &made.health, err).ok)
        return lost_result(err);
    session_warn_health(s, name, &made.health);
    *f = TAKE(made);
    return OK;
}

static void warn_of_copies(const struct sealed *f, const struct session *s)
{
    session_warn(s,
                 "'%s': the envelope copies in this file were not used; 'bulla envelope "
                 "restore' puts good ones back",
                 f->source.name);
}

#define ZEROS 32 /* bytes: no body has so many in a row, but the padding of an envelope has */

bool sealed_remains(const struct sealed *f, const struct session *s)
{
    size_t size = envelope_size(&f->envelope), row = 0;
    bool looks = f->separate && f->remote == NULL && S_ISREG(f->st.st_mode);
    uint8_t *start = looks ? malloc(size) : NULL;
    ssize_t n = start != NULL ? pread(f->source.fd, start, size, 0) : 0;

    for (ssize_t i = 0; i < n && row < ZEROS; i++)
        row = start[i] == 0 ? row + 1 : 0;
    free(start);
    if (row < ZEROS)
        return false;
    warn_of_copies(f, s);
    return true;
}

static struct result check_required(const struct open_options *o, const struct core *core,
                                    struct err *err)
{
    if (o->require_name != NULL && core->name[0] == '\0')
        return fail(err, ERR_POLICY, "it has no name, and '%s' is required", o->require_name);
    if (o->require_name != NULL && strcmp(o->require_name, core->name) != 0)
        return fail(err, ERR_POLICY, "its name is '%s', not '%s'", core->name, o->require_name);
    if (core->generation < o->min_generation)
        return fail(err, ERR_POLICY, "its generation is %" PRIu64 ", older than %" PRIu64,
                    core->generation, o->min_generation);
    for (size_t i = 0; i < o->require_context.count; i++) {
        const struct context_pair *pair = &o->require_context.pairs[i];
        const char *has = context_get(&core->context, pair->key);
        if (has == NULL)
            return fail(err, ERR_POLICY, "its context has no '%s'", pair->key);
        if (strcmp(has, pair->value) != 0)
            return fail(err, ERR_POLICY, "its context has %s='%s', not '%s'", pair->key, has,
                        pair->value);
    }
    return OK;
}

/* The slots only lead to the data key, which is authentic: a file that opens is whole. But what
 * else they say of who can open it is not to be believed. */
static void warn_of_slots(const struct sealed *f, const struct session *s,
                          const struct open_options *options)
{
    if (!f->tag_fits && !options->strict)
        session_warn(s,
                     "'%s': the tag does not match: somebody without the branch key changed the "
                     "slots; 'bulla rewrap' makes new ones",
                     f->source.name);
}

static struct result derive(const struct sealed *f, const struct session *s,
                            const struct secret *data_key, const uint8_t *prefix, size_t size,
                            struct cobblestone *c, struct err *err)
{
    uint8_t context[ENVELOPE_CONTEXT_SIZE];

    if (size < COBBLESTONE_PREFIX_SIZE)
        return fail(err, ERR_DAMAGED, "it ends %zu bytes into its body, before its first chunk",
                    size);
    return cobblestone_check(c, s->crypto, suite_by_code(f->envelope.core.suite)->algorithm,
                             (struct view){data_key->bytes, data_key->size}, prefix,
                             envelope_body_context(&f->envelope, context), err);
}

/* Reads the prefix at the source's position and checks its commitment. */
static struct result check_prefix(struct sealed *f, const struct session *s,
                                  const struct secret *data_key, struct cobblestone *c,
                                  struct err *err)
{
    uint8_t prefix[COBBLESTONE_PREFIX_SIZE];
    size_t got;

    return source_read(&f->source, prefix, sizeof prefix, &got, err).ok
               ? derive(f, s, data_key, prefix, got, c, err)
               : FAIL;
}

/* Looks for the body where an envelope of each size would end; the file had copies of its own, of
 * which the separate envelope need not have the size. */
static struct result find_after_copies(struct sealed *f, const struct session *s,
                                       const struct secret *data_key, struct cobblestone *c,
                                       struct err *err)
{
    uint64_t at = COBBLESTONE_PREFIX_SIZE, got;

    for (unsigned e = REGION_EXPONENT_MIN; e <= REGION_EXPONENT_MAX; e++) {
        struct err why = {0};
        uint64_t skip = ((uint64_t)2 << e) - at;
        if (!source_skip(&f->source, skip, &got, err).ok)
            return FAIL;
        if (got < skip)
            return OK;
        if (check_prefix(f, s, data_key, c, &why).ok) {
            f->body_at = at + skip;
            return OK;
        }
        if (why.class != ERR_DAMAGED) {
            *err = why;
            return FAIL;
        }
        at += skip + COBBLESTONE_PREFIX_SIZE;
    }
    return OK;
}

/* Finds the body: after the envelope, or at the beginning of its own file, or, where the copies
 * inside a file are destroyed and a separate envelope is used instead, after those. */
static struct result find_body(struct sealed *f, const struct session *s,
                               const struct secret *data_key, struct cobblestone *c,
                               struct err *err)
{
    struct err first = {0};

    f->body_at = f->separate ? 0 : envelope_size(&f->envelope);
    if (check_prefix(f, s, data_key, c, &first).ok)
        return OK;
    bool elsewhere = f->separate && first.class == ERR_DAMAGED;
    if (elsewhere && !find_after_copies(f, s, data_key, c, err).ok)
        return FAIL;
    if (!elsewhere || f->body_at == 0) {
        *err = first;
        return FAIL;
    }
    warn_of_copies(f, s);
    return OK;
}

static struct result name_it(const struct sealed *f, struct err *err)
{
    err_file(err, f->source.name);
    return FAIL;
}

struct result sealed_check_body(struct sealed *f, const struct session *s,
                                const struct secret *data_key, struct err *err)
{
    struct cobblestone c COBBLESTONE_CLEANUP = {0};

    return find_body(f, s, data_key, &c, err).ok ? OK : name_it(f, err);
}

struct result sealed_check_prefix(const struct sealed *f, const struct session *s,
                                  const struct secret *data_key, const uint8_t *prefix, size_t size,
                                  struct err *err)
{
    struct cobblestone c COBBLESTONE_CLEANUP = {0};

    return derive(f, s, data_key, prefix, size, &c, err).ok ? OK : name_it(f, err);
}

struct result open_start(struct session *s, const struct open_options *options, struct sealed *f,
                         struct cobblestone *c, struct err *err)
{
    struct branch_opened o BRANCH_OPENED_CLEANUP = {0};

    if (!session_open_keys(s, &f->envelope, &o, err).ok ||
        !check_required(options, &f->envelope.core, err).ok ||
        !find_body(f, s, &o.data_key, c, err).ok)
        return name_it(f, err);
    f->tag_fits = o.tag_fits;
    warn_of_slots(f, s, options);
    return OK;
}

struct result open_body(struct session *s, struct sealed *f, struct body *body, uint64_t *size,
                        struct err *err)
{
    body->source = &f->source;
    body->crew = s->crew;
    return body_run(body, size, err).ok ? OK : name_it(f, err);
}

struct result open_stream(struct session *s, const struct open_options *options, struct sealed *f,
                          struct sink *sink, uint64_t *size, struct err *err)
{
    struct cobblestone c COBBLESTONE_CLEANUP = {0};

    if (!open_start(s, options, f, &c, err).ok)
        return FAIL;
    struct body body = {.open = &c, .sink = sink, .range = options->range};
    if (!open_body(s, f, &body, size, err).ok)
        return FAIL;
    if (options->strict && !f->tag_fits)
        return fail(
            err, ERR_DAMAGED,
            "'%s': the tag does not match: somebody without the branch key changed the slots",
            f->source.name);
    return OK;
}

/* Removes an object that is what was opened, and the envelope beside it, which alone is of no
 * use. */
static struct result remove_object(const struct sealed *f, const struct object *o, struct err *err)
{
    const struct storage_ops *ops = o->storage->ops;

    if (!ops->remove(o, object_source_look(f->remote), err).ok)
        return FAIL;
    return f->beside_object.key == NULL ? OK : ops->remove(&f->beside_object, &f->beside_look, err);
}

/* Removes the sealed file after the result was read back, and the envelope that lay beside it. */
static struct result remove_sealed(struct session *s, const struct sealed_place *from,
                                   const struct sealed *f, const struct place *out, struct err *err)
{
    int fd FD_CLEANUP = -1;
    struct stat plain, sealed, envelope;
    bool there;

    if (!place_open_file(out, false, &fd, &plain, err).ok)
        return lost_result(err);
    struct source source = {.fd = fd, .name = out->path};
    if (f->remote != NULL) /* the memory is for the one who compares */
        object_source_done(f->remote);
    if (!open_compare(s, from, &source, &sealed, err).ok)
        return FAIL;
    if (from->object != NULL)
        return remove_object(f, from->object, err);
    if (!place_remove(from->body, &f->st, err).ok)
        return FAIL;
    if (!f->beside.open)
        return OK;
    if (!place_stat(&f->beside, &envelope, &there, err).ok)
        return FAIL;
    return there ? place_remove(&f->beside, &envelope, err) : OK;
}

static struct result check_removable(const struct sealed_place *from, const struct sealed *f,
                                     struct err *err)
{
    if (from->object != NULL)
        return OK;
    if (from->body == NULL)
        return fail(err, ERR_FAILED, "'%s' is not a regular file and is not removed",
                    f->source.name);
    return place_removable(from->body, &f->st, err);
}

struct result open_file(struct session *s, const struct open_options *options,
                        const struct sealed_place *from, struct sealed *f, const struct place *out,
                        uint64_t *size, struct err *err)
{
    struct output output OUTPUT_CLEANUP = {0};
    const struct stat *like = from->body != NULL || f->st.st_mtim.tv_sec != 0 ? &f->st : NULL;
    const struct inputs inputs = {&f->st, f->separate ? &f->envelope_st : NULL, s};

    if (options->remove_source && !check_removable(from, f, err).ok)
        return FAIL;
    if (!output_open(&output, out, options->outlet, options->replace, &inputs, err).ok ||
        (!options->allow_wider && !output_guard(&output, like, options->whose, err).ok) ||
        !open_stream(s, options, f, output.sink, size, err).ok ||
        (options->remove_source && !source_unchanged(&f->source, &f->st, err).ok) ||
        !output_commit(&output, like, options->whose, err).ok)
        return FAIL;
    if (!options->remove_source)
        return OK;
    if (!remove_sealed(s, from, f, out, err).ok) {
        err_done(err, "'%s' is not removed", f->source.name);
        return FAIL;
    }
    return OK;
}

static struct result compare(struct session *s, struct sealed *f, const struct source *plain,
                             struct err *err)
{
    struct compare_sink compare = compare_sink(*plain);
    struct open_options any = {.strict = true};
    uint64_t size;

    if (lseek(plain->fd, 0, SEEK_SET) != 0)
        return fail_errno(err, "cannot read '%s' again", plain->name);
    (void)posix_fadvise(f->source.fd, 0, 0, POSIX_FADV_DONTNEED);
    (void)posix_fadvise(plain->fd, 0, 0, POSIX_FADV_DONTNEED);
    return open_stream(s, &any, f, &compare.sink, &size, err).ok
               ? compare_sink_finish(&compare, err)
               : FAIL;
}

struct result open_compare(struct session *s, const struct sealed_place *from,
                           const struct source *plain, struct stat *st, struct err *err)
{
    struct sealed f SEALED_CLEANUP = {0};

    if (!sealed_open(&f, s, from, err).ok)
        return lost_result(err);
    if (!compare(s, &f, plain, err).ok)
        return FAIL;
    *st = f.st;
    return OK;
}

struct result open_compare_new(struct session *s, int fd, const struct source *plain,
                               struct err *err)
{
    struct sealed f SEALED_CLEANUP = {0};

    if (lseek(fd, 0, SEEK_SET) != 0)
        return fail_errno(err, "cannot read what was made of '%s'", plain->name);
    return sealed_read(&f, s, fd, plain->name, err).ok ? compare(s, &f, plain, err) : FAIL;
}

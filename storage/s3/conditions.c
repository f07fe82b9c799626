#include "storage/s3/conditions.h"

#include <stdio.h>
#include <string.h>

#include "base/secret.h"
#include "storage/s3/multipart.h"
#include "storage/s3/objects.h"

/* No object has this ETag. If-Match stands for If-None-Match too, which servers had first: to try
 * that one would take an object that is there, and a bucket with Object Lock would keep it. The end
 * of an upload stands for its copies, whose source it holds to the same ETag. */
static const struct object_look nothing = {.tag = "\"00000000000000000000000000000000\""};

#define SUFFIX_SIZE 23 /* bytes of what a probe has after the name of an object */

/* A name beside that of the object, of which a long one is cut where a character begins. */
static struct result name_probe(struct object *probe, const struct object *o, struct err *err)
{
    char name[S3_KEY_MAX + 1];
    size_t size = strlen(o->key), most = S3_KEY_MAX - SUFFIX_SIZE;
    uint64_t random;

    if (!random_bytes(&random, sizeof random, err).ok)
        return FAIL;
    for (size = size < most ? size : most; size > 0 && (o->key[size] & 0xc0) == 0x80;)
        size--;
    snprintf(name, sizeof name, "%.*s.probe-%016llx", (int)size, o->key,
             (unsigned long long)random);
    return object_in(probe, o->storage, name, o->path, err);
}

static struct result ignored(const struct object *o, struct err *err)
{
    (void)fail_named(
        err, ERR_POLICY,
        "'%s': the server does not heed conditions (If-Match), so what others write at the "
        "same time could be lost",
        o->path);
    return fail_hint_option(err, "while nobody else writes there, --no-condition does without");
}

/* What came of a request that was to fail, and why it did. */
static struct result judge(const struct object *o, struct result done, bool lost,
                           const struct err *why, struct err *err)
{
    if (done.ok || (!lost && why->class == ERR_UNSUPPORTED))
        return ignored(o, err);
    if (!lost)
        *err = *why;
    return (struct result){lost};
}

static struct result probe_put(const struct object *o, struct err *err)
{
    struct object probe OBJECT_CLEANUP = {0};
    struct err unused, why = {0};
    bool lost = false;

    if (!name_probe(&probe, o, err).ok)
        return FAIL;
    struct result done = s3_put(&probe, OBJECT_UNCHANGED, &nothing,
                                (struct view){(const uint8_t *)"", 0}, &lost, &why);
    if (done.ok)
        (void)!s3_remove(&probe, NULL, &unused).ok;
    return judge(o, done, lost, &why, err);
}

static struct result probe_complete(const struct object *o, struct err *err)
{
    struct object probe OBJECT_CLEANUP = {0};
    struct upload u = {.object = &probe};
    struct err unused, why = {0};
    bool lost = false;

    if (!name_probe(&probe, o, err).ok || !upload_begin(&u, NULL, err).ok)
        return FAIL;
    struct result done = upload_part(&u, 1, (struct view){(const uint8_t *)"x", 1}, NULL, err);
    if (done.ok) {
        done = upload_complete(&u, OBJECT_UNCHANGED, &nothing, (struct view){0}, &lost, &why);
        if (done.ok)
            (void)!s3_remove(&probe, NULL, &unused).ok;
        done = judge(o, done, lost, &why, err);
    }
    upload_abort(&u);
    return done;
}

static struct result find_out(const struct object *o, bool *heeds,
                              struct result (*probe)(const struct object *o, struct err *err),
                              struct err *err)
{
    struct s3 *s3 = s3_of(o);

    pthread_mutex_lock(&s3->probing);
    struct result r = *heeds || s3->env->no_condition ? OK : probe(o, err);
    *heeds = r.ok;
    pthread_mutex_unlock(&s3->probing);
    return r;
}

struct result s3_heeds_conditions(const struct object *o, struct err *err)
{
    return find_out(o, &s3_of(o)->heeds, probe_put, err);
}

struct result s3_heeds_completes(const struct object *o, struct err *err)
{
    return find_out(o, &s3_of(o)->heeds_completes, probe_complete, err);
}

#include "storage/storage.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "crypto/body.h"

void storage_init(struct storage *s, const struct storage_ops *ops)
{
    s->ops = ops;
    atomic_init(&s->versions, false);
    budget_init(&s->reading, STORAGE_READING);
    budget_init(&s->writing, STORAGE_WRITING);
}

void storage_end(struct storage *s)
{
    budget_end(&s->reading);
    budget_end(&s->writing);
}

uint64_t storage_share(uint64_t bytes)
{
    uint64_t block = 2 * bytes;

    return bytes + (block < BODY_BLOCK_SIZE ? block : BODY_BLOCK_SIZE);
}

struct result object_in(struct object *o, struct storage *s, const char *key, const char *path,
                        struct err *err)
{
    struct object made = {s, strdup(key), strdup(path), NULL};

    if (made.key == NULL || made.path == NULL) {
        object_close(&made);
        return fail_memory(err);
    }
    *o = made;
    return OK;
}

struct result object_copy(struct object *copy, const struct object *o, struct err *err)
{
    struct object made = {0};

    if (!object_in(&made, o->storage, o->key, o->path, err).ok)
        return FAIL;
    if (o->version != NULL && (made.version = strdup(o->version)) == NULL) {
        object_close(&made);
        return fail_memory(err);
    }
    *copy = made;
    return OK;
}

bool object_stays(const struct object *o, const struct object_look *look)
{
    return look->versioned || atomic_load(&o->storage->versions);
}

size_t object_path_size(const struct object *o)
{
    size_t size = strlen(o->path), sign = strlen(OBJECT_VERSION_SIGN);

    if (o->version != NULL)
        return size - sign - strlen(o->version);
    bool whole = o->key[0] != '\0' && text_ends_with(o->path, o->key);
    return !whole && text_ends_with(o->path, OBJECT_VERSION_SIGN) ? size - sign : size;
}

struct result object_beside(struct object *beside, const struct object *o, const char *suffix,
                            struct err *err)
{
    struct object made = {.storage = o->storage};
    size_t path_size = object_path_size(o); /* what lies beside it is not of that version */

    if (asprintf(&made.key, "%s%s", o->key, suffix) < 0)
        made.key = NULL;
    if (asprintf(&made.path, "%.*s%s", (int)path_size, o->path, suffix) < 0)
        made.path = NULL;
    if (made.key == NULL || made.path == NULL) {
        object_close(&made);
        return fail_memory(err);
    }
    *beside = made;
    return OK;
}

struct result object_version(struct object *o, const char *version, struct err *err)
{
    char *copy = strdup(version), *path;

    if (copy == NULL || asprintf(&path, "%s" OBJECT_VERSION_SIGN "%s", o->path, version) < 0) {
        free(copy);
        return fail_memory(err);
    }
    free(o->path);
    free(o->version);
    o->path = path;
    o->version = copy;
    return OK;
}

const char *object_name(const struct object *o)
{
    const char *slash = strrchr(o->key, '/');

    return slash != NULL ? slash + 1 : o->key;
}

void object_close(struct object *o)
{
    free(o->key);
    free(o->path);
    free(o->version);
    *o = (struct object){0};
}

void object_look_end(struct object_look *look)
{
    free(look->kept);
    *look = (struct object_look){0};
}

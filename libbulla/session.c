#include "libbulla/session.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "crypto/body.h"

struct result session_open(struct session *s, const char *const *references, size_t count,
                           struct err *err)
{
    s->lock = (pthread_mutex_t)PTHREAD_MUTEX_INITIALIZER;
    s->turn = (pthread_mutex_t)PTHREAD_MUTEX_INITIALIZER;
    s->dropped = (pthread_cond_t)PTHREAD_COND_INITIALIZER;
    crew_init(&s->own_crew, s->threads > 0 ? s->threads : 1, BODY_BLOCK_SIZE);
    if (s->crew == NULL)
        s->crew = &s->own_crew;
    if (!crypto_new(&s->crypto, err).ok)
        return FAIL;
    s->env.crypto = s->crypto;
    return count == 0 ? OK : keyset_open(&s->keys, &s->env, references, count, err);
}

void session_close(struct session *s)
{
    free(s->written.slots);
    s->written = (struct written){0};
    hard_links_free(&s->links);
    file_systems_close(&s->file_systems);
    branch_table_free(&s->table);
    branches_free(&s->branches);
    keyset_close(&s->keys);
    crypto_free(&s->crypto);
    crew_free(&s->own_crew);
}

struct result session_will_write(struct session *s, int dir, const char *path, struct err *err)
{
    if (s->sync != SYNC_END)
        return OK;
    pthread_mutex_lock(&s->lock);
    struct result r = file_systems_add(&s->file_systems, dir, path, err);
    pthread_mutex_unlock(&s->lock);
    return r;
}

bool session_syncs_each(const struct session *s, int dir)
{
    return s->sync == SYNC_EACH || (s->sync == SYNC_END && dir_is_fuse(dir));
}

struct result session_sync(const struct session *s, struct err *err)
{
    return file_systems_sync(&s->file_systems, err);
}

/* The slot of an inode, or the empty one where it would be. */
static struct inode *find_inode(const struct written *w, const struct stat *st)
{
    size_t i = (size_t)st->st_ino & (w->room - 1);

    while (w->slots[i].used &&
           (w->slots[i].number != st->st_ino || w->slots[i].device != st->st_dev))
        i = (i + 1) & (w->room - 1);
    return &w->slots[i];
}

/* Twice the room, or the first. */
static struct result grow(struct written *w, struct err *err)
{
    struct written larger = {.room = w->room == 0 ? 64 : 2 * w->room, .count = w->count};

    larger.slots = calloc(larger.room, sizeof *larger.slots);
    if (larger.slots == NULL)
        return fail_memory(err);
    for (size_t i = 0; i < w->room; i++)
        if (w->slots[i].used)
            *find_inode(&larger, &(struct stat){.st_dev = w->slots[i].device,
                                                .st_ino = w->slots[i].number}) = w->slots[i];
    free(w->slots);
    *w = larger;
    return OK;
}

struct result session_wrote(struct session *s, const struct stat *st, struct err *err)
{
    struct result r = OK;

    pthread_mutex_lock(&s->lock);
    if (2 * s->written.count >= s->written.room)
        r = grow(&s->written, err);
    if (r.ok) {
        struct inode *slot = find_inode(&s->written, st);
        s->written.count += !slot->used;
        *slot = (struct inode){st->st_dev, st->st_ino, true};
    }
    pthread_mutex_unlock(&s->lock);
    return r;
}

bool session_has_written(struct session *s, const struct stat *st)
{
    pthread_mutex_lock(&s->lock);
    bool has = s->written.room > 0 && find_inode(&s->written, st)->used;
    pthread_mutex_unlock(&s->lock);
    return has;
}

/* A number made from the name, in place of the inode's; 0 where inodes can be relied on. */
static ino_t number_of(const struct place *place, struct stat *dir)
{
    uint64_t hash = UINT64_C(0xcbf29ce484222325); /* FNV-1a */

    if (!dir_is_fuse(place->dir) || fstat(place->dir, dir) != 0)
        return 0;
    for (const char *c = place->name; *c != '\0'; c++)
        hash = (hash ^ (uint8_t)*c) * UINT64_C(0x100000001b3);
    return (ino_t)(hash ^ (uint64_t)dir->st_ino) | 1;
}

struct result session_wrote_name(struct session *s, const struct place *place, struct err *err)
{
    struct stat name = {0};

    name.st_ino = number_of(place, &name);
    return name.st_ino == 0 ? OK : session_wrote(s, &name, err);
}

bool session_has_written_name(struct session *s, const struct place *place)
{
    struct stat name = {0};

    name.st_ino = number_of(place, &name);
    return name.st_ino != 0 && session_has_written(s, &name);
}

static bool is_claimed(const struct session *s, const struct stat *st)
{
    const struct claim *c = s->claims;

    while (c != NULL && (c->number != st->st_ino || c->device != st->st_dev))
        c = c->next;
    return c != NULL;
}

void session_claim(struct session *s, struct claim *c, const struct stat *st)
{
    pthread_mutex_lock(&s->lock);
    while (is_claimed(s, st))
        pthread_cond_wait(&s->dropped, &s->lock);
    *c = (struct claim){s, s->claims, st->st_dev, st->st_ino};
    s->claims = c;
    pthread_mutex_unlock(&s->lock);
}

void claim_drop(struct claim *c)
{
    struct session *s = c->session;

    if (s == NULL)
        return;
    pthread_mutex_lock(&s->lock);
    struct claim **at = &s->claims;
    while (*at != c)
        at = &(*at)->next;
    *at = c->next;
    pthread_cond_broadcast(&s->dropped);
    pthread_mutex_unlock(&s->lock);
    *c = (struct claim){0};
}

struct result session_find_names(struct session *s, const struct stat *st, const struct place *name,
                                 struct hard_link_group **all, bool *waits, struct err *err)
{
    *waits = false;
    *all = NULL;
    if (st->st_nlink < 2)
        return OK;
    pthread_mutex_lock(&s->lock);
    struct result r = hard_links_found(&s->links, st, name, all, err);
    pthread_mutex_unlock(&s->lock);
    *waits = *all == NULL;
    return r;
}

struct result session_open_keys(struct session *s, const struct envelope *e,
                                struct branch_opened *o, struct err *err)
{
    pthread_mutex_lock(&s->lock);
    struct result r = branch_open(&s->table, s->crypto, &s->keys, e, o, err);
    pthread_mutex_unlock(&s->lock);
    return r;
}

void session_replaces(struct session *s, const struct keyset *keys)
{
    bool sealers = false;

    s->branches.prove = true;
    for (size_t i = 0; i < keys->count; i++) {
        const struct master_key *key = keys->keys[i];
        sealers = sealers || (key->ops->seals_only != NULL && key->ops->seals_only(key));
    }
    if (sealers)
        session_warn(
            s, "a key that only seals replaces others: nothing here shows that its private key "
               "exists and opens; keep the old keys until 'bulla verify' with the private key "
               "says so");
}

struct result session_still_active(struct session *s, struct err *err)
{
    pthread_mutex_lock(&s->lock);
    struct result r = keyset_still_active(&s->keys, err);
    pthread_mutex_unlock(&s->lock);
    return r;
}

void session_warn(const struct session *s, const char *fmt, ...)
{
    char text[ERR_TEXT_MAX];
    va_list ap;

    if (s->env.warn == NULL)
        return;
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    s->env.warn(s->env.arg, text);
}

void session_warn_health(const struct session *s, const char *name,
                         const struct envelope_health *health)
{
    for (unsigned i = 0; i < 2; i++) {
        char copy = "AB"[i], used = "AB"[health->used];
        switch (health->copy[i]) {
        case COPY_GOOD:
            break;
        case COPY_STALE:
            session_warn(s,
                         "'%s': envelope copy %c is older than copy %c: a rewrap was "
                         "interrupted; read copy %c",
                         name, copy, used, used);
            break;
        case COPY_DIFFERS:
            session_warn(s,
                         "'%s': envelope copies A and B differ, and neither is newer; read copy "
                         "%c",
                         name, used);
            break;
        case COPY_UNSUPPORTED:
            session_warn(s,
                         "'%s': envelope copy %c is not for this bulla (%s); opened from copy %c",
                         name, copy, health->fault[i], used);
            break;
        case COPY_DAMAGED:
            session_warn(s, "'%s': envelope copy %c is damaged (%s); opened from copy %c", name,
                         copy, health->fault[i], used);
            break;
        }
    }
}

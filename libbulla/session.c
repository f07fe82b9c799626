#include "libbulla/session.h"

#include <stdarg.h>
#include <stdio.h>

struct result session_open(struct session *s, const char *const *references, size_t count,
                           struct err *err)
{
    pthread_mutex_init(&s->lock, NULL);
    if (!crypto_new(&s->crypto, err).ok)
        return FAIL;
    s->env.crypto = s->crypto;
    return count == 0 ? OK : keyset_open(&s->keys, &s->env, references, count, err);
}

void session_close(struct session *s)
{
    branch_cache_free(&s->cache);
    branch_free(&s->branch);
    keyset_close(&s->keys);
    crypto_free(&s->crypto);
}

struct result session_open_keys(struct session *s, const struct envelope *e,
                                struct secret *branch_key, struct secret *data_key, struct err *err)
{
    pthread_mutex_lock(&s->lock);
    struct result r = branch_open(&s->cache, s->crypto, &s->keys, e, branch_key, data_key, err);
    pthread_mutex_unlock(&s->lock);
    return r;
}

void session_warn(const struct session *s, const char *fmt, ...)
{
    char text[ERR_TEXT_MAX];
    va_list ap;

    if (s->warn == NULL)
        return;
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    s->warn(s->warn_arg, text);
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
        case COPY_DAMAGED:
        case COPY_UNSUPPORTED:
            session_warn(s, "'%s': envelope copy %c is damaged (%s); opened from copy %c", name,
                         copy, health->fault[i], used);
            break;
        }
    }
}

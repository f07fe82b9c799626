#include "libbulla/object_losses.h"

/* Of what an encryption by the storage loses, once for all storages. */
static void warn_of_context(struct session *s, const struct object *o)
{
    pthread_mutex_lock(&s->lock);
    bool told = s->told_context;
    s->told_context = true;
    pthread_mutex_unlock(&s->lock);
    if (!told)
        session_warn(s,
                     "'%s' is encrypted by SSE-KMS: if that has an encryption context, which S3 "
                     "does not show, what replaces it does not have that",
                     o->path);
}

struct result object_losses_warn(struct session *s, const struct object *o,
                                 const struct object_look *look, struct err *err)
{
    struct object_losses losses;

    if (!o->storage->ops->losses(o, look, &losses, err).ok)
        return FAIL;
    if (losses.rules)
        session_warn(s,
                     "'%s': objects of this bucket may have access rules of their own (ACL), which "
                     "what replaces them does not have",
                     o->path);
    if (losses.locks)
        session_warn(s,
                     "'%s': whether this bucket locks objects may not be asked: what replaces an "
                     "object does not have a lock that cannot be seen",
                     o->path);
    if (look->context)
        warn_of_context(s, o);
    return OK;
}

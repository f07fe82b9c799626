#include "libbulla/repair.h"

#include <string.h>
#include <unistd.h>

#include "libbulla/inplace.h"
#include "libbulla/output.h"

struct result repair_export(struct sealed *f, const struct place *out, bool replace,
                            struct err *err)
{
    struct output output OUTPUT_CLEANUP = {0};

    const struct inputs inputs = {&f->st, f->separate ? &f->envelope_st : NULL, NULL};

    if (!output_open(&output, out, replace, &inputs, err).ok ||
        !envelope_write(&f->envelope, &output.fd.sink, err).ok)
        return FAIL;
    return output_commit(&output, &f->st, err);
}

static struct result refuse(struct err *err, const char *path, const char *why)
{
    (void)fail(err, ERR_POLICY, "'%s' %s", path, why);
    err_hint(err, "--force puts the envelope in all the same");
    return FAIL;
}

/* Nothing in the file tells where its body begins, and writing to a wrong place would destroy it:
 * so the keys must show that a body of this envelope begins where it should. */
static struct result prove(struct session *s, const struct place *body, const struct place *from,
                           struct err *err)
{
    struct sealed_place at = {.body = body, .envelope = from};
    struct cobblestone c COBBLESTONE_CLEANUP = {0};
    struct sealed f SEALED_CLEANUP = {0};
    struct open_options any = {0};

    if (s->keys.count == 0)
        return refuse(err, body->path,
                      "has no whole envelope, and no key (-k) was given to prove "
                      "that this one belongs to it");
    if (!sealed_open(&f, s, &at, err).ok)
        return FAIL;
    source_forget(&f.source);
    if (lseek(f.source.fd, (off_t)envelope_size(&f.envelope), SEEK_SET) < 0)
        return fail_errno(err, "cannot seek in '%s'", body->path);
    f.separate = false; /* the body is here or nowhere */
    return open_start(s, &any, &f, &c, err);
}

/* Compares what the file has with what is to be put in, and picks the next sequence number. */
static struct result check(const struct place *body, const struct envelope *now, struct envelope *e,
                           bool force, struct err *err)
{
    if (now->exponent != e->exponent)
        return fail(err, ERR_FAILED, "'%s' has envelope copies of another size", body->path);
    if (memcmp(now->core_hash, e->core_hash, SHA256_SIZE) != 0 && !force)
        return refuse(err, body->path, "has the envelope of another file");
    if (now->sequence > e->sequence && !force)
        return refuse(err, body->path, "has a newer envelope");
    if (now->sequence >= e->sequence)
        e->sequence = now->sequence + 1;
    return OK;
}

struct result repair_restore(struct session *s, const struct place *body, const struct place *from,
                             bool force, struct err *err)
{
    struct sealed_place of_envelope = {.body = from, .follow = true}, of_body = {.body = body};
    struct sealed envelope SEALED_CLEANUP = {0}, now SEALED_CLEANUP = {0};
    int fd FD_CLEANUP = -1;
    struct stat st;

    if (!inplace_open(body, &fd, &st, err).ok || !sealed_open(&envelope, s, &of_envelope, err).ok)
        return FAIL;
    if (envelope.st.st_size != (off_t)envelope_size(&envelope.envelope))
        return fail(err, ERR_FAILED, "'%s' is not an envelope alone", from->path);
    if (st.st_size < envelope.st.st_size)
        return fail(err, ERR_FAILED, "'%s' is too short to have this envelope", body->path);
    if (!sealed_open(&now, s, &of_body, err).ok && err->class != ERR_DAMAGED)
        return FAIL;
    bool whole = now.open && !now.separate;
    if (whole ? !check(body, &now.envelope, &envelope.envelope, force, err).ok
              : !force && !prove(s, body, from, err).ok)
        return FAIL;
    return inplace_write(fd, body->path, &envelope.envelope, whole ? !now.health.used : 0, true,
                         err);
}

#include "keystore/keyring/sealing_version.h"

#include <string.h>

#include "keystore/keyring/public_key.h"
#include "keystore/keyring/ring_file.h"
#include "keystore/keyring/version_lock.h"

static struct result rotated(const struct sealing_version *u, uint32_t active, struct err *err)
{
    (void)fail(err, ERR_POLICY, "key '%s' was rotated meanwhile: version %u is active, not %u",
               u->name, active, u->version);
    return fail_hint(err, "run it again: then it seals to version %u", active);
}

static struct result check_ring(const struct sealing_version *u, const struct ring *ring,
                                struct err *err)
{
    const struct ring_key *key = ring_find_id(ring, u->id);
    const struct ring_version *active = key == NULL ? NULL : ring_active(key);
    const struct ring_version *v = key == NULL ? NULL : ring_version(key, u->version);

    if (key == NULL)
        return fail(err, ERR_POLICY, "key '%s' is no longer in keyring '%s'", u->name, u->path);
    if (active != NULL && active->number > u->version)
        return rotated(u, active->number, err);
    if (v == NULL)
        return fail(err, ERR_POLICY, "version %u of key '%s' is no longer in keyring '%s'",
                    u->version, u->name, u->path);
    if (v != active)
        return fail(err, ERR_POLICY, "version %u of key '%s' is %s now", u->version, u->name,
                    key_state_name(v->state));
    return OK;
}

static struct result look_at_ring(struct sealing_version *u, const struct place *place,
                                  struct err *err)
{
    struct ring ring RING_CLEANUP = {0};

    if (!ring_file_load(&ring, place, u->credentials, err).ok || !check_ring(u, &ring, err).ok)
        return FAIL;
    u->seen = ring.file;
    return OK;
}

static struct result look_at_public(struct sealing_version *u, const struct place *place,
                                    struct err *err)
{
    struct public_key now;
    bool is_public;

    if (!public_key_load(&now, place, &is_public, err).ok)
        return FAIL;
    if (!is_public)
        return fail(err, ERR_POLICY, "'%s' cannot be read as a public key any more", u->path);
    bool same_key = memcmp(now.id, u->id, SLOT_KEY_ID_SIZE) == 0;
    if (same_key && now.version > u->version)
        return rotated(u, now.version, err);
    if (!same_key || now.version != u->version)
        return fail(err, ERR_POLICY, "public key file '%s' has another key now", u->path);
    u->seen = now.file;
    return OK;
}

static bool same_time(struct timespec a, struct timespec b)
{
    return a.tv_sec == b.tv_sec && a.tv_nsec == b.tv_nsec;
}

static bool unchanged(const struct stat *a, const struct stat *b)
{
    return file_same(a, b) && a->st_size == b->st_size && same_time(a->st_mtim, b->st_mtim) &&
           same_time(a->st_ctim, b->st_ctim);
}

/* A keyring that is changed is replaced, and the descriptor leads to the old file. */
static struct result check_given(const struct sealing_version *u, struct err *err)
{
    struct stat now;

    if (!S_ISREG(u->seen.st_mode) || (fstat(u->given, &now) == 0 && unchanged(&now, &u->seen)))
        return OK;
    (void)fail(err, ERR_POLICY,
               "the key file that came through descriptor %d was changed meanwhile", u->given);
    return fail_hint(err, "run it again, with the file as it is now");
}

struct result sealing_version_check(struct sealing_version *u, struct err *err)
{
    struct place place PLACE_CLEANUP = {0};
    struct stat now;

    if (u->version == 0)
        return OK;
    if (u->given >= 0)
        return check_given(u, err);
    if (stat(u->path, &now) != 0)
        return fail_errno(err, "cannot look at '%s' again", u->path);
    if (unchanged(&now, &u->seen))
        return OK;
    if (!place_open(&place, u->path, err).ok)
        return FAIL;
    return u->is_public ? look_at_public(u, &place, err) : look_at_ring(u, &place, err);
}

/* The version may have been destroyed after it was read and before it was locked. But a version is
 * retired before it is destroyed: a run that takes the lock after 'bulla key destroy' looked for
 * locks sees here that the version is not active, and seals nothing. So destroy needs no lock. */
struct result sealing_version_take(struct sealing_version *u, struct err *err)
{
    if (u->held < 0 && u->given < 0)
        u->held = version_lock_hold(u->path, u->id, u->version);
    return sealing_version_check(u, err);
}

void sealing_version_drop(struct sealing_version *u)
{
    fd_close(&u->held);
}

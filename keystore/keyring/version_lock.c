#include "keystore/keyring/version_lock.h"

#include <fcntl.h>

#include "crypto/primitives.h"

/* Room for a byte after the offset, which off_t must hold. */
#define OFFSET_BITS 62

/* The byte of a version. Two versions that share one would only wait for each other. */
static struct flock byte_of(short type, const uint8_t id[SLOT_KEY_ID_SIZE], uint32_t version)
{
    uint8_t number[4], hash[SHA256_SIZE];
    struct wire_writer w = wire_writer(number, sizeof number);
    struct view parts[] = {{id, SLOT_KEY_ID_SIZE}, {number, sizeof number}};
    uint64_t offset = 0;

    wire_put_u32(&w, version);
    sha256(hash, parts, 2);
    for (size_t i = 0; i < sizeof offset; i++)
        offset = offset << 8 | hash[i];
    return (struct flock){.l_type = type,
                          .l_whence = SEEK_SET,
                          .l_start = (off_t)(offset >> (64 - OFFSET_BITS)),
                          .l_len = 1};
}

int version_lock_hold(const char *path, const uint8_t id[SLOT_KEY_ID_SIZE], uint32_t version)
{
    struct flock lock = byte_of(F_RDLCK, id, version);
    struct place place PLACE_CLEANUP = {0};
    struct err ignored;

    if (!place_open(&place, path, &ignored).ok || fcntl(place.dir, F_OFD_SETLK, &lock) != 0)
        return -1;
    int held = place.dir;
    place.dir = -1;
    return held;
}

bool version_lock_anywhere(const struct place *place, const uint8_t id[SLOT_KEY_ID_SIZE],
                           uint32_t version)
{
    struct flock lock = byte_of(F_WRLCK, id, version); /* a test of it takes no right to write */

    return fcntl(place->dir, F_OFD_GETLK, &lock) == 0 && lock.l_type != F_UNLCK;
}

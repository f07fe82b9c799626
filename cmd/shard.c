#include "cmd/shard.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/wire.h"
#include "crypto/primitives.h"

struct result shard_read(struct shard *s, const char *text, struct err *err)
{
    struct shard made;
    char *slash, *end;

    if (text == NULL)
        return OK;
    errno = 0;
    made.share = strtoull(text, &slash, 10);
    made.shares = *slash == '/' ? strtoull(slash + 1, &end, 10) : 0;
    if (errno != 0 || *slash != '/' || *end != '\0' || strspn(text, "0123456789/") < strlen(text) ||
        made.share < 1 || made.share > made.shares)
        return fail(err, ERR_USAGE, "--shard is I/N with I from 1 to N, not '%s'", text);
    *s = made;
    return OK;
}

bool shard_has(const struct shard *s, const char *path)
{
    uint8_t hash[SHA256_SIZE];

    if (s->shares == 0)
        return true;
    sha256(hash, &(struct view){(const uint8_t *)path, strlen(path)}, 1);
    struct wire_reader reader = wire_reader(hash, sizeof hash);
    return wire_get_u64(&reader) % s->shares == s->share - 1;
}

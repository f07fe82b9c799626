/* A body under a fixed key. What comes out is the true plaintext and nothing else, and only the
 * message as it was sealed is whole.
 *
 * An input is a byte of modes and then a size, a message or, since nobody forges one, a size of
 * plaintext and what is done to the message of that. */
#include "crypto/body.h"
#include "tests/fuzz/fuzz.h"

#define PLAIN_MAX (18 * COBBLESTONE_CHUNK_SIZE)
#define MESSAGE_MAX (2 * PLAIN_MAX)

enum { CHACHA = 1, RAW = 2, RANGE = 4, FROM_END = 8, IN_ORDER = 16, SIZE = 32 };
enum change { FLIP, CUT, APPEND, SWAP, DOUBLE, DROP, CHANGES };

static const uint8_t key_bytes[KEY_SIZE] = {17, 4}, salt[COBBLESTONE_SALT_SIZE] = {2, 3};
static const struct view key = {key_bytes, sizeof key_bytes}, context = {salt, 5};

static uint8_t plain_byte(uint64_t at)
{
    return (uint8_t)(at * 31 + (at >> 8));
}

/* struct message: sealed, and perhaps changed. */
struct message {
    uint8_t bytes[MESSAGE_MAX];
    size_t size;
};

static void seal(struct message *m, enum aead_algorithm algorithm, size_t size)
{
    struct cobblestone c COBBLESTONE_CLEANUP = {0};
    static uint8_t plain[PLAIN_MAX];
    struct err err;

    for (size_t i = 0; i < size; i++)
        plain[i] = plain_byte(i);
    HOLDS(cobblestone_derive(&c, fuzz_crypto(), algorithm, key, salt, context, &err).ok);
    memcpy(m->bytes, c.prefix, COBBLESTONE_PREFIX_SIZE);
    m->size = COBBLESTONE_PREFIX_SIZE;
    for (size_t at = 0;; at += COBBLESTONE_CHUNK_SIZE) {
        size_t n = size - at < COBBLESTONE_CHUNK_SIZE ? size - at : COBBLESTONE_CHUNK_SIZE;
        HOLDS(cobblestone_seal(&c, at / COBBLESTONE_CHUNK_SIZE, plain + at, n, m->bytes + m->size,
                               &err)
                  .ok);
        m->size += n + AEAD_TAG_SIZE;
        if (n < COBBLESTONE_CHUNK_SIZE)
            return;
    }
}

static uint8_t *chunk(struct message *m, size_t i, size_t *left)
{
    size_t at = COBBLESTONE_PREFIX_SIZE + i * COBBLESTONE_SEALED_CHUNK_SIZE;

    *left = at < m->size ? m->size - at : 0;
    return m->bytes + at;
}

static void append(struct message *m, const uint8_t *bytes, size_t size)
{
    if (size > sizeof m->bytes - m->size)
        return;
    memmove(m->bytes + m->size, bytes, size);
    m->size += size;
}

static void swap(struct message *m, size_t i, size_t j)
{
    static uint8_t between[COBBLESTONE_SEALED_CHUNK_SIZE];
    size_t left_i, left_j;
    uint8_t *a = chunk(m, i, &left_i), *b = chunk(m, j, &left_j);

    if (left_i < sizeof between || left_j < sizeof between)
        return;
    memcpy(between, a, sizeof between);
    memmove(a, b, sizeof between);
    memcpy(b, between, sizeof between);
}

static void change(struct message *m, struct wire_reader *r)
{
    enum change what = fuzz_byte(r) % CHANGES;
    uint32_t n = wire_get_u32(r);
    size_t left;
    uint8_t *at;

    if (what == FLIP && m->size > 0)
        m->bytes[n / 8 % m->size] ^= (uint8_t)(1 << n % 8);
    if (what == CUT && n < m->size)
        m->size = n;
    if (what == APPEND)
        append(m, (const uint8_t *)&n, n % 4 + 1);
    if (what == SWAP)
        swap(m, n % 4, n / 4 % 4);
    if (what != DOUBLE && what != DROP)
        return;
    at = chunk(m, n % 4, &left);
    if (left > COBBLESTONE_SEALED_CHUNK_SIZE)
        left = COBBLESTONE_SEALED_CHUNK_SIZE;
    if (what == DOUBLE && left > 0)
        append(m, at, left);
    if (what == DROP && left > 0) {
        memmove(at, at + left, (size_t)(m->bytes + m->size - (at + left)));
        m->size -= left;
    }
}

/* struct checker: a sink that holds what it gets against the plaintext. */
struct checker {
    struct sink sink;
    uint64_t from, got;
};

static struct result check_at(struct sink *self, uint64_t offset, const void *bytes, size_t size,
                              struct err *err)
{
    struct checker *c = (struct checker *)self;

    (void)err;
    for (size_t i = 0; i < size; i++)
        HOLDS(((const uint8_t *)bytes)[i] == plain_byte(c->from + offset + i));
    c->got += size;
    return OK;
}

static struct result check(struct sink *self, const void *bytes, size_t size, struct err *err)
{
    return check_at(self, ((struct checker *)self)->got, bytes, size, err);
}

/* Whether the message is the one that is sealed from as much plaintext. */
static bool is_true(const struct message *m, enum aead_algorithm algorithm)
{
    static struct message whole;
    uint64_t size;

    if (!cobblestone_plain_size(m->size, &size) || size > PLAIN_MAX)
        return false;
    seal(&whole, algorithm, (size_t)size);
    return whole.size == m->size && memcmp(whole.bytes, m->bytes, m->size) == 0;
}

static void open_message(const struct message *m, unsigned mode, enum aead_algorithm algorithm,
                         const struct body_range *range)
{
    struct cobblestone c COBBLESTONE_CLEANUP = {0};
    int fd FD_CLEANUP = fuzz_file(m->bytes, m->size);
    struct source source = {.fd = fd, .name = "input"};
    struct checker checker = {.sink = {check, (mode & IN_ORDER) != 0 ? NULL : check_at}};
    struct crew crew;
    struct body body = {
        .open = &c, .source = &source, .sink = &checker.sink, .crew = &crew, .range = range};
    uint64_t opened = 0, all = 0;
    struct err err = {0};

    if (m->size < COBBLESTONE_PREFIX_SIZE ||
        !cobblestone_check(&c, fuzz_crypto(), algorithm, key, m->bytes, context, &err).ok)
        return;
    HOLDS(lseek(fd, COBBLESTONE_PREFIX_SIZE, SEEK_SET) == COBBLESTONE_PREFIX_SIZE);
    if (range != NULL && cobblestone_plain_size(m->size, &all))
        checker.from = range->from_end ? all - range->offset : range->offset;
    crew_init(&crew, 1, BODY_BLOCK_SIZE);
    bool whole = body_run(&body, &opened, &err).ok;
    crew_free(&crew);
    if (!whole) {
        fuzz_refused(&err);
        HOLDS(err.class == ERR_DAMAGED || (range != NULL && err.class == ERR_FAILED));
        return;
    }
    HOLDS(checker.got == opened);
    if (range == NULL) {
        HOLDS(is_true(m, algorithm) && cobblestone_plain_size(m->size, &all) && opened == all);
        return;
    }
    /* The last chunk is always read, so that nobody takes the end of a cut file for the end. */
    uint64_t from = checker.from, wanted = range->length < all - from ? range->length : all - from;
    HOLDS(from <= all && opened == wanted);
}

/* A size and a number of a chunk that no file has: what is taken is the size of as much plaintext,
 * and no chunk behind the last that there can be is opened. */
static void try_size(uint64_t n, enum aead_algorithm algorithm)
{
    struct cobblestone c COBBLESTONE_CLEANUP = {0};
    uint8_t tag[AEAD_TAG_SIZE] = {0}, none[1];
    uint64_t plain;
    struct err err = {0};

    if (cobblestone_plain_size(n, &plain)) {
        uint64_t chunks = plain / COBBLESTONE_CHUNK_SIZE + 1;
        HOLDS(chunks <= COBBLESTONE_CHUNKS_MAX);
        HOLDS(n == COBBLESTONE_PREFIX_SIZE + plain + chunks * AEAD_TAG_SIZE);
    }
    HOLDS(cobblestone_derive(&c, fuzz_crypto(), algorithm, key, salt, context, &err).ok);
    HOLDS(!cobblestone_open(&c, n, tag, sizeof tag, none, &err).ok && err.class == ERR_DAMAGED);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct wire_reader r = wire_reader(data, size);
    unsigned mode = fuzz_byte(&r);
    enum aead_algorithm algorithm =
        (mode & CHACHA) != 0 ? AEAD_CHACHA20_POLY1305 : AEAD_AES_256_GCM;
    struct body_range range = {.from_end = (mode & FROM_END) != 0};
    static struct message m;

    if ((mode & SIZE) != 0) {
        try_size(wire_get_u64(&r), algorithm);
        return 0;
    }
    if ((mode & RANGE) != 0) {
        range.offset = wire_get_u32(&r);
        range.length = wire_get_u32(&r);
        if (range.length == 0)
            range.length = UINT64_MAX;
    }
    if ((mode & RAW) != 0) {
        struct view rest = fuzz_rest(&r);
        m.size = 0;
        if (rest.size > 0)
            append(&m, rest.bytes, rest.size);
    } else {
        seal(&m, algorithm, wire_get_u32(&r) % PLAIN_MAX);
        while (r.left >= 5)
            change(&m, &r);
    }
    open_message(&m, mode, algorithm, (mode & RANGE) != 0 ? &range : NULL);
    return 0;
}

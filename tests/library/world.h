/* world: keys of a toy, bytes to read and write, and handles: what the tests of the library share.
 */
#ifndef BULLA_TESTS_LIBRARY_WORLD_H
#define BULLA_TESTS_LIBRARY_WORLD_H

#include "libbulla/bulla.h"
#include "tests/unit/test.h"

#define PLAIN_SIZE 200000
#define MARK_SIZE 8

/* struct toy: a key of this program. Its wrap is the key, masked, behind a mark of what it is bound
 * to. */
struct toy {
    uint8_t mask;
    int answer; /* in place of doing anything; 0 = do it */
    unsigned wraps, unwraps;
};

static inline void mark(uint8_t out[MARK_SIZE], const struct toy *t, const uint8_t *bound,
                        size_t size)
{
    uint64_t hash = UINT64_C(0xcbf29ce484222325) + t->mask;

    for (size_t i = 0; i < size; i++)
        hash = (hash ^ bound[i]) * UINT64_C(0x100000001b3);
    memcpy(out, &hash, MARK_SIZE);
}

static inline int toy_wrap(void *arg, const uint8_t key[32], const uint8_t *bound,
                           size_t bound_size, uint8_t *out, size_t room, size_t *out_size)
{
    struct toy *t = arg;

    t->wraps++;
    if (t->answer != 0)
        return t->answer;
    CHECK(room >= MARK_SIZE + 32);
    mark(out, t, bound, bound_size);
    for (size_t i = 0; i < 32; i++)
        out[MARK_SIZE + i] = key[i] ^ t->mask;
    *out_size = MARK_SIZE + 32;
    return BULLA_DONE;
}

static inline int toy_unwrap(void *arg, const uint8_t *wrapped, size_t size, const uint8_t *bound,
                             size_t bound_size, uint8_t key[32])
{
    struct toy *t = arg;
    uint8_t expected[MARK_SIZE];

    t->unwraps++;
    if (t->answer != 0)
        return t->answer;
    mark(expected, t, bound, bound_size);
    if (size != MARK_SIZE + 32 || memcmp(expected, wrapped, MARK_SIZE) != 0)
        return BULLA_NO_KEY;
    for (size_t i = 0; i < 32; i++)
        key[i] = wrapped[MARK_SIZE + i] ^ t->mask;
    return BULLA_DONE;
}

/* struct bytes: what is read from or written to. */
struct bytes {
    uint8_t *bytes;
    size_t size, room, at;
    size_t fail_at; /* 0 = never */
    int answer;     /* then */
};

static inline int read_bytes(void *arg, void *out, size_t room, size_t *got)
{
    struct bytes *b = arg;
    size_t left = b->size - b->at, n = left < room ? left : room;

    if (b->fail_at > 0 && b->at >= b->fail_at)
        return b->answer;
    n = n > 7777 ? 7777 : n; /* fewer than there is room for */
    memcpy(out, b->bytes + b->at, n);
    b->at += n;
    *got = n;
    return BULLA_DONE;
}

static inline int write_bytes(void *arg, const void *bytes, size_t size)
{
    struct bytes *b = arg;

    if (b->fail_at > 0 && b->size + size > b->fail_at)
        return b->answer;
    if (b->size + size > b->room) {
        b->room = 2 * (b->size + size);
        b->bytes = realloc(b->bytes, b->room);
        MUST(b->bytes != NULL);
    }
    memcpy(b->bytes + b->size, bytes, size);
    b->size += size;
    return BULLA_DONE;
}

static inline struct bulla_input from(struct bytes *b)
{
    b->at = 0;
    return (struct bulla_input){BULLA_INIT(struct bulla_input), "source", read_bytes, b, -1};
}

static inline struct bulla_output to(struct bytes *b)
{
    b->size = 0;
    return (struct bulla_output){BULLA_INIT(struct bulla_output), "sink", write_bytes, b, -1};
}

static uint8_t plain_bytes[PLAIN_SIZE];
static struct bytes plain = {plain_bytes, PLAIN_SIZE, 0, 0, 0, 0};

/* enter_world comes before the tests of a program, and leave_world after them: nothing may be left
 * in the directory. */
static inline void enter_world(void)
{
    test_enter_directory();
    for (size_t i = 0; i < PLAIN_SIZE; i++)
        plain_bytes[i] = (uint8_t)(i * i >> 3);
}

static inline void leave_world(void)
{
    char directory[4096];

    MUST(getcwd(directory, sizeof directory) != NULL && rmdir(directory) == 0);
}

/* struct world: two toys and a handle that has the first. */
struct world {
    struct toy toys[2];
    struct bulla_key keys[2];
    const struct bulla_key *list[2];
    struct bulla *bulla, *second; /* second has only the second key */
    struct bulla_error error;
    char warned[1024];
};

static inline void note_warning(void *arg, const char *text)
{
    snprintf(((struct world *)arg)->warned, 1024, "%s", text);
}

static inline struct bulla *handle_with(struct world *w, const char *reference)
{
    struct bulla_options o = {.size = sizeof o,
                              .keys = &reference,
                              .key_count = reference != NULL,
                              .external = w->list,
                              .external_count = 2,
                              .arg = w,
                              .warn = note_warning};
    struct bulla *made = NULL;

    MUST(bulla_new(&made, &o, &w->error) == BULLA_DONE);
    return made;
}

static inline void begin(struct world *w)
{
    static const char *const names[] = {"first", "second"};

    *w = (struct world){.toys = {{.mask = 0x5a}, {.mask = 0xc3}}};
    for (size_t i = 0; i < 2; i++) {
        w->keys[i] = (struct bulla_key){BULLA_INIT(struct bulla_key), names[i], toy_wrap,
                                        toy_unwrap, &w->toys[i]};
        w->list[i] = &w->keys[i];
    }
    w->bulla = handle_with(w, "external:first");
    w->second = handle_with(w, "external:second");
}

static inline void end(struct world *w)
{
    bulla_free(w->bulla);
    bulla_free(w->second);
}

static inline int seal(struct world *w, struct bytes *sealed)
{
    struct bytes own = plain; /* two threads may be here */
    struct bulla_input in = from(&own);
    struct bulla_output out = to(sealed);

    return bulla_seal(w->bulla, NULL, &in, &out, NULL, &w->error);
}

static inline int open_by(struct world *w, struct bulla *handle, struct bytes *sealed,
                          struct bytes *opened)
{
    struct bulla_input in = from(sealed);
    struct bulla_output out = to(opened);

    return bulla_open(handle, NULL, &in, &out, NULL, &w->error);
}

static inline bool is_plain(const struct bytes *b)
{
    return b->size == plain.size && memcmp(b->bytes, plain.bytes, plain.size) == 0;
}

static inline void write_file(const struct bytes *b)
{
    test_write("file.bulla", b->bytes, b->size);
}

static inline void read_file(struct bytes *b)
{
    FILE *f = fopen("file.bulla", "rb");

    MUST(f != NULL);
    b->size = fread(b->bytes, 1, b->room, f);
    fclose(f);
}

#endif

/* Every single-bit flip, every truncation, added bytes: what each does to a small file. Nothing but
 * the true plaintext, or a true prefix of it before an error, may ever come out. */
#include <fcntl.h>
#include <inttypes.h>

#include "base/atomic_file.h"
#include "base/host.h"
#include "libbulla/open.h"
#include "libbulla/seal.h"
#include "tests/unit/test.h"

#define SMALL 100
#define LARGE (2 * COBBLESTONE_CHUNK_SIZE + 5)

static struct session session;
static char warned[ERR_TEXT_MAX];
static uint8_t plain[LARGE];
static size_t stride = 1; /* bytes from one to the next that is tried; BULLA_TEST_STRIDE sets it */

static void on_warn(void *arg, const char *text)
{
    (void)arg;
    snprintf(warned, sizeof warned, "%s", text);
}

/* A sink that checks what it gets against the plaintext. */
struct checker {
    struct sink sink;
    size_t got;
    bool wrong;
};

static struct result check_write(struct sink *self, const void *bytes, size_t size, struct err *err)
{
    struct checker *c = (struct checker *)self;

    (void)err;
    if (c->got + size > sizeof plain || memcmp(plain + c->got, bytes, size) != 0)
        c->wrong = true;
    c->got += size;
    return OK;
}

struct outcome {
    struct err err;
    size_t released; /* bytes of true plaintext */
};

static struct outcome open_at(const char *body, const char *envelope)
{
    struct place body_place PLACE_CLEANUP = {0}, envelope_place PLACE_CLEANUP = {0};
    struct sealed f SEALED_CLEANUP = {0};
    struct open_options any = {0};
    struct checker checker = {.sink = {check_write}};
    struct outcome o = {0};
    uint64_t size;

    warned[0] = '\0';
    MUST(place_open(&body_place, body, &o.err).ok);
    struct sealed_place from = {.body = &body_place};
    if (envelope != NULL) {
        MUST(place_open(&envelope_place, envelope, &o.err).ok);
        from.envelope = &envelope_place;
    }
    if (sealed_open(&f, &session, &from, &o.err).ok)
        (void)!open_stream(&session, &any, &f, &checker.sink, &size, &o.err).ok;
    CHECK(!checker.wrong);
    o.released = checker.got;
    return o;
}

static size_t regions; /* of what was sealed last, in bytes: both copies of its envelope */

/* Seals the first size bytes of the plaintext. */
static void seal(enum suite suite, size_t size, const char *body, const char *envelope)
{
    struct place source PLACE_CLEANUP = {0}, out PLACE_CLEANUP = {0}, env PLACE_CLEANUP = {0};
    struct seal_options options = {.suite = suite, .name = "n", .replace = true};
    struct seal_place at = {.source = &source, .body = &out};
    struct seal_report report;
    struct err err = {0};

    test_write("plain", plain, size);
    (void)unlink(body);
    MUST(place_open(&source, "plain", &err).ok && place_open(&out, body, &err).ok);
    if (envelope != NULL) {
        (void)unlink(envelope);
        MUST(place_open(&env, envelope, &err).ok);
        at.envelope = &env;
    }
    MUST(seal_file(&session, &options, &at, &report, &err).ok && report.plain_size == size);
    int fd = open(envelope != NULL ? envelope : body, O_RDONLY);
    uint8_t exponent;
    MUST(fd >= 0 && pread(fd, &exponent, 1, 11) == 1);
    close(fd);
    regions = (size_t)2 << exponent;
}

static uint8_t *slurp(const char *path, size_t *size)
{
    FILE *f = fopen(path, "rb");
    uint8_t *bytes = malloc(1 << 20);

    MUST(f != NULL && bytes != NULL);
    *size = fread(bytes, 1, 1 << 20, f);
    fclose(f);
    return bytes;
}

/* Calls check for each bit of a file, with that bit flipped. */
static void flip_each_bit(const char *path, void (*check)(size_t offset))
{
    size_t size;
    uint8_t *bytes = slurp(path, &size);
    int fd = open(path, O_WRONLY);

    MUST(fd >= 0);
    for (size_t i = 0; i < size; i += stride)
        for (unsigned bit = 0; bit < 8; bit++) {
            uint8_t flipped = bytes[i] ^ (uint8_t)(1u << bit);
            MUST(pwrite(fd, &flipped, 1, (off_t)i) == 1);
            check(i);
            MUST(pwrite(fd, &bytes[i], 1, (off_t)i) == 1);
        }
    close(fd);
    free(bytes);
}

static void check_envelope(struct outcome o, size_t offset)
{
    bool a = offset < regions / 2;

    CHECK(o.err.class == ERR_NONE && o.released == SMALL);
    CHECK(strstr(warned, a ? "copy A is damaged" : "copy B is damaged") != NULL);
    CHECK(strstr(warned, a ? "opened from copy B" : "opened from copy A") != NULL);
}

static void check_body(struct outcome o, size_t offset)
{
    CHECK(o.err.class == ERR_DAMAGED && o.released == 0);
    CHECK(strstr(o.err.text, offset < COBBLESTONE_PREFIX_SIZE
                                 ? "does not belong to this envelope"
                                 : "chunk 0, the last, does not") != NULL);
}

static void check_whole(size_t offset)
{
    struct outcome o = open_at("small", NULL);

    if (offset < regions)
        check_envelope(o, offset);
    else
        check_body(o, offset - regions);
}

static void check_detached_envelope(size_t offset)
{
    check_envelope(open_at("small.body", "small.body.env"), offset);
}

static void check_detached_body(size_t offset)
{
    check_body(open_at("small.body", "small.body.env"), offset);
}

static void every_bit_of_a_file(void)
{
    seal(SUITE_AES, SMALL, "small", NULL);
    CHECK(open_at("small", NULL).released == SMALL && warned[0] == '\0');
    flip_each_bit("small", check_whole);
}

static void every_bit_of_a_chacha_body(void)
{
    seal(SUITE_CHACHA, SMALL, "small.body", "small.body.env");
    flip_each_bit("small.body", check_detached_body);
}

static void every_bit_of_a_detached_pair(void)
{
    seal(SUITE_AES, SMALL, "small.body", "small.body.env");
    CHECK(open_at("small.body", NULL).released == SMALL && warned[0] == '\0');
    flip_each_bit("small.body", check_detached_body);
    flip_each_bit("small.body.env", check_detached_envelope);
}

static void every_truncation(void)
{
    size_t size;

    seal(SUITE_AES, SMALL, "small", NULL);
    uint8_t *bytes = slurp("small", &size);
    for (size_t n = 0; n < size; n += stride) {
        test_write("cut", bytes, n);
        struct outcome o = open_at("cut", NULL);
        CHECK(o.err.class == (n == 0 ? ERR_FOREIGN : ERR_DAMAGED) && o.released == 0);
        if (n >= regions)
            CHECK(strstr(o.err.text, "ends") != NULL || strstr(o.err.text, "cut short") != NULL);
    }
    free(bytes);
}

static void truncations_of_several_chunks(void)
{
    size_t size;

    seal(SUITE_AES, LARGE, "large", NULL);
    size_t body = regions + COBBLESTONE_PREFIX_SIZE;
    uint8_t *bytes = slurp("large", &size);
    for (size_t n = body; n < size; n += n % 997 == 0 ? 1 : 61) {
        test_write("cut", bytes, n);
        struct outcome o = open_at("cut", NULL);
        CHECK(o.err.class == ERR_DAMAGED);
        CHECK(o.released <= (n - body) / COBBLESTONE_SEALED_CHUNK_SIZE * COBBLESTONE_CHUNK_SIZE);
    }
    test_write("cut", bytes, body + COBBLESTONE_SEALED_CHUNK_SIZE);
    struct outcome o = open_at("cut", NULL);
    CHECK(o.err.class == ERR_DAMAGED && o.released == COBBLESTONE_CHUNK_SIZE);
    CHECK(strstr(o.err.text, "ends before its last chunk") != NULL);
    free(bytes);
}

static void added_bytes(void)
{
    static const size_t sizes[] = {0,
                                   1,
                                   SMALL,
                                   COBBLESTONE_CHUNK_SIZE - 1,
                                   COBBLESTONE_CHUNK_SIZE,
                                   COBBLESTONE_CHUNK_SIZE + 1};

    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++)
        for (size_t more = 1; more <= 40; more++) {
            size_t size;
            seal(SUITE_AES, sizes[i], "small", NULL);
            uint8_t *bytes = slurp("small", &size);
            memset(bytes + size, 0, more);
            test_write("small", bytes, size + more);
            CHECK(open_at("small", NULL).err.class == ERR_DAMAGED);
            free(bytes);
        }
}

/* A keyring and a session with it, as the command line makes them. */
static void open_session(void)
{
    const struct keystore *store;
    const char *rest, *reference = "ring";
    struct session with_crypto SESSION_CLEANUP = {0};
    struct key_wanted want = {0};
    struct key_info info;
    struct err err = {0};

    MUST(session_open(&with_crypto, NULL, 0, &err).ok);

    MUST(registry_find(&store, &rest, reference, &err).ok &&
         store->admin->create(&with_crypto.env, rest, &want, &info, &err).ok);
    MUST(session_open(&session, &reference, 1, &err).ok);
    session.env.warn = on_warn;
}

int main(void)
{
    struct err err = {0};

    MUST(secret_init(&err).ok);
    host_program()->umask = umask(077);
    test_enter_directory();
    open_session();
    if (getenv("BULLA_TEST_STRIDE") != NULL)
        stride = strtoul(getenv("BULLA_TEST_STRIDE"), NULL, 10);
    MUST(stride > 0);
    for (size_t i = 0; i < sizeof plain; i++)
        plain[i] = (uint8_t)(i * 7 + i / 251);
    RUN(every_bit_of_a_file);
    RUN(every_bit_of_a_chacha_body);
    RUN(every_bit_of_a_detached_pair);
    RUN(every_truncation);
    RUN(truncations_of_several_chunks);
    RUN(added_bytes);
    session_close(&session);
    return DONE();
}

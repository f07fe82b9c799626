/* The envelope: one valid encoding, every cap, every unknown value. */
#include <fcntl.h>
#include <sys/mman.h>

#include "crypto/envelope.h"
#include "tests/unit/test.h"

static struct crypto *crypto;
static struct secret branch_key;

/* A core that uses everything a core has. */
static void fill_core(struct core *core)
{
    struct err err = {0};

    *core = (struct core){.suite = SUITE_CHACHA, .created = 1795460700, .generation = 7};
    memcpy(core->name, "nightly", 8);
    memset(core->file_id, 1, CORE_ID_SIZE);
    memset(core->branch_id, 2, BRANCH_ID_SIZE);
    MUST(context_add(&core->context, "db", 2, "prod", &err).ok);
    MUST(context_add(&core->context, "a", 1, "", &err).ok);
}

/* One slot of every method. */
static size_t fill_slots(struct slot *slots)
{
    static const struct {
        enum slot_code code;
        size_t wrap;
    } methods[] = {
        {SLOT_KEYRING_XAES, 72},
        {SLOT_KEYRING_X25519, 80},
        {SLOT_PASSPHRASE, 72},
        {SLOT_PKCS11_RSA_OAEP_SHA256, 256},
        {SLOT_PKCS11_RSA_OAEP_SHA1, 512},
        {SLOT_PKCS11_P256_HPKE, 113},
        {SLOT_PKCS11_P384_HPKE, 145},
        {SLOT_PKCS11_AES_GCM, 60},
        {SLOT_PKCS11_AES_KW, 40},
        {SLOT_AWSKMS, 200},
    };
    static const uint8_t id[32] = {9};
    size_t count = sizeof methods / sizeof *methods;

    for (size_t i = 0; i < count; i++) {
        struct slot *s = &slots[i];
        slot_begin(s, methods[i].code);
        for (const enum slot_field *f = s->method->fields; *f != SLOT_NO_FIELD; f++) {
            const struct slot_field_info *info = slot_field_info(*f);
            if (info->kind == SLOT_FIXED)
                slot_put_fixed(s, id, info->min);
            else if (info->kind == SLOT_NUMBER)
                slot_put_number(s, info->min + 1);
            else
                slot_put_sized(s, "arn:aws:kms:eu-west-1:1", info->min > 0 ? info->min : 2);
        }
        s->wrap_size = methods[i].wrap;
        memset(s->wrap, 3, s->wrap_size);
    }
    return count;
}

static void make(struct envelope *e, struct secret *data_key)
{
    struct slot *slots = calloc(16, sizeof *slots);
    struct err err = {0};
    struct core core;

    MUST(slots != NULL);
    fill_core(&core);
    size_t count = fill_slots(slots);
    MUST(envelope_new(e, crypto, &core, slots, count, &branch_key, data_key, &err).ok);
    free(slots);
}

/* Reads an envelope out of bytes, as from a pipe. */
static struct result read_bytes(struct envelope *e, const uint8_t *bytes, size_t size,
                                struct envelope_health *h, struct err *err)
{
    int fd = memfd_create("envelope", MFD_CLOEXEC);

    MUST(fd >= 0 && write(fd, bytes, size) == (ssize_t)size && lseek(fd, 0, SEEK_SET) == 0);
    struct source source = {.fd = fd, .name = "memory"};
    struct result r = envelope_read(e, &source, h, err);
    source_forget(&source);
    close(fd);
    return r;
}

/* Both copies of an envelope in one buffer, which the caller frees. */
static uint8_t *both(struct envelope *e, size_t *size)
{
    struct err err = {0};
    uint8_t *copy, *out;

    MUST(envelope_encode(e, &copy, &err).ok);
    *size = envelope_size(e);
    out = malloc(*size);
    MUST(out != NULL);
    memcpy(out, copy, *size / 2);
    memcpy(out + *size / 2, copy, *size / 2);
    free(copy);
    return out;
}

/* Puts the right checksum under a changed copy. */
static void repair(uint8_t *copy)
{
    size_t size =
        (size_t)copy[12] << 24 | (size_t)copy[13] << 16 | (size_t)copy[14] << 8 | copy[15];

    sha256(copy + 24 + size, &(struct view){copy, 24 + size}, 1);
}

static void round_trip(void)
{
    struct envelope e ENVELOPE_CLEANUP = {0}, got ENVELOPE_CLEANUP = {0};
    struct secret key SECRET_CLEANUP = {0}, again SECRET_CLEANUP = {0};
    struct envelope_health h;
    struct err err = {0};
    size_t size;

    make(&e, &key);
    uint8_t *bytes = both(&e, &size);
    CHECK(size == 8192);
    CHECK(read_bytes(&got, bytes, size, &h, &err).ok);
    CHECK(h.copy[0] == COPY_GOOD && h.copy[1] == COPY_GOOD && h.used == 0);
    CHECK(memcmp(&got.core, &e.core, sizeof e.core) == 0 && got.slot_count == e.slot_count);
    for (size_t i = 0; i < e.slot_count; i++)
        CHECK(memcmp(&got.slots[i], &e.slots[i], sizeof e.slots[i]) == 0);
    CHECK(envelope_unwrap(&got, crypto, &branch_key, &again, &err).ok);
    CHECK(again.size == KEY_SIZE && memcmp(again.bytes, key.bytes, KEY_SIZE) == 0);
    free(bytes);
}

static void another_branch_key_does_not_open_it(void)
{
    struct envelope e ENVELOPE_CLEANUP = {0};
    struct secret key SECRET_CLEANUP = {0}, other SECRET_CLEANUP = {0}, none = {0};
    struct err err = {0};

    make(&e, &key);
    MUST(secret_random(&other, KEY_SIZE, &err).ok);
    CHECK(!envelope_unwrap(&e, crypto, &other, &none, &err).ok && err.class == ERR_NO_KEY);
    e.core_hash[0] ^= 1;
    CHECK(!envelope_unwrap(&e, crypto, &branch_key, &none, &err).ok && err.class == ERR_NO_KEY);
}

static void the_newer_copy_counts(void)
{
    struct envelope e ENVELOPE_CLEANUP = {0}, got ENVELOPE_CLEANUP = {0};
    struct secret key SECRET_CLEANUP = {0};
    struct envelope_health h;
    struct err err = {0};
    size_t size;

    make(&e, &key);
    uint8_t *bytes = both(&e, &size);
    e.sequence = 2;
    uint8_t *newer = both(&e, &size);
    memcpy(bytes + size / 2, newer, size / 2);
    CHECK(read_bytes(&got, bytes, size, &h, &err).ok && got.sequence == 2);
    CHECK(h.used == 1 && h.copy[0] == COPY_STALE && h.copy[1] == COPY_GOOD);
    free(bytes);
    free(newer);
}

static void larger_regions(void)
{
    for (unsigned exponent = REGION_EXPONENT_MIN; exponent <= REGION_EXPONENT_MAX; exponent++)
        for (unsigned damaged = 0; damaged < 3; damaged++) {
            struct envelope e ENVELOPE_CLEANUP = {0}, got ENVELOPE_CLEANUP = {0};
            struct secret key SECRET_CLEANUP = {0};
            struct envelope_health h;
            struct err err = {0};
            size_t size;
            make(&e, &key);
            e.exponent = exponent;
            uint8_t *bytes = both(&e, &size);
            if (damaged < 2)
                memset(bytes + damaged * size / 2, 0, size / 2);
            CHECK(read_bytes(&got, bytes, size, &h, &err).ok);
            CHECK(got.exponent == exponent && h.used == (damaged == 0 ? 1 : 0));
            free(bytes);
        }
}

static void put_kms_slot(struct slot *s, size_t wrap_size)
{
    slot_begin(s, SLOT_AWSKMS);
    slot_put_sized(s, "arn:aws:kms:eu-west-1:1", 23);
    slot_put_sized(s, "", 0);
    s->wrap_size = wrap_size;
}

/* Whoever makes a wrap can put a whole envelope into it, where a smaller region would have copy B.
 */
static void a_copy_inside_a_slot_is_not_taken(void)
{
    struct envelope inner ENVELOPE_CLEANUP = {0}, outer ENVELOPE_CLEANUP = {0},
                          got ENVELOPE_CLEANUP = {0};
    struct secret key SECRET_CLEANUP = {0}, outer_key SECRET_CLEANUP = {0};
    struct slot *slots = calloc(2, sizeof *slots);
    struct envelope_health h;
    struct err err = {0};
    struct core core;
    size_t size;

    MUST(slots != NULL);
    make(&inner, &key);
    uint8_t *small = both(&inner, &size);
    fill_core(&core);
    put_kms_slot(&slots[0], 2500);
    put_kms_slot(&slots[1], SLOT_WRAP_MAX);
    MUST(envelope_new(&outer, crypto, &core, slots, 2, &branch_key, &outer_key, &err).ok);
    uint8_t *bytes = both(&outer, &size);
    size_t start = (size_t)((bytes[12] << 24 | bytes[13] << 16 | bytes[14] << 8 | bytes[15]) + 24 -
                            SLOT_WRAP_MAX);
    MUST(size == 2 * 16384 && start <= 4096 && start + SLOT_WRAP_MAX >= 8192);
    memcpy(outer.slots[1].wrap + 4096 - start, small, 4096);
    free(bytes);
    bytes = both(&outer, &size);
    CHECK(memcmp(bytes + 4096, small, 4096) == 0);
    CHECK(read_bytes(&got, bytes, size, &h, &err).ok && got.exponent == 14);
    CHECK(h.copy[0] == COPY_GOOD && h.copy[1] == COPY_GOOD && got.slot_count == 2);
    free(bytes);
    free(small);
    free(slots);
}

/* With copy A damaged, a reader may look far ahead for copy B: what follows the envelope is not
 * lost. */
static void what_was_read_ahead_is_put_back(void)
{
    struct envelope e ENVELOPE_CLEANUP = {0}, got ENVELOPE_CLEANUP = {0};
    struct secret key SECRET_CLEANUP = {0};
    struct envelope_health h;
    struct err err = {0};
    char after[10] = {0};
    size_t size, n;

    make(&e, &key);
    uint8_t *bytes = both(&e, &size);
    bytes[11] = REGION_EXPONENT_MAX;
    int fd = memfd_create("envelope", MFD_CLOEXEC);
    MUST(fd >= 0 && write(fd, bytes, size) == (ssize_t)size && write(fd, "behind", 6) == 6 &&
         lseek(fd, 0, SEEK_SET) == 0);
    struct source source = {.fd = fd, .name = "memory"};
    CHECK(envelope_read(&got, &source, &h, &err).ok && h.used == 1);
    CHECK(source_read(&source, after, sizeof after, &n, &err).ok && n == 6);
    CHECK(strcmp(after, "behind") == 0);
    source_forget(&source);
    close(fd);
    free(bytes);
}

/* Changes both copies, with a right checksum, and tells what a reader says. */
static enum err_class after(void (*change)(uint8_t *copy))
{
    struct envelope e ENVELOPE_CLEANUP = {0}, got ENVELOPE_CLEANUP = {0};
    struct secret key SECRET_CLEANUP = {0};
    struct envelope_health h;
    struct err err = {0};
    size_t size;

    make(&e, &key);
    uint8_t *bytes = both(&e, &size);
    for (size_t i = 0; i < 2; i++) {
        change(bytes + i * size / 2);
        repair(bytes + i * size / 2);
    }
    (void)!read_bytes(&got, bytes, size, &h, &err).ok;
    free(bytes);
    return err.class;
}

/* Offsets in a copy: the core's length stands at 24, the core at 26. */
static void nothing(uint8_t *c)
{
    (void)c;
}
static void version(uint8_t *c)
{
    c[9] = 2;
}
static void exponent(uint8_t *c)
{
    c[11] = 13;
}
static void sequence_zero(uint8_t *c)
{
    memset(c + 16, 0, 8);
}
static void sequence_last(uint8_t *c)
{
    memset(c + 16, 0xff, 8);
}
static void padding(uint8_t *c)
{
    c[4095] = 1;
}
static void core_version(uint8_t *c)
{
    c[27] = 2;
}
static void suite(uint8_t *c)
{
    c[29] = 3;
}
static void created(uint8_t *c)
{
    c[26 + 36] = 0xff;
}
static void name_not_utf8(uint8_t *c)
{
    c[26 + 54] = 0xff;
}
static void name_with_zero(uint8_t *c)
{
    c[26 + 54] = 0;
}
static void core_length(uint8_t *c)
{
    c[25]++;
}
static void context_unsorted(uint8_t *c)
{
    c[26 + 54 + 7 + 2 + 2] = 'z';
}
static void context_twice(uint8_t *c)
{
    /* "a" = "" and "db" = "prod" become "db" = "" (one byte more) and "db" = "pro". */
    static const uint8_t twice[] = {0, 2,   0,   2, 'd', 'b', 0,   0,  0,
                                    2, 'd', 'b', 0, 3,   'p', 'r', 'o'};
    memcpy(c + 26 + 54 + 7, twice, sizeof twice);
}
static void no_slots(uint8_t *c)
{
    size_t core = (size_t)(c[24] << 8 | c[25]);
    c[26 + core + 72 + 1] = 0;
}
static void one_slot_less(uint8_t *c)
{
    size_t core = (size_t)(c[24] << 8 | c[25]);
    c[26 + core + 72 + 1]--;
}
static void slot_method(uint8_t *c)
{
    size_t core = (size_t)(c[24] << 8 | c[25]);
    c[26 + core + 72 + 2] = 0x7f;
}
static void slot_key_version_zero(uint8_t *c)
{
    size_t core = (size_t)(c[24] << 8 | c[25]);
    memset(c + 26 + core + 72 + 2 + 4 + 16, 0, 4);
}
static void slot_header_length(uint8_t *c)
{
    size_t core = (size_t)(c[24] << 8 | c[25]);
    c[26 + core + 72 + 2 + 3]++;
}

static void what_breaks_a_rule_is_refused(void)
{
    static const struct {
        void (*change)(uint8_t *copy);
        enum err_class class;
    } cases[] = {
        {nothing, ERR_NONE},
        {version, ERR_UNSUPPORTED},
        {exponent, ERR_DAMAGED},
        {sequence_zero, ERR_DAMAGED},
        {sequence_last, ERR_DAMAGED},
        {padding, ERR_DAMAGED},
        {core_version, ERR_UNSUPPORTED},
        {suite, ERR_UNSUPPORTED},
        {created, ERR_DAMAGED},
        {name_not_utf8, ERR_DAMAGED},
        {name_with_zero, ERR_DAMAGED},
        {core_length, ERR_DAMAGED},
        {context_unsorted, ERR_DAMAGED},
        {context_twice, ERR_DAMAGED},
        {no_slots, ERR_DAMAGED},
        {one_slot_less, ERR_DAMAGED},
        {slot_method, ERR_UNSUPPORTED},
        {slot_key_version_zero, ERR_DAMAGED},
        {slot_header_length, ERR_DAMAGED},
    };

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        enum err_class class = after(cases[i].change);
        CHECK(class == cases[i].class);
        if (class != cases[i].class)
            printf("# case %zu gives %d\n", i, class);
    }
}

static void every_slot_field_has_its_caps(void)
{
    struct slot *slots = calloc(16, sizeof *slots);
    size_t count;

    MUST(slots != NULL);
    count = fill_slots(slots);
    for (size_t i = 0; i < count; i++) {
        uint8_t bytes[SLOT_HEADER_MAX + SLOT_WRAP_MAX + 6];
        struct slot s = slots[i];
        struct wire_writer w = wire_writer(bytes, sizeof bytes);
        slot_encode(&w, &s);
        CHECK(!w.bad);
        s.header_size--;
        w = wire_writer(bytes, sizeof bytes);
        slot_encode(&w, &s);
        CHECK(w.bad);
        s = slots[i];
        s.wrap_size = s.method->wrap_min - 1u;
        w = wire_writer(bytes, sizeof bytes);
        slot_encode(&w, &s);
        CHECK(w.bad);
        s = slots[i];
        s.wrap_size = s.method->wrap_max + 1u;
        w = wire_writer(bytes, sizeof bytes);
        slot_encode(&w, &s);
        CHECK(w.bad);
    }
    free(slots);
}

static void context_pairs_have_caps(void)
{
    char key[CONTEXT_KEY_MAX + 2], value[CONTEXT_VALUE_MAX + 2];
    struct context *c = calloc(1, sizeof *c);
    struct err err = {0};

    MUST(c != NULL);
    memset(key, 'k', sizeof key);
    memset(value, 'v', sizeof value - 1);
    value[sizeof value - 1] = '\0';
    CHECK(!context_add(c, "", 0, "", &err).ok && err.class == ERR_USAGE);
    CHECK(!context_add(c, key, CONTEXT_KEY_MAX + 1, "", &err).ok);
    CHECK(context_add(c, key, CONTEXT_KEY_MAX, value + 1, &err).ok);
    CHECK(!context_add(c, key, CONTEXT_KEY_MAX, "", &err).ok);
    CHECK(!context_add(c, "v", 1, value, &err).ok);
    CHECK(!context_add(c, "bulla-branch", 12, "x", &err).ok);
    CHECK(!context_add(c, "\xff", 1, "x", &err).ok && !context_add(c, "x", 1, "\xff", &err).ok);
    for (char i = 1; i < CONTEXT_PAIRS_MAX; i++)
        CHECK(context_add(c, &(char){(char)(i + '0')}, 1, "", &err).ok);
    CHECK(!context_add(c, "z", 1, "", &err).ok && c->count == CONTEXT_PAIRS_MAX);
    for (size_t i = 1; i < c->count; i++)
        CHECK(strcmp(c->pairs[i - 1].key, c->pairs[i].key) < 0);
    free(c);
}

int main(void)
{
    struct err err = {0};

    MUST(secret_init(&err).ok && crypto_new(&crypto, &err).ok);
    MUST(secret_random(&branch_key, KEY_SIZE, &err).ok);
    RUN(round_trip);
    RUN(another_branch_key_does_not_open_it);
    RUN(the_newer_copy_counts);
    RUN(larger_regions);
    RUN(a_copy_inside_a_slot_is_not_taken);
    RUN(what_was_read_ahead_is_put_back);
    RUN(what_breaks_a_rule_is_refused);
    RUN(every_slot_field_has_its_caps);
    RUN(context_pairs_have_caps);
    secret_free(&branch_key);
    crypto_free(&crypto);
    return DONE();
}

/* The envelope: what is written is read again, and nothing above a cap is written. What breaks a
 * rule is in the test kit. */
#include <fcntl.h>
#include <sys/mman.h>

#include "crypto/envelope.h"
#include "keystore/awskms/slots.h"
#include "keystore/keyring/slots.h"
#include "keystore/passphrase/slots.h"
#include "keystore/pkcs11/slots.h"
#include "tests/unit/test.h"

static struct crypto *crypto;
static struct branch_key branch_key;

/* A core that uses everything a core has. */
static void fill_core(struct core *core)
{
    struct err err = {0};

    *core = (struct core){.suite = SUITE_CHACHA, .created = 1795460700, .generation = 7};
    memcpy(core->name, "nightly", 8);
    memset(core->file_id, 1, CORE_ID_SIZE);
    MUST(context_add(&core->context, "db", 2, "prod", &err).ok);
    MUST(context_add(&core->context, "a", 1, "", &err).ok);
}

/* One slot of every method. */
static size_t fill_slots(struct slot *slots)
{
    static const struct {
        unsigned code;
        size_t wrap;
    } methods[] = {
        {SLOT_KEYRING_XAES, 72},     {SLOT_KEYRING_X25519, 80},   {SLOT_PASSPHRASE, 72},
        {SLOT_KEYRING_HYBRID, 1168}, {SLOT_RSA_OAEP_SHA256, 256}, {SLOT_RSA_OAEP_SHA1, 512},
        {SLOT_P256_HPKE, 113},       {SLOT_P384_HPKE, 145},       {SLOT_PKCS11_AES_GCM, 60},
        {SLOT_PKCS11_AES_KW, 40},    {SLOT_AWSKMS, 200},          {0x0abc, 17},
    };
    static const uint8_t id[32] = {9};
    size_t count = sizeof methods / sizeof *methods;

    for (size_t i = 0; i < count; i++) {
        struct slot *s = &slots[i];
        slot_begin(s, methods[i].code);
        for (const struct slot_field *const *f = s->method->fields; *f != NULL; f++) {
            const struct slot_field *info = *f;
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
    MUST(secret_random(data_key, KEY_SIZE, &err).ok && envelope_new(e, &core, &err).ok);
    MUST(envelope_wrap(e, crypto, &branch_key, data_key, slots, count, &err).ok);
    MUST(envelope_fit(e, &err).ok);
    context_free(&core.context);
    free(slots);
}

static void make_branch_key(struct branch_key *b, const struct context *context)
{
    struct secret key SECRET_CLEANUP = {0};
    struct err err = {0};

    MUST(secret_random(&key, KEY_SIZE, &err).ok);
    MUST(branch_key_derive(b, crypto, &key, context, &err).ok);
}

/* Reads an envelope out of bytes, as from a pipe. */
static struct result read_bytes(struct envelope *e, const uint8_t *bytes, size_t size,
                                struct envelope_health *h, struct err *err)
{
    int fd = memfd_create("envelope", MFD_CLOEXEC);

    MUST(fd >= 0 && write(fd, bytes, size) == (ssize_t)size && lseek(fd, 0, SEEK_SET) == 0);
    struct source source = {.fd = fd, .name = "memory"};
    struct result r = envelope_read(e, NULL, &source, h, err);
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

static bool tag_fits(const struct envelope *e, const struct branch_key *key)
{
    struct err err = {0};
    bool fits = false;

    return envelope_tag_fits(e, key, &fits, &err).ok && fits;
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
    CHECK(memcmp(got.core_hash, e.core_hash, SHA256_SIZE) == 0 && got.slot_count == e.slot_count);
    CHECK(strcmp(got.core.name, "nightly") == 0 && got.core.generation == 7);
    CHECK(context_equal(&got.core.context, &e.core.context) && got.core.context.count == 2);
    for (size_t i = 0; i < e.slot_count; i++)
        CHECK(slot_equal(&got.slots[i], &e.slots[i]));
    CHECK(envelope_unwrap(&got, crypto, &branch_key, &again, &err).ok);
    CHECK(tag_fits(&got, &branch_key));
    CHECK(again.size == KEY_SIZE && memcmp(again.bytes, key.bytes, KEY_SIZE) == 0);
    free(bytes);
}

static void another_branch_key_does_not_open_it(void)
{
    struct envelope e ENVELOPE_CLEANUP = {0};
    struct secret key SECRET_CLEANUP = {0}, none = {0};
    struct branch_key other BRANCH_KEY_CLEANUP = {0};
    struct err err = {0};

    make(&e, &key);
    make_branch_key(&other, &e.core.context);
    CHECK(!envelope_unwrap(&e, crypto, &other, &none, &err).ok && err.class == ERR_NO_KEY);
    e.core_hash[0] ^= 1;
    CHECK(!envelope_unwrap(&e, crypto, &branch_key, &none, &err).ok && err.class == ERR_NO_KEY);
}

/* The tag covers number, order and bytes of the slots, except those that key stores move. */
static void the_tag_covers_slots(void)
{
    struct envelope e ENVELOPE_CLEANUP = {0};
    struct secret key SECRET_CLEANUP = {0};

    make(&e, &key);
    for (size_t i = 0; i < e.slot_count; i++) {
        e.slots[i].wrap[0] ^= 1;
        CHECK(tag_fits(&e, &branch_key) == slot_moves(&e.slots[i]));
        e.slots[i].wrap[0] ^= 1;
    }
    CHECK(tag_fits(&e, &branch_key));
    struct slot first = e.slots[0];
    e.slots[0] = e.slots[1];
    e.slots[1] = first;
    CHECK(!tag_fits(&e, &branch_key));
    e.slots[1] = e.slots[0];
    e.slots[0] = first;
    CHECK(tag_fits(&e, &branch_key));
    e.slot_count--;
    CHECK(!tag_fits(&e, &branch_key));
}

/* One branch key has another id in another context. */
static void a_branch_has_one_context(void)
{
    struct envelope e ENVELOPE_CLEANUP = {0};
    struct secret key SECRET_CLEANUP = {0}, none = {0};
    struct branch_key elsewhere BRANCH_KEY_CLEANUP = {0};
    struct context context = {0};
    struct err err = {0};

    make(&e, &key);
    MUST(branch_key_derive(&elsewhere, crypto, &branch_key.key, &context, &err).ok);
    CHECK(memcmp(branch_key_id(&elsewhere), branch_key_id(&branch_key), BRANCH_ID_SIZE) != 0);
    CHECK(!envelope_unwrap(&e, crypto, &elsewhere, &none, &err).ok && err.class == ERR_NO_KEY);
}

static void an_envelope_has_few_passphrases(void)
{
    struct envelope e ENVELOPE_CLEANUP = {0};
    struct secret key SECRET_CLEANUP = {0};
    struct err err = {0};
    uint8_t *copy;

    make(&e, &key);
    e.slot_count = SLOT_PASSPHRASES_MAX;
    for (size_t i = 0; i < e.slot_count; i++)
        e.slots[i] = e.slots[2];
    CHECK(envelope_encode(&e, &copy, &err).ok);
    free(copy);
    e.slots[e.slot_count++] = e.slots[2];
    CHECK(!envelope_encode(&e, &copy, &err).ok);
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
    CHECK(envelope_read(&got, NULL, &source, &h, &err).ok && h.used == 1);
    CHECK(source_read(&source, after, sizeof after, &n, &err).ok && n == 6);
    CHECK(strcmp(after, "behind") == 0);
    source_forget(&source);
    close(fd);
    free(bytes);
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
    struct context pairs CONTEXT_CLEANUP = {0}, *c = &pairs;
    struct err err = {0};

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
}

int main(void)
{
    struct err err = {0};

    MUST(secret_init(&err).ok && crypto_new(&crypto, &err).ok);
    struct core core;
    fill_core(&core);
    make_branch_key(&branch_key, &core.context);
    context_free(&core.context);
    RUN(round_trip);
    RUN(another_branch_key_does_not_open_it);
    RUN(the_tag_covers_slots);
    RUN(a_branch_has_one_context);
    RUN(an_envelope_has_few_passphrases);
    RUN(what_was_read_ahead_is_put_back);
    RUN(every_slot_field_has_its_caps);
    RUN(context_pairs_have_caps);
    branch_key_free(&branch_key);
    crypto_free(&crypto);
    return DONE();
}

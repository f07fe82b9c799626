/* The envelope at the beginning of a file: there is one encoding of what is read, of the copy that
 * counts and of the other; the tag and what is asked of slots follow from the bytes alone. */
#include "keystore/passphrase/slots.h"
#include "tests/fuzz/copies.h"

/* The branch that the mutator gives some inputs. */
static void own_branch(struct branch_key *b, const struct context *context)
{
    struct secret key SECRET_CLEANUP = {0};
    struct err err;

    HOLDS(secret_new(&key, KEY_SIZE, &err).ok);
    HOLDS(branch_key_derive(b, fuzz_crypto(), &key, context, &err).ok);
}

/* struct encoded: the bytes of a slot. */
struct encoded {
    uint8_t bytes[6 + SLOT_HEADER_MAX + SLOT_WRAP_MAX];
    size_t size;
};

static void encode(struct encoded *out, const struct slot *slot)
{
    struct wire_writer w = wire_writer(out->bytes, sizeof out->bytes);

    slot_encode(&w, slot);
    HOLDS(!w.bad);
    out->size = w.used;
}

/* Two slots are equal if their bytes are. */
static void check_equal(const struct slot *a, const struct slot *b)
{
    static struct encoded x, y;

    encode(&x, a);
    encode(&y, b);
    bool same = x.size == y.size && memcmp(x.bytes, y.bytes, x.size) == 0;
    HOLDS(slot_equal(a, b) == same && slot_equal(b, a) == same);
}

/* What a method is depends on nothing but its code, and what a slot is on nothing after its end.
 */
static void check_kind(const struct slot *s)
{
    static const uint16_t known[] = {1, 2, 3, 0x11, 0x12, 0x13, 0x14, 0x15, 0x16, 0x21};
    static struct slot other;
    bool understood = false;

    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        understood = understood || s->code == known[i];
    HOLDS(slot_understood(s) == understood);
    HOLDS(slot_moves(s) == (s->code / 0x20 == 1));
    fuzz_spoil(&other, sizeof other);
    slot_begin(&other, s->code);
    HOLDS(slot_understood(&other) == understood && slot_moves(&other) == slot_moves(s));
    slot_put_fixed(&other, s->header, s->header_size);
    memcpy(other.wrap, s->wrap, s->wrap_size);
    other.wrap_size = s->wrap_size;
    HOLDS(slot_equal(s, &other));
    other.header_size++;
    HOLDS(!slot_equal(s, &other) && !slot_equal(&other, s));
    other.header_size--;
    other.wrap_size++;
    HOLDS(!slot_equal(s, &other) && !slot_equal(&other, s));
}

static void check_slots(const struct envelope *e)
{
    char said[SLOT_DESCRIBED_MAX];
    uint8_t aad[SLOT_AAD_MAX];
    size_t passphrases = 0;

    HOLDS(e->slot_count >= 1 && e->slot_count <= SLOTS_MAX);
    for (size_t i = 0; i < e->slot_count; i++) {
        const struct slot *s = &e->slots[i];
        for (const struct slot_field *const *f = s->method->fields; *f != NULL; f++) {
            struct view v = slot_view(s, *f);
            HOLDS(v.bytes == NULL ||
                  (v.bytes >= s->header && v.bytes + v.size <= s->header + s->header_size));
        }
        slot_describe(s, said);
        HOLDS(strlen(said) > 0 && strlen(said) + 1 < sizeof said);
        HOLDS(text_is_utf8(said, strlen(said)) && strpbrk(said, "\n\r\033") == NULL);
        HOLDS(slot_aad(s, e->branch_id, aad).size == 53 + s->header_size);
        check_kind(s);
        check_equal(s, &e->slots[0]);
        passphrases += s->code == SLOT_PASSPHRASE;
    }
    HOLDS(passphrases <= SLOT_PASSPHRASES_MAX);
}

static bool tag_fits(const struct envelope *e, const struct branch_key *key)
{
    struct err err = {0};
    bool fits = false;

    return envelope_tag_fits(e, key, &fits, &err).ok && fits;
}

/* The tag is of the content, and of no more than that. */
static void check_tag(const struct envelope *e, const uint8_t *copy, const struct branch_key *b)
{
    struct view content = copy_content(copy);
    struct envelope other = *e;
    uint8_t tag[SHA256_SIZE], again[SHA256_SIZE];
    struct err err;

    copy_tag(content, b, tag);
    HOLDS(envelope_tag(e, b, again, &err).ok && memcmp(tag, again, sizeof tag) == 0);
    HOLDS(tag_fits(e, b) ==
          (memcmp(tag, content.bytes + content.size - sizeof tag, sizeof tag) == 0));
    memcpy(other.tag, tag, sizeof tag);
    other.sequence = SEQUENCE_MAX;
    other.exponent = REGION_EXPONENT_MAX;
    HOLDS(tag_fits(&other, b));
    other.tag[tag[0] % sizeof tag] ^= 1;
    HOLDS(!tag_fits(&other, b));
}

/* Wrapped for a branch, it is that branch's and no other's. */
static void check_wrap(struct envelope *e, const struct branch_key *b)
{
    struct secret data_key SECRET_CLEANUP = {0}, back SECRET_CLEANUP = {0};
    struct err err = {0};

    HOLDS(!envelope_unwrap(e, fuzz_crypto(), b, &back, &err).ok && err.class == ERR_NO_KEY);
    HOLDS(back.size == 0 && secret_random(&data_key, KEY_SIZE, &err).ok);
    HOLDS(envelope_wrap(e, fuzz_crypto(), b, &data_key, e->slots, e->slot_count, &err).ok);
    HOLDS(envelope_unwrap(e, fuzz_crypto(), b, &back, &err).ok && back.size == KEY_SIZE);
    HOLDS(memcmp(back.bytes, data_key.bytes, KEY_SIZE) == 0 && tag_fits(e, b));
}

/* What was read is a copy, byte for byte. */
static void check_copy(struct envelope *e, const uint8_t *copy)
{
    struct branch_key branch BRANCH_KEY_CLEANUP = {0};
    size_t region = envelope_size(e) / 2;
    uint8_t *made;
    struct err err;

    HOLDS(envelope_encode(e, &made, &err).ok && memcmp(made, copy, region) == 0);
    free(made);
    HOLDS(envelope_fit(e, &err).ok && envelope_size(e) / 2 == region);
    check_slots(e);
    own_branch(&branch, &e->core.context);
    check_tag(e, copy, &branch);
    check_wrap(e, &branch);
}

/* The other copy is there only if it is whole and has other bytes, and is the file's too. */
static void check_other(struct envelope *other, const struct envelope_health *h, uint64_t sequence,
                        const uint8_t *copies, size_t region)
{
    enum copy_state state = h->copy[!h->used];

    HOLDS((other->slots != NULL) == (state == COPY_STALE || state == COPY_DIFFERS));
    if (state == COPY_GOOD)
        HOLDS(memcmp(copies, copies + region, region) == 0);
    if (other->slots == NULL)
        return;
    HOLDS(memcmp(copies, copies + region, region) != 0);
    HOLDS(envelope_size(other) == 2 * region);
    HOLDS(state == COPY_STALE ? other->sequence < sequence : other->sequence == sequence);
    check_copy(other, copies + !h->used * region);
}

static void check_read(struct envelope *e, struct envelope *other, const struct envelope_health *h,
                       struct source *source, const uint8_t *data, size_t size)
{
    size_t region = envelope_size(e) / 2, at = h->used * region, got;
    uint8_t next;
    struct err err;

    HOLDS(h->copy[h->used] == COPY_GOOD && at + region <= size);
    check_other(other, h, e->sequence, data, region);
    HOLDS(source_read(source, &next, 1, &got, &err).ok);
    HOLDS(got == (size > 2 * region) && (got == 0 || next == data[2 * region]));
    check_copy(e, data + at);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    int fd FD_CLEANUP = fuzz_file(data, size);
    struct source source = {.fd = fd, .name = "input"};
    struct envelope other ENVELOPE_CLEANUP = {0};
    struct envelope_health health;
    struct envelope e;
    struct err err = {0};

    (void)fuzz_crypto();
    fuzz_spoil(&e, sizeof e);
    if (envelope_read(&e, &other, &source, &health, &err).ok) {
        check_read(&e, &other, &health, &source, data, size);
        envelope_free(&e);
    } else {
        fuzz_refused(&err);
        HOLDS(err.class == ERR_DAMAGED || err.class == ERR_UNSUPPORTED ||
              (err.class == ERR_FOREIGN && (size < 8 || memcmp(data, "bulla\r\n\0", 8) != 0)));
        HOLDS(fuzz_untouched(&e, sizeof e) && other.slots == NULL);
    }
    source_forget(&source);
    return 0;
}

static void own(uint8_t *copy, const struct envelope *e)
{
    struct branch_key branch BRANCH_KEY_CLEANUP = {0};

    own_branch(&branch, &e->core.context);
    copy_own(copy, e, &branch);
}

size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t room, unsigned seed)
{
    (void)fuzz_crypto();
    return copies_change(data, size, room, seed, own);
}

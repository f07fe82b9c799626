/* The envelope at the beginning of a file: there is one encoding of what is read. */
#include "crypto/envelope.h"
#include "tests/fuzz/fuzz.h"

#define HEADER 24
#define LENGTH_AT 12

static void check_slots(const struct envelope *e)
{
    char said[SLOT_DESCRIBED_MAX];
    uint8_t aad[SLOT_AAD_MAX];

    for (size_t i = 0; i < e->slot_count; i++) {
        const struct slot *s = &e->slots[i];
        for (const enum slot_field *f = s->method->fields; *f != SLOT_NO_FIELD; f++) {
            struct view v = slot_view(s, *f);
            HOLDS(v.bytes == NULL ||
                  (v.bytes >= s->header && v.bytes + v.size <= s->header + s->header_size));
        }
        slot_describe(s, said);
        HOLDS(strlen(said) > 0 && strlen(said) + 1 < sizeof said);
        HOLDS(text_is_utf8(said, strlen(said)) && strpbrk(said, "\n\r\033") == NULL);
        HOLDS(slot_aad(s, e->branch_id, aad).size == 53 + s->header_size);
    }
}

/* What was read is the copy that counts, byte for byte, and the source goes on behind both. */
static void check_read(struct envelope *e, const struct envelope_health *h, struct source *source,
                       const uint8_t *data, size_t size)
{
    size_t region = envelope_size(e) / 2, at = h->used * region, got;
    uint8_t *copy, next;
    struct err err;

    HOLDS(h->copy[h->used] == COPY_GOOD && at + region <= size);
    HOLDS(envelope_encode(e, &copy, &err).ok && envelope_size(e) / 2 == region);
    HOLDS(memcmp(copy, data + at, region) == 0);
    free(copy);
    HOLDS(source_read(source, &next, 1, &got, &err).ok);
    HOLDS(got == (size > 2 * region) && (got == 0 || next == data[2 * region]));
    check_slots(e);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    int fd FD_CLEANUP = fuzz_file(data, size);
    struct source source = {.fd = fd, .name = "input"};
    struct envelope_health health;
    struct envelope e;
    struct err err = {0};

    (void)fuzz_crypto();
    fuzz_spoil(&e, sizeof e);
    if (envelope_read(&e, NULL, &source, &health, &err).ok) {
        check_read(&e, &health, &source, data, size);
        envelope_free(&e);
    } else {
        fuzz_refused(&err);
        HOLDS(err.class == ERR_DAMAGED || err.class == ERR_UNSUPPORTED);
        HOLDS(fuzz_untouched(&e, sizeof e));
    }
    source_forget(&source);
    return 0;
}

static void put_number(uint8_t *at, size_t size, size_t n)
{
    while (size-- > 0) {
        at[size] = (uint8_t)n;
        n >>= 8;
    }
}

/* Changes header and content of one copy, and puts the right length and checksum under it, so that
 * what is behind the checksum is reached. */
static void mutate_copy(uint8_t *copy, size_t region)
{
    size_t room = region - SHA256_SIZE;
    size_t used = (size_t)copy[LENGTH_AT] << 24 | (size_t)copy[LENGTH_AT + 1] << 16 |
                  (size_t)copy[LENGTH_AT + 2] << 8 | copy[LENGTH_AT + 3];

    used = used <= room - HEADER ? HEADER + used : HEADER;
    used = LLVMFuzzerMutate(copy, used, room);
    if (used < HEADER) {
        memset(copy + used, 0, HEADER - used);
        used = HEADER;
    }
    memcpy(copy, "bulla\r\n", ENVELOPE_MAGIC_SIZE);
    put_number(copy + LENGTH_AT, 4, used - HEADER);
    sha256(copy + used, &(struct view){copy, used}, 1);
    memset(copy + used + SHA256_SIZE, 0, region - used - SHA256_SIZE);
}

size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t room, unsigned seed)
{
    size_t exponent = seed / 16 % 2 ? REGION_EXPONENT_MIN : REGION_EXPONENT_USUAL,
           region = (size_t)1 << exponent;
    unsigned which = seed / 4 % 2;

    (void)fuzz_crypto();
    if (seed % 4 == 0 || 2 * region > room)
        return LLVMFuzzerMutate(data, size, room);
    if (size < 2 * region) {
        memset(data + size, 0, 2 * region - size);
        size = 2 * region;
    }
    if (seed / 512 % 16 != 0) {
        put_number(data + which * region + 8, 2, FORMAT_VERSION);
        put_number(data + which * region + 10, 2, exponent);
    }
    mutate_copy(data + which * region, region);
    if (seed / 8 % 2 == 0)
        memcpy(data + !which * region, data + which * region, region);
    return size;
}

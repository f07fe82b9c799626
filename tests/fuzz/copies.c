#include "tests/fuzz/copies.h"

#define LENGTH_AT 12

static size_t content_size(const uint8_t *copy)
{
    struct wire_reader r = wire_reader(copy + LENGTH_AT, 4);

    return wire_get_u32(&r);
}

struct view copy_content(const uint8_t *copy)
{
    return (struct view){copy + COPY_HEADER, content_size(copy)};
}

static void put_slot(struct wire_writer *w, struct wire_reader *r)
{
    uint16_t method = wire_get_u16(r);
    struct view header = wire_get_sized(r), wrap = wire_get_sized(r);
    bool moves = method >= 0x0020 && method <= 0x003f;

    wire_put_u16(w, method);
    wire_put_sized(w, header.bytes, moves ? 0 : header.size);
    wire_put_sized(w, wrap.bytes, moves ? 0 : wrap.size);
}

void copy_tag(struct view content, const struct branch_key *branch, uint8_t out[SHA256_SIZE])
{
    uint8_t *tagged = malloc(content.size);
    struct wire_writer w = wire_writer(tagged, content.size);
    struct wire_reader r = wire_reader(content.bytes, content.size - SHA256_SIZE);

    HOLDS(tagged != NULL);
    struct view core = wire_get_sized(&r);
    struct view fixed = wire_get_view(&r, BRANCH_ID_SIZE + WRAPPED_KEY_SIZE + 2);
    wire_put_sized(&w, core.bytes, core.size);
    wire_put_bytes(&w, fixed.bytes, fixed.size);
    while (r.left > 0 && !r.bad)
        put_slot(&w, &r);
    HOLDS(wire_at_end(&r) && !w.bad);
    hmac_sha256(out, branch_key_tag_key(branch), (struct view){tagged, w.used});
    free(tagged);
}

bool copy_read(struct envelope *e, const uint8_t *copy, size_t region)
{
    int fd FD_CLEANUP = fuzz_file(copy, region);
    struct source source = {.fd = fd, .name = "copy"};
    struct envelope_health health;
    struct err err;
    bool valid = envelope_read(e, NULL, &source, &health, &err).ok;

    source_forget(&source);
    return valid;
}

static void put_number(uint8_t *at, size_t size, size_t n)
{
    while (size-- > 0) {
        at[size] = (uint8_t)n;
        n >>= 8;
    }
}

static void put_checksum(uint8_t *copy)
{
    size_t used = COPY_HEADER + content_size(copy);

    sha256(copy + used, &(struct view){copy, used}, 1);
}

void copy_own(uint8_t *copy, const struct envelope *e, const struct branch_key *branch)
{
    struct view content = copy_content(copy);
    uint8_t *core = copy + COPY_HEADER;

    memcpy(core + 2 + core_size(&e->core), branch_key_id(branch), BRANCH_ID_SIZE);
    copy_tag(content, branch, core + content.size - SHA256_SIZE);
    put_checksum(copy);
}

/* So that the code after the checksum is reached. */
static void change_copy(uint8_t *copy, size_t region)
{
    size_t room = region - SHA256_SIZE, used = content_size(copy);

    used = used <= room - COPY_HEADER ? COPY_HEADER + used : COPY_HEADER;
    used = LLVMFuzzerMutate(copy, used, room);
    if (used < COPY_HEADER) {
        memset(copy + used, 0, COPY_HEADER - used);
        used = COPY_HEADER;
    }
    memcpy(copy, "bulla\r\n", ENVELOPE_MAGIC_SIZE);
    put_number(copy + LENGTH_AT, 4, used - COPY_HEADER);
    put_checksum(copy);
    memset(copy + used + SHA256_SIZE, 0, region - used - SHA256_SIZE);
}

/* The exponent that the first copy has, if there is room for two of that; else one of those that a
 * writer begins with. */
static size_t exponent_of(const uint8_t *data, size_t size, size_t room, unsigned seed)
{
    size_t e = size > COPY_HEADER ? (size_t)data[10] << 8 | data[11] : 0;

    if (e >= REGION_EXPONENT_MIN && e <= REGION_EXPONENT_MAX && (size_t)2 << e <= room)
        return e;
    return seed % 2 ? REGION_EXPONENT_MIN : REGION_EXPONENT_USUAL;
}

size_t copies_change(uint8_t *data, size_t size, size_t room, unsigned seed,
                     void (*own)(uint8_t *copy, const struct envelope *e))
{
    size_t exponent = exponent_of(data, size, room, seed / 16), region = (size_t)1 << exponent;
    uint8_t *copy = data + seed / 4 % 2 * region, *other = data + !(seed / 4 % 2) * region;
    struct envelope e ENVELOPE_CLEANUP = {0};

    if (seed % 4 == 0 || 2 * region > room)
        return LLVMFuzzerMutate(data, size, room);
    if (size < 2 * region) {
        memset(data + size, 0, 2 * region - size);
        size = 2 * region;
    }
    change_copy(copy, region);
    if (seed / 512 % 16 != 0) {
        put_number(copy + 8, 2, FORMAT_VERSION);
        put_number(copy + 10, 2, exponent);
        put_checksum(copy);
    }
    if (own != NULL && seed / 32 % 2 == 0 && copy_read(&e, copy, region))
        own(copy, &e);
    if (seed / 8 % 2 == 0)
        memcpy(other, copy, region);
    return size;
}

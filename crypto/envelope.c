#include "crypto/envelope.h"

#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#define HEADER_SIZE 24
#define REGION_MAX ((size_t)1 << REGION_EXPONENT_MAX)

static const uint8_t magic[ENVELOPE_MAGIC_SIZE] = {'b', 'u', 'l', 'l', 'a', '\r', '\n', 0};

static const char body_label[] = "bulla/v2 body";
static const char key_label[] = "bulla/v2 data key";

#define KEY_AAD_SIZE (sizeof key_label - 1 + BRANCH_ID_SIZE + SHA256_SIZE)

bool envelope_begins(const uint8_t bytes[ENVELOPE_MAGIC_SIZE])
{
    return memcmp(bytes, magic, sizeof magic) == 0;
}

size_t envelope_size(const struct envelope *e)
{
    return (size_t)2 << e->exponent;
}

struct view envelope_body_context(const struct envelope *e, uint8_t out[ENVELOPE_CONTEXT_SIZE])
{
    struct wire_writer w = wire_writer(out, ENVELOPE_CONTEXT_SIZE);

    wire_put_bytes(&w, body_label, strlen(body_label));
    wire_put_bytes(&w, e->core_hash, SHA256_SIZE);
    return (struct view){out, w.used};
}

struct result envelope_new(struct envelope *e, const struct core *core, struct err *err)
{
    size_t size = core_size(core);
    uint8_t *encoded = malloc(size);
    struct wire_writer w = wire_writer(encoded, size);

    if (encoded == NULL)
        return fail_memory(err);
    core_encode(&w, core);
    *e = (struct envelope){.core = *core, .exponent = REGION_EXPONENT_USUAL, .sequence = 1};
    sha256(e->core_hash, &(struct view){encoded, w.used}, 1);
    free(encoded);
    if (!context_copy(&e->core.context, &core->context, err).ok)
        return FAIL;
    return w.bad ? fail(err, ERR_FAILED, "the core does not fit") : OK;
}

/* The additional data of the data key's wrap. */
static struct view key_aad(const struct envelope *e, const uint8_t *branch_id,
                           uint8_t out[KEY_AAD_SIZE])
{
    struct wire_writer w = wire_writer(out, KEY_AAD_SIZE);

    wire_put_bytes(&w, key_label, strlen(key_label));
    wire_put_bytes(&w, branch_id, BRANCH_ID_SIZE);
    wire_put_bytes(&w, e->core_hash, SHA256_SIZE);
    return (struct view){out, w.used};
}

static struct result copy_slots(struct envelope *e, const struct slot *slots, size_t count,
                                struct err *err)
{
    e->slots = malloc(count * sizeof *slots);
    if (e->slots == NULL)
        return fail_memory(err);
    memcpy(e->slots, slots, count * sizeof *slots);
    e->slot_count = count;
    return OK;
}

/* The number of slots that are of the same method as one of them. */
static size_t count_like(const struct envelope *e, const struct slot *slot)
{
    size_t count = 0;

    for (size_t i = 0; i < e->slot_count; i++)
        count += e->slots[i].method == slot->method;
    return count;
}

static struct result check_caps(const struct envelope *e, struct err *err)
{
    for (size_t i = 0; i < e->slot_count; i++) {
        const struct slot_method *m = e->slots[i].method;
        if (m->most > 0 && count_like(e, &e->slots[i]) > m->most)
            return fail(err, ERR_USAGE, "an envelope has at most %u %s", m->most, m->plural);
    }
    if (e->slot_count < 1 || e->slot_count > SLOTS_MAX)
        return fail(err, ERR_USAGE, "an envelope has 1 to %d keys", SLOTS_MAX);
    return OK;
}

struct result envelope_wrap(struct envelope *e, const struct crypto *crypto,
                            const struct branch_key *branch_key, const struct secret *data_key,
                            const struct slot *slots, size_t slot_count, struct err *err)
{
    struct envelope made = *e; /* but for the slots it shares what *e has */
    const uint8_t *id = branch_key_id(branch_key);
    uint8_t aad[KEY_AAD_SIZE];

    memcpy(made.branch_id, id, BRANCH_ID_SIZE);
    if (!copy_slots(&made, slots, slot_count, err).ok)
        return FAIL;
    if (!check_caps(&made, err).ok ||
        !xaes_seal(crypto, branch_key_wrap_key(branch_key), key_aad(e, id, aad),
                   secret_view(data_key), made.wrapped_key, err)
             .ok ||
        !envelope_tag(&made, branch_key, made.tag, err).ok) {
        free(made.slots);
        return FAIL;
    }
    free(e->slots);
    *e = made;
    return OK;
}

struct result envelope_unwrap(const struct envelope *e, const struct crypto *crypto,
                              const struct branch_key *branch_key, struct secret *data_key,
                              struct err *err)
{
    struct secret key SECRET_CLEANUP = {0};
    uint8_t aad[KEY_AAD_SIZE];

    if (memcmp(branch_key_id(branch_key), e->branch_id, BRANCH_ID_SIZE) != 0)
        return fail(err, ERR_NO_KEY, "it opens to another branch key");
    if (!secret_new(&key, KEY_SIZE, err).ok)
        return FAIL;
    if (!xaes_open(crypto, branch_key_wrap_key(branch_key), key_aad(e, e->branch_id, aad),
                   (struct view){e->wrapped_key, WRAPPED_KEY_SIZE}, key.bytes, err)
             .ok) {
        if (err->class == ERR_DAMAGED)
            return fail(err, ERR_NO_KEY, "the branch key does not open the data key");
        return FAIL;
    }
    *data_key = TAKE(key);
    return OK;
}

/* The size of the content without its tag, in bytes. */
static size_t tagged_size(const struct envelope *e)
{
    size_t size = 2 + core_size(&e->core) + BRANCH_ID_SIZE + WRAPPED_KEY_SIZE + 2;
    for (size_t i = 0; i < e->slot_count; i++)
        size += 6 + e->slots[i].header_size + e->slots[i].wrap_size;
    return size;
}

/* The content without its tag. For the tag, header and wrap of a slot that a key store may move by
 * itself are left empty. */
static void encode_tagged(struct wire_writer *w, const struct envelope *e, bool for_tag)
{
    struct err ignored;

    w->bad = w->bad || !check_caps(e, &ignored).ok;
    wire_put_u16(w, (uint16_t)core_size(&e->core));
    core_encode(w, &e->core);
    wire_put_bytes(w, e->branch_id, BRANCH_ID_SIZE);
    wire_put_bytes(w, e->wrapped_key, WRAPPED_KEY_SIZE);
    wire_put_u16(w, (uint16_t)e->slot_count);
    for (size_t i = 0; i < e->slot_count; i++) {
        if (!for_tag || !slot_moves(&e->slots[i])) {
            slot_encode(w, &e->slots[i]);
            continue;
        }
        wire_put_u16(w, e->slots[i].code);
        wire_put_u32(w, 0);
    }
}

struct result envelope_tag(const struct envelope *e, const struct branch_key *branch_key,
                           uint8_t out[SHA256_SIZE], struct err *err)
{
    size_t room = tagged_size(e);
    uint8_t *content = malloc(room);
    struct wire_writer w = wire_writer(content, room);

    if (content == NULL)
        return fail_memory(err);
    encode_tagged(&w, e, true);
    if (!w.bad)
        hmac_sha256(out, branch_key_tag_key(branch_key), (struct view){content, w.used});
    free(content);
    return w.bad ? fail(err, ERR_FAILED, "the slots do not fit an envelope") : OK;
}

struct result envelope_tag_fits(const struct envelope *e, const struct branch_key *branch_key,
                                bool *fits, struct err *err)
{
    uint8_t tag[SHA256_SIZE];

    if (!envelope_tag(e, branch_key, tag, err).ok)
        return FAIL;
    *fits = sodium_memcmp(tag, e->tag, SHA256_SIZE) == 0;
    return OK;
}

struct result envelope_fit(struct envelope *e, struct err *err)
{
    size_t size = HEADER_SIZE + tagged_size(e) + SHA256_SIZE + SHA256_SIZE;

    if (size > REGION_MAX)
        return fail(err, ERR_FAILED, "the envelope does not fit into %zu bytes", REGION_MAX);
    while (size > (size_t)1 << e->exponent)
        e->exponent++;
    return OK;
}

struct result envelope_encode(const struct envelope *e, uint8_t **copy, struct err *err)
{
    size_t region = envelope_size(e) / 2;
    uint8_t *out = calloc(1, region);
    struct wire_writer w = wire_writer(out, region);

    if (out == NULL)
        return fail_memory(err);
    wire_put_bytes(&w, magic, sizeof magic);
    wire_put_u16(&w, FORMAT_VERSION);
    wire_put_u16(&w, (uint16_t)e->exponent);
    wire_put_u32(&w, (uint32_t)(tagged_size(e) + SHA256_SIZE));
    wire_put_u64(&w, e->sequence);
    encode_tagged(&w, e, false);
    wire_put_bytes(&w, e->tag, SHA256_SIZE);
    w.bad = w.bad || e->sequence < 1 || e->sequence > SEQUENCE_MAX || region - w.used < SHA256_SIZE;
    if (w.bad) {
        free(out);
        return fail(err, ERR_FAILED, "the envelope does not fit into %zu bytes", region);
    }
    sha256(out + w.used, &(struct view){out, w.used}, 1);
    *copy = out;
    return OK;
}

struct result envelope_write(const struct envelope *e, struct sink *sink, struct err *err)
{
    uint8_t *copy;

    if (!envelope_encode(e, &copy, err).ok)
        return FAIL;
    size_t region = envelope_size(e) / 2;
    struct result r = sink_write(sink, copy, region, err);
    if (r.ok)
        r = sink_write(sink, copy, region, err);
    free(copy);
    return r;
}

static struct result decode_slots(struct envelope *e, size_t count, struct wire_reader *r,
                                  struct err *err)
{
    e->slots = malloc(count * sizeof *e->slots);
    if (e->slots == NULL)
        return fail_memory(err);
    for (; e->slot_count < count; e->slot_count++)
        if (!slot_decode(&e->slots[e->slot_count], r, err).ok)
            return FAIL;
    if (!check_caps(e, err).ok) {
        err->class = ERR_DAMAGED;
        return FAIL;
    }
    return OK;
}

static struct result decode_content(struct envelope *e, struct view content, struct err *err)
{
    struct wire_reader r = wire_reader(content.bytes, content.size);
    struct view core = wire_get_sized(&r);

    if (r.bad)
        return fail(err, ERR_DAMAGED, "its content has a wrong length");
    if (!core_decode(&e->core, core, err).ok)
        return FAIL;
    sha256(e->core_hash, &core, 1);
    wire_get_bytes(&r, e->branch_id, BRANCH_ID_SIZE);
    wire_get_bytes(&r, e->wrapped_key, WRAPPED_KEY_SIZE);
    size_t count = wire_get_u16(&r);
    if (r.bad || count < 1 || count > SLOTS_MAX)
        return fail(err, ERR_DAMAGED, "its content has a wrong length");
    if (!decode_slots(e, count, &r, err).ok)
        return FAIL;
    wire_get_bytes(&r, e->tag, SHA256_SIZE);
    if (!wire_at_end(&r))
        return fail(err, ERR_DAMAGED, "its content has a wrong length");
    return OK;
}

static bool all_zero(const uint8_t *bytes, size_t size)
{
    uint8_t any = 0;

    for (size_t i = 0; i < size; i++)
        any |= bytes[i];
    return any == 0;
}

/* Reads one copy; the region is all of bytes, 2^exponent of them. Here and in what it calls, the
 * rules are tried in the order of the bytes, so that a newer version is not taken for damage. */
static struct result decode_copy(struct envelope *e, const uint8_t *bytes, unsigned exponent,
                                 struct err *err)
{
    size_t region = (size_t)1 << exponent;
    struct envelope made ENVELOPE_CLEANUP = {0};
    struct wire_reader r = wire_reader(bytes, region);
    struct view mark = wire_get_view(&r, sizeof magic);
    uint8_t hash[SHA256_SIZE];

    if (memcmp(mark.bytes, magic, sizeof magic) != 0)
        return fail(err, ERR_DAMAGED, "it does not begin as an envelope does");
    uint16_t version = wire_get_u16(&r);
    made.exponent = wire_get_u16(&r);
    uint32_t size = wire_get_u32(&r);
    made.sequence = wire_get_u64(&r);
    if (size > region - HEADER_SIZE - SHA256_SIZE)
        return fail(err, ERR_DAMAGED, "its length is impossible");
    struct view content = wire_get_view(&r, size);
    sha256(hash, &(struct view){bytes, HEADER_SIZE + size}, 1);
    if (memcmp(wire_get_view(&r, SHA256_SIZE).bytes, hash, SHA256_SIZE) != 0)
        return fail(err, ERR_DAMAGED, "its checksum does not match");
    if (made.exponent < REGION_EXPONENT_MIN || made.exponent > REGION_EXPONENT_MAX)
        return fail(err, ERR_DAMAGED, "its region size is impossible");
    if (version != FORMAT_VERSION)
        return fail(err, ERR_UNSUPPORTED,
                    version < FORMAT_VERSION
                        ? "it has format %u, of a bulla from before the first release"
                        : "it has format %u, which this bulla does not know",
                    version);
    if (made.exponent != exponent)
        return fail(err, ERR_DAMAGED, "its region size is not the file's");
    if (made.sequence == 0 || made.sequence > SEQUENCE_MAX)
        return fail(err, ERR_DAMAGED, "its sequence number is impossible");
    if (!decode_content(&made, content, err).ok)
        return FAIL;
    if (!all_zero(r.at, r.left))
        return fail(err, ERR_DAMAGED, "the bytes after it are not zero");
    *e = TAKE(made);
    return OK;
}

static bool whole(const struct envelope *e)
{
    return e->slots != NULL;
}

/* Given two copies, at least one of which is whole: which one counts, and what the other is. */
static void choose(const struct envelope copies[2], const uint8_t *bytes, size_t region,
                   struct envelope_health *h)
{
    const struct envelope *a = &copies[0], *b = &copies[1];

    h->used = !whole(a) || (whole(b) && b->sequence > a->sequence) ? 1 : 0;
    if (!whole(a) || !whole(b))
        return;
    if (a->sequence != b->sequence)
        h->copy[!h->used] = COPY_STALE;
    else if (memcmp(bytes, bytes + region, region) != 0)
        h->copy[1] = COPY_DIFFERS;
}

/* struct reading: what was read of a source so far, and what was found in it. */
struct reading {
    struct source *source;
    uint8_t *bytes;
    size_t have;
    struct envelope copies[2];
    struct envelope_health health;
    bool remains; /* an envelope begins somewhere, or something very like one */
};

static void reading_end(struct reading *r)
{
    free(r->bytes);
    envelope_free(&r->copies[0]);
    envelope_free(&r->copies[1]);
}

/* Reads on until size bytes are there, or the source ends. */
static struct result read_up_to(struct reading *r, size_t size, struct err *err)
{
    size_t got;

    if (r->have >= size)
        return OK;
    uint8_t *grown = realloc(r->bytes, size);
    if (grown == NULL)
        return fail_memory(err);
    r->bytes = grown;
    if (!source_read(r->source, r->bytes + r->have, size - r->have, &got, err).ok)
        return FAIL;
    r->have += got;
    return OK;
}

#define LIKE_MAGIC 6 /* bytes of 8 */

/* Whether an envelope may have begun there; the rest of it may be damaged, or cut off. */
static bool may_begin(const struct reading *r, size_t at)
{
    size_t size = at < r->have ? r->have - at : 0, like = 0;

    if (size < sizeof magic)
        return at == 0 && size > 0 && memcmp(r->bytes + at, magic, size) == 0;
    for (size_t i = 0; i < sizeof magic; i++)
        like += r->bytes[at + i] == magic[i];
    return like >= LIKE_MAGIC;
}

/* Tries one copy at an exponent and keeps what it is; fails only for what is not the copy's fault.
 */
static struct result try_copy(struct reading *r, unsigned which, unsigned exponent, struct err *err)
{
    size_t region = (size_t)1 << exponent, end = (which + 1) * region;
    struct err why = {0};

    if (!read_up_to(r, end, err).ok)
        return FAIL;
    r->remains = r->remains || may_begin(r, which * region);
    r->health.copy[which] = COPY_GOOD;
    if (r->have < end)
        (void)fail(&why, ERR_DAMAGED, "the file ends inside it");
    else if (decode_copy(&r->copies[which], r->bytes + which * region, exponent, &why).ok)
        return OK;
    if (why.class == ERR_FAILED) {
        *err = why;
        return FAIL;
    }
    r->health.copy[which] = why.class == ERR_UNSUPPORTED ? COPY_UNSUPPORTED : COPY_DAMAGED;
    memcpy(r->health.fault[which], why.text, sizeof r->health.fault[which] - 1);
    return OK;
}

/* The exponent that copy A has recorded, or the smallest if it cannot have one. */
static unsigned recorded_exponent(const struct reading *r)
{
    unsigned e = r->have < HEADER_SIZE ? 0 : (unsigned)(r->bytes[10] << 8 | r->bytes[11]);

    return e < REGION_EXPONENT_MIN || e > REGION_EXPONENT_MAX ? REGION_EXPONENT_MIN : e;
}

/* Looks for copy B wherever it may be. Of the faults, an unsupported copy says most, and then the
 * fault at *exponent, where copy A expects copy B. *exponent becomes that of the copy found. */
static struct result find_b(struct reading *r, unsigned *exponent, struct err *err)
{
    struct envelope_health telling = {0};
    unsigned recorded = *exponent;

    for (*exponent = REGION_EXPONENT_MIN; *exponent <= REGION_EXPONENT_MAX; (*exponent)++) {
        if (!try_copy(r, 1, *exponent, err).ok)
            return FAIL;
        if (whole(&r->copies[1]))
            return OK;
        if (r->health.copy[1] == COPY_UNSUPPORTED ||
            (*exponent == recorded && telling.copy[1] != COPY_UNSUPPORTED))
            telling = r->health;
    }
    r->health = telling;
    return OK;
}

/* Reads copy A at its recorded exponent, then copy B at the same one. If A is not whole, it looks
 * for B wherever it may be. *exponent is that of a copy that was found. */
static struct result find_copies(struct reading *r, unsigned *exponent, struct err *err)
{
    if (!read_up_to(r, HEADER_SIZE, err).ok)
        return FAIL;
    *exponent = recorded_exponent(r);
    if (!try_copy(r, 0, *exponent, err).ok)
        return FAIL;
    return whole(&r->copies[0]) ? try_copy(r, 1, *exponent, err) : find_b(r, exponent, err);
}

/* Why no copy counts, in the words of the copy whose fault says most. */
static struct result none_counts(const struct envelope_health *h, const struct source *source,
                                 bool remains, struct err *err)
{
    for (unsigned i = 0; i < 2; i++)
        if (h->copy[i] == COPY_UNSUPPORTED) {
            return fail_named(err, ERR_UNSUPPORTED, "'%s': %s", source->name, h->fault[i]);
        }
    if (!remains)
        return fail_named(err, ERR_FOREIGN, "'%s' is not a sealed file", source->name);
    return fail_named(err, ERR_DAMAGED,
                      "both copies of the envelope of '%s' are damaged: A: %s; B: %s", source->name,
                      h->fault[0], h->fault[1]);
}

struct result envelope_read(struct envelope *e, struct envelope *other, struct source *source,
                            struct envelope_health *health, struct err *err)
{
    struct reading r __attribute__((cleanup(reading_end))) = {.source = source};
    unsigned exponent;
    struct result found = find_copies(&r, &exponent, err);

    *health = r.health;
    if (!found.ok)
        return FAIL;
    if (!whole(&r.copies[0]) && !whole(&r.copies[1]))
        return none_counts(health, source, r.remains, err);
    size_t region = (size_t)1 << exponent, end = r.have < 2 * region ? r.have : 2 * region;
    choose(r.copies, r.bytes, region, health);
    if (!source_unread(source, r.bytes + end, r.have - end, err).ok)
        return FAIL;
    *e = r.copies[health->used];
    r.copies[health->used] = (struct envelope){0};
    if (other != NULL && health->copy[!health->used] != COPY_GOOD) {
        *other = r.copies[!health->used];
        r.copies[!health->used] = (struct envelope){0};
    }
    return OK;
}

void envelope_free(struct envelope *e)
{
    free(e->slots);
    context_free(&e->core.context);
    *e = (struct envelope){0};
}

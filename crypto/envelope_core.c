#include "crypto/envelope_core.h"

#include <stdlib.h>
#include <string.h>

#include "base/text.h"

#define CORE_VERSION 2
#define RESERVED_PREFIX "bulla-"

static const struct suite_info suites[] = {
    {SUITE_AES, AEAD_AES_256_GCM, "Cobblestone-256 (AES-256-GCM)"},
    {SUITE_CHACHA, AEAD_CHACHA20_POLY1305, "Cobblestone with ChaCha20-Poly1305"},
};

const struct suite_info *suite_by_code(unsigned code)
{
    for (size_t i = 0; i < sizeof suites / sizeof *suites; i++)
        if (suites[i].suite == code)
            return &suites[i];
    return NULL;
}

/* What is wrong with a pair, or NULL: one rule for writing and reading. */
static const char *pair_fault(struct view key, struct view value)
{
    if (key.size == 0)
        return "a context key is empty";
    if (key.size > CONTEXT_KEY_MAX)
        return "a context key is longer than 128 bytes";
    if (value.size > CONTEXT_VALUE_MAX)
        return "a context value is longer than 512 bytes";
    if (!text_is_utf8(key.bytes, key.size) || !text_is_utf8(value.bytes, value.size))
        return "a context pair is not UTF-8";
    if (key.size >= strlen(RESERVED_PREFIX) &&
        memcmp(key.bytes, RESERVED_PREFIX, strlen(RESERVED_PREFIX)) == 0)
        return "context keys that begin with 'bulla-' are reserved";
    return NULL;
}

static const char *name_fault(struct view name)
{
    if (name.size > CORE_NAME_MAX)
        return "the name is longer than 1024 bytes";
    if (!text_is_utf8(name.bytes, name.size))
        return "the name is not UTF-8";
    return NULL;
}

static void copy_text(char *out, struct view text)
{
    if (text.size > 0)
        memcpy(out, text.bytes, text.size);
    out[text.size] = '\0';
}

struct result context_add(struct context *context, const char *key, size_t key_size,
                          const char *value, struct err *err)
{
    struct view k = {(const uint8_t *)key, key_size}, v = view_text(value);
    const char *fault = pair_fault(k, v);
    struct context_pair *pairs;
    size_t at = 0;

    if (fault != NULL)
        return fail(err, ERR_USAGE, "%s", fault);
    if (context->count == CONTEXT_PAIRS_MAX)
        return fail(err, ERR_USAGE, "more than %d context pairs", CONTEXT_PAIRS_MAX);
    pairs = realloc(context->pairs, (context->count + 1) * sizeof *pairs);
    if (pairs == NULL)
        return fail_memory(err);
    context->pairs = pairs;
    struct context_pair *fresh = &pairs[context->count];
    copy_text(fresh->key, k);
    copy_text(fresh->value, v);
    while (strcmp(pairs[at].key, fresh->key) < 0)
        at++;
    if (at < context->count && strcmp(pairs[at].key, fresh->key) == 0)
        return fail(err, ERR_USAGE, "context key '%s' is given twice", fresh->key);
    struct context_pair moved = *fresh;
    memmove(&pairs[at + 1], &pairs[at], (context->count - at) * sizeof moved);
    pairs[at] = moved;
    context->count++;
    return OK;
}

struct result context_add_text(struct context *context, const char *text, struct err *err)
{
    const char *equals = strchr(text, '=');

    return equals != NULL ? context_add(context, text, (size_t)(equals - text), equals + 1, err)
                          : fail(err, ERR_USAGE, "'%s' is not K=V", text);
}

struct result context_copy(struct context *out, const struct context *context, struct err *err)
{
    size_t size = context->count * sizeof *context->pairs;

    *out = (struct context){0};
    if (size == 0)
        return OK;
    out->pairs = malloc(size);
    if (out->pairs == NULL)
        return fail_memory(err);
    memcpy(out->pairs, context->pairs, size);
    out->count = context->count;
    return OK;
}

void context_free(struct context *context)
{
    free(context->pairs);
    *context = (struct context){0};
}

const char *context_get(const struct context *context, const char *key)
{
    for (size_t i = 0; i < context->count; i++)
        if (strcmp(context->pairs[i].key, key) == 0)
            return context->pairs[i].value;
    return NULL;
}

bool context_equal(const struct context *a, const struct context *b)
{
    if (a->count != b->count)
        return false;
    for (size_t i = 0; i < a->count; i++)
        if (strcmp(a->pairs[i].key, b->pairs[i].key) != 0 ||
            strcmp(a->pairs[i].value, b->pairs[i].value) != 0)
            return false;
    return true;
}

static void encode_context(struct wire_writer *w, const struct context *context)
{
    wire_put_u16(w, (uint16_t)context->count);
    for (size_t i = 0; i < context->count; i++) {
        const struct context_pair *pair = &context->pairs[i];
        wire_put_sized(w, pair->key, strlen(pair->key));
        wire_put_sized(w, pair->value, strlen(pair->value));
    }
}

/* Hashed in parts, without a copy: it is computed for every file that is opened. */
void context_hash(const struct context *context, uint8_t out[SHA256_SIZE])
{
    uint8_t numbers[2 + 4 * CONTEXT_PAIRS_MAX];
    struct view parts[1 + 4 * CONTEXT_PAIRS_MAX] = {{numbers, 2}};
    struct wire_writer w = wire_writer(numbers, sizeof numbers);
    size_t n = 1;

    wire_put_u16(&w, (uint16_t)context->count);
    for (size_t i = 0; i < context->count; i++) {
        struct view texts[] = {view_text(context->pairs[i].key),
                               view_text(context->pairs[i].value)};
        for (size_t t = 0; t < 2; t++) {
            parts[n++] = (struct view){numbers + w.used, 2};
            parts[n++] = texts[t];
            wire_put_u16(&w, (uint16_t)texts[t].size);
        }
    }
    sha256(out, parts, n);
}

struct result core_name_check(const char *name, struct err *err)
{
    const char *fault = name_fault(view_text(name));

    if (fault != NULL)
        return fail(err, ERR_USAGE, "%s", fault);
    return OK;
}

size_t core_size(const struct core *core)
{
    size_t size = 2 + 2 + CORE_ID_SIZE + 8 + 8 + 2 + strlen(core->name) + 2;

    for (size_t i = 0; i < core->context.count; i++)
        size += 4 + strlen(core->context.pairs[i].key) + strlen(core->context.pairs[i].value);
    return size;
}

void core_encode(struct wire_writer *w, const struct core *core)
{
    w->bad = w->bad || core->created > TEXT_TIME_MAX || core->generation > GENERATION_MAX;
    wire_put_u16(w, CORE_VERSION);
    wire_put_u16(w, (uint16_t)core->suite);
    wire_put_bytes(w, core->file_id, CORE_ID_SIZE);
    wire_put_u64(w, core->created);
    wire_put_u64(w, core->generation);
    wire_put_sized(w, core->name, strlen(core->name));
    encode_context(w, &core->context);
}

static struct result decode_context(struct context *context, struct wire_reader *r, struct err *err)
{
    size_t count = wire_get_u16(r);

    if (count > CONTEXT_PAIRS_MAX)
        return fail(err, ERR_DAMAGED, "more than %d context pairs", CONTEXT_PAIRS_MAX);
    context->pairs = count > 0 ? malloc(count * sizeof *context->pairs) : NULL;
    if (count > 0 && context->pairs == NULL)
        return fail_memory(err);
    for (size_t i = 0; i < count; i++) {
        struct context_pair *pair = &context->pairs[i];
        struct view key = wire_get_sized(r), value = wire_get_sized(r);
        const char *fault = r->bad ? "the core ends too early" : pair_fault(key, value);
        if (fault != NULL)
            return fail(err, ERR_DAMAGED, "%s", fault);
        copy_text(pair->key, key);
        copy_text(pair->value, value);
        if (i > 0 && strcmp(context->pairs[i - 1].key, pair->key) >= 0)
            return fail(err, ERR_DAMAGED, "the context pairs are not sorted");
    }
    context->count = count;
    return OK;
}

struct result core_decode(struct core *core, struct view bytes, struct err *err)
{
    struct wire_reader r = wire_reader(bytes.bytes, bytes.size);
    uint16_t version = wire_get_u16(&r);

    memset(core, 0, sizeof *core);
    if (!r.bad && version != CORE_VERSION)
        return fail(err, ERR_UNSUPPORTED, "core version %u is not known to this bulla", version);
    uint16_t suite = wire_get_u16(&r);
    if (!r.bad && suite_by_code(suite) == NULL)
        return fail(err, ERR_UNSUPPORTED, "body suite %u is not known to this bulla", suite);
    core->suite = suite;
    wire_get_bytes(&r, core->file_id, CORE_ID_SIZE);
    core->created = wire_get_u64(&r);
    if (core->created > TEXT_TIME_MAX)
        return fail(err, ERR_DAMAGED, "the creation time is after the year 9999");
    core->generation = wire_get_u64(&r);
    if (core->generation > GENERATION_MAX)
        return fail(err, ERR_DAMAGED, "the generation is above 2^63 - 1");
    struct view name = wire_get_sized(&r);
    if (name_fault(name) != NULL)
        return fail(err, ERR_DAMAGED, "%s", name_fault(name));
    copy_text(core->name, name);
    if (!decode_context(&core->context, &r, err).ok)
        return FAIL;
    if (!wire_at_end(&r))
        return fail(err, ERR_DAMAGED, "the core has a wrong length");
    return OK;
}

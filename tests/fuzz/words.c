/* Short texts of all kinds, each behind a byte that says which: times, names, ARNs, URLs, command
 * lines, elements of XML, fields of a binary format. What has one form is written again as it was
 * read. */
#include "aws/credentials/credentials.h"
#include "aws/credentials/shell_words.h"
#include "aws/endpoint.h"
#include "base/text.h"
#include "crypto/envelope_core.h"
#include "http/xml.h"
#include "keystore/awskms/arn.h"
#include "keystore/keyring/reference.h"
#include "keystore/redact_reference.h"
#include "keystore/registry.h"
#include "tests/fuzz/fuzz.h"

static bool begins(const char *text, const char *with)
{
    return strncmp(text, with, strlen(with)) == 0;
}

static void on_time(const char *text, size_t size)
{
    char again[TEXT_TIME_SIZE];
    uint64_t seconds, other;

    (void)size;
    if (text_untime(&seconds, text)) {
        HOLDS(strcmp(text_time(again, seconds), text) == 0);
        HOLDS(expiry_read(&other, text) && other == seconds);
    }
    if (expiry_read(&other, text))
        HOLDS(other <= INT64_MAX);
}

static void on_hex(const char *text, size_t size)
{
    uint8_t bytes[32];
    char again[2 * sizeof bytes + 1];
    size_t half = size / 2 <= sizeof bytes ? size / 2 : sizeof bytes;

    if (text_unhex(bytes, half, text))
        HOLDS(strcmp(text_hex(again, bytes, half), text) == 0);
}

/* What is escaped is harmless, and escaped again only its backslashes change. */
static void on_escape(const char *text, size_t size)
{
    char *out STRING_CLEANUP = malloc(TEXT_ESCAPED(size));
    char little[7];

    HOLDS(out != NULL);
    text_escape(out, TEXT_ESCAPED(size), text, size);
    HOLDS(text_is_utf8(out, strlen(out)));
    for (const char *c = out; *c != '\0'; c++)
        HOLDS((unsigned char)*c >= ' ' && *c != 0x7f);
    HOLDS(begins(out, text_escape(little, sizeof little, text, size)));
}

static void on_arn(const char *text, size_t size)
{
    char again[2 * SLOT_KEY_ARN_MAX];
    struct arn arn;

    fuzz_spoil(&arn, sizeof arn);
    if (!arn_parse(&arn, text, size)) {
        HOLDS(fuzz_untouched(&arn, sizeof arn));
        return;
    }
    snprintf(again, sizeof again, "arn:%s:kms:%s:%s:%s", arn.partition, arn.region, arn.account,
             arn.resource);
    HOLDS(strcmp(again, text) == 0 && strcmp(arn.text, text) == 0);
    HOLDS(!arn_is_key(&arn) || arn_same_key(&arn, &arn));
}

static void on_key_name(const char *text, size_t size)
{
    static const char *const keys[] = {"arn:aws:kms:eu-west-1:111122223333:key/a",
                                       "arn:aws:kms:eu-west-1:111122223333:key/mrk-1",
                                       "arn:aws:kms:us-east-1:111122223333:key/mrk-1",
                                       "arn:aws:kms:us-east-1:111122223333:key/a",
                                       "arn:aws-cn:kms:eu-west-1:111122223333:key/a",
                                       "arn:aws:kms:eu-west-1:999922223333:key/a"};
    struct key_name name, again;
    struct err err = {0};
    struct arn key;

    (void)size;
    fuzz_spoil(&name, sizeof name);
    if (!key_name_parse(&name, text, &err).ok) {
        fuzz_refused(&err);
        HOLDS(fuzz_untouched(&name, sizeof name));
        return;
    }
    HOLDS(key_name_parse(&again, name.id, &err).ok && memcmp(&again, &name, sizeof name) == 0);
    if (arn_is_key(&name.arn))
        HOLDS(key_name_fits(&name, "eu-west-1", &name.arn));
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) {
        HOLDS(arn_parse(&key, keys[i], strlen(keys[i])));
        bool same = arn_same_key(&name.arn, &key);
        HOLDS(same == arn_same_key(&key, &name.arn));
        HOLDS(!same || key_name_fits(&name, "eu-west-1", &key));
        (void)key_name_fits(&name, "us-east-1", &key);
    }
}

/* Plain http is for this machine. */
static void on_endpoint(const char *text, size_t size)
{
    struct endpoint_wish wish = {.service = "kms", .region = "eu-west-1", .custom = text};
    char out[ENDPOINT_MAX], again[ENDPOINT_MAX];
    struct err err = {0};

    (void)size;
    if (!endpoint_find(out, &wish, &err).ok) {
        fuzz_refused(&err);
        return;
    }
    HOLDS(begins(out, "https://") || begins(out, "http://"));
    HOLDS(strchr(out, '@') == NULL && strpbrk(out, " \r\n\t") == NULL);
    HOLDS(!begins(out, "http://") || begins(out, "http://localhost") ||
          begins(out, "http://127.") || begins(out, "http://[") ||
          begins(out, "http://LOCALHOST") || strcasestr(out, "http://localhost") == out);
    wish.custom = out;
    HOLDS(endpoint_find(again, &wish, &err).ok && strcmp(out, again) == 0);
}

static void on_region(const char *text, size_t size)
{
    struct endpoint_wish wish = {.service = size % 2 ? "kms" : "sts",
                                 .region = text,
                                 .fips = size % 3,
                                 .dual_stack = size % 5};
    char out[ENDPOINT_MAX];
    struct err err = {0};

    HOLDS(endpoint_find(out, &wish, &err).ok == region_is_valid(text));
}

static void on_command(const char *text, size_t size)
{
    struct words words = {0};
    struct err err = {0};
    size_t sum = 0;

    if (!shell_words_split(&words, text, &err).ok) {
        fuzz_refused(&err);
        HOLDS(words.text == NULL && words.count == 0);
        return;
    }
    HOLDS(words.count > 0 && words.count <= WORDS_MAX && words.list[words.count] == NULL);
    for (size_t i = 0; i < words.count; i++)
        sum += strlen(words.list[i]) + 1;
    HOLDS(sum <= size + 1);
    shell_words_free(&words);
}

static void on_xml(const char *text, size_t size)
{
    struct http_answer answer HTTP_ANSWER_CLEANUP = {.body_size = size};
    char out[64];
    struct err err;

    HOLDS(secret_copy(&answer.body, text, size + 1, &err).ok);
    if (xml_text(&answer, "Code", out, sizeof out))
        HOLDS(strlen(out) < sizeof out);
}

static void on_reference(const char *text, size_t size)
{
    struct reference at REFERENCE_CLEANUP = {0};
    char again[SLOT_KEY_NAME_MAX + 16], number[16] = "";
    struct err err;

    HOLDS(reference_split(&at, text, &err).ok);
    if (at.name[0] == '\0') {
        HOLDS(strcmp(at.path, text) == 0 && at.version == 0);
        return;
    }
    HOLDS(ring_name_allowed(at.name));
    snprintf(again, sizeof again, "#%s", at.name);
    HOLDS(begins(text, at.path) && begins(text + strlen(at.path), again));
    if (at.version > 0)
        snprintf(number, sizeof number, "%u", at.version);
    HOLDS(strcmp(text + size - strlen(number), number) == 0);
}

/* Shown twice is shown once; and where a reference may have a PIN, no store but that of tokens gets
 * it. */
static void on_shown(const char *text, size_t size)
{
    char *shown STRING_CLEANUP = redact_reference(text);
    const struct keystore *store;
    struct err err = {0};
    const char *rest;

    HOLDS(!registry_has_scheme(text) || strpbrk(text, ":/") != NULL);

    HOLDS(shown != NULL && strlen(shown) <= 3 * size + 3);
    char *again STRING_CLEANUP = redact_reference(shown);
    HOLDS(again != NULL && strcmp(again, shown) == 0);
    if (strchr(text, '/') != NULL) /* it would be looked for */
        return;
    if (!registry_find(&store, &rest, text, &err).ok)
        fuzz_refused(&err);
    else
        HOLDS(strcmp(shown, text) == 0 || strncasecmp(text, "pkcs11:", 7) == 0);
}

static void on_context(const char *text, size_t size)
{
    struct context context CONTEXT_CLEANUP = {0};
    const char *equals = strchr(text, '=');
    struct err err = {0};

    (void)size;
    if (equals == NULL || core_name_check(text, &err).ok != text_is_utf8(text, strlen(text)))
        return;
    if (!context_add(&context, text, (size_t)(equals - text), equals + 1, &err).ok) {
        fuzz_refused(&err);
        HOLDS(context.count == 0);
        return;
    }
    HOLDS(strcmp(context_get(&context, context.pairs[0].key), equals + 1) == 0);
    HOLDS(context_equal(&context, &context) &&
          !context_add(&context, text, (size_t)(equals - text), "", &err).ok);
}

/* Pieces, each behind a byte that has its length: it is there, or the reader is bad and it is zero.
 */
static void on_wire(const char *text, size_t size)
{
    static const uint8_t zero[64];
    struct wire_reader r = wire_reader(text, size);
    uint8_t out[sizeof zero];

    while (!r.bad && !wire_at_end(&r)) {
        size_t n = fuzz_byte(&r) % sizeof out, left = r.left;
        const uint8_t *at = r.at;
        wire_get_bytes(&r, out, n);
        HOLDS(r.bad == (n > left) && r.left == (r.bad ? left : left - n));
        HOLDS(memcmp(out, r.bad ? zero : at, n) == 0);
    }
    HOLDS(wire_get_sized(&r).size == 0 && r.bad);
}

static void (*const readers[])(const char *text, size_t size) = {
    on_time,    on_hex, on_escape,    on_arn,   on_key_name, on_endpoint, on_region,
    on_command, on_xml, on_reference, on_shown, on_context,  on_wire,
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct wire_reader r = wire_reader(data, size);
    size_t which = fuzz_byte(&r) % (sizeof readers / sizeof *readers);
    char *text STRING_CLEANUP = fuzz_text(fuzz_rest(&r));

    (void)fuzz_crypto();
    readers[which](text, strlen(text));
    return 0;
}

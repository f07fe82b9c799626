#include "tests/toystore/toy.h"

#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#define SLOT_TOY 0xff01 /* FORMAT.md has these codes for tests */
#define NAME_MAX_BYTES 32

static const struct slot_field toy_name = {"toy name", SLOT_TEXT, 1, NAME_MAX_BYTES,
                                           SLOT_NAMES_KEY};
static const struct slot_field toy_rounds = {"rounds", SLOT_NUMBER, 1, 9, SLOT_NAMES_NOTHING};

static const struct slot_method methods[] = {
    {SLOT_TOY,
     "toy",
     KEY_SIZE + SHA256_SIZE,
     KEY_SIZE + SHA256_SIZE,
     {&toy_name, &toy_rounds},
     .most = 2,
     .plural = "toys"},
    {0},
};

enum { WORD, ROUNDS, CASE };

static const struct choice cases[] = {{"as-it-is", 1}, {"lower", 2}, {NULL, 0}};

static const struct store_option options[] = {
    [WORD] = {"toy-word", "WORD", STORE_TEXT, STORE_OPENS | STORE_SEALS, "BULLA_TOY_WORD",
              .in_config = true, .unsaid = true, .help = "what the key is made of"},
    [ROUNDS] = {"toy-rounds", "N", STORE_NUMBER, STORE_SEALS, .usual = 1, .most = 9,
                .unit = " rounds", .help = "how often it is stirred (1)"},
    [CASE] = {"toy-case", "CASE", STORE_CHOICE, STORE_OPENS | STORE_SEALS, .choices = cases,
              .usual = 1, .help = "as-it-is (the default) or lower: how the word is taken"},
    {0},
};

struct toy {
    struct master_key key; /* the first member */
    char name[NAME_MAX_BYTES + 1];
    const char *word;
    unsigned rounds;
    bool lower;
};

static const struct keystore_ops ops;

static struct result toy_open(struct master_key **out, const struct keystore_env *env,
                              const char *reference, struct err *err)
{
    const char *word = store_text(&env->settings, &options[WORD]);
    size_t size = strlen(reference);

    if (size < 1 || size > NAME_MAX_BYTES)
        return fail(err, ERR_USAGE, "the name of a toy is 1 to %d bytes long", NAME_MAX_BYTES);
    if (word == NULL)
        return fail(err, ERR_USAGE, "toy '%s' has no word", reference);
    struct toy *t = calloc(1, sizeof *t);
    if (t == NULL)
        return fail_memory(err);
    t->key.ops = &ops;
    memcpy(t->name, reference, size);
    t->word = word;
    t->rounds = (unsigned)store_number(&env->settings, &options[ROUNDS]);
    t->lower = store_number(&env->settings, &options[CASE]) == 2;
    *out = &t->key;
    return OK;
}

static void toy_close(struct master_key *key)
{
    free(key);
}

/* The key of a toy: a hash of its word and name. */
static void make_key(const struct toy *t, unsigned rounds, uint8_t key[KEY_SIZE])
{
    char word[64] = "";

    strncpy(word, t->word, sizeof word - 1);
    for (char *c = word; t->lower && *c != '\0'; c++)
        *c = *c >= 'A' && *c <= 'Z' ? (char)(*c - 'A' + 'a') : *c;
    const struct view parts[] = {view_text(word), view_text(t->name)};
    sha256(key, parts, 2);
    for (unsigned i = 1; i < rounds; i++)
        sha256(key, &(struct view){key, KEY_SIZE}, 1);
}

/* Encrypts and authenticates, bound to what every wrap is bound to; no method to copy. */
static void stir(const uint8_t key[KEY_SIZE], struct view bound, const uint8_t *in, uint8_t *out)
{
    uint8_t pad[SHA256_SIZE];

    hmac_sha256(pad, key, bound);
    for (size_t i = 0; i < KEY_SIZE; i++)
        out[i] = in[i] ^ pad[i];
}

static struct result toy_wrap(struct master_key *key, const struct branch_identity *branch,
                              const struct secret *branch_key, struct slot *slot, struct err *err)
{
    const struct toy *t = (const struct toy *)key;
    uint8_t aad[SLOT_AAD_MAX], own[KEY_SIZE];

    (void)err;
    slot_begin(slot, SLOT_TOY);
    slot_put_sized(slot, t->name, strlen(t->name));
    slot_put_number(slot, t->rounds);
    make_key(t, t->rounds, own);
    stir(own, slot_aad(slot, branch->id, aad), branch_key->bytes, slot->wrap);
    hmac_sha256(slot->wrap + KEY_SIZE, own, (struct view){slot->wrap, KEY_SIZE});
    slot->wrap_size = KEY_SIZE + SHA256_SIZE;
    key->calls++;
    return OK;
}

static enum slot_match toy_match(const struct master_key *key, const struct slot *slot)
{
    const struct toy *t = (const struct toy *)key;
    struct view name = slot_view(slot, &toy_name);

    return slot->method->code == SLOT_TOY && name.size == strlen(t->name) &&
                   memcmp(name.bytes, t->name, name.size) == 0
               ? SLOT_CURRENT
               : SLOT_OTHER;
}

static enum unwrapped toy_unwrap(struct master_key *key, const struct branch_identity *branch,
                                 const struct slot *slot, struct secret *branch_key,
                                 struct err *err)
{
    const struct toy *t = (const struct toy *)key;
    uint8_t aad[SLOT_AAD_MAX], own[KEY_SIZE], tag[SHA256_SIZE];

    if (toy_match(key, slot) == SLOT_OTHER)
        return UNWRAP_NOT_MINE;
    make_key(t, slot_number(slot, &toy_rounds), own);
    hmac_sha256(tag, own, (struct view){slot->wrap, KEY_SIZE});
    key->calls++;
    if (sodium_memcmp(tag, slot->wrap + KEY_SIZE, sizeof tag) != 0)
        return UNWRAP_NOT_MINE;
    if (!secret_new(branch_key, KEY_SIZE, err).ok)
        return UNWRAP_FAILED;
    stir(own, slot_aad(slot, branch->id, aad), slot->wrap, branch_key->bytes);
    return UNWRAP_OPENED;
}

static bool toy_reopens(const struct master_key *key)
{
    (void)key;
    return true;
}

static const struct keystore_ops ops = {
    .name = "toy",
    .open = toy_open,
    .wrap = toy_wrap,
    .unwrap = toy_unwrap,
    .reopens = toy_reopens,
    .match = toy_match,
    .close = toy_close,
};

static const struct keystore_scheme schemes[] = {
    {"toy:", true, "toy:NAME", "a toy of the test suite"},
    {0},
};

const struct keystore toy_store = {
    .title = "toy",
    .schemes = schemes,
    .methods = (const struct slot_method *const[]){methods, NULL},
    .options = (const struct store_option *const[]){options, NULL},
    .reach = REACH_FILES,
    .ops = &ops,
    .admin = &keystore_no_admin,
};

/* Answers of AWS KMS, and of STS beside it. Whatever answers, the secret key is in no message, a
 * slot that was made can be written, and a branch key has its size. */
#include "keystore/awskms/awskms.h"
#include "keystore/awskms/opened_key.h"
#include "keystore/awskms/slots.h"
#include "tests/fuzz/fuzz.h"

#define KEY_ARN "arn:aws:kms:eu-west-1:111122223333:key/a"

static void check_text(const char *text)
{
    HOLDS(strstr(text, FUZZ_SECRET_KEY) == NULL);
}

static void check_err(const struct err *err)
{
    fuzz_refused(err);
    check_text(err->text);
    check_text(err->hint);
}

static void on_fact(void *arg, const char *name, const char *value)
{
    (void)arg;
    HOLDS(name[0] != '\0');
    check_text(value);
}

static void check_slot(const struct master_key *key, const struct slot *slot)
{
    static uint8_t room[SLOT_HEADER_MAX + SLOT_WRAP_MAX + 8];
    struct wire_writer w = wire_writer(room, sizeof room);

    slot_encode(&w, slot);
    HOLDS(!w.bad && key->ops->match(key, slot) != SLOT_OTHER);
}

/* A slot to be opened, of the key that most references mean. */
static void given_slot(struct slot *slot)
{
    slot_begin(slot, SLOT_AWSKMS);
    slot_put_sized(slot, KEY_ARN, strlen(KEY_ARN));
    slot_put_sized(slot, "", 0);
    slot->wrap_size = 100;
}

static void ask(struct master_key *key, struct master_key *other, unsigned what)
{
    static struct context_pair pair = {"db", "prod"};
    const struct context context = {1, &pair};
    struct branch_identity branch = {(const uint8_t *)"0123456789abcdef0123456789abcdef", &context};
    const struct key_sink facts = {.fact = on_fact};
    struct secret branch_key SECRET_CLEANUP = {0}, opened SECRET_CLEANUP = {0};
    static struct slot slot, fresh;
    struct err err = {0};

    HOLDS(secret_new(&branch_key, KEY_SIZE, &err).ok);
    given_slot(&slot);
    if (what == 0) {
        if (key->ops->wrap(key, &branch, &branch_key, &fresh, &err).ok)
            check_slot(key, &fresh);
        else
            check_err(&err);
    } else if (what == 1) {
        enum unwrapped u = key->ops->unwrap(key, &branch, &slot, &opened, &err);
        HOLDS((u == UNWRAP_OPENED) == (opened.size == KEY_SIZE));
        if (u == UNWRAP_FAILED)
            check_err(&err);
    } else if (what == 2) {
        enum unwrapped u = key->ops->move(key, other, &branch, &slot, &fresh, &err);
        if (u == UNWRAP_OPENED)
            check_slot(other, &fresh);
        if (u == UNWRAP_FAILED)
            check_err(&err);
    } else if (what == 3) {
        if (!key->ops->locate(key, true, &err).ok)
            check_err(&err);
    } else if (!key->ops->describe(key, &facts, &err).ok) {
        check_err(&err);
    }
    (void)key->ops->match(key, &slot);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char *const names[] = {KEY_ARN, "alias/x", "aws-kms://a",
                                        "arn:aws:kms:eu-west-1:111122223333:alias/x",
                                        "arn:aws:kms:eu-west-1:111122223333:key/mrk-b"};
    static struct wire_reader r;
    struct keystore_env env = {.settings.environment = fuzz_environment};
    struct master_key *key, *other;
    struct err err = {0};

    fuzz_account();
    r = wire_reader(data, size);
    fuzz_network_answers(&r);
    env.crypto = fuzz_crypto();
    HOLDS(awskms_ops.open(&key, &env, names[fuzz_byte(&r) % 5], &err).ok);
    HOLDS(awskms_ops.open(&other, &env, names[fuzz_byte(&r) % 5], &err).ok);
    for (unsigned n = 0; n < 4 && r.left > 0; n++)
        ask(key, other, fuzz_byte(&r) % 5);
    awskms_ops.close(key);
    awskms_ops.close(other);
    return 0;
}

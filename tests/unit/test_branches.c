/* What a run remembers of branch keys and of slots: it serves no file but those whose own slots
 * gave it, and forgets aloud. */
#include "keystore/awskms/slots.h"
#include "keystore/branch.h"
#include "keystore/keyring/slots.h"
#include "libbulla/slot_table.h"
#include "tests/unit/test.h"

static struct crypto *crypto;

/* A store that counts, whose wrap is the branch key itself. */
struct open_key {
    struct master_key key;
    unsigned wraps, unwraps;
};

static struct result open_wrap(struct master_key *key, const struct branch_identity *branch,
                               const struct secret *branch_key, struct slot *slot, struct err *err)
{
    static const uint8_t id[SLOT_KEY_ID_SIZE] = {7};

    (void)branch, (void)err;
    ((struct open_key *)key)->wraps++;
    slot_begin(slot, SLOT_KEYRING_XAES);
    slot_put_fixed(slot, id, sizeof id);
    slot_put_number(slot, 1);
    slot_put_sized(slot, "k", 1);
    memset(slot->wrap, 0, 72);
    memcpy(slot->wrap, branch_key->bytes, KEY_SIZE);
    slot->wrap_size = 72;
    return OK;
}

static enum unwrapped open_unwrap(struct master_key *key, const struct branch_identity *branch,
                                  const struct slot *slot, struct secret *branch_key,
                                  struct err *err)
{
    (void)branch;
    ((struct open_key *)key)->unwraps++;
    return secret_copy(branch_key, slot->wrap, KEY_SIZE, err).ok ? UNWRAP_OPENED : UNWRAP_FAILED;
}

static bool open_reopens(const struct master_key *key)
{
    (void)key;
    return false;
}

static const struct keystore_ops open_ops = {
    .name = "open", .wrap = open_wrap, .unwrap = open_unwrap, .reopens = open_reopens};

static struct open_key open_key = {.key = {.ops = &open_ops}};
static struct master_key *open_keys[] = {&open_key.key};
static const struct keyset keys = {open_keys, 1}, no_keys = {open_keys, 0};

/* An envelope of a branch; the caller frees it. */
static void seal(struct envelope *e, const struct branch *b, const struct context *context)
{
    struct core core = {.suite = SUITE_AES, .context = *context};
    struct secret data_key SECRET_CLEANUP = {0};
    struct err err = {0};

    MUST(secret_random(&data_key, KEY_SIZE, &err).ok && envelope_new(e, &core, &err).ok);
    MUST(envelope_wrap(e, crypto, &b->key, &data_key, b->slots, b->slot_count, &err).ok);
}

static bool opens(struct branch_table *t, const struct keyset *set, const struct envelope *e)
{
    struct branch_opened o BRANCH_OPENED_CLEANUP = {0};
    struct err err = {0};

    return branch_open(t, crypto, set, e, &o, &err).ok;
}

static void only_its_own_slot_opens_a_file(void)
{
    struct branch_table t BRANCH_TABLE_CLEANUP = {0};
    struct branch b BRANCH_CLEANUP = {0};
    struct envelope e ENVELOPE_CLEANUP = {0}, twin ENVELOPE_CLEANUP = {0};
    struct context none = {0};
    struct err err = {0};

    MUST(branch_new(&b, crypto, &keys, &none, &err).ok);
    seal(&e, &b, &none);
    seal(&twin, &b, &none);
    CHECK(opens(&t, &keys, &e) && open_key.unwraps == 1);
    CHECK(opens(&t, &no_keys, &twin)); /* the same slot, to the byte */
    twin.slots[0].wrap[71] ^= 1;
    CHECK(!opens(&t, &no_keys, &twin)); /* though the cached branch key would open it */
    CHECK(opens(&t, &keys, &twin) && open_key.unwraps == 2);
    twin.slots[0].wrap[71] ^= 1;
    twin.branch_id[0] ^= 1;
    CHECK(!opens(&t, &no_keys, &twin) && !opens(&t, &keys, &twin));
}

/* The slot of a file in a file with other pairs: its branch key has another id there. */
static void a_slot_opens_in_its_context_alone(void)
{
    struct branch_table t BRANCH_TABLE_CLEANUP = {0};
    struct branch here BRANCH_CLEANUP = {0}, there BRANCH_CLEANUP = {0};
    struct envelope e ENVELOPE_CLEANUP = {0};
    struct context none = {0}, pairs CONTEXT_CLEANUP = {0};
    struct err err = {0};

    MUST(context_add(&pairs, "db", 2, "prod", &err).ok);
    MUST(branch_new(&here, crypto, &keys, &none, &err).ok);
    MUST(branch_new(&there, crypto, &keys, &pairs, &err).ok);
    seal(&e, &there, &pairs);
    CHECK(opens(&t, &keys, &e));
    e.slots[0] = here.slots[0];
    CHECK(!opens(&t, &keys, &e));
}

static void the_table_forgets_aloud(void)
{
    struct branch_table t BRANCH_TABLE_CLEANUP = {0};
    struct branch b BRANCH_CLEANUP = {0};
    struct envelope e ENVELOPE_CLEANUP = {0};
    struct context none = {0};
    struct err err = {0};

    MUST(branch_new(&b, crypto, &keys, &none, &err).ok);
    seal(&e, &b, &none);
    CHECK(opens(&t, &keys, &e));
    for (uint32_t i = 1; i < BRANCH_TABLE_MAX; i++) {
        memcpy(b.slots[0].wrap + 40, &i, sizeof i);
        MUST(branch_remember(&t, &b.key, b.slots, 1, &err).ok);
    }
    CHECK(t.count == BRANCH_TABLE_MAX && t.forgotten == 0);
    CHECK(t.entries.size == (size_t)BRANCH_TABLE_MAX * 64);
    b.slots[0].wrap[70] = 1;
    MUST(branch_remember(&t, &b.key, b.slots, 1, &err).ok);
    CHECK(t.count == BRANCH_TABLE_MAX && t.forgotten == 1);
    CHECK(opens(&t, &no_keys, &e));
}

static void a_run_has_one_branch_for_keys_and_context(void)
{
    struct branch_table t BRANCH_TABLE_CLEANUP = {0};
    struct branches made = {0};
    const struct branch *first, *again;
    struct context none = {0};
    struct err err = {0};

    open_key.wraps = 0;
    MUST(branches_need(&made, &t, crypto, &keys, &none, &first, &err).ok);
    MUST(branches_need(&made, &t, crypto, &keys, &none, &again, &err).ok);
    CHECK(first == again && open_key.wraps == 1 && made.wraps == 1 && t.count == 1);
    for (int round = 0; round < 100; round++) {
        struct context pairs CONTEXT_CLEANUP = {0};
        char value[16];
        snprintf(value, sizeof value, "%d", round);
        MUST(context_add(&pairs, "n", 1, value, &err).ok);
        MUST(branches_need(&made, &t, crypto, &keys, &pairs, &again, &err).ok);
        CHECK(context_equal(&again->context, &pairs));
    }
    CHECK(made.wraps == 101 && t.count == 101);
    branches_free(&made);
}

static void slots_are_found_by_what_they_were_made_of(void)
{
    struct slot_table t = {0};
    struct branch b BRANCH_CLEANUP = {0};
    struct context none = {0};
    struct slot got;
    uint8_t name[SHA256_SIZE], other[SHA256_SIZE];
    struct err err = {0};

    MUST(branch_new(&b, crypto, &keys, &none, &err).ok);
    const uint8_t *id = branch_key_id(&b.key);
    slot_table_name(open_keys[0], id, NULL, name);
    slot_table_name(open_keys[0], id, &b.slots[0], other);
    CHECK(memcmp(name, other, sizeof name) != 0 && !slot_table_find(&t, name, &got));
    MUST(slot_table_add(&t, name, &b.slots[0], &err).ok);
    CHECK(slot_table_find(&t, name, &got) && slot_equal(&got, &b.slots[0]));
    CHECK(!slot_table_find(&t, other, &got));
    /* Slots of KMS, 400 bytes each: as many as a year of nights of a hundred hosts makes. */
    slot_begin(&got, SLOT_AWSKMS);
    slot_put_sized(&got, "arn:aws:kms:eu-west-1:111122223333:key/0123", 43);
    slot_put_sized(&got, name, 0);
    got.wrap_size = 300;
    memset(got.wrap, 1, got.wrap_size);
    for (uint32_t i = 0; i < 36500; i++) {
        memcpy(name, &i, sizeof i);
        MUST(slot_table_add(&t, name, &got, &err).ok);
    }
    CHECK(t.count == 36501 && t.forgotten == 0);
    for (uint32_t i = 36500; t.forgotten == 0 && i < 100000; i++) {
        memcpy(name, &i, sizeof i);
        MUST(slot_table_add(&t, name, &got, &err).ok);
    }
    CHECK(t.forgotten == 1 && t.block_count * 65536 <= SLOT_TABLE_BYTES_MAX);
    CHECK(!slot_table_find(&t, name, &got));
    memset(name, 0, 4);
    CHECK(slot_table_find(&t, name, &got) && got.wrap_size == 300);
    slot_table_free(&t);
}

int main(void)
{
    struct err err = {0};

    MUST(secret_init(&err).ok && crypto_new(&crypto, &err).ok);
    RUN(only_its_own_slot_opens_a_file);
    RUN(a_slot_opens_in_its_context_alone);
    if (getenv("BULLA_TEST_STRIDE") == NULL) /* 131,072 entries are too slow for valgrind */
        RUN(the_table_forgets_aloud);
    RUN(a_run_has_one_branch_for_keys_and_context);
    RUN(slots_are_found_by_what_they_were_made_of);
    crypto_free(&crypto);
    return DONE();
}

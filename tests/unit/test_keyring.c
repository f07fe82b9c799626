/* The keyring store by its operations: what a slot is to it, and whether the version that wrapped
 * is still the one to wrap by. */
#include <fcntl.h>
#include <jansson.h>
#include <malloc.h>
#include <pthread.h>
#include <sys/stat.h>

#include "base/cleanup.h"
#include "base/json_text.h"
#include "keystore/keyring/keyring.h"
#include "keystore/keyring/secret_json.h"
#include "tests/unit/test.h"

static struct keystore_env env;
static const struct keystore_ops *ops;
static const struct keystore_admin *admin;

static void create(const char *reference, const char *kind)
{
    const struct key_wanted want = {.now = 1795460700, .kind = kind};
    struct key_info info;
    struct err err;

    MUST(admin->create(&env, reference, &want, &info, &err).ok);
}

static void rotate(const char *reference)
{
    struct key_info info;
    struct err err;

    MUST(admin->rotate(&env, reference, 1795460700, &info, &err).ok);
}

static struct result change(const char *reference, enum key_change what, struct err *err)
{
    struct key_info info;

    *err = (struct err){0};
    if (what == KEY_DESTROY && !admin->change(&env, reference, KEY_MAY_DESTROY, &info, err).ok)
        return FAIL;
    return admin->change(&env, reference, what, &info, err);
}

static void must_change(const char *reference, enum key_change what)
{
    struct err err;

    MUST(change(reference, what, &err).ok);
}

/* A new file in the place of another: the time of one that is written over may not show it. */
static void put(const char *path, const char *text)
{
    test_write("fresh", text, strlen(text));
    MUST(rename("fresh", path) == 0);
}

static void export_public(const char *reference, const char *path)
{
    char *text STRING_CLEANUP = NULL;
    struct err err;

    MUST(admin->export_public(&env, reference, &text, &err).ok);
    put(path, text);
}

static struct master_key *open_key(const char *reference)
{
    struct master_key *key = NULL;
    struct err err;

    MUST(ops->open(&key, &env, reference, &err).ok);
    return key;
}

static const struct context no_context;
static const struct branch_identity branch = {(const uint8_t[BRANCH_ID_SIZE]){1}, &no_context};

static struct result wrap(struct master_key *key, struct slot *slot, struct err *err)
{
    struct secret branch_key SECRET_CLEANUP = {0};

    *err = (struct err){0};
    MUST(secret_random(&branch_key, KEY_SIZE, err).ok);
    return ops->wrap(key, &branch, &branch_key, slot, err);
}

/* A key that has wrapped. */
static struct master_key *wrapped(const char *reference, struct slot *slot)
{
    struct master_key *key = open_key(reference);
    struct err err;

    MUST(wrap(key, slot, &err).ok);
    CHECK(ops->still_active(key, &err).ok);
    return key;
}

static bool refused(struct master_key *key, enum err_class class, const char *says)
{
    struct err err = {0};
    bool ok = ops->still_active(key, &err).ok;

    if (!ok && (err.class != class || strstr(err.text, says) == NULL))
        printf("# it says %d: %s\n", err.class, err.text);
    return !ok && err.class == class && strstr(err.text, says) != NULL;
}

static void remove_all(void)
{
    static const char *const names[] = {"r", "old", "p", "moved"};

    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        (void)unlink(names[i]);
}

static void copy(const char *from, const char *to)
{
    char bytes[8192];
    FILE *f = fopen(from, "rb");

    MUST(f != NULL);
    size_t size = fread(bytes, 1, sizeof bytes, f);
    MUST(fclose(f) == 0 && size < sizeof bytes);
    test_write(to, bytes, size);
    MUST(chmod(to, 0600) == 0);
}

static void slots_of_versions_above_are_newer(void)
{
    static const struct {
        const char *reference;
        enum slot_match matches[4]; /* of versions 1 to 4 of r; the ring has up to 3, 1 is gone */
    } rows[] = {
        {"old", {SLOT_OLD, SLOT_OLD, SLOT_CURRENT, SLOT_NEWER}},
        {"old#r", {SLOT_OLD, SLOT_OLD, SLOT_CURRENT, SLOT_NEWER}},
        {"old#r:2", {SLOT_DEAD, SLOT_OLD, SLOT_OTHER, SLOT_NEWER}},
        {"old#r:3", {SLOT_DEAD, SLOT_OTHER, SLOT_CURRENT, SLOT_NEWER}},
        {"old#s", {SLOT_OTHER, SLOT_OTHER, SLOT_OTHER, SLOT_OTHER}},
        {"old#s:1", {SLOT_DEAD, SLOT_OTHER, SLOT_OTHER, SLOT_NEWER}},
    };
    struct slot slots[4];

    create("r", NULL);
    create("r#s", NULL);
    for (size_t i = 0; i < 4; i++) {
        struct master_key *key = wrapped("r#r", &slots[i]);
        ops->close(key);
        rotate("r#r");
        if (i == 1) {
            must_change("r#r:1", KEY_DESTROY);
            copy("r", "old");
        }
    }
    for (size_t row = 0; row < sizeof rows / sizeof *rows; row++) {
        struct master_key *key = open_key(rows[row].reference);
        for (size_t i = 0; i < 4; i++)
            CHECK(ops->match(key, &slots[i]) == rows[row].matches[i]);
        ops->close(key);
    }
}

static enum unwrapped unwrap(const char *reference, const struct slot *slot, struct err *err)
{
    struct secret branch_key SECRET_CLEANUP = {0};
    struct master_key *key = open_key(reference);

    *err = (struct err){0};
    enum unwrapped u = ops->unwrap(key, &branch, slot, &branch_key, err);
    ops->close(key);
    return u;
}

static void old_ring_says_that_it_is_old(void)
{
    static const char *const mine[] = {"old", "old#r", "old#r:1"};
    struct slot slot;
    struct err err;

    create("r", NULL);
    create("r#s", NULL);
    copy("r", "old");
    rotate("r#r");
    ops->close(wrapped("r#r", &slot));
    for (size_t i = 0; i < sizeof mine / sizeof *mine; i++) {
        CHECK(unwrap(mine[i], &slot, &err) == UNWRAP_FAILED && err.class == ERR_POLICY);
        CHECK(strcmp(err.text,
                     "keyring 'old' is older than the file: the file is sealed to "
                     "version 2 of key 'r', and the keyring has it up to version 1") == 0);
    }
    CHECK(unwrap("old#s", &slot, &err) == UNWRAP_NOT_MINE && err.class == ERR_NONE);
    CHECK(unwrap("r#r:1", &slot, &err) == UNWRAP_NOT_MINE && err.class == ERR_NONE);
    CHECK(unwrap("r", &slot, &err) == UNWRAP_OPENED);
}

static void public_key_file_knows_one_version(void)
{
    static const enum slot_match matches[] = {SLOT_OLD, SLOT_CURRENT, SLOT_NEWER};
    struct slot slots[3];
    struct err err;

    create("r", "x25519");
    for (size_t i = 0; i < 3; i++) {
        ops->close(wrapped("r", &slots[i]));
        if (i == 1)
            export_public("r", "p");
        rotate("r");
    }
    struct master_key *key = open_key("p");
    for (size_t i = 0; i < 3; i++)
        CHECK(ops->match(key, &slots[i]) == matches[i]);
    ops->close(key);
    CHECK(unwrap("p", &slots[2], &err) == UNWRAP_NOT_MINE && err.class == ERR_NONE);
}

static void what_wrapped_nothing_is_not_looked_at(void)
{
    struct err err;

    create("r", NULL);
    struct master_key *key = open_key("r");
    rotate("r");
    CHECK(ops->still_active(key, &err).ok);
    MUST(unlink("r") == 0);
    CHECK(ops->still_active(key, &err).ok);
    ops->close(key);
}

/* Each with a ring that has keys r and s, versions 1 and 2 of which 2 is active, and r:2 wrapped.
 */
static void add_version(void)
{
    rotate("r#r");
}

static void retire(void)
{
    must_change("r#r", KEY_RETIRE);
}

static void disable(void)
{
    must_change("r#r:2", KEY_DISABLE);
}

static void put_old_copy_back(void)
{
    copy("old", "moved");
    MUST(rename("moved", "r") == 0);
}

static void put_other_ring_there(void)
{
    create("moved#r", NULL);
    MUST(rename("moved", "r") == 0);
}

static void take_away(void)
{
    MUST(unlink("r") == 0);
}

static void spoil(void)
{
    put("r", "{}");
    MUST(chmod("r", 0600) == 0);
}

static void open_to_others(void)
{
    copy("r", "moved");
    MUST(chmod("moved", 0644) == 0 && rename("moved", "r") == 0);
}

static void change_others(void)
{
    rotate("r#s");
    must_change("r#r:1", KEY_DESTROY);
    create("r#t", NULL);
}

static void write_the_same(void)
{
    copy("r", "moved");
    MUST(rename("moved", "r") == 0);
}

static void changed_rings_are_looked_at(void)
{
    static const struct {
        void (*change)(void);
        enum err_class class;
        const char *says;
    } rows[] = {
        {add_version, ERR_POLICY, "key 'r' was rotated meanwhile: version 3 is active, not 2"},
        {retire, ERR_POLICY, "version 2 of key 'r' is retired now"},
        {disable, ERR_POLICY, "version 2 of key 'r' is disabled now"},
        {put_old_copy_back, ERR_POLICY, "version 2 of key 'r' is no longer in keyring 'r'"},
        {put_other_ring_there, ERR_POLICY, "key 'r' is no longer in keyring 'r'"},
        {take_away, ERR_FAILED, "cannot look at 'r' again: No such file or directory"},
        {spoil, ERR_FOREIGN, "'r' is not a bulla keyring, public key or PEM file"},
        {open_to_others, ERR_POLICY, "keyring 'r' may be used by others (mode 644)"},
        {change_others, ERR_NONE, ""},
        {write_the_same, ERR_NONE, ""},
    };
    struct err err;

    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct slot slot;
        remove_all();
        create("r", NULL);
        create("r#s", NULL);
        copy("r", "old");
        rotate("r#r");
        struct master_key *key = wrapped("r#r", &slot);
        rows[i].change();
        for (int again = 0; again < 2; again++)
            CHECK(rows[i].class == ERR_NONE ? ops->still_active(key, &err).ok
                                            : refused(key, rows[i].class, rows[i].says));
        CHECK(wrap(key, &slot, &err).ok == (rows[i].class == ERR_NONE));
        ops->close(key);
    }
}

/* What 'bulla key destroy' asks: while the version that wrapped is retired and not yet wiped. */
static void version_in_use_is_not_destroyed(void)
{
    struct slot slot;
    struct err err;

    create("r", NULL);
    create("r#s", NULL);
    rotate("r#r");
    struct master_key *first = wrapped("r#r", &slot), *second = wrapped("r#r", &slot);
    rotate("r#r");
    must_change("r#r:1", KEY_DESTROY);
    for (enum key_change c = KEY_DESTROY; c <= KEY_MAY_DESTROY; c++) {
        CHECK(!change("r#r:2", c, &err).ok && err.class == ERR_POLICY);
        CHECK(strcmp(err.text, "version 2 of key 'r' is in use: a run on this host seals to it") ==
              0);
    }
    ops->close(first);
    CHECK(!change("r#r:2", KEY_MAY_DESTROY, &err).ok);
    ops->close(second);
    CHECK(change("r#r:2", KEY_MAY_DESTROY, &err).ok && change("r#r:2", KEY_DESTROY, &err).ok);
}

static void changed_public_keys_are_looked_at(void)
{
    struct slot slot;
    struct err err;

    create("r", "x25519");
    create("old#r", "x25519");
    export_public("r", "p");
    struct master_key *key = wrapped("p", &slot);
    export_public("r", "p");
    CHECK(ops->still_active(key, &err).ok);
    export_public("old", "p");
    CHECK(refused(key, ERR_POLICY, "public key file 'p' has another key now"));
    rotate("r");
    export_public("r", "p");
    CHECK(refused(key, ERR_POLICY, "key 'r' was rotated meanwhile: version 2 is active, not 1"));
    CHECK(!wrap(key, &slot, &err).ok && err.class == ERR_POLICY);
    put("p", "x");
    CHECK(refused(key, ERR_POLICY, "'p' cannot be read as a public key any more"));
    MUST(unlink("p") == 0);
    CHECK(refused(key, ERR_FAILED, "cannot look at 'p' again: No such file or directory"));
    ops->close(key);
}

/* What both our reader and jansson's take, or both refuse. */
static void json_is_read_as_jansson_reads_it(void)
{
    static const char *const texts[] = {"{}",
                                        "[]",
                                        " [ ] ",
                                        "\r\n\t{}\n",
                                        "",
                                        " ",
                                        "1",
                                        "\"a\"",
                                        "null",
                                        "[1]",
                                        "[-1,0,10]",
                                        "[01]",
                                        "[+1]",
                                        "[-]",
                                        "[1,]",
                                        "[,1]",
                                        "[1 2]",
                                        "[1",
                                        "[1]]",
                                        "[1] x",
                                        "[9223372036854775807]",
                                        "[-9223372036854775808]",
                                        "[9223372036854775808]",
                                        "[1.]",
                                        "[.5]",
                                        "[1e]",
                                        "[1e+]",
                                        "[true,false,null]",
                                        "[tru]",
                                        "[nul]",
                                        "[True]",
                                        "{\"a\":1}",
                                        "{\"a\" : {\"b\":[]}}",
                                        "{\"a\":1,\"b\":2}",
                                        "{\"a\":1,\"a\":2}",
                                        "{\"a\"}",
                                        "{\"a\":}",
                                        "{a:1}",
                                        "{\"a\":1,}",
                                        "{\"a\":1",
                                        "{",
                                        "[\"\"]",
                                        "[\"a\\\"b\\\\c\\/\\b\\f\\n\\r\\t\"]",
                                        "[\"\\x\"]",
                                        "[\"\\\"",
                                        "[\"\\u0041\\u00e9\\u20AC\"]",
                                        "[\"\\ud83d\\ude00\"]",
                                        "[\"\\ud83d\"]",
                                        "[\"\\ud83d\\u0041\"]",
                                        "[\"\\ude00\"]",
                                        "[\"\\u0000\"]",
                                        "[\"\\u12\"]",
                                        "[\"\\u12g4\"]",
                                        "[\"\xc3\xa9\"]",
                                        "[\"\xc3\"]",
                                        "[\"\xff\"]",
                                        "[\"\xed\xa0\x80\"]",
                                        "[\"a\nb\"]",
                                        "[\"\x7f\"]",
                                        "['a']",
                                        "[\"a]",
                                        "{\"\":0}",
                                        "\xef\xbb\xbf[]",
                                        "[1]\v"};

    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        json_t *ours = NULL;
        struct err err = {0};
        size_t size = strlen(texts[i]);
        json_t *theirs = json_loadb(texts[i], size, JSON_REJECT_DUPLICATES, NULL);
        struct result r = json_text_read(&ours, texts[i], size, &err);
        if (r.ok != (theirs != NULL) || (r.ok && !json_equal(ours, theirs)))
            printf("# %s\n", texts[i]);
        CHECK(r.ok == (theirs != NULL) && (!r.ok || json_equal(ours, theirs)));
        CHECK(r.ok ||
              (err.class == ERR_DAMAGED && strncmp(err.text, "it is not JSON: line ", 21) == 0));
        json_decref(ours);
        json_decref(theirs);
    }
}

/* A value that is too deep, too long or ends with a zero. */
static void json_has_bounds(void)
{
    char deep[2 * (JSON_TEXT_DEPTH + 1)];
    json_t *json = NULL;
    struct err err = {0};

    memset(deep, '[', sizeof deep / 2);
    memset(deep + sizeof deep / 2, ']', sizeof deep / 2);
    CHECK(!json_text_read(&json, deep, sizeof deep, &err).ok && err.class == ERR_DAMAGED);
    CHECK(json_text_read(&json, deep + 1, sizeof deep - 2, &err).ok);
    json_decref(json);
    CHECK(!json_text_read(&json, "[1]\0", 4, &err).ok && err.class == ERR_DAMAGED);
    CHECK(!json_text_read(&json, "[\"a\0b\"]", 7, &err).ok && err.class == ERR_DAMAGED);
}

#define SECRET "Schwarzdorn-im-Schlehenhag"

static size_t freed_secrets;

/* As malloc, with zeros in all of it, so that what was not written can be searched too. */
static void *zeroed(size_t size)
{
    void *memory = malloc(size);

    return memory != NULL ? memset(memory, 0, malloc_usable_size(memory)) : NULL;
}

/* As free, and counts what goes with the secret in it. */
static void watching_free(void *memory)
{
    if (memory != NULL &&
        memmem(memory, malloc_usable_size(memory), SECRET, strlen(SECRET)) != NULL)
        freed_secrets++;
    free(memory);
}

/* Half of a key file, or one with a fault in it, holds secrets too. */
static void json_that_is_refused_is_wiped(void)
{
    static const char *const texts[] = {"{\"key\":\"" SECRET "\",", "[\"" SECRET "\"",
                                        "{\"a\":[[\"" SECRET "\"],]}", "{\"key\":\"" SECRET "\"}x",
                                        "{\"a\":1,\"a\":\"" SECRET "\"}"};
    json_malloc_t old_malloc;
    json_free_t old_free;
    struct err err;

    json_get_alloc_funcs(&old_malloc, &old_free);
    json_set_alloc_funcs(zeroed, watching_free);
    json_decref(json_string(SECRET));
    CHECK(freed_secrets == 1);
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        json_t *json = NULL;
        CHECK(!json_text_read(&json, texts[i], strlen(texts[i]), &err).ok);
    }
    CHECK(freed_secrets == 1);
    json_set_alloc_funcs(old_malloc, old_free);
}

/* A thread that makes JSON while another has a keyring open. */
static void *make_json(void *arg)
{
    json_t **made = arg;

    *made = json_pack("{s:s}", "file", "x");
    return NULL;
}

static void other_threads_keep_their_json(void)
{
    json_t *ring SECRET_JSON_CLEANUP = NULL, *made = NULL;
    static const char text[] = "{\"a\": [1, 2]}";
    pthread_t thread;
    struct err err;

    MUST(secret_json_read(&ring, text, strlen(text), &err).ok);
    MUST(pthread_create(&thread, NULL, make_json, &made) == 0 && pthread_join(thread, NULL) == 0);
    CHECK(json_array_size(json_object_get(ring, "a")) == 2);
    secret_json_drop(&ring);
    ring = NULL;
    CHECK(strcmp(json_string_value(json_object_get(made, "file")), "x") == 0);
    json_decref(made);
}

int main(void)
{
    ops = keyring_store.ops;
    admin = keyring_store.admin;
    struct crypto *crypto = NULL;
    struct err err = {0};

    MUST(secret_init(&err).ok && crypto_new(&crypto, &err).ok);
    env.crypto = crypto;
    test_enter_directory();
    RUN(slots_of_versions_above_are_newer);
    remove_all();
    RUN(old_ring_says_that_it_is_old);
    remove_all();
    RUN(public_key_file_knows_one_version);
    remove_all();
    RUN(what_wrapped_nothing_is_not_looked_at);
    RUN(changed_rings_are_looked_at);
    remove_all();
    RUN(version_in_use_is_not_destroyed);
    remove_all();
    RUN(changed_public_keys_are_looked_at);
    RUN(json_is_read_as_jansson_reads_it);
    RUN(json_has_bounds);
    RUN(json_that_is_refused_is_wiped);
    RUN(other_threads_keep_their_json);
    crypto_free(&crypto);
    return DONE();
}

/* What the key store of AWS KMS reads of others: names, profiles, answers, command lines, times. */
#include <stdio.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "aws/credentials/chain.h"
#include "aws/credentials/credentials.h"
#include "aws/credentials/shell_words.h"
#include "aws/endpoint.h"
#include "aws/profiles.h"
#include "base/text.h"
#include "cmd/subprocess.h"
#include "http/xml.h"
#include "keystore/awskms/arn.h"
#include "tests/unit/test.h"

#define ACCOUNT "111122223333"
#define KEY_ARN(region, id) "arn:aws:kms:" region ":" ACCOUNT ":key/" id

static struct arn arn_of(const char *text)
{
    struct arn arn = {0};

    CHECK(arn_parse(&arn, text, strlen(text)));
    return arn;
}

static void arns(void)
{
    static const char *const bad[] = {
        "",
        "arn:aws:kms:eu-west-1:" ACCOUNT ":key/",
        "arn:aws:kms:eu-west-1:" ACCOUNT ":key/a:b",
        "arn:aws:kms:eu-west-1:11112222333:key/a",
        "arn:aws:kms:eu-west-1:1111222233334:key/a",
        "arn:aws:kms::" ACCOUNT ":key/a",
        "arn:aws:kms:eu.west:" ACCOUNT ":key/a",
        "arn:aws:kms:evil.example/:" ACCOUNT ":key/a",
        "arn:aws:s3:eu-west-1:" ACCOUNT ":key/a",
        "arn:aws:kms:eu-west-1:" ACCOUNT ":grant/a",
        "ARN:aws:kms:eu-west-1:" ACCOUNT ":key/a",
        " arn:aws:kms:eu-west-1:" ACCOUNT ":key/a",
        ("arn:aws:kms:eu-west-1:" ACCOUNT),
    };
    struct arn a = arn_of("arn:aws-us-gov:kms:us-gov-west-1:" ACCOUNT ":alias/a/b_c-d");

    CHECK(strcmp(a.partition, "aws-us-gov") == 0 && strcmp(a.region, "us-gov-west-1") == 0);
    CHECK(strcmp(a.account, ACCOUNT) == 0 && strcmp(a.resource, "alias/a/b_c-d") == 0);
    CHECK(!arn_is_key(&a));
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        CHECK(!arn_parse(&a, bad[i], strlen(bad[i])));
    CHECK(!arn_parse(&a, "arn:aws:kms:eu-west-1:" ACCOUNT ":key/a\0b", 46));
    CHECK(strcmp(a.partition, "aws-us-gov") == 0); /* untouched */
}

static void replicas_are_the_same_key(void)
{
    static const struct {
        const char *a, *b;
        bool same;
    } cases[] = {
        {KEY_ARN("eu-west-1", "a"), KEY_ARN("eu-west-1", "a"), true},
        {KEY_ARN("eu-west-1", "a"), KEY_ARN("eu-west-2", "a"), false},
        {KEY_ARN("eu-west-1", "a"), KEY_ARN("eu-west-1", "b"), false},
        {KEY_ARN("eu-west-1", "mrk-a"), KEY_ARN("eu-west-2", "mrk-a"), true},
        {KEY_ARN("eu-west-1", "mrk-a"), KEY_ARN("eu-west-2", "mrk-b"), false},
        {KEY_ARN("eu-west-1", "mrk-a"), "arn:aws:kms:eu-west-1:999922223333:key/mrk-a", false},
        {KEY_ARN("eu-west-1", "mrk-a"), "arn:aws-cn:kms:eu-west-1:" ACCOUNT ":key/mrk-a", false},
    };

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct arn a = arn_of(cases[i].a), b = arn_of(cases[i].b);
        CHECK(arn_same_key(&a, &b) == cases[i].same);
    }
}

static void names_of_keys(void)
{
    static const struct {
        const char *name;
        const char *id; /* NULL: refused */
        bool fits;      /* the key a of eu-west-1 */
    } cases[] = {
        {KEY_ARN("eu-west-1", "a"), KEY_ARN("eu-west-1", "a"), true},
        {"aws-kms://" KEY_ARN("eu-west-1", "a"), KEY_ARN("eu-west-1", "a"), true},
        {"alias/x", "alias/x", true},
        {"aws-kms://alias/x", "alias/x", true},
        {"aws-kms://a", "a", true},
        {"aws-kms://b", "b", false},
        {KEY_ARN("eu-west-1", "b"), KEY_ARN("eu-west-1", "b"), false},
        {"arn:aws:kms:eu-west-1:" ACCOUNT ":alias/x", "arn:aws:kms:eu-west-1:" ACCOUNT ":alias/x",
         true},
        {"arn:aws:kms:eu-west-1:999922223333:alias/x", "arn:aws:kms:eu-west-1:999922223333:alias/x",
         false},
        {"aws-kms:alias/x", NULL, false},
        {"aws-kms://", NULL, false},
        {"alias/", NULL, false},
        {"alias/a b", NULL, false},
        {"arn:aws:kms:eu-west-1:1:key/a", NULL, false},
    };
    struct arn key = arn_of(KEY_ARN("eu-west-1", "a"));

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct key_name name = {0};
        struct err err = {0};
        bool good = key_name_parse(&name, cases[i].name, &err).ok;
        CHECK(good == (cases[i].id != NULL) && (good || err.class == ERR_USAGE));
        CHECK(!good || strcmp(name.id, cases[i].id) == 0);
        CHECK(!good || key_name_fits(&name, "eu-west-1", &key) == cases[i].fits);
    }
}

static void endpoints(void)
{
    static const struct {
        struct endpoint_wish wish;
        const char *url;
    } cases[] = {
        {{"kms", "eu-west-1", NULL, false, false}, "https://kms.eu-west-1.amazonaws.com/"},
        {{"kms", "us-east-1", NULL, true, false}, "https://kms-fips.us-east-1.amazonaws.com/"},
        {{"kms", "us-east-1", NULL, true, true}, "https://kms-fips.us-east-1.api.aws/"},
        {{"kms", "cn-north-1", NULL, false, false}, "https://kms.cn-north-1.amazonaws.com.cn/"},
        {{"kms", "us-isob-east-1", NULL, false, false},
         "https://kms.us-isob-east-1.sc2s.sgov.gov/"},
        {{"kms", "us-iso-east-1", NULL, false, false}, "https://kms.us-iso-east-1.c2s.ic.gov/"},
        {{"kms", "eusc-de-east-1", NULL, false, false}, "https://kms.eusc-de-east-1.amazonaws.eu/"},
        {{"sts", "us-gov-west-1", NULL, true, false}, "https://sts.us-gov-west-1.amazonaws.com/"},
        {{"sts", "us-east-2", NULL, true, false}, "https://sts-fips.us-east-2.amazonaws.com/"},
        {{"kms", "eu-west-1", "https://vpce-1.example:8443", true, true},
         "https://vpce-1.example:8443/"},
        {{"kms", "eu-west-1", "http://127.0.0.1:5000/", false, false}, "http://127.0.0.1:5000/"},
        {{"kms", "eu-west-1", "http://[::1]:5000", false, false}, "http://[::1]:5000/"},
        {{"kms", "eu-west-1", "http://example.com", false, false}, NULL},
        {{"kms", "eu-west-1", "http://127.0.0.1.example.com", false, false}, NULL},
        {{"kms", "eu-west-1", "http://localhost@example.com", false, false}, NULL},
        {{"kms", "eu-west-1", "https://example.com/path/a-b_c.d~/", false, false},
         "https://example.com/path/a-b_c.d~/"},
        {{"kms", "eu-west-1", "https://example.com/a//b", false, false}, NULL},
        {{"kms", "eu-west-1", "https://example.com/a%20b", false, false}, NULL},
        {{"kms", "eu-west-1", "https://example.com/a#b", false, false}, NULL},
        {{"kms", "eu-west-1", "https://example.com?query", false, false}, NULL},
        {{"kms", "eu-west-1", "https://user:word@example.com", false, false}, NULL},
        {{"kms", "eu-west-1", "ftp://example.com", false, false}, NULL},
        {{"kms", "eu-west-1", "file:///etc/passwd", false, false}, NULL},
        {{"kms", "eu.west", NULL, false, false}, NULL},
        {{"kms", "", NULL, false, false}, NULL},
    };

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char url[ENDPOINT_MAX] = "";
        struct err err = {0};
        bool good = endpoint_find(url, &cases[i].wish, &err).ok;
        CHECK(good == (cases[i].url != NULL) && (good || err.class == ERR_USAGE));
        CHECK(!good || strcmp(url, cases[i].url) == 0);
    }
}

static const char *variable(void *arg, const char *name)
{
    (void)arg;
    return getenv(name);
}

static const struct environment environment = {.get = variable};

static struct result read_profiles(struct profiles *p, const char *config, const char *credentials,
                                   struct err *err)
{
    test_write("config", config, strlen(config));
    test_write("credentials", credentials, strlen(credentials));
    setenv("AWS_CONFIG_FILE", "config", 1);
    setenv("AWS_SHARED_CREDENTIALS_FILE", "credentials", 1);
    return profiles_read(p, &environment, err);
}

static bool has(const struct profiles *p, const char *profile, const char *key, const char *value)
{
    const char *found = profile_get(p, profile, key);

    return value != NULL ? found != NULL && strcmp(found, value) == 0 : found == NULL;
}

static void profiles(void)
{
    static const char config[] =
        "\xef\xbb\xbf[default]\nregion = eu-west-1\n"
        "[profile a]\n"
        "aws_access_key_id: A ; not a comment\n"
        "  and more = of the value above\n"
        "# comment\n\tREGION=us-east-1\nempty =\n"
        "[profile 'with blank']\r\n  region = r1\r\n  role_arn = r2\r\n"
        "[profileb]\rregion = x\r[sso-session s]\nregion = y\n"
        "[a]\nregion = not a profile\n"
        "[services \"local\"]\nkms =\n  endpoint_url = u\n  endpoint_url = v\n"
        "endpoint_url = w\n";
    static const char credentials[] = "[a]\nrole_arn = c\n[b = c\n[other]\nrole_arn = d\n";
    struct profiles p = {0};
    struct err err = {0};

    MUST(read_profiles(&p, config, credentials, &err).ok);
    CHECK(has(&p, "default", "region", "eu-west-1"));
    CHECK(has(&p, "a", "aws_access_key_id",
              "A ; not a comment\nand more = of the value above\nREGION=us-east-1"));
    CHECK(has(&p, "a", "and more", NULL) && has(&p, "a", "region", NULL));
    CHECK(has(&p, "a", "empty", NULL) && profile_is_empty(&p, "a", "EMPTY"));
    CHECK(!profile_is_empty(&p, "a", "region") && !profile_is_empty(&p, "a", "role_arn"));
    CHECK(has(&p, "with blank", "region", "r1") && has(&p, "with blank", "role_arn", "r2"));
    CHECK(has(&p, "a", "role_arn", "c") && has(&p, "other", "role_arn", "d"));
    CHECK(profile_get_in(&p.config, "a", "role_arn") == NULL);
    CHECK(profile_exists(&p, "a") && !profile_exists(&p, "b") && !profile_exists(&p, "s"));
    CHECK(profile_has_services(&p, "local") && !profile_has_services(&p, "a"));
    CHECK(strcmp(profile_service_get(&p, "local", "kms", "endpoint_url"), "v") == 0);
    CHECK(profile_service_get(&p, "local", "sts", "endpoint_url") == NULL);
    CHECK(has(&p, "local", "endpoint_url", NULL));
    profiles_free(&p);
    setenv("AWS_CONFIG_FILE", "/dev/null", 1);
    setenv("AWS_SHARED_CREDENTIALS_FILE", "/dev/null", 1);
    MUST(profiles_read(&p, &environment, &err).ok);
    CHECK(!profile_exists(&p, "default") && profile_get(&p, "default", "region") == NULL);
    profiles_free(&p);
    MUST(profiles_read(&p, &(struct environment){0}, &err).ok); /* with no HOME either */
    CHECK(p.config.text.bytes == NULL && p.credentials.text.bytes == NULL);
    profiles_free(&p);
}

static void profiles_that_are_none(void)
{
    static const struct {
        const char *text, *words;
    } cases[] = {
        {"region = x\n", "line 1: nothing may come before the first [section]"},
        {"[default\n", "line 1: nothing may come before the first [section]"},
        {"\n#\n[]\n", "line 3: nothing may come before the first [section]"},
        {"[a]\n[default\n", "line 2: not 'name = value'"},
        {"[a]\r\n\r\nx\r\n", "line 3: not 'name = value'"},
        {"[a]\nx =\n  y\n", "line 3: not 'name = value'"},
        {"[a]\n = x\n", "line 2: no name before"},
        {"[a]\n\xc3\xa4 = x\n", "line 2: not a name"},
        {"[a]\nx\ty = x\n", "line 2: not a name"},
        {"[a]\nx = \xff\n", "line 2: not UTF-8"},
        {"[a]\n[b]\n[a]\n", "line 3: the section is given twice"},
        {"[a]\nx = 1\n[b]\nx = 1\nX : 2\n", "line 5: the name is given twice"},
        {"[DEFAULT]\nx = 1\n", "line 1: section [DEFAULT]"},
    };

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct profiles p = {0};
        struct err err = {0};
        CHECK(!read_profiles(&p, cases[i].text, "", &err).ok && err.class == ERR_USAGE);
        CHECK(strstr(err.text, cases[i].words) != NULL && p.config.text.bytes == NULL);
        CHECK(!read_profiles(&p, "", cases[i].text, &err).ok);
        CHECK(strstr(err.text, "'credentials', line ") != NULL);
        profiles_free(&p);
    }
}

static void command_lines(void)
{
    static const struct {
        const char *line;
        size_t count; /* 0: refused */
        const char *words[4];
    } cases[] = {
        {"a b  c", 3, {"a", "b", "c"}},
        {" 'a b' \"c d\"e ", 2, {"a b", "c de"}},
        {"a\\ b '' \"\"", 3, {"a b", "", ""}},
        {"\"a\\\"b\\\\c\\d\" 'e\\f'", 2, {"a\"b\\c\\d", "e\\f"}},
        {"a $HOME `b` ; c", 0, {NULL}},
        {"'a", 0, {NULL}},
        {"a\"", 0, {NULL}},
        {"a \\", 0, {NULL}},
        {"", 0, {NULL}},
        {" \t", 0, {NULL}},
    };

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct words w = {0};
        struct err err = {0};
        bool good = shell_words_split(&w, cases[i].line, &err).ok;
        if (i == 4) { /* what a shell would do is not done */
            CHECK(good && w.count == 5 && strcmp(w.list[1], "$HOME") == 0);
        } else {
            CHECK(good == (cases[i].count > 0) && w.count == cases[i].count);
            for (size_t k = 0; k < w.count; k++)
                CHECK(strcmp(w.list[k], cases[i].words[k]) == 0);
        }
        CHECK(good ? w.list[w.count] == NULL : err.class == ERR_USAGE);
        shell_words_free(&w);
    }
}

static void too_many_words(void)
{
    char line[2 * (WORDS_MAX + 1) + 1];
    struct words w = {0};
    struct err err = {0};

    for (size_t i = 0; i < sizeof line - 1; i++)
        line[i] = i % 2 == 0 ? '$' : ' ';
    line[sizeof line - 1] = '\0';
    CHECK(!shell_words_split(&w, line, &err).ok);
    CHECK(strchr(err.text, '$') == NULL && strstr(err.text, "more than 64 words") != NULL);
    line[2 * WORDS_MAX] = '\0';
    CHECK(shell_words_split(&w, line, &err).ok && w.count == WORDS_MAX);
    shell_words_free(&w);
}

static bool text_in(const char *body, const char *name, char *out, size_t room)
{
    struct http_answer a = {.body = {(uint8_t *)(uintptr_t)body, strlen(body) + 1},
                            .body_size = strlen(body)};

    return xml_text(&a, name, out, room);
}

static void elements(void)
{
    char out[8];

    CHECK(text_in("<r><A>b&amp;&lt;&gt;</A></r>", "A", out, sizeof out) &&
          strcmp(out, "b&<>") == 0);
    CHECK(text_in("<A></A>", "A", out, sizeof out) && out[0] == '\0');
    CHECK(text_in("<A>1234567</A>", "A", out, sizeof out));
    CHECK(!text_in("<A>12345678</A>", "A", out, sizeof out));
    CHECK(!text_in("<A>1</A><A>2</A>", "A", out, sizeof out));
    CHECK(!text_in("<A>1", "A", out, sizeof out));
    CHECK(!text_in("<B>1</B>", "A", out, sizeof out));
    CHECK(!text_in("<A>&x;</A>", "A", out, sizeof out));
    CHECK(text_in("<A>&#65;</A>", "A", out, sizeof out) && strcmp(out, "A") == 0);
    CHECK(!text_in("", "A", out, sizeof out));
    CHECK(!text_in("<r><A>1</A></r><r/>", "A", out, sizeof out));
    CHECK(!text_in("<!DOCTYPE r [<!ENTITY x 'y'>]><r><A>&x;</A></r>", "A", out, sizeof out));
}

static void expiries(void)
{
    uint64_t t = 0;

    CHECK(expiry_read(&t, "2026-11-23T19:05:00Z") && t == 1795460700);
    CHECK(expiry_read(&t, "2026-11-23T19:05:00.123Z") && t == 1795460700);
    CHECK(expiry_read(&t, "2026-11-23T20:05:00+01:00") && t == 1795460700);
    CHECK(expiry_read(&t, "2026-11-23T14:35:00-04:30") && t == 1795460700);
    CHECK(!expiry_read(&t, "") && !expiry_read(&t, "2026-11-23") && !expiry_read(&t, "soon"));
    CHECK(!expiry_read(&t, "2026-11-23T19:05:00") && !expiry_read(&t, "2026-11-23T19:05:00Zx"));
    CHECK(expiry_read(&t, "2026-11-23 19:05Z") && t == 1795460700);
    CHECK(expiry_read(&t, "2026-11-23 20:05:00 +0100") && t == 1795460700);
    CHECK(expiry_read(&t, "2026-11-23T18:05:00-01") && t == 1795460700);
    CHECK(expiry_read(&t, "2026-11-23 19:05:00.5 UTC") && t == 1795460700);
    CHECK(expiry_read(&t, "1970-01-01T00:00:00Z") && t == 0);
    CHECK(expiry_read(&t, "0001-01-01T00:00:00Z") && t == 0);
    CHECK(!expiry_read(&t, "2026-11-23T19:05:00+1") && !expiry_read(&t, "2026-11-23T19:05:00+010"));
    CHECK(!expiry_read(&t, "2026-11-23T19:05:00*01:00") && !expiry_read(&t, "1795460700"));
    CHECK(!expiry_read(&t, "2026-11-23T19:05:00+24:00") &&
          !expiry_read(&t, "2026-11-23T19:05:00+00:60"));
    CHECK(!expiry_read(&t, "2026-11-23T19Z") && !expiry_read(&t, "2026-11-23T19:05:Z"));
    CHECK(!expiry_read(&t, "2026-11-23T19:05:00  +0000") &&
          !expiry_read(&t, "2026-11-23T19:05:00 "));
}

/* A program that gives credentials for so many seconds, and notes each time that it does, or fails
 * if there is a file "fail". */
static void write_process(uint64_t seconds)
{
    char text[400], until[TEXT_TIME_SIZE];
    int size = snprintf(text, sizeof text,
                        "#!/bin/sh\n[ ! -e fail ] || exit 1\necho >>runs\n"
                        "echo '{\"Version\":1,\"AccessKeyId\":\"a\",\"SecretAccessKey\":\"b\","
                        "\"Expiration\":\"%s\"}'\n",
                        text_time(until, (uint64_t)time(NULL) + seconds));

    test_write("get", text, (size_t)size);
    CHECK(chmod("get", 0700) == 0);
    unlink("runs");
    unlink("fail");
}

/* How often the program has run. */
static size_t runs(void)
{
    struct stat st;

    return stat("runs", &st) == 0 ? (size_t)st.st_size : 0;
}

/* Asks for credentials when so many seconds of them are left. */
static bool ask_with_left(struct chain *chain, uint64_t left)
{
    const struct credentials *c;
    struct err err = {0};

    chain->now.expires = (uint64_t)time(NULL) + left;
    return chain_credentials(chain, false, &c, &err).ok;
}

static void renewals(void)
{
    static const struct {
        uint64_t lasts, keeps, renews, needs; /* seconds: when they came, and later */
    } cases[] = {
        {3600, 960, 840, 540}, {1800, 960, 840, 540}, {600, 360, 240, 120}, {60, 50, 25, 15}};
    struct err err = {0};

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const struct credentials *c;
        struct profiles p = {0};
        write_process(cases[i].lasts);
        MUST(read_profiles(&p, "[default]\ncredential_process = ./get\n", "", &err).ok);
        struct aws aws = {.profiles = p, .profile = "default", .timeout = 10};
        struct chain chain = {.aws = &aws};
        MUST(chain_credentials(&chain, false, &c, &err).ok && runs() == 1);
        CHECK(chain_credentials(&chain, false, &c, &err).ok && runs() == 1);
        CHECK(ask_with_left(&chain, cases[i].keeps) && runs() == 1);
        CHECK(ask_with_left(&chain, cases[i].renews) && runs() == 2);
        test_write("fail", "", 0);
        CHECK(ask_with_left(&chain, cases[i].renews) && runs() == 2);
        CHECK(!ask_with_left(&chain, cases[i].needs) && runs() == 2);
        chain_free(&chain);
        profiles_free(&p);
    }
}

static struct result run_command(void *arg, const struct command *c, void *out, size_t room,
                                 size_t *size, struct err *err)
{
    (void)arg;
    return subprocess_output(c, out, room, size, err);
}

int main(void)
{
    struct err err = {0};

    host_program()->command = run_command;
    MUST(secret_init(&err).ok);
    test_enter_directory();
    RUN(arns);
    RUN(replicas_are_the_same_key);
    RUN(names_of_keys);
    RUN(endpoints);
    RUN(profiles);
    RUN(profiles_that_are_none);
    RUN(command_lines);
    RUN(too_many_words);
    RUN(elements);
    RUN(expiries);
    RUN(renewals);
    return DONE();
}

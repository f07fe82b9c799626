/* What is in a file or comes from a descriptor as a passphrase or a PIN: without one line end, and
 * else as it is, unless it is new. */
#include "cmd/passphrase.h"
#include "base/secret_file.h"
#include "base/text.h"
#include "tests/fuzz/fuzz.h"

#define ELSEWHERE 8 /* of the first byte */

/* What a new passphrase may not have. */
static bool odd(struct view text)
{
    for (size_t i = 0; i < text.size; i++)
        if (text.bytes[i] == '\n' || text.bytes[i] == '\r')
            return true;
    return text.size >= 3 && memcmp(text.bytes, "\xef\xbb\xbf", 3) == 0;
}

static void get(const struct options *o, enum wanted wanted, const uint8_t *bytes, size_t size)
{
    struct secret out SECRET_CLEANUP = {0};
    struct keystore_env env = {0};
    struct err err = {0};

    passphrase_env(&env, o);
    bool got = env.passphrase(env.arg, "secret", wanted, &out, &err).ok;
    if (size > 0 && bytes[size - 1] == '\n')
        size--;
    bool refused = wanted == WANT_NEW_PASSPHRASE && odd((struct view){bytes, size});
    HOLDS(got == (size > 0 && size <= SECRET_TYPED_MAX && text_is_utf8(bytes, size) && !refused));
    if (got) {
        HOLDS(out.size == size && memcmp(out.bytes, bytes, size) == 0);
        return;
    }
    fuzz_refused(&err);
    HOLDS(out.bytes == NULL && err.class == ERR_USAGE);
    /* No message has what may be a passphrase. */
    char *text STRING_CLEANUP = fuzz_text((struct view){bytes, size});
    HOLDS(size < 40 || strlen(text) < size || strstr(err.text, text) == NULL);
}

/* No such file, and no open descriptor. */
static void get_nothing(const char *variable, bool by_fd, enum wanted wanted)
{
    struct secret out SECRET_CLEANUP = {0};
    struct keystore_env env = {0};
    struct options o = {0};
    struct err err = {0};

    setenv(variable, "/nonexistent", 1);
    o.passphrase_fd = o.new_passphrase_fd = o.pin_fd = by_fd ? "777" : NULL;
    passphrase_env(&env, &o);
    HOLDS(!env.passphrase(env.arg, "secret", wanted, &out, &err).ok && out.bytes == NULL);
    fuzz_refused(&err);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char *const variables[] = {"BULLA_PASSPHRASE_FILE", "BULLA_NEW_PASSPHRASE_FILE",
                                            "BULLA_PIN_FILE"};
    struct wire_reader r = wire_reader(data, size);
    unsigned how = fuzz_byte(&r);
    enum wanted wanted = how / 2 % 4 % 3;
    struct view text = fuzz_rest(&r);
    int fd FD_CLEANUP = fuzz_file(text.bytes, text.size);
    char number[FUZZ_PATH_SIZE], path[FUZZ_PATH_SIZE];
    struct options o = {0};

    (void)fuzz_crypto();
    for (size_t i = 0; i < sizeof variables / sizeof *variables; i++)
        unsetenv(variables[i]);
    snprintf(number, sizeof number, "%d", fd);
    if ((how & ELSEWHERE) != 0) {
        get_nothing(variables[wanted], how % 2 == 0, wanted);
        return 0;
    }
    if (how % 2 == 0)
        o.passphrase_fd = o.new_passphrase_fd = o.pin_fd = number;
    else
        setenv(variables[wanted], fuzz_path(path, fd), 1);
    get(&o, wanted, text.bytes, text.size);
    return 0;
}

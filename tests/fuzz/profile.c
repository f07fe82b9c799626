/* The two files that AWS tools share: a size, the config file and the credentials file. */
#include "keystore/awskms/profile.h"
#include "tests/fuzz/fuzz.h"

static void check_value(const char *value)
{
    if (value != NULL)
        HOLDS(value[0] != '\0' && strchr(value, '\n') == NULL && strchr(" \t", value[0]) == NULL);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char *const names[] = {"default", "backup", ""};
    static const char *const keys[] = {"region", "aws_access_key_id", "role_arn", ""};
    struct wire_reader r = wire_reader(data, size);
    struct view first = wire_get_sized(&r), second = fuzz_rest(&r);
    int config FD_CLEANUP = fuzz_file(first.bytes, first.size);
    int credentials FD_CLEANUP = fuzz_file(second.bytes, second.size);
    char path[FUZZ_PATH_SIZE];
    struct profiles p = {0};
    struct err err;

    (void)fuzz_crypto();
    setenv("AWS_CONFIG_FILE", fuzz_path(path, config), 1);
    setenv("AWS_SHARED_CREDENTIALS_FILE", fuzz_path(path, credentials), 1);
    HOLDS(profiles_read(&p, &err).ok);
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        for (size_t k = 0; k < sizeof keys / sizeof *keys; k++) {
            const char *value = profile_get(&p, names[i], keys[k]);
            check_value(value);
            const char *one = profile_get_in(&p.credentials, names[i], keys[k]);
            HOLDS(one == NULL || value == one);
            HOLDS(value == NULL || profile_exists(&p, names[i]));
        }
    profiles_free(&p);
    return 0;
}

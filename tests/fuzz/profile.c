/* The two files that AWS tools share: a size, the config file and the credentials file. */
#include "aws/profiles.h"
#include "base/text.h"
#include "tests/fuzz/fuzz.h"

/* No line of it begins or ends with a blank. */
static void check_value(const char *value)
{
    HOLDS(value == NULL || (value[0] != '\0' && text_is_utf8(value, strlen(value))));
    for (const char *line = value; line != NULL; line = strchr(line, '\n')) {
        line += *line == '\n';
        size_t size = strcspn(line, "\n");
        HOLDS(size > 0 && strchr(" \t\r", line[0]) == NULL &&
              strchr(" \t\r", line[size - 1]) == NULL);
    }
}

static void check_services(const struct profiles *p)
{
    const char *value = profile_service_get(p, "backup", "kms", "endpoint_url");

    check_value(value);
    HOLDS(value == NULL || profile_has_services(p, "backup"));
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
    struct err err = {0};
    struct profiles p;

    (void)fuzz_crypto();
    setenv("AWS_CONFIG_FILE", fuzz_path(path, config), 1);
    setenv("AWS_SHARED_CREDENTIALS_FILE", fuzz_path(path, credentials), 1);
    fuzz_spoil(&p, sizeof p);
    if (!profiles_read(&p, &fuzz_environment, &err).ok) {
        fuzz_refused(&err);
        HOLDS(fuzz_untouched(&p, sizeof p));
        return 0;
    }
    check_services(&p);
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        for (size_t k = 0; k < sizeof keys / sizeof *keys; k++) {
            const char *value = profile_get(&p, names[i], keys[k]);
            check_value(value);
            const char *one = profile_get_in(&p.credentials, names[i], keys[k]);
            HOLDS(one == NULL || value == one);
            HOLDS(value == NULL || !profile_is_empty(&p, names[i], keys[k]));
            HOLDS(value == NULL || profile_exists(&p, names[i]));
        }
    profiles_free(&p);
    return 0;
}

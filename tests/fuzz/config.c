/* The config file with names for keys. */
#include "cmd/config.h"
#include "tests/fuzz/fuzz.h"

static void on_name(void *arg, const char *name)
{
    size_t *names = arg;

    HOLDS(name[0] != '\0' && strpbrk(name, "\r\n") == NULL);
    ++*names;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    int fd FD_CLEANUP = fuzz_file(data, size);
    char *reference STRING_CLEANUP = NULL;
    char path[FUZZ_PATH_SIZE];
    struct err err = {0};
    size_t names = 0;

    (void)fuzz_crypto();
    /* No bytes stand for a folder, which opens and cannot be read. */
    setenv("BULLA_CONFIG", size > 0 ? fuzz_path(path, fd) : "/", 1);
    config_each(on_name, &names);
    if (!config_key("backup", &reference, &err).ok) {
        fuzz_refused(&err);
        HOLDS(reference == NULL);
    } else if (reference != NULL) {
        HOLDS(names > 0 && strpbrk(reference, "\r\n") == NULL && strlen(reference) <= size);
    }
    return 0;
}

/* The config file: names for keys, default keys, and rules. */
#include "cmd/config.h"
#include "tests/fuzz/fuzz.h"

static void on_name(void *arg, const char *name)
{
    size_t *names = arg;

    HOLDS(name[0] != '\0' && strpbrk(name, "\r\n") == NULL);
    ++*names;
}

static void on_choice(void *arg, const struct config_choice *choice)
{
    size_t *choices = arg;

    HOLDS(choice->count > 0 && choice->line > 0 && choice->file != NULL);
    HOLDS((choice->rule == NULL) == (choice->pattern == NULL));
    for (size_t i = 0; i < choice->count; i++)
        HOLDS(choice->names[i][0] != '\0' && strpbrk(choice->names[i], " \t\r\n") == NULL);
    ++*choices;
}

/* Whether a choice is one of those that config_all tells. */
struct sought {
    const struct config_choice *choice;
    bool found;
};

static void seek(void *arg, const struct config_choice *choice)
{
    struct sought *sought = arg;

    sought->found = sought->found || sought->choice == choice;
}

static void choose(const char *path)
{
    struct sought sought = {0};
    struct err err = {0};

    HOLDS(config_choose(path, &sought.choice, &err).ok);
    HOLDS(config_all(seek, &sought, &err).ok);
    HOLDS(sought.choice == NULL || sought.found);
    HOLDS(sought.choice == NULL || sought.choice->rule == NULL || path != NULL);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    int fd FD_CLEANUP = fuzz_file(data, size);
    char *reference STRING_CLEANUP = NULL;
    char path[FUZZ_PATH_SIZE];
    struct err err = {0};
    size_t names = 0, choices = 0;

    (void)fuzz_crypto();
    /* No bytes stand for a directory, which opens and cannot be read. */
    setenv("BULLA_CONFIG", size > 0 ? fuzz_path(path, fd) : "/", 1);
    config_each(on_name, &names);
    bool good = config_all(on_choice, &choices, &err).ok;
    if (!good)
        fuzz_refused(&err);
    if (!config_key("backup", &reference, &err).ok) {
        fuzz_refused(&err);
        HOLDS(reference == NULL);
    } else if (reference != NULL) {
        HOLDS(names > 0 && strpbrk(reference, "\r\n") == NULL && strlen(reference) <= size);
    }
    if (good) {
        choose(NULL);
        choose("/srv/db/a");
    }
    config_forget();
    return 0;
}

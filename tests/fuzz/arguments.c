/* The command line: words that end with zeros, up to where a verb would run. */
#include "cmd/options.h"
#include "cmd/setup.h"
#include "tests/fuzz/fuzz.h"

#define WORDS 64

static void check_setting(void *arg, const struct keystore *store,
                          const struct store_option *option)
{
    const struct store_settings *settings = arg;
    uint64_t number = store_number(settings, option);

    HOLDS(store->options != NULL);
    if (option->kind == STORE_NUMBER)
        HOLDS(number > 0 && (option->most == 0 || number <= option->most));
    if (option->kind == STORE_FLAG)
        HOLDS(number <= 1);
}

static void check_taken(const struct options *o)
{
    struct keystore_env env = {0};
    struct context context CONTEXT_CLEANUP = {0};
    struct session session = {0};
    struct err err = {0};

    setup_env(&env, o);
    HOLDS(env.kdf_memory_kib > 0);
    registry_options(check_setting, &env.settings);
    HOLDS(setup_threads(o) > 0 && setup_threads(o) <= THREADS_MAX);
    if (!setup_context(&context, &o->context, &err).ok)
        HOLDS(err.class == ERR_USAGE);
    else
        HOLDS(context.count == o->context.count);
    if (!setup_sync(&session, o, &err).ok)
        HOLDS(err.class == ERR_USAGE);
}

static void count(void *arg, const struct row *row, const char *value)
{
    HOLDS(row->name != NULL && value != NULL);
    ++*(size_t *)arg;
}

/* What a shell completes goes by the same words. */
static void check_followed(const struct verb *verb, const struct options *o, char *const *words,
                           size_t all)
{
    struct options_state at;
    size_t values = 0;

    options_follow(&at, (const char *const *)words, all);
    HOLDS(at.verb == verb && at.row == NULL && !at.unknown);
    options_visit(verb, o, count, &values);
    HOLDS(values >= o->keys.count + o->context.count);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct wire_reader r = wire_reader(data, size);
    char *all STRING_CLEANUP = fuzz_text(fuzz_rest(&r));
    char name[] = "bulla", *words[WORDS + 2] = {name};
    const struct verb *verb = NULL;
    struct options o = {0};
    struct err err = {0};
    int count_of = 1;

    (void)fuzz_crypto();
    for (size_t at = 0; at < size && count_of <= WORDS; at += strlen(all + at) + 1)
        words[count_of++] = all + at;
    words[count_of] = NULL;
    if (!options_parse(&o, &verb, count_of, words, &err).ok) {
        fuzz_refused(&err);
        HOLDS(err.class == ERR_USAGE);
    } else if (!o.help) {
        HOLDS(verb != NULL && verb->run != NULL);
        HOLDS(o.operands.count >= verb->least && o.operands.count <= verb->most);
        check_taken(&o);
        check_followed(verb, &o, words + 1, (size_t)(count_of - 1));
    }
    options_free(&o);
    HOLDS(o.operands.items == NULL);
    return 0;
}

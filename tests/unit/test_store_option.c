/* What is said for an option of a key store counts, whatever it is. */
#include "keystore/registry.h"
#include "keystore/store_option.h"
#include "tests/unit/test.h"

enum { FIRST = 1, SECOND };

static const struct choice words[] = {{"first", FIRST}, {"second", SECOND}, {NULL, 0}};
static const struct store_option option = {"word",      "WORD",           STORE_CHOICE,
                                           STORE_OPENS, .choices = words, .usual = FIRST};

/* The usual choice, said after another one, takes its place. */
static void said_again(void)
{
    struct store_settings s = {0};

    CHECK(store_number(&s, &option) == FIRST);
    store_set(&s, &option, NULL, SECOND);
    CHECK(store_number(&s, &option) == SECOND);
    store_set(&s, &option, NULL, FIRST);
    CHECK(store_number(&s, &option) == FIRST && s.count == 1);
    store_set(&s, &option, NULL, 0);
    CHECK(store_number(&s, &option) == FIRST && s.count == 1);
}

static void check_choices(const struct store_option *o)
{
    bool usual = false;

    for (const struct choice *c = o->choices; c->word != NULL; c++) {
        CHECK(c->value > 0);
        usual = usual || c->value == o->usual;
    }
    CHECK(usual);
}

/* 0 says nothing, so that it can be the value of no option; and a configuration gives texts. */
static void check_option(void *arg, const struct keystore *store, const struct store_option *o)
{
    (void)store;
    ++*(size_t *)arg;
    CHECK(o->kind == STORE_TEXT || !o->in_config);
    if (o->kind == STORE_CHOICE)
        check_choices(o);
    else
        CHECK((o->kind == STORE_NUMBER) == (o->usual > 0));
}

static void all_options(void)
{
    size_t count = 0;

    registry_options(check_option, &count);
    CHECK(count > 0 && count <= STORE_OPTIONS_MAX);
}

int main(void)
{
    RUN(said_again);
    RUN(all_options);
    return DONE();
}

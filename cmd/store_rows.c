#include "cmd/store_rows.h"

#include "keystore/registry.h"

static const struct store_option *made_of[STORE_OPTIONS_MAX];
static struct row rows[STORE_OPTIONS_MAX + 1];
static size_t count;

/* Where the value of one is in struct options. */
static size_t place(size_t index, enum store_option_kind kind)
{
    static const size_t members[] = {[STORE_FLAG] = offsetof(struct store_value, flag),
                                     [STORE_TEXT] = offsetof(struct store_value, text),
                                     [STORE_NUMBER] = offsetof(struct store_value, number),
                                     [STORE_CHOICE] = offsetof(struct store_value, choice)};

    return FIELD(stores) + index * sizeof(struct store_value) + members[kind];
}

static void add(void *arg, const struct keystore *store, const struct store_option *option)
{
    static const enum kind kinds[] = {
        [STORE_FLAG] = FLAG, [STORE_TEXT] = TEXT, [STORE_NUMBER] = NUMBER, [STORE_CHOICE] = CHOICE};

    (void)arg, (void)store;
    if (count == STORE_OPTIONS_MAX)
        return;
    made_of[count] = option;
    rows[count] = (struct row){.name = option->name,
                               .metavar = option->metavar,
                               .kind = kinds[option->kind],
                               .offset = place(count, option->kind),
                               .help = option->help,
                               .most = option->most,
                               .unit = option->unit,
                               .choices = option->choices};
    count++;
}

const struct row *store_rows(void)
{
    if (count == 0)
        registry_options(add, NULL);
    return rows;
}

const struct store_option *store_rows_option(const struct row *row)
{
    return made_of[row - rows];
}

void store_rows_settings(struct store_settings *settings, const struct options *o)
{
    (void)store_rows();
    for (size_t i = 0; i < count; i++) {
        const struct store_value *v = &o->stores[i];
        store_set(settings, made_of[i], v->text, v->number + v->choice + v->flag);
    }
}

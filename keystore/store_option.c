#include "keystore/store_option.h"

static size_t find(const struct store_settings *s, const struct store_option *option)
{
    size_t i = 0;

    while (i < s->count && s->list[i].option != option)
        i++;
    return i;
}

void store_set(struct store_settings *s, const struct store_option *option, const char *text,
               uint64_t number)
{
    size_t i = find(s, option);

    if ((text == NULL && number == 0) || i == STORE_OPTIONS_MAX)
        return;
    s->list[i] = (struct store_setting){option, text, number};
    s->count += i == s->count;
}

const char *store_text(const struct store_settings *s, const struct store_option *option)
{
    size_t i = find(s, option);

    if (i < s->count)
        return s->list[i].text;
    return option->variable != NULL ? environment_get(&s->environment, option->variable) : NULL;
}

uint64_t store_number(const struct store_settings *s, const struct store_option *option)
{
    size_t i = find(s, option);

    return i < s->count ? s->list[i].number : option->usual;
}

#include "base/environment.h"

#include <stddef.h>

const char *environment_get(const struct environment *e, const char *name)
{
    const char *value = e->get != NULL ? e->get(e->arg, name) : NULL;

    return value != NULL && value[0] != '\0' ? value : NULL;
}

#include "http/json.h"

#include <stdlib.h>

#include "base/host.h"
#include "base/json_text.h"
#include "http/wiping_allocator.h"

void json_wipe(void)
{
    if (host_is_program())
        json_set_alloc_funcs(malloc, wiping_free);
}

json_t *json_read(const struct http_answer *answer)
{
    json_t *json = NULL;
    struct err ignored;

    if (!json_text_read(&json, answer->body.bytes, answer->body_size, &ignored).ok)
        return NULL;
    if (!json_is_object(json))
        json_text_drop(&json);
    return json;
}

const char *json_text(const json_t *object, const char *name)
{
    return json_string_value(json_object_get(object, name));
}

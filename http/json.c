#include "http/json.h"

#include <stdlib.h>

#include "base/host.h"
#include "http/wiping_allocator.h"

void json_wipe(void)
{
    if (host_is_program())
        json_set_alloc_funcs(malloc, wiping_free);
}

json_t *json_read(const struct http_answer *answer)
{
    json_t *json = json_loadb((const char *)answer->body.bytes, answer->body_size,
                              JSON_REJECT_DUPLICATES, NULL);

    if (json != NULL && json_is_object(json))
        return json;
    json_decref(json);
    return NULL;
}

const char *json_text(const json_t *object, const char *name)
{
    return json_string_value(json_object_get(object, name));
}

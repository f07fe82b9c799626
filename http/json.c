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

struct result json_read(json_t **json, const struct http_answer *answer, struct err *err)
{
    json_t *made JSON_TEXT_CLEANUP = NULL;

    if (!json_text_read(&made, answer->body.bytes, answer->body_size, err).ok)
        return FAIL;
    if (!json_is_object(made))
        return fail(err, ERR_DAMAGED, "it is not a JSON object");
    *json = TAKE(made);
    return OK;
}

const char *json_text(const json_t *object, const char *name)
{
    return json_string_value(json_object_get(object, name));
}

/* json: answers in JSON. */
#ifndef BULLA_HTTP_JSON_H
#define BULLA_HTTP_JSON_H

#include <jansson.h>

#include "http/http.h"

/* json_wipe makes jansson wipe what it frees: answers with keys in them are parsed. Only for the
 * program: other hosts set the allocators of their process themselves. */
void json_wipe(void);

/* json_read parses an answer; ERR_DAMAGED if it is not a JSON object. The caller drops *json by
 * json_text_drop. */
FALLIBLE json_read(json_t **json, const struct http_answer *answer, struct err *err);

/* json_text gives a member that is a string, or NULL. */
const char *json_text(const json_t *object, const char *name);

#endif

/* json_text: JSON read so that a want of memory is an error, and never another text: jansson's own
 * reader takes what did not fit for what is not there. */
#ifndef BULLA_BASE_JSON_TEXT_H
#define BULLA_BASE_JSON_TEXT_H

#include <jansson.h>

#include "base/err.h"

#define JSON_TEXT_DEPTH 32 /* values within values */

/* json_text_read reads RFC 8259: an object or an array in UTF-8, no member twice, no zero in a
 * string, numbers of 64 bits. ERR_DAMAGED says where it is not that, and nothing of the text. The
 * caller drops *json, by json_text_drop if it may be secret. */
FALLIBLE json_text_read(json_t **json, const void *text, size_t size, struct err *err);

/* json_text_drop wipes the texts of a value that nobody else holds, or NULL, and frees it; for the
 * cleanup attribute. */
void json_text_drop(json_t **json);
#define JSON_TEXT_CLEANUP __attribute__((cleanup(json_text_drop)))

/* struct json_member: a member that an object has, and where its value goes by its type. */
struct json_member {
    const char *name;
    json_type type; /* JSON_STRING: a const char *; JSON_INTEGER: a json_int_t; else a json_t * */
    void *out;      /* untouched if it is not there */
    bool optional;
};

/* json_members is true if an object has these members and no others. A json_t * may be of any type,
 * and the texts are the object's. */
bool json_members(const json_t *object, const struct json_member *members, size_t count);

#endif

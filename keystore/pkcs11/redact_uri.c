#include "keystore/pkcs11/redact_uri.h"

#include <stdlib.h>
#include <string.h>

const struct uri_attribute uri_attributes[URI_ATTRIBUTES] = {
    {"token", false, false},
    {"manufacturer", false, false},
    {"serial", false, false},
    {"model", false, false},
    {"object", false, false},
    {"type", false, false},
    {"id", false, false},
    {"slot-id", false, false},
    {"slot-manufacturer", false, false},
    {"slot-description", false, false},
    {"library-manufacturer", false, false},
    {"library-description", false, false},
    {"library-version", false, false},
    {"pin-source", true, false},
    {"pin-value", true, true},
    {"module-name", true, false},
    {"module-path", true, false},
};

#define BETWEEN ";?&" /* attributes of a PKCS#11 URI */
#define STARS "***"

/* An unknown attribute may be a PIN with a misspelt name, and is hidden. The first part may have no
 * name, and is harmless then, like the name of a file. */
static bool is_harmless(const char *at, size_t size, bool first)
{
    const char *equals = memchr(at, '=', size);

    if (equals == NULL)
        return size == 0 || (first && memchr(at, '%', size) == NULL);
    for (size_t i = 0; i < URI_ATTRIBUTES; i++)
        if (strlen(uri_attributes[i].name) == (size_t)(equals - at) &&
            memcmp(uri_attributes[i].name, at, strlen(uri_attributes[i].name)) == 0)
            return !uri_attributes[i].secret;
    return false;
}

/* Where the attributes begin in what is, or was meant to be, a PKCS#11 URI; else the end. */
static const char *find_attributes(const char *reference)
{
    const char *scheme = strcasestr(reference, PKCS11_SCHEME);
    const char *pin = strcasestr(reference, "pin-val");

    if (scheme != NULL)
        return scheme + strlen(PKCS11_SCHEME);
    while (pin != NULL && pin > reference && strchr(BETWEEN, pin[-1]) == NULL)
        pin--;
    return pin != NULL ? pin : reference + strlen(reference);
}

char *redact_uri(const char *reference)
{
    const char *first = find_attributes(reference), *at = first;
    size_t size = (size_t)(at - reference);
    /* Stars take the place of one byte at least. */
    char *shown = calloc(strlen(reference) + 1, strlen(STARS));

    if (shown == NULL)
        return NULL;
    memcpy(shown, reference, size);
    while (*at != '\0') {
        size_t all = strcspn(at, BETWEEN), name = strcspn(at, "=" BETWEEN);
        bool harmless = is_harmless(at, all, at == first);
        size_t keep = harmless ? all : at[name] == '=' ? name + 1 : 0;
        memcpy(shown + size, at, keep);
        size += keep;
        if (keep < all) {
            /* NOLINTNEXTLINE(bugprone-not-null-terminated-result): calloc() saw to that */
            memcpy(shown + size, STARS, strlen(STARS));
            size += strlen(STARS);
        }
        /* A PIN may contain the characters that separate attributes. */
        at += harmless ? all : strcspn(at, "&");
        if (*at != '\0')
            shown[size++] = *at++;
    }
    return shown;
}

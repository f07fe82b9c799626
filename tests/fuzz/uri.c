/* PKCS#11 URIs. One that is taken is shown without its PIN, and names the same key when it is made
 * anew. */
#include "keystore/pkcs11/token_keys.h"
#include "tests/fuzz/fuzz.h"

/* What the URI names of a key is what a URI made of that names. */
static void check_made(const struct uri *uri, const struct token_options *options)
{
    struct view id = {uri->id, uri->id_size};
    CK_TOKEN_INFO token;
    struct uri again URI_CLEANUP = {0};
    struct err err = {0};

    memset(&token, ' ', sizeof token);
    memcpy(token.label, "backup", 6);
    char *text STRING_CLEANUP =
        uri_for(uri, &token, uri->has_label ? uri->label : NULL, uri->id_size > 0 ? &id : NULL);
    HOLDS(text != NULL && uri_read(&again, text, options, &err).ok);
    HOLDS(again.has_label == uri->has_label && strcmp(again.label, uri->label) == 0);
    HOLDS(again.id_size == uri->id_size && memcmp(again.id, uri->id, uri->id_size) == 0);
    HOLDS(again.pin_value == NULL && again.pin_source == NULL);
}

/* What stands for the PIN, as an attribute of its own. */
static const char *shown_pin(const char *text)
{
    const char *at = strchr(text, '?');

    while (at != NULL && strncmp(at + 1, "pin-value=", 10) != 0)
        at = strchr(at + 1, '&');
    return at != NULL ? at + 11 : NULL;
}

/* Who asks for the file of the PIN alone finds the one that is read later. */
static void check_pin_file(const char *text, const struct uri *uri)
{
    char *path STRING_CLEANUP = NULL;
    struct err err = {0};

    HOLDS(uri_pin_file(text, &path, &err).ok);
    HOLDS(uri->pin_source == NULL ? path == NULL
                                  : path != NULL && strcmp(path, uri->pin_source) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct wire_reader r = wire_reader(data, size);
    unsigned how = fuzz_byte(&r);
    struct token_options options = {.module = (how & 1) != 0 ? "/usr/lib/module.so" : NULL,
                                    .pin_in_uri = (how & 2) != 0};
    char *text STRING_CLEANUP = fuzz_text(fuzz_rest(&r));
    struct err err = {0};
    struct uri uri;

    (void)fuzz_crypto();
    HOLDS(token_keys_version(text, NULL) > 0 || token_keys_version(text, "backup") == 0);
    if (strncasecmp(text, "pkcs11:", 7) != 0)
        return 0;
    fuzz_spoil(&uri, sizeof uri);
    if (!uri_read(&uri, text, &options, &err).ok) {
        fuzz_refused(&err);
        HOLDS(err.class == ERR_USAGE && fuzz_untouched(&uri, sizeof uri));
        return 0;
    }
    HOLDS(uri.pin_value == NULL || options.pin_in_uri);
    const char *pin = shown_pin(uri.text);
    HOLDS((uri.pin_value == NULL) == (pin == NULL));
    HOLDS(pin == NULL || strncmp(pin, "***", 3) == 0);
    HOLDS(uri.module_is_name ? strchr(uri.module, '/') == NULL : uri.module[0] == '/');
    HOLDS(uri.pin_source == NULL || uri.pin_source[0] == '/');
    check_pin_file(text, &uri);
    options.module = "/usr/lib/module.so";
    check_made(&uri, &options);
    uri_free(&uri);
    return 0;
}

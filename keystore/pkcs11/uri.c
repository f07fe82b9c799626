#include "keystore/pkcs11/uri.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "keystore/pkcs11/p11kit.h"
#include "keystore/pkcs11/redact_uri.h"

#define URI_MAX 4096 /* bytes */
#define FILE_SCHEME "file:"
#define LOCALHOST "//localhost"

void uri_free(struct uri *uri)
{
    if (uri->parsed != NULL)
        p11_kit_uri_free(uri->parsed);
    free(uri->text);
    *uri = (struct uri){0};
}

static size_t find_known(const char *name, size_t size, bool query)
{
    size_t i = 0;

    while (i < URI_ATTRIBUTES &&
           (uri_attributes[i].query != query || strlen(uri_attributes[i].name) != size ||
            memcmp(uri_attributes[i].name, name, size) != 0))
        i++;
    return i;
}

/* p11-kit drops blanks, and a zero ends the text for its readers: with either, another name would
 * be meant than was written. A CKA_ID may have any bytes. */
static struct result check_value(const char *at, size_t size, bool bytes, const char *name,
                                 struct err *err)
{
    for (size_t i = 0; i < size; i++)
        if ((unsigned char)at[i] <= ' ' || at[i] == 0x7f) {
            (void)fail(err, ERR_USAGE, "attribute '%s' has a blank or control character in it",
                       name);
            return fail_hint(err, "write a blank as %%20");
        }
    if (!bytes && memmem(at, size, "%00", 3) != NULL)
        return fail(err, ERR_USAGE, "attribute '%s' has a zero byte in it", name);
    return OK;
}

/* One attribute; a message shows its name alone, since its value may be a PIN. */
static struct result check_attribute(const char *at, size_t size, bool query, bool *seen,
                                     struct err *err)
{
    const char *equals = memchr(at, '=', size);
    size_t name = equals == NULL ? size : (size_t)(equals - at);
    size_t row = find_known(at, name, query);

    if (equals == NULL)
        return fail(err, ERR_USAGE, "an attribute without '='");
    if (row == URI_ATTRIBUTES)
        return fail(err, ERR_USAGE, "attribute '%.*s' is not known", (int)(name < 64 ? name : 64),
                    at);
    if (seen[row])
        return fail(err, ERR_USAGE, "attribute '%s' is given twice", uri_attributes[row].name);
    if (name + 1 == size)
        return fail(err, ERR_USAGE, "attribute '%s' is empty", uri_attributes[row].name);
    if (!check_value(equals + 1, size - name - 1, strcmp(uri_attributes[row].name, "id") == 0,
                     uri_attributes[row].name, err)
             .ok)
        return FAIL;
    /* RFC 7512, 2.3: after the '?' it would be part of the value, which may be printed. */
    if (query && !uri_attributes[row].secret && memchr(at, ';', size) != NULL)
        return fail(err, ERR_USAGE, "attribute '%s' has a ';' in it where a '&' should follow",
                    uri_attributes[row].name);
    seen[row] = true;
    return OK;
}

static struct result check_contradictions(const bool *seen, struct err *err)
{
    if (seen[find_known("pin-source", 10, true)] && seen[find_known("pin-value", 9, true)])
        return fail(err, ERR_USAGE, "pin-source and pin-value contradict each other");
    if (seen[find_known("module-name", 11, true)] && seen[find_known("module-path", 11, true)])
        return fail(err, ERR_USAGE, "module-name and module-path contradict each other");
    return OK;
}

static struct result check_attributes(const char *reference, struct err *err)
{
    const char *at = reference + strlen(PKCS11_SCHEME);
    bool seen[URI_ATTRIBUTES] = {false}, query = false;

    while (*at != '\0') {
        size_t size = strcspn(at, query ? "&" : ";?");
        if ((size > 0 || at[size] == ';' || at[size] == '&') &&
            !check_attribute(at, size, query, seen, err).ok)
            return FAIL;
        at += size;
        query = query || *at == '?';
        if (*at != '\0' && at[1] == '\0')
            return fail(err, ERR_USAGE, "it ends in '%c'", *at);
        at += *at != '\0';
    }
    return check_contradictions(seen, err);
}

static struct result read_key(struct uri *uri, struct err *err)
{
    const CK_ATTRIBUTE *label = p11_kit_uri_get_attribute(uri->parsed, CKA_LABEL);
    const CK_ATTRIBUTE *id = p11_kit_uri_get_attribute(uri->parsed, CKA_ID);
    const CK_ATTRIBUTE *class = p11_kit_uri_get_attribute(uri->parsed, CKA_CLASS);

    if (label != NULL) {
        if (label->ulValueLen > SLOT_KEY_LABEL_MAX ||
            !text_is_utf8(label->pValue, label->ulValueLen))
            return fail(err, ERR_USAGE, "object is at most %d bytes of UTF-8", SLOT_KEY_LABEL_MAX);
        memcpy(uri->label, label->pValue, label->ulValueLen);
        uri->has_label = true;
    }
    if (id != NULL) {
        if (id->ulValueLen > SLOT_CKA_ID_MAX)
            return fail(err, ERR_USAGE, "id is at most %d bytes", SLOT_CKA_ID_MAX);
        memcpy(uri->id, id->pValue, id->ulValueLen);
        uri->id_size = id->ulValueLen;
    }
    if (class == NULL)
        return OK;
    uri->has_class = true;
    memcpy(&uri->class, class->pValue, sizeof uri->class);
    if (uri->class != CKO_PUBLIC_KEY && uri->class != CKO_PRIVATE_KEY &&
        uri->class != CKO_SECRET_KEY)
        return fail(err, ERR_USAGE, "type is public, private or secret-key");
    return OK;
}

static struct result read_module(struct uri *uri, const struct token_options *options,
                                 struct err *err)
{
    const char *path = p11_kit_uri_get_module_path(uri->parsed);
    const char *name = p11_kit_uri_get_module_name(uri->parsed);
    const char *given =
        options->module != NULL && options->module[0] != '\0' ? options->module : NULL;

    uri->module = path != NULL ? path : name != NULL ? name : given;
    if (uri->module == NULL) {
        (void)fail(err, ERR_USAGE, "it names no module");
        return fail_hint_option(
            err, "module-path=/usr/lib/… in the URI, --module or BULLA_PKCS11_MODULE name one");
    }
    uri->module_is_name = path == NULL && strchr(uri->module, '/') == NULL;
    if (!uri->module_is_name && uri->module[0] != '/')
        return fail(err, ERR_USAGE, "module path '%s' is not absolute", uri->module);
    return OK;
}

static struct result read_source(struct uri *uri, struct err *err)
{
    const char *source = p11_kit_uri_get_pin_source(uri->parsed);

    if (source == NULL)
        return OK;
    if (strncmp(source, FILE_SCHEME, strlen(FILE_SCHEME)) == 0)
        source += strlen(FILE_SCHEME);
    /* RFC 8089: no host, or this one. */
    if (strncmp(source, "///", 3) == 0)
        source += 2;
    else if (strncmp(source, LOCALHOST "/", strlen(LOCALHOST) + 1) == 0)
        source += strlen(LOCALHOST);
    if (source[0] != '/' || source[1] == '/')
        return fail(err, ERR_USAGE, "pin-source is file: and an absolute path");
    uri->pin_source = source;
    return OK;
}

static struct result read_pin(struct uri *uri, const struct token_options *options, struct err *err)
{
    uri->pin_value = p11_kit_uri_get_pin_value(uri->parsed);
    if (uri->pin_value == NULL || options->pin_in_uri)
        return read_source(uri, err);
    (void)fail(err, ERR_USAGE, "pin-value shows the PIN to everyone who sees the URI");
    return fail_hint_option(err,
                            "pin-source=file:/PATH, BULLA_PIN_FILE or --pin-command keep it apart; "
                            "--allow-pin-in-uri takes it all the same");
}

/* What a URI says, before it is seen what that means. */
static struct result parse(struct uri *uri, const char *reference, struct err *err)
{
    if (strlen(reference) > URI_MAX)
        return fail(err, ERR_USAGE, "it is longer than %d bytes", URI_MAX);
    if (!p11kit_load(err).ok)
        return FAIL;
    uri->parsed = p11_kit_uri_new();
    if (uri->parsed == NULL)
        return fail_memory(err);
    if (!check_attributes(reference, err).ok)
        return FAIL;
    int result = p11_kit_uri_parse(reference, P11_KIT_URI_FOR_ANY, uri->parsed);
    if (result != P11_KIT_URI_OK)
        return fail(err, ERR_USAGE, "not a PKCS#11 URI: %s", p11_kit_uri_message(result));
    if (p11_kit_uri_any_unrecognized(uri->parsed))
        return fail(err, ERR_USAGE, "an attribute or its value is not known");
    return OK;
}

static struct result read_parts(struct uri *uri, const char *reference,
                                const struct token_options *options, struct err *err)
{
    if (!parse(uri, reference, err).ok || !read_key(uri, err).ok ||
        !read_module(uri, options, err).ok)
        return FAIL;
    return read_pin(uri, options, err);
}

struct result uri_pin_file(const char *reference, char **path, struct err *err)
{
    struct uri made URI_CLEANUP = {0};

    *path = NULL;
    if (strstr(reference, "pin-source=") == NULL)
        return OK;
    if (!parse(&made, reference, err).ok || !read_source(&made, err).ok)
        return FAIL;
    if (made.pin_source != NULL && (*path = strdup(made.pin_source)) == NULL)
        return fail_memory(err);
    return OK;
}

struct result uri_read(struct uri *uri, const char *reference, const struct token_options *options,
                       struct err *err)
{
    struct uri made URI_CLEANUP = {.text = redact_uri(reference)};

    if (made.text == NULL)
        return fail_memory(err);
    if (!read_parts(&made, reference, options, err).ok) {
        err_context(err, "key '%s'", made.text);
        return FAIL;
    }
    *uri = TAKE(made);
    return OK;
}

char *uri_for(const struct uri *uri, const CK_TOKEN_INFO *token, const char *label,
              const struct view *id)
{
    P11KitUri *made = p11_kit_uri_new();
    char *formatted = NULL, *text = NULL;

    if (made == NULL)
        return NULL;
    CK_TOKEN_INFO *info = p11_kit_uri_get_token_info(made);
    memcpy(info->label, token->label, sizeof info->label);
    if (token->serialNumber[0] != ' ' && token->serialNumber[0] != '\0')
        memcpy(info->serialNumber, token->serialNumber, sizeof info->serialNumber);
    if (label != NULL)
        p11_kit_uri_set_attribute(
            made, &(CK_ATTRIBUTE){CKA_LABEL, (void *)(uintptr_t)label, strlen(label)});
    if (id != NULL && id->size > 0)
        p11_kit_uri_set_attribute(made,
                                  &(CK_ATTRIBUTE){CKA_ID, (void *)(uintptr_t)id->bytes, id->size});
    if (uri->module_is_name && p11_kit_uri_get_module_name(uri->parsed) != NULL)
        p11_kit_uri_set_module_name(made, uri->module);
    else if (p11_kit_uri_get_module_path(uri->parsed) != NULL)
        p11_kit_uri_set_module_path(made, uri->module);
    if (p11_kit_uri_format(made, P11_KIT_URI_FOR_ANY, &formatted) == P11_KIT_URI_OK)
        text = strdup(formatted);
    free(formatted);
    p11_kit_uri_free(made);
    return text;
}

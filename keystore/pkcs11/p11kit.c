#include "keystore/pkcs11/p11kit.h"

#include <p11-kit/uri.h>

#include "base/late_library.h"

/* What is used of it, one row for each function, with its type, name, parameters and arguments, or
 * procedure. */
#define P11_KIT_FUNCTIONS(F, P)                                                                    \
    F(P11KitUri *, p11_kit_uri_new, (void), ())                                                    \
    P(p11_kit_uri_free, (P11KitUri * uri), (uri))                                                  \
    F(int, p11_kit_uri_parse, (const char *text, P11KitUriType type, P11KitUri *uri),              \
      (text, type, uri))                                                                           \
    F(int, p11_kit_uri_format, (P11KitUri * uri, P11KitUriType type, char **text),                 \
      (uri, type, text))                                                                           \
    F(const char *, p11_kit_uri_message, (int code), (code))                                       \
    F(int, p11_kit_uri_any_unrecognized, (P11KitUri * uri), (uri))                                 \
    F(CK_ATTRIBUTE_PTR, p11_kit_uri_get_attribute, (P11KitUri * uri, CK_ATTRIBUTE_TYPE type),      \
      (uri, type))                                                                                 \
    F(int, p11_kit_uri_set_attribute, (P11KitUri * uri, CK_ATTRIBUTE_PTR attribute),               \
      (uri, attribute))                                                                            \
    F(const char *, p11_kit_uri_get_module_name, (const P11KitUri *uri), (uri))                    \
    P(p11_kit_uri_set_module_name, (P11KitUri * uri, const char *name), (uri, name))               \
    F(const char *, p11_kit_uri_get_module_path, (const P11KitUri *uri), (uri))                    \
    P(p11_kit_uri_set_module_path, (P11KitUri * uri, const char *path), (uri, path))               \
    F(const char *, p11_kit_uri_get_pin_source, (const P11KitUri *uri), (uri))                     \
    F(const char *, p11_kit_uri_get_pin_value, (const P11KitUri *uri), (uri))                      \
    F(CK_SLOT_ID, p11_kit_uri_get_slot_id, (P11KitUri * uri), (uri))                               \
    F(CK_TOKEN_INFO_PTR, p11_kit_uri_get_token_info, (P11KitUri * uri), (uri))                     \
    F(int, p11_kit_uri_match_module_info, (const P11KitUri *uri, const CK_INFO *info),             \
      (uri, info))                                                                                 \
    F(int, p11_kit_uri_match_slot_info, (const P11KitUri *uri, const CK_SLOT_INFO *info),          \
      (uri, info))                                                                                 \
    F(int, p11_kit_uri_match_token_info, (const P11KitUri *uri, const CK_TOKEN_INFO *info),        \
      (uri, info))

/* A pointer to each, under its own name.
 * NOLINTBEGIN(bugprone-macro-parentheses): a name that is declared takes none. */
#define POINTER(type, name, parameters, arguments) __typeof__(&name) name;
#define PROCEDURE_POINTER(name, parameters, arguments) __typeof__(&name) name;
/* NOLINTEND(bugprone-macro-parentheses) */
static struct {
    P11_KIT_FUNCTIONS(POINTER, PROCEDURE_POINTER)
} loaded;

/* Each function itself, so that nobody sees that it is not linked. */
#define FORWARD(type, name, parameters, arguments)                                                 \
    type name parameters                                                                           \
    {                                                                                              \
        return loaded.name arguments;                                                              \
    }
#define FORWARD_PROCEDURE(name, parameters, arguments)                                             \
    void name parameters                                                                           \
    {                                                                                              \
        loaded.name arguments;                                                                     \
    }
P11_KIT_FUNCTIONS(FORWARD, FORWARD_PROCEDURE)

#define SYMBOL(type, name, parameters, arguments) {#name, &loaded.name},
#define PROCEDURE_SYMBOL(name, parameters, arguments) {#name, &loaded.name},

static const struct late_library p11_kit = {
    "libp11-kit.so.0", "libp11-kit0", "tokens take",
    (const struct late_library_symbol[]){P11_KIT_FUNCTIONS(SYMBOL, PROCEDURE_SYMBOL){NULL, NULL}}};

struct result p11kit_load(struct err *err)
{
    static bool done;

    done = done || late_library_load(&p11_kit, err).ok;
    return done ? OK : FAIL;
}

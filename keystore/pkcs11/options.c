#include "keystore/pkcs11/options.h"

enum { MODULE, MODULE_ARGS, TIMEOUT, PIN_IN_URI };

#define ALWAYS (STORE_OPENS | STORE_SEALS | STORE_MANAGES)

const struct store_option pkcs11_options[] = {
    [MODULE] = {"module", "PATH", STORE_TEXT, ALWAYS, "BULLA_PKCS11_MODULE", .in_config = true,
                .path = true,
                .help = "the PKCS#11 module of URIs that name none: an absolute\n"
                        "path or a name of p11-kit's; else BULLA_PKCS11_MODULE"},
    [MODULE_ARGS] = {"module-args", "TEXT", STORE_TEXT, ALWAYS, "BULLA_PKCS11_INIT_ARGS",
                     .in_config = true, .unsaid = true,
                     .help = "what the module is initialised with, which NSS needs;\n"
                             "else BULLA_PKCS11_INIT_ARGS"},
    [TIMEOUT] = {"token-timeout", "SECONDS", STORE_NUMBER, ALWAYS, .usual = STORE_TIMEOUT,
                 .most = STORE_TIMEOUT_MAX, .unit = " seconds",
                 .help = "give up on a module that is silent for so long (60)"},
    [PIN_IN_URI] = {"allow-pin-in-uri", NULL, STORE_FLAG, ALWAYS,
                    .help = "take pin-value in a URI, which others may see"},
    {0},
};

struct token_options token_options_read(const struct store_settings *settings)
{
    return (struct token_options){
        .module = store_text(settings, &pkcs11_options[MODULE]),
        .module_args = store_text(settings, &pkcs11_options[MODULE_ARGS]),
        .timeout = (unsigned)store_number(settings, &pkcs11_options[TIMEOUT]),
        .pin_in_uri = store_number(settings, &pkcs11_options[PIN_IN_URI]) != 0};
}

#include "keystore/pkcs11/ckr.h"

#include <p11-kit/pkcs11.h>
#include <stdarg.h>
#include <stdio.h>

#define PIN_HINT "it was tried once and is not tried again; a token locks after a few wrong ones"
#define GONE_HINT "see that it is plugged in or reachable, and start again"
#define LOCKED_HINT "the security officer of the token can unlock it"
#define LOGIN_HINT "the token did not keep its login; start again"
#define ABLE_HINT "'bulla key check' shows what a key and its token can do"

#define ROW(rv, class, hint)                                                                       \
    {                                                                                              \
        rv, #rv, class, hint                                                                       \
    }

/* Values that are not here, and those without a class of their own, are ERR_STORE. */
static const struct {
    unsigned long rv;
    const char *name;
    enum err_class class;
    const char *hint;
} rows[] = {
    ROW(CKR_CANCEL, ERR_STORE, NULL),
    ROW(CKR_HOST_MEMORY, ERR_STORE, NULL),
    ROW(CKR_SLOT_ID_INVALID, ERR_STORE, GONE_HINT),
    ROW(CKR_GENERAL_ERROR, ERR_STORE, "the module says no more; its own log may"),
    ROW(CKR_FUNCTION_FAILED, ERR_STORE, "the module says no more; its own log may"),
    ROW(CKR_ARGUMENTS_BAD, ERR_STORE, NULL),
    ROW(CKR_CANT_LOCK, ERR_STORE, NULL),
    ROW(CKR_ATTRIBUTE_READ_ONLY, ERR_STORE, NULL),
    ROW(CKR_ATTRIBUTE_SENSITIVE, ERR_STORE, NULL),
    ROW(CKR_ATTRIBUTE_TYPE_INVALID, ERR_STORE, NULL),
    ROW(CKR_ATTRIBUTE_VALUE_INVALID, ERR_STORE, NULL),
    ROW(CKR_ACTION_PROHIBITED, ERR_NO_KEY, ABLE_HINT),
    ROW(CKR_DATA_INVALID, ERR_STORE, NULL),
    ROW(CKR_DATA_LEN_RANGE, ERR_STORE, NULL),
    ROW(CKR_DEVICE_ERROR, ERR_STORE, GONE_HINT),
    ROW(CKR_DEVICE_MEMORY, ERR_STORE, "the token has no room left"),
    ROW(CKR_DEVICE_REMOVED, ERR_STORE, GONE_HINT),
    ROW(CKR_ENCRYPTED_DATA_INVALID, ERR_STORE, NULL),
    ROW(CKR_ENCRYPTED_DATA_LEN_RANGE, ERR_STORE, NULL),
    ROW(CKR_FUNCTION_CANCELED, ERR_STORE, NULL),
    ROW(CKR_FUNCTION_NOT_SUPPORTED, ERR_NO_KEY, ABLE_HINT),
    ROW(CKR_KEY_HANDLE_INVALID, ERR_STORE, "the key was removed meanwhile; start again"),
    ROW(CKR_KEY_SIZE_RANGE, ERR_NO_KEY, ABLE_HINT),
    ROW(CKR_KEY_TYPE_INCONSISTENT, ERR_NO_KEY, ABLE_HINT),
    ROW(CKR_KEY_FUNCTION_NOT_PERMITTED, ERR_NO_KEY,
        "CKA_DECRYPT, CKA_DERIVE or CKA_UNWRAP of the key is false: it was made for something else"),
    ROW(CKR_KEY_NOT_WRAPPABLE, ERR_NO_KEY, ABLE_HINT),
    ROW(CKR_KEY_UNEXTRACTABLE, ERR_NO_KEY, ABLE_HINT),
    ROW(CKR_MECHANISM_INVALID, ERR_NO_KEY, ABLE_HINT),
    ROW(CKR_MECHANISM_PARAM_INVALID, ERR_NO_KEY, ABLE_HINT),
    ROW(CKR_OBJECT_HANDLE_INVALID, ERR_STORE, GONE_HINT),
    ROW(CKR_OPERATION_ACTIVE, ERR_STORE, NULL),
    ROW(CKR_OPERATION_NOT_INITIALIZED, ERR_STORE, NULL),
    ROW(CKR_PIN_INCORRECT, ERR_NO_KEY, PIN_HINT),
    ROW(CKR_PIN_INVALID, ERR_NO_KEY, PIN_HINT),
    ROW(CKR_PIN_LEN_RANGE, ERR_NO_KEY, PIN_HINT),
    ROW(CKR_PIN_EXPIRED, ERR_NO_KEY, "set a new PIN with the token's own tool"),
    ROW(CKR_PIN_LOCKED, ERR_NO_KEY, LOCKED_HINT),
    ROW(CKR_SESSION_CLOSED, ERR_STORE, GONE_HINT),
    ROW(CKR_SESSION_COUNT, ERR_STORE, "other programs hold all sessions of the token"),
    ROW(CKR_SESSION_HANDLE_INVALID, ERR_STORE, GONE_HINT),
    ROW(CKR_SESSION_PARALLEL_NOT_SUPPORTED, ERR_STORE, NULL),
    ROW(CKR_SESSION_READ_ONLY, ERR_STORE, NULL),
    ROW(CKR_TEMPLATE_INCOMPLETE, ERR_STORE, NULL),
    ROW(CKR_TEMPLATE_INCONSISTENT, ERR_STORE, NULL),
    ROW(CKR_TOKEN_NOT_PRESENT, ERR_STORE, GONE_HINT),
    ROW(CKR_TOKEN_NOT_RECOGNIZED, ERR_STORE, GONE_HINT),
    ROW(CKR_TOKEN_WRITE_PROTECTED, ERR_STORE, NULL),
    ROW(CKR_UNWRAPPING_KEY_TYPE_INCONSISTENT, ERR_NO_KEY, ABLE_HINT),
    ROW(CKR_USER_NOT_LOGGED_IN, ERR_STORE, LOGIN_HINT),
    ROW(CKR_USER_PIN_NOT_INITIALIZED, ERR_NO_KEY, "set a PIN with the token's own tool"),
    ROW(CKR_USER_ANOTHER_ALREADY_LOGGED_IN, ERR_STORE, NULL),
    ROW(CKR_USER_TOO_MANY_TYPES, ERR_STORE, NULL),
    ROW(CKR_WRAPPED_KEY_INVALID, ERR_STORE, NULL),
    ROW(CKR_WRAPPED_KEY_LEN_RANGE, ERR_STORE, NULL),
    ROW(CKR_DOMAIN_PARAMS_INVALID, ERR_NO_KEY, ABLE_HINT),
    ROW(CKR_CURVE_NOT_SUPPORTED, ERR_NO_KEY, ABLE_HINT),
    ROW(CKR_BUFFER_TOO_SMALL, ERR_STORE, NULL),
    ROW(CKR_CRYPTOKI_NOT_INITIALIZED, ERR_STORE, NULL),
    ROW(CKR_FIPS_SELF_TEST_FAILED, ERR_STORE, NULL),
    ROW(CKR_FUNCTION_REJECTED, ERR_STORE, NULL),
};

struct result ckr_fail(struct err *err, unsigned long rv, const char *fmt, ...)
{
    char text[ERR_TEXT_MAX];
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        if (rows[i].rv != rv)
            continue;
        (void)fail(err, rows[i].class, "%s: %s", text, rows[i].name);
        if (rows[i].hint != NULL)
            err_hint(err, "%s", rows[i].hint);
        return FAIL;
    }
    return fail(err, ERR_STORE, "%s: CKR 0x%lx", text, rv);
}

bool ckr_damaged(unsigned long rv)
{
    return rv == CKR_ENCRYPTED_DATA_INVALID || rv == CKR_ENCRYPTED_DATA_LEN_RANGE ||
           rv == CKR_DATA_INVALID || rv == CKR_DATA_LEN_RANGE || rv == CKR_SIGNATURE_INVALID ||
           rv == CKR_WRAPPED_KEY_INVALID || rv == CKR_WRAPPED_KEY_LEN_RANGE;
}

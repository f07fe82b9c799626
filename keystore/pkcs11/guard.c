#include "keystore/pkcs11/guard.h"

#include <sodium.h>
#include <string.h>

#include "keystore/pkcs11/login.h"

#define SLOT 1
#define SESSION 1
#define PRIVATE_KEY 1
#define PUBLIC_KEY 2
#define DERIVED_KEY 3
#define ATTRIBUTES_MAX 12

/* struct guard: the one key, and what libp11 is doing with it. Each module's thread has its own:
 * one that hangs in a call must not stand in the way of another. */
static _Thread_local struct guard {
    struct token *token;
    const struct token_key *key;
    CK_OBJECT_HANDLE private_key, derived; /* of the module */
    size_t derived_size;
    CK_ATTRIBUTE attributes[ATTRIBUTES_MAX]; /* that both objects have */
    size_t attribute_count;
    uint8_t modulus[RSA_BYTES_MAX], exponent[RSA_BYTES_MAX], point[P384_POINT_SIZE + 2];
    CK_KEY_TYPE type;
    CK_OBJECT_HANDLE found; /* what the search gives next; 0 = nothing more */
    CK_RV failed;
    bool used;
} guard;

static CK_RV failed(CK_RV rv)
{
    if (rv != CKR_OK)
        guard.failed = rv;
    return rv;
}

static void put(CK_ATTRIBUTE_TYPE type, const void *value, size_t size)
{
    guard.attributes[guard.attribute_count++] =
        (CK_ATTRIBUTE){type, (void *)(uintptr_t)value, size};
}

static struct result put_rsa(const struct crypto *crypto, struct err *err)
{
    struct view modulus, exponent;

    if (!spki_numbers(&guard.key->spki, crypto, guard.modulus, guard.exponent, &modulus, &exponent,
                      err)
             .ok)
        return FAIL;
    guard.type = CKK_RSA;
    put(CKA_MODULUS, modulus.bytes, modulus.size);
    put(CKA_PUBLIC_EXPONENT, exponent.bytes, exponent.size);
    return OK;
}

static void put_ec(void)
{
    struct view point = spki_point(&guard.key->spki);
    struct view parameters = spki_parameters(guard.key->spki.kind);

    guard.point[0] = 0x04; /* an octet string */
    guard.point[1] = (uint8_t)point.size;
    memcpy(guard.point + 2, point.bytes, point.size);
    guard.type = CKK_EC;
    put(CKA_EC_PARAMS, parameters.bytes, parameters.size);
    put(CKA_EC_POINT, guard.point, point.size + 2);
}

struct result guard_set(struct token *token, const struct token_key *key,
                        const struct crypto *crypto, CK_OBJECT_HANDLE private_key, struct err *err)
{
    guard = (struct guard){.token = token, .key = key, .private_key = private_key};
    put(CKA_ID, key->id, key->id_size);
    put(CKA_LABEL, key->label, strlen(key->label));
    put(CKA_KEY_TYPE, &guard.type, sizeof guard.type);
    if (key->spki.kind == SPKI_RSA)
        return put_rsa(crypto, err);
    put_ec();
    return OK;
}

void guard_clear(void)
{
    guard = (struct guard){0};
}

CK_RV guard_failed(void)
{
    return guard.failed;
}

bool guard_used(void)
{
    return guard.used;
}

static CK_RV on_initialize(void *args)
{
    (void)args;
    return CKR_OK;
}

static CK_RV on_finalize(void *reserved)
{
    (void)reserved;
    return CKR_OK;
}

static CK_RV on_get_info(CK_INFO *info)
{
    memset(info, ' ', sizeof *info);
    info->cryptokiVersion = (CK_VERSION){2, 40};
    info->libraryVersion = (CK_VERSION){1, 0};
    info->flags = 0;
    return CKR_OK;
}

static CK_RV on_get_slot_list(CK_BBOOL present, CK_SLOT_ID *list, CK_ULONG *count)
{
    (void)present;
    if (list != NULL && *count < 1)
        return CKR_BUFFER_TOO_SMALL;
    if (list != NULL)
        list[0] = SLOT;
    *count = 1;
    return CKR_OK;
}

static CK_RV on_get_slot_info(CK_SLOT_ID slot, CK_SLOT_INFO *info)
{
    (void)slot;
    memset(info, ' ', sizeof *info);
    info->flags = CKF_TOKEN_PRESENT;
    info->hardwareVersion = info->firmwareVersion = (CK_VERSION){1, 0};
    return CKR_OK;
}

static CK_RV on_get_token_info(CK_SLOT_ID slot, CK_TOKEN_INFO *info)
{
    (void)slot;
    *info = guard.token->info;
    info->flags = CKF_TOKEN_INITIALIZED;
    info->ulMaxSessionCount = info->ulMaxRwSessionCount = 1;
    info->ulSessionCount = info->ulRwSessionCount = 0;
    return CKR_OK;
}

static CK_RV on_open_session(CK_SLOT_ID slot, CK_FLAGS flags, void *application, CK_NOTIFY notify,
                             CK_SESSION_HANDLE *session)
{
    (void)slot;
    (void)flags;
    (void)application;
    (void)notify;
    *session = SESSION;
    return CKR_OK;
}

static CK_RV on_close_session(CK_SESSION_HANDLE session)
{
    (void)session;
    return CKR_OK;
}

static CK_RV on_close_all(CK_SLOT_ID slot)
{
    (void)slot;
    return CKR_OK;
}

static CK_RV on_get_session_info(CK_SESSION_HANDLE session, CK_SESSION_INFO *info)
{
    (void)session;
    *info = (CK_SESSION_INFO){
        .slotID = SLOT, .state = CKS_RO_USER_FUNCTIONS, .flags = CKF_SERIAL_SESSION};
    return CKR_OK;
}

static CK_RV on_find_init(CK_SESSION_HANDLE session, CK_ATTRIBUTE *wanted, CK_ULONG count)
{
    (void)session;
    guard.found = 0;
    for (CK_ULONG i = 0; i < count; i++) {
        CK_OBJECT_CLASS class;
        if (wanted[i].type != CKA_CLASS || wanted[i].ulValueLen != sizeof class)
            continue;
        memcpy(&class, wanted[i].pValue, sizeof class);
        guard.found = class == CKO_PRIVATE_KEY  ? PRIVATE_KEY
                      : class == CKO_PUBLIC_KEY ? PUBLIC_KEY
                                                : 0;
    }
    return CKR_OK;
}

static CK_RV on_find(CK_SESSION_HANDLE session, CK_OBJECT_HANDLE *out, CK_ULONG room,
                     CK_ULONG *count)
{
    (void)session;
    *count = 0;
    if (guard.found == 0 || room == 0)
        return CKR_OK;
    *out = guard.found;
    *count = 1;
    guard.found = 0;
    return CKR_OK;
}

static CK_RV on_find_final(CK_SESSION_HANDLE session)
{
    (void)session;
    return CKR_OK;
}

/* Gives a value as C_GetAttributeValue does: NULL asks for the length. */
static CK_RV give(CK_ATTRIBUTE *to, const void *value, size_t size)
{
    bool fits = to->pValue == NULL || to->ulValueLen >= size;

    if (fits && to->pValue != NULL && size > 0)
        memcpy(to->pValue, value, size);
    to->ulValueLen = fits ? size : CK_UNAVAILABLE_INFORMATION;
    return fits ? CKR_OK : CKR_BUFFER_TOO_SMALL;
}

static CK_RV give_derived(CK_ATTRIBUTE *to)
{
    uint8_t value[P384_SHARED_SIZE];
    size_t size = 0;

    guard.token->value_failed = CKR_OK;
    if (to->type != CKA_VALUE ||
        !token_value(guard.token, guard.derived, CKA_VALUE, value, guard.derived_size, &size))
        return failed(guard.token->value_failed != CKR_OK ? guard.token->value_failed
                                                          : CKR_ATTRIBUTE_SENSITIVE);
    CK_RV rv = size == guard.derived_size ? give(to, value, size) : failed(CKR_GENERAL_ERROR);
    sodium_memzero(value, sizeof value);
    return rv;
}

static CK_RV give_attribute(CK_OBJECT_HANDLE object, CK_ATTRIBUTE *to)
{
    CK_OBJECT_CLASS class = object == PRIVATE_KEY ? CKO_PRIVATE_KEY : CKO_PUBLIC_KEY;

    if (object == DERIVED_KEY)
        return give_derived(to);
    if (to->type == CKA_CLASS)
        return give(to, &class, sizeof class);
    for (size_t i = 0; i < guard.attribute_count; i++)
        if (guard.attributes[i].type == to->type)
            return give(to, guard.attributes[i].pValue, guard.attributes[i].ulValueLen);
    to->ulValueLen = CK_UNAVAILABLE_INFORMATION;
    return CKR_ATTRIBUTE_TYPE_INVALID;
}

static CK_RV on_get_attribute(CK_SESSION_HANDLE session, CK_OBJECT_HANDLE object, CK_ATTRIBUTE *to,
                              CK_ULONG count)
{
    CK_RV rv = CKR_OK;

    (void)session;
    for (CK_ULONG i = 0; i < count; i++) {
        CK_RV one = give_attribute(object, &to[i]);
        rv = one != CKR_OK ? one : rv;
    }
    return rv;
}

static CK_RV on_decrypt_init(CK_SESSION_HANDLE session, CK_MECHANISM *mechanism,
                             CK_OBJECT_HANDLE key)
{
    struct token *t = guard.token;
    CK_RV rv = CALL(t->module, C_DecryptInit, t->session, mechanism, guard.private_key);

    (void)session;
    (void)key;
    if (rv == CKR_OK)
        rv = token_again(t, guard.private_key);
    return failed(rv);
}

static CK_RV on_decrypt(CK_SESSION_HANDLE session, CK_BYTE *in, CK_ULONG size, CK_BYTE *out,
                        CK_ULONG *out_size)
{
    struct token *t = guard.token;
    CK_ULONG room = *out_size;
    CK_RV rv = CALL(t->module, C_Decrypt, t->session, in, size, out, out_size);

    (void)session;
    if (rv == CKR_OK && (*out_size > room || *out_size == 0))
        rv = CKR_GENERAL_ERROR;
    if (rv != CKR_OK)
        *out_size = 0;
    guard.used = rv == CKR_OK;
    return failed(rv);
}

static CK_RV on_derive(CK_SESSION_HANDLE session, CK_MECHANISM *mechanism, CK_OBJECT_HANDLE base,
                       CK_ATTRIBUTE *wanted, CK_ULONG count, CK_OBJECT_HANDLE *out)
{
    struct token *t = guard.token;
    CK_OBJECT_CLASS class = CKO_SECRET_KEY;
    CK_KEY_TYPE type = CKK_GENERIC_SECRET;
    CK_BBOOL yes = CK_TRUE, no = CK_FALSE;
    CK_ULONG size = guard.key->spki.kind == SPKI_P256 ? P256_SHARED_SIZE : P384_SHARED_SIZE;
    /* Less than libp11 asks for: what the secret is used for happens here, not on the token. */
    CK_ATTRIBUTE template[] = {
        {CKA_CLASS, &class, sizeof class},   {CKA_KEY_TYPE, &type, sizeof type},
        {CKA_TOKEN, &no, sizeof no},         {CKA_SENSITIVE, &no, sizeof no},
        {CKA_EXTRACTABLE, &yes, sizeof yes}, {CKA_VALUE_LEN, &size, sizeof size},
    };

    (void)session;
    (void)base;
    (void)wanted;
    (void)count;
    guard.derived_size = size;
    CK_RV rv = CALL(t->module, C_DeriveKey, t->session, mechanism, guard.private_key, template,
                    sizeof template / sizeof *template, &guard.derived);
    guard.used = rv == CKR_OK;
    *out = DERIVED_KEY;
    return failed(rv);
}

static CK_RV on_destroy(CK_SESSION_HANDLE session, CK_OBJECT_HANDLE object)
{
    struct token *t = guard.token;

    (void)session;
    if (object != DERIVED_KEY)
        return CKR_ACTION_PROHIBITED;
    return CALL(t->module, C_DestroyObject, t->session, guard.derived);
}

static CK_FUNCTION_LIST functions = {
    .version = {2, 40},
    .C_Initialize = on_initialize,
    .C_Finalize = on_finalize,
    .C_GetInfo = on_get_info,
    .C_GetSlotList = on_get_slot_list,
    .C_GetSlotInfo = on_get_slot_info,
    .C_GetTokenInfo = on_get_token_info,
    .C_OpenSession = on_open_session,
    .C_CloseSession = on_close_session,
    .C_CloseAllSessions = on_close_all,
    .C_GetSessionInfo = on_get_session_info,
    .C_FindObjectsInit = on_find_init,
    .C_FindObjects = on_find,
    .C_FindObjectsFinal = on_find_final,
    .C_GetAttributeValue = on_get_attribute,
    .C_DecryptInit = on_decrypt_init,
    .C_Decrypt = on_decrypt,
    .C_DeriveKey = on_derive,
    .C_DestroyObject = on_destroy,
};

/* libp11's own, by these names in its archive: they load a module by a file's name. From 0.4.19 on
 * there is a second list, of PKCS#11 3.2, which stays empty. */
#if LIBP11_RAW_RSA
#define SECOND_LIST
#else
#define SECOND_LIST , void **second
#endif
void *C_LoadModule(const char *name, CK_FUNCTION_LIST **list SECOND_LIST);
CK_RV C_UnloadModule(void *module);

void *C_LoadModule(const char *name, CK_FUNCTION_LIST **list SECOND_LIST)
{
    (void)name;
#if !LIBP11_RAW_RSA
    *second = NULL;
#endif
    *list = &functions;
    return guard.token != NULL ? &functions : NULL;
}

CK_RV C_UnloadModule(void *module)
{
    (void)module;
    return CKR_OK;
}

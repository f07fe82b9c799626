/* The answers of a PKCS#11 module: lengths that lie, attributes of any content, any return value at
 * any call. The module is made of the input: each call takes from it what it answers. */
#include <sodium.h>
#include <stddef.h>

#include "keystore/key_pair.h"
#include "keystore/pkcs11/aes_key.h"
#include "keystore/pkcs11/private_key.h"
#include "tests/fuzz/fuzz.h"

#define MODULE_PATH "?module-path=/module.so"

/* Good values, or a key would never be found: the base point of P-256 (SEC 2), an RSA modulus. */
static const char point_hex[] =
    "0441046b17d1f2e12c4247f8bce6e563a440f277037d812deb33a0f4a13945d898c296"
    "4fe342e2fe1a7f9b8ee7eb4a7c0f9e162bce33576b315ececbb6406837bf51f5";
static const char modulus_hex[] =
    "b2119e3c789ba0ce33bdd3ece017013af752a6a1e8f0a8da5cf622b40dc445933b68c5ce331916beb44da42f"
    "bc49f22fb18535cdf66c46503c17c36c2c22bca05756eb0aa33090c5d0cba8e019bfae53a64fee5b4f2aaa1c"
    "be4f3277ca5ba5af55d5d6ec5fd506d5be2d520b216fb8ee5bc5b54238677a5c8c791bd789c579dfc3b7c7ba"
    "22af91895d5edb721b9f581640e2cbf4850865e84645813faccd2a04684cb79aca41278e322e64ef527cf2e5"
    "16c544af3f9f550056f6767b18e8d701882cd3dceac668660d62122203722eb8a48bc8aed0b9a455c2ea5645"
    "78514cf6d4276ebf2120ec32392b74a4005434325b17fad32ca1867bc4c627182059615b";

static uint8_t point[67], modulus[256];
static struct wire_reader *input;

/* The linker puts these in the place of the functions (--wrap): no thread, no time. */
bool __wrap_worker_enter(struct worker *worker);
bool __wrap_worker_leave(struct worker *worker);
void __wrap_worker_patience(struct worker *worker, bool patient);
struct result __wrap_worker_ask(struct worker *worker,
                                struct result (*ask)(void *arg, struct err *err), void *arg,
                                struct err *err);

bool __wrap_worker_enter(struct worker *worker)
{
    (void)worker;
    return true;
}

bool __wrap_worker_leave(struct worker *worker)
{
    (void)worker;
    return true;
}

void __wrap_worker_patience(struct worker *worker, bool patient)
{
    (void)worker, (void)patient;
}

struct result __wrap_worker_ask(struct worker *worker,
                                struct result (*ask)(void *arg, struct err *err), void *arg,
                                struct err *err)
{
    (void)worker;
    return ask(arg, err);
}

/* Mostly all goes well. */
static CK_RV answer(void)
{
    static const CK_RV values[] = {
        CKR_GENERAL_ERROR,     CKR_DEVICE_REMOVED,         CKR_PIN_INCORRECT,
        CKR_PIN_LOCKED,        CKR_BUFFER_TOO_SMALL,       CKR_MECHANISM_INVALID,
        CKR_FUNCTION_FAILED,   CKR_SESSION_COUNT,          CKR_ENCRYPTED_DATA_INVALID,
        CKR_TOKEN_NOT_PRESENT, CKR_USER_ALREADY_LOGGED_IN,
    };
    uint8_t b = fuzz_byte(input);

    return b < 0xf0 ? CKR_OK : b == 0xff ? wire_get_u32(input) : values[b % 11];
}

/* A length that an answer claims: the honest one, or any. */
static CK_ULONG claim(size_t honest)
{
    return fuzz_byte(input) < 0xf8 ? honest : wire_get_u32(input);
}

static CK_RV on_info(CK_INFO *info)
{
    memset(info, ' ', sizeof *info);
    return answer();
}

static CK_RV on_slots(CK_BBOOL present, CK_SLOT_ID *list, CK_ULONG *count)
{
    CK_ULONG claimed = claim(1);

    (void)present;
    for (CK_ULONG i = 0; i < claimed && i < *count && i < 4; i++)
        list[i] = i + 1;
    for (CK_ULONG i = 4; i < claimed && i < *count; i++)
        list[i] = i;
    *count = claimed;
    return answer();
}

static CK_RV on_slot_info(CK_SLOT_ID slot, CK_SLOT_INFO *info)
{
    (void)slot;
    memset(info, ' ', sizeof *info);
    return answer();
}

static CK_RV on_token_info(CK_SLOT_ID slot, CK_TOKEN_INFO *info)
{
    uint8_t kind = fuzz_byte(input);

    (void)slot;
    memset(info, ' ', sizeof *info);
    memcpy(info->label, "backup", 6);
    if ((kind & 1) != 0)
        wire_get_bytes(input, info->label, sizeof info->label);
    if ((kind & 2) != 0)
        wire_get_bytes(input, info->serialNumber, sizeof info->serialNumber);
    info->flags = CKF_TOKEN_INITIALIZED | CKF_LOGIN_REQUIRED;
    if ((kind & 4) != 0)
        info->flags = wire_get_u32(input);
    return answer();
}

static CK_RV on_mechanisms(CK_SLOT_ID slot, CK_MECHANISM_TYPE *list, CK_ULONG *count)
{
    static const CK_MECHANISM_TYPE all[] = {CKM_RSA_X_509, CKM_RSA_PKCS_OAEP, CKM_ECDH1_DERIVE,
                                            CKM_AES_GCM, CKM_AES_KEY_WRAP};
    uint8_t without = fuzz_byte(input);
    CK_ULONG n = 0;

    (void)slot;
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        if ((without & 1u << i) == 0)
            list[n++] = all[i];
    *count = claim(n);
    for (; n < *count && n < MECHANISMS_MAX; n++)
        list[n] = n;
    return answer();
}

static CK_RV on_mechanism(CK_SLOT_ID slot, CK_MECHANISM_TYPE type, CK_MECHANISM_INFO *info)
{
    (void)slot, (void)type;
    info->flags = fuzz_byte(input) % 8 == 7 ? 0 : ~0ul;
    return answer();
}

static CK_RV on_open(CK_SLOT_ID slot, CK_FLAGS flags, void *application, CK_NOTIFY notify,
                     CK_SESSION_HANDLE *session)
{
    (void)slot, (void)flags, (void)application, (void)notify;
    *session = 1;
    return answer();
}

static CK_RV on_close(CK_SESSION_HANDLE session)
{
    (void)session;
    return CKR_OK;
}

static CK_RV on_login(CK_SESSION_HANDLE session, CK_USER_TYPE user, unsigned char *pin,
                      CK_ULONG size)
{
    (void)session, (void)user, (void)pin, (void)size;
    return answer();
}

static CK_RV on_find_init(CK_SESSION_HANDLE session, CK_ATTRIBUTE *wanted, CK_ULONG count)
{
    (void)session, (void)wanted, (void)count;
    return answer();
}

static CK_RV on_find(CK_SESSION_HANDLE session, CK_OBJECT_HANDLE *out, CK_ULONG room,
                     CK_ULONG *count)
{
    uint8_t n = fuzz_byte(input);

    (void)session;
    *count = n < 0xf8 ? n % 4 : room + n % 2;
    for (CK_ULONG i = 0; i < *count && i < room; i++)
        out[i] = fuzz_byte(input);
    return answer();
}

/* What an honest token says of an object; its kind is in the handle. */
static struct view honest(CK_OBJECT_HANDLE object, CK_ATTRIBUTE_TYPE type)
{
    static const CK_KEY_TYPE ec = CKK_EC, rsa = CKK_RSA, aes = CKK_AES;
    static const CK_ULONG length = AES_KEY_BYTES;
    static const uint8_t exponent[] = {1, 0, 1}, bytes[32] = {1, 2, 3}, yes = 1, no = 0;
    static const char *const labels[] = {"backup", "backup-v0001", "backup-v0002", "other"};
    const char *label = labels[object / 4 % 4];
    struct view params = spki_parameters(object % 4 == 3 ? SPKI_P384 : SPKI_P256);
#define VIEW(value) ((struct view){(const uint8_t *)&(value), sizeof(value)})

    switch (type) {
    case CKA_LABEL:
        return (struct view){(const uint8_t *)label, strlen(label)};
    case CKA_ID:
        return (struct view){bytes, 1};
    case CKA_KEY_TYPE:
        return object % 4 == 1 ? VIEW(rsa) : object % 4 == 2 ? VIEW(aes) : VIEW(ec);
    case CKA_EC_PARAMS:
        return params;
    case CKA_EC_POINT:
        return VIEW(point);
    case CKA_MODULUS:
        return VIEW(modulus);
    case CKA_PUBLIC_EXPONENT:
        return VIEW(exponent);
    case CKA_VALUE_LEN:
        return VIEW(length);
    case CKA_VALUE:
        return VIEW(bytes);
    case CKA_CHECK_VALUE:
        return (struct view){bytes, 3};
    case CKA_ALWAYS_AUTHENTICATE:
        return object >= 128 ? VIEW(yes) : VIEW(no);
    default:
        return VIEW(yes);
    }
#undef VIEW
}

static CK_RV give(CK_ATTRIBUTE *to, struct view v)
{
    CK_ULONG room = to->ulValueLen;

    to->ulValueLen = v.size <= room ? v.size : CK_UNAVAILABLE_INFORMATION;
    if (v.size <= room && v.size > 0)
        memcpy(to->pValue, v.bytes, v.size);
    return v.size <= room ? CKR_OK : CKR_BUFFER_TOO_SMALL;
}

static CK_RV on_attribute(CK_SESSION_HANDLE session, CK_OBJECT_HANDLE object, CK_ATTRIBUTE *to,
                          CK_ULONG count)
{
    uint8_t kind = fuzz_byte(input);

    (void)session;
    HOLDS(count == 1);
    if (kind < 0xe0)
        return give(to, honest(object, to->type));
    if (kind < 0xf0)
        return give(to, wire_get_sized(input));
    if (kind < 0xf8)
        to->ulValueLen = wire_get_u32(input);
    else if (kind < 0xfc)
        return CKR_ATTRIBUTE_TYPE_INVALID;
    return answer();
}

/* Bytes of an answer, as many as are said or fit. */
static CK_RV put(CK_BYTE *out, CK_ULONG *size, size_t usual)
{
    CK_ULONG room = *size;

    *size = claim(usual);
    memset(out, fuzz_byte(input), *size < room ? *size : room);
    return answer();
}

static CK_RV on_crypt_init(CK_SESSION_HANDLE session, CK_MECHANISM *mechanism, CK_OBJECT_HANDLE key)
{
    (void)session, (void)mechanism, (void)key;
    return answer();
}

static CK_RV on_encrypt(CK_SESSION_HANDLE session, CK_BYTE *in, CK_ULONG size, CK_BYTE *out,
                        CK_ULONG *out_size)
{
    (void)session, (void)in;
    return put(out, out_size, size + AEAD_TAG_SIZE);
}

static CK_RV on_decrypt(CK_SESSION_HANDLE session, CK_BYTE *in, CK_ULONG size, CK_BYTE *out,
                        CK_ULONG *out_size)
{
    (void)session, (void)in;
    return put(out, out_size, size > KEY_SIZE + AEAD_TAG_SIZE ? size : KEY_SIZE);
}

static CK_RV on_create(CK_SESSION_HANDLE session, CK_ATTRIBUTE *template, CK_ULONG count,
                       CK_OBJECT_HANDLE *out)
{
    (void)session, (void)template, (void)count;
    *out = 2;
    return answer();
}

static CK_RV on_destroy(CK_SESSION_HANDLE session, CK_OBJECT_HANDLE object)
{
    (void)session, (void)object;
    return answer();
}

static CK_RV on_wrap(CK_SESSION_HANDLE session, CK_MECHANISM *mechanism, CK_OBJECT_HANDLE wrapping,
                     CK_OBJECT_HANDLE key, CK_BYTE *out, CK_ULONG *size)
{
    (void)session, (void)mechanism, (void)wrapping, (void)key;
    return put(out, size, KEY_SIZE + 8);
}

static CK_RV on_unwrap(CK_SESSION_HANDLE session, CK_MECHANISM *mechanism,
                       CK_OBJECT_HANDLE wrapping, CK_BYTE *in, CK_ULONG size,
                       CK_ATTRIBUTE *template, CK_ULONG count, CK_OBJECT_HANDLE *out)
{
    (void)mechanism, (void)wrapping, (void)in, (void)size;
    return on_create(session, template, count, out);
}

static CK_RV on_derive(CK_SESSION_HANDLE session, CK_MECHANISM *mechanism, CK_OBJECT_HANDLE base,
                       CK_ATTRIBUTE *template, CK_ULONG count, CK_OBJECT_HANDLE *out)
{
    (void)mechanism, (void)base;
    return on_create(session, template, count, out);
}

static CK_FUNCTION_LIST functions = {
    .C_GetInfo = on_info,
    .C_GetSlotList = on_slots,
    .C_GetSlotInfo = on_slot_info,
    .C_GetTokenInfo = on_token_info,
    .C_GetMechanismList = on_mechanisms,
    .C_GetMechanismInfo = on_mechanism,
    .C_OpenSession = on_open,
    .C_CloseSession = on_close,
    .C_Login = on_login,
    .C_Logout = on_close,
    .C_FindObjectsInit = on_find_init,
    .C_FindObjects = on_find,
    .C_FindObjectsFinal = on_close,
    .C_GetAttributeValue = on_attribute,
    .C_EncryptInit = on_crypt_init,
    .C_Encrypt = on_encrypt,
    .C_DecryptInit = on_crypt_init,
    .C_Decrypt = on_decrypt,
    .C_CreateObject = on_create,
    .C_DestroyObject = on_destroy,
    .C_WrapKey = on_wrap,
    .C_UnwrapKey = on_unwrap,
    .C_DeriveKey = on_derive,
};

/* A module of the input may lack one function. */
static CK_FUNCTION_LIST *functions_of(unsigned hole)
{
    static CK_FUNCTION_LIST made;
    size_t count =
        (sizeof made - offsetof(CK_FUNCTION_LIST, C_Initialize)) / sizeof(void (*)(void));

    made = functions;
    if (hole > 0 && hole <= count)
        memset((char *)&made + offsetof(CK_FUNCTION_LIST, C_Initialize) +
                   (hole - 1) * sizeof(void (*)(void)),
               0, sizeof(void (*)(void)));
    return &made;
}

static struct result give_pin(void *arg, const char *what, enum wanted wanted, struct secret *out,
                              struct err *err)
{
    (void)arg, (void)what;
    HOLDS(wanted == WANT_PIN || wanted == WANT_PIN_TYPED);
    return secret_copy(out, "1234", 4, err);
}

/* struct trial: what is done with one key. */
struct trial {
    struct token *token;
    const struct login *login;
    const struct token_key *key;
    struct branch_identity branch;
    struct secret branch_key, out;
    struct slot slot;
};

static struct result use_secret(struct trial *t, bool unwrap, struct err *err)
{
    static uint8_t room[SLOT_HEADER_MAX + SLOT_WRAP_MAX + 8];
    struct wire_writer w = wire_writer(room, sizeof room);

    if (!aes_key_wrap(t->token, t->login, t->key, &t->branch, &t->branch_key, &t->slot, err).ok)
        return FAIL;
    slot_encode(&w, &t->slot);
    HOLDS(!w.bad && aes_key_may_open(t->key, &t->slot));
    return unwrap ? aes_key_unwrap(t->token, t->login, t->key, &t->branch, &t->slot, &t->out, err)
                  : OK;
}

static struct result use_pair(struct trial *t, struct err *err)
{
    static const struct key_pair_hints none = {{0}, {0}, {0}, {0}};
    const struct spki *spki = &t->key->spki;
    struct halves halves;

    if (!token_keys_private(t->token, t->key, &halves, err).ok)
        return FAIL;
    struct private_key half = {t->token, t->login, spki, halves.list[0], fuzz_crypto()};
    HOLDS(
        key_pair_wrap(spki, fuzz_crypto(), &none, false, &t->branch, &t->branch_key, &t->slot, err)
            .ok);
    if (spki->kind == SPKI_RSA)
        return private_key_decrypt(&half, false, (struct view){t->slot.wrap, t->slot.wrap_size},
                                   &t->out, err);
    return private_key_derive(&half, (struct view){t->slot.wrap, spki_point(spki).size}, &t->out,
                              err);
}

static void use(struct token *token, const struct login *login, const struct token_key *key)
{
    static const uint8_t id[BRANCH_ID_SIZE];
    static const struct context none;
    struct trial t = {token, login, key, {id, &none}, {0}, {0}, {0}};
    char *text STRING_CLEANUP = token_keys_uri(key, token, login->uri);
    uint8_t how = fuzz_byte(input);
    struct err err = {0};

    HOLDS(text != NULL && key->id_size <= sizeof key->id && key->check_size <= sizeof key->check);
    HOLDS(secret_new(&t.branch_key, KEY_SIZE, &err).ok);
    struct result r = key->secret ? use_secret(&t, how % 2 == 0, &err) : use_pair(&t, &err);
    if (!r.ok) {
        fuzz_refused(&err);
        HOLDS(t.out.bytes == NULL);
    }
    secret_free(&t.branch_key);
    secret_free(&t.out);
}

static void look(struct module *module, const struct login *login)
{
    const struct uri *uri = login->uri;
    struct token_keys keys __attribute__((cleanup(token_keys_free))) = {0};
    struct token *token;
    struct err err = {0};

    if (!token_find(&token, module, uri, &err).ok ||
        !token_keys_find(&keys, token, uri, login->env->crypto, &err).ok) {
        fuzz_refused(&err);
        return;
    }
    for (size_t i = 0; i < keys.unusable_count; i++)
        HOLDS(keys.unusable[i].why[0] != '\0');
    if (!token_login(token, login, &err).ok) {
        fuzz_refused(&err);
        return;
    }
    if (keys.count > 1)
        HOLDS(!token_keys_many(&keys, token, uri, &err).ok && token_keys_newest(&keys) != NULL);
    for (size_t i = 0; i < keys.count && i < 3; i++)
        use(token, login, &keys.list[i]);
    if (fuzz_byte(input) == 1 && !token_write(token, &err).ok)
        fuzz_refused(&err);
}

static void ready(void)
{
    size_t got;

    HOLDS(sodium_hex2bin(point, sizeof point, point_hex, strlen(point_hex), NULL, &got, NULL) == 0);
    HOLDS(sodium_hex2bin(modulus, sizeof modulus, modulus_hex, strlen(modulus_hex), NULL, &got,
                         NULL) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char *const uris[] = {
        "pkcs11:" MODULE_PATH,
        "pkcs11:token=backup;object=backup" MODULE_PATH,
        "pkcs11:object=backup;type=private" MODULE_PATH,
        "pkcs11:id=%01" MODULE_PATH,
        "pkcs11:type=secret-key" MODULE_PATH,
        "pkcs11:slot-id=1;object=backup-v0001" MODULE_PATH,
        "pkcs11:serial=1" MODULE_PATH "&pin-value=1234",
    };
    static struct wire_reader r;
    const struct token_options options = {.pin_in_uri = true};
    struct keystore_env env = {.crypto = fuzz_crypto(), .passphrase = give_pin};
    struct module module = {.name = "/module.so"};
    struct uri uri URI_CLEANUP = {0};
    struct err err;

    ready();
    r = wire_reader(data, size);
    input = &r;
    HOLDS(uri_read(&uri, uris[fuzz_byte(&r) % (sizeof uris / sizeof *uris)], &options, &err).ok);
    module.functions = functions_of(fuzz_byte(&r));
    struct login login = {.uri = &uri, .env = &env};
    HOLDS(refused_tokens_of(&login.refused, NULL, NULL, &err).ok);
    look(&module, &login);
    refused_tokens_drop(login.refused);
    tokens_free(&module);
    return 0;
}

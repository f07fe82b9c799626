/* mock: a PKCS#11 module that stands in front of a real one, counts what is asked of it, and lies.
 *
 * Steered by the environment:
 *   MOCK_REAL     path of the real module
 *   MOCK_ARGS     arguments for its C_Initialize, where the caller gives none (NSS needs some)
 *   MOCK_LOG      a file that gets a line for each call: process, thread, function
 *   MOCK_FAULTS   words of the form FUNCTION:N:WHAT[=VALUE][@TYPE] for the Nth call of FUNCTION, or
 *                 FUNCTION:N+:... from the Nth call on. WHAT is
 *     rv          answer VALUE and do nothing
 *     after       do it, then answer VALUE
 *     hang        never answer
 *     spin        never answer, and have the real module work all the while
 *     sleep       answer VALUE milliseconds later
 *     length      say that the answer has VALUE bytes or elements
 *     flip        the answer's first byte is another
 *     junk        the answer is all ones
 *     flags       set the bits VALUE in the answer's flags
 *     clear       clear them
 *     print       print a line to standard output: VALUE 0 leaves it in the stream, 1 flushes it, 2
 *                 writes it to descriptor 1
 *     drop        all sessions end, with their login; then answer VALUE
 *     bare        CKA_EC_POINT is the point itself, without DER around it
 *     zeros       text in the answer is padded by zeros
 *     hide        (C_GetMechanismList) TYPE is not in the list, nor VALUE
 *     open        (C_GenerateKeyPair) the private key is seen without a login
 *     unfit       (C_GenerateKeyPair) the halves may not encrypt and decrypt
 *     null        (C_GetFunctionList) no list
 *     holes       (C_GetFunctionList) a list without functions
 *     version     (C_GetFunctionList) the list is of version VALUE, as 0x0302 for 3.2
 *     glass       (C_GetFunctionList) the list is what the process gives who asks it for one
 *   TYPE restricts a fault of C_GetAttributeValue to one attribute, one of C_GetMechanismInfo to
 * one mechanism. */
#include <dlfcn.h>
#include <p11-kit/pkcs11.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum what {
    NOTHING,
    RV,
    AFTER,
    HANG,
    SPIN,
    SLEEP,
    LENGTH,
    FLIP,
    JUNK,
    FLAGS,
    CLEAR,
    PRINT,
    DROP,
    BARE,
    ZEROS,
    HIDE,
    OPEN,
    UNFIT,
    NULL_LIST,
    HOLES,
    VERSION,
    GLASS
};

static const char *const words[] = {"nothing", "rv",    "after",   "hang",  "spin",  "sleep",
                                    "length",  "flip",  "junk",    "flags", "clear", "print",
                                    "drop",    "bare",  "zeros",   "hide",  "open",  "unfit",
                                    "null",    "holes", "version", "glass"};

struct fault {
    enum what what;
    unsigned long value;
    unsigned long type;
    bool typed;
};

#define NAMES_MAX 64
#define NAME_MAX_SIZE 32

static CK_FUNCTION_LIST *real;

/* Counts a call; which it is, from 1. */
static unsigned long count(const char *function)
{
    static struct {
        char name[NAME_MAX_SIZE];
        unsigned long calls;
    } seen[NAMES_MAX];

    for (size_t i = 0; i < NAMES_MAX; i++) {
        if (seen[i].name[0] == '\0')
            snprintf(seen[i].name, sizeof seen[i].name, "%s", function);
        if (strcmp(seen[i].name, function) == 0)
            return ++seen[i].calls;
    }
    abort();
}

static void note(const char *function)
{
    const char *path = getenv("MOCK_LOG");
    FILE *log = path != NULL ? fopen(path, "ae") : NULL;

    if (log == NULL)
        return;
    fprintf(log, "%d %d %s\n", (int)getpid(), (int)gettid(), function);
    fclose(log);
}

/* Reads one word; false if it is not about this call. */
static bool applies(const char *word, const char *function, unsigned long call, struct fault *fault)
{
    size_t size = strlen(function);
    char *at;

    if (strncmp(word, function, size) != 0 || word[size] != ':')
        return false;
    unsigned long n = strtoul(word + size + 1, &at, 10);
    bool on = *at == '+';
    if (call != n && !(on && call > n))
        return false;
    at += on ? 2 : 1;
    *fault = (struct fault){NOTHING, 0, 0, false};
    for (size_t i = 1; i < sizeof words / sizeof *words; i++)
        if (strncmp(at, words[i], strlen(words[i])) == 0)
            fault->what = (enum what)i;
    if (fault->what == NOTHING)
        abort(); /* a test that cannot be what it seems */
    at += strlen(words[fault->what]);
    if (*at == '=')
        fault->value = strtoul(at + 1, &at, 0);
    if (*at == '@') {
        fault->typed = true;
        fault->type = strtoul(at + 1, &at, 0);
    }
    if (*at != '\0')
        abort();
    return true;
}

static void spin(void)
{
    CK_SLOT_ID slots[16];
    CK_ULONG count = 16, size;
    CK_SESSION_HANDLE session;
    CK_BYTE bytes[64];
    CK_MECHANISM sha256 = {CKM_SHA256, NULL, 0};

    if (real->C_GetSlotList(CK_TRUE, slots, &count) != CKR_OK || count == 0 ||
        real->C_OpenSession(slots[0], CKF_SERIAL_SESSION, NULL, NULL, &session) != CKR_OK)
        return;
    for (int i = 0; i < 1000; i++) {
        size = sizeof bytes;
        (void)real->C_GenerateRandom(session, bytes, sizeof bytes);
        if (real->C_DigestInit(session, &sha256) == CKR_OK)
            (void)real->C_Digest(session, bytes, sizeof bytes, bytes, &size);
    }
    (void)real->C_CloseSession(session);
}

static void print(unsigned long how)
{
    static const char text[] = "the module has something to say\n";

    if (how == 2 && write(STDOUT_FILENO, text, sizeof text - 1) < 0)
        abort();
    if (how < 2)
        fputs(text, stdout);
    if (how == 1)
        fflush(stdout);
}

/* As after a failover of an HSM. */
static void drop(void)
{
    CK_SLOT_ID slots[16];
    CK_ULONG count = 16;

    if (real->C_GetSlotList(CK_TRUE, slots, &count) != CKR_OK)
        abort();
    for (CK_ULONG i = 0; i < count; i++)
        (void)real->C_CloseAllSessions(slots[i]);
}

/* Counts and logs a call, waits if told so, and says what is to be wrong with it. */
static struct fault consult(const char *function)
{
    const char *faults = getenv("MOCK_FAULTS");
    char copy[4096], *rest = copy;
    struct fault fault = {NOTHING, 0, 0, false};
    unsigned long call = count(function);

    note(function);
    snprintf(copy, sizeof copy, "%s", faults != NULL ? faults : "");
    for (char *word = strsep(&rest, " "); word != NULL; word = strsep(&rest, " "))
        if (applies(word, function, call, &fault))
            break;
    while (fault.what == HANG)
        pause();
    while (fault.what == SPIN)
        spin();
    if (fault.what == SLEEP)
        usleep((useconds_t)fault.value * 1000);
    if (fault.what == PRINT)
        print(fault.value);
    if (fault.what == DROP) {
        drop();
        fault.what = RV;
    }
    return fault;
}

/* What is wrong with an answer of *length elements of one size, or of just one where length is
 * NULL. */
static void lie(const struct fault *fault, void *out, size_t size, CK_ULONG *length)
{
    size_t all = length != NULL ? size * *length : size;

    if (fault->what == FLIP && out != NULL && all > 0)
        *(unsigned char *)out ^= 1;
    if (fault->what == JUNK && out != NULL)
        memset(out, 0xff, all);
    if (fault->what == LENGTH && length != NULL)
        *length = fault->value;
}

static void lie_flags(const struct fault *fault, CK_FLAGS *flags)
{
    if (fault->what == FLAGS)
        *flags |= fault->value;
    if (fault->what == CLEAR)
        *flags &= ~fault->value;
}

static void lie_text(const struct fault *fault, CK_UTF8CHAR *text, size_t size)
{
    for (; fault->what == ZEROS && size > 0 && text[size - 1] == ' '; size--)
        text[size - 1] = 0;
}

/* A point shorter than 128 bytes has two in front. */
static void make_bare(CK_ATTRIBUTE *a)
{
    CK_BYTE *bytes = a->pValue;

    if (a->type != CKA_EC_POINT || bytes == NULL || a->ulValueLen < 2 || bytes[0] != 0x04)
        return;
    a->ulValueLen -= 2;
    memmove(bytes, bytes + 2, a->ulValueLen);
}

static void lie_attributes(const struct fault *fault, CK_ATTRIBUTE *a, CK_ULONG n)
{
    for (CK_ULONG i = 0; i < n && fault->what == BARE; i++)
        if (a[i].ulValueLen != (CK_ULONG)-1)
            make_bare(&a[i]);
    for (CK_ULONG i = 0; i < n; i++)
        if ((!fault->typed || a[i].type == fault->type) && a[i].ulValueLen != (CK_ULONG)-1)
            lie(fault, a[i].pValue, 1, &a[i].ulValueLen);
}

static void hide(const struct fault *fault, CK_MECHANISM_TYPE *list, CK_ULONG *size)
{
    CK_ULONG kept = 0;

    if (fault->what != HIDE || list == NULL)
        return;
    for (CK_ULONG i = 0; i < *size; i++)
        if (list[i] != fault->type && (fault->value == 0 || list[i] != fault->value))
            list[kept++] = list[i];
    *size = kept;
}

/* Defines the stand-in of a function: its parameters, how they are passed on, and the lies. */
#define STAND_IN(name, parameters, arguments, lies)                                                \
    static CK_RV my_##name parameters                                                              \
    {                                                                                              \
        struct fault fault = consult(#name);                                                       \
        CK_RV rv = fault.what == RV ? fault.value : real->name arguments;                          \
        if (rv == CKR_OK) {                                                                        \
            lies;                                                                                  \
        }                                                                                          \
        return fault.what == AFTER ? fault.value : rv;                                             \
    }

#define SESSION CK_SESSION_HANDLE s
#define MECHANISM CK_MECHANISM_PTR m, CK_OBJECT_HANDLE k
#define TEMPLATE CK_ATTRIBUTE_PTR t, CK_ULONG n
#define IN CK_BYTE_PTR in, CK_ULONG in_size
#define OUT CK_BYTE_PTR out, CK_ULONG_PTR size
#define NEW CK_OBJECT_HANDLE_PTR made
#define NO_LIES (void)0

STAND_IN(C_Finalize, (void *reserved), (reserved), NO_LIES)
STAND_IN(C_GetInfo, (CK_INFO_PTR info), (info), lie(&fault, info, sizeof *info, NULL);
         lie_text(&fault, info->manufacturerID, sizeof info->manufacturerID);
         lie_text(&fault, info->libraryDescription, sizeof info->libraryDescription))
STAND_IN(C_GetSlotList, (CK_BBOOL present, CK_SLOT_ID_PTR list, CK_ULONG_PTR size),
         (present, list, size), lie(&fault, list, sizeof *list, size))
STAND_IN(C_GetSlotInfo, (CK_SLOT_ID slot, CK_SLOT_INFO_PTR info), (slot, info),
         lie(&fault, info, sizeof *info, NULL);
         lie_text(&fault, info->manufacturerID, sizeof info->manufacturerID);
         lie_text(&fault, info->slotDescription, sizeof info->slotDescription);
         lie_flags(&fault, &info->flags))
STAND_IN(C_GetTokenInfo, (CK_SLOT_ID slot, CK_TOKEN_INFO_PTR info), (slot, info),
         lie(&fault, info, sizeof *info, NULL);
         lie_text(&fault, info->label, sizeof info->label);
         lie_text(&fault, info->manufacturerID, sizeof info->manufacturerID);
         lie_text(&fault, info->model, sizeof info->model);
         lie_text(&fault, info->serialNumber, sizeof info->serialNumber);
         lie_flags(&fault, &info->flags))
STAND_IN(C_GetMechanismList, (CK_SLOT_ID slot, CK_MECHANISM_TYPE_PTR list, CK_ULONG_PTR size),
         (slot, list, size), lie(&fault, list, sizeof *list, size);
         hide(&fault, list, size))
STAND_IN(C_OpenSession,
         (CK_SLOT_ID slot, CK_FLAGS flags, void *arg, CK_NOTIFY notify, CK_SESSION_HANDLE_PTR made),
         (slot, flags, arg, notify, made), lie(&fault, made, sizeof *made, NULL))
STAND_IN(C_CloseSession, (SESSION), (s), NO_LIES)
STAND_IN(C_CloseAllSessions, (CK_SLOT_ID slot), (slot), NO_LIES)
STAND_IN(C_GetSessionInfo, (SESSION, CK_SESSION_INFO_PTR info), (s, info),
         lie(&fault, info, sizeof *info, NULL);
         lie_flags(&fault, &info->flags))
STAND_IN(C_Logout, (SESSION), (s), NO_LIES)
STAND_IN(C_CreateObject, (SESSION, TEMPLATE, NEW), (s, t, n, made),
         lie(&fault, made, sizeof *made, NULL))
STAND_IN(C_DestroyObject, (SESSION, CK_OBJECT_HANDLE o), (s, o), NO_LIES)
STAND_IN(C_GetAttributeValue, (SESSION, CK_OBJECT_HANDLE o, TEMPLATE), (s, o, t, n),
         lie_attributes(&fault, t, n))
STAND_IN(C_SetAttributeValue, (SESSION, CK_OBJECT_HANDLE o, TEMPLATE), (s, o, t, n), NO_LIES)
STAND_IN(C_FindObjectsInit, (SESSION, TEMPLATE), (s, t, n), NO_LIES)
STAND_IN(C_FindObjects, (SESSION, CK_OBJECT_HANDLE_PTR list, CK_ULONG most, CK_ULONG_PTR size),
         (s, list, most, size), lie(&fault, list, sizeof *list, size))
STAND_IN(C_FindObjectsFinal, (SESSION), (s), NO_LIES)
STAND_IN(C_EncryptInit, (SESSION, MECHANISM), (s, m, k), NO_LIES)
STAND_IN(C_Encrypt, (SESSION, IN, OUT), (s, in, in_size, out, size), lie(&fault, out, 1, size))
STAND_IN(C_DecryptInit, (SESSION, MECHANISM), (s, m, k), NO_LIES)
STAND_IN(C_Decrypt, (SESSION, IN, OUT), (s, in, in_size, out, size), lie(&fault, out, 1, size))
STAND_IN(C_SignInit, (SESSION, MECHANISM), (s, m, k), NO_LIES)
STAND_IN(C_Sign, (SESSION, IN, OUT), (s, in, in_size, out, size), lie(&fault, out, 1, size))
STAND_IN(C_GenerateKey, (SESSION, CK_MECHANISM_PTR m, TEMPLATE, NEW), (s, m, t, n, made),
         lie(&fault, made, sizeof *made, NULL))
STAND_IN(C_WrapKey, (SESSION, MECHANISM, CK_OBJECT_HANDLE o, OUT), (s, m, k, o, out, size),
         lie(&fault, out, 1, size))
STAND_IN(C_UnwrapKey, (SESSION, MECHANISM, IN, TEMPLATE, NEW), (s, m, k, in, in_size, t, n, made),
         lie(&fault, made, sizeof *made, NULL))
STAND_IN(C_DeriveKey, (SESSION, MECHANISM, TEMPLATE, NEW), (s, m, k, t, n, made),
         lie(&fault, made, sizeof *made, NULL))
STAND_IN(C_GenerateRandom, (SESSION, CK_BYTE_PTR out, CK_ULONG n), (s, out, n),
         lie(&fault, out, n, NULL))

static CK_RV my_C_GetMechanismInfo(CK_SLOT_ID slot, CK_MECHANISM_TYPE type,
                                   CK_MECHANISM_INFO_PTR info)
{
    struct fault fault = consult("C_GetMechanismInfo");

    if (fault.typed && fault.type != type)
        fault.what = NOTHING;
    CK_RV rv = fault.what == RV ? fault.value : real->C_GetMechanismInfo(slot, type, info);
    if (rv == CKR_OK) {
        lie(&fault, info, sizeof *info, NULL);
        lie_flags(&fault, &info->flags);
    }
    return fault.what == AFTER ? fault.value : rv;
}

/* A template with one attribute more, or another value of one. */
static void set_no(CK_ATTRIBUTE *template, CK_ULONG *n, CK_ATTRIBUTE_TYPE type)
{
    static CK_BBOOL no = CK_FALSE;
    CK_ULONG i = 0;

    while (i < *n && template[i].type != type)
        i++;
    template[i] = (CK_ATTRIBUTE){type, &no, sizeof no};
    *n += i == *n;
}

static CK_RV my_C_GenerateKeyPair(SESSION, CK_MECHANISM_PTR m, TEMPLATE, CK_ATTRIBUTE_PTR t2,
                                  CK_ULONG n2, NEW, CK_OBJECT_HANDLE_PTR made2)
{
    struct fault fault = consult("C_GenerateKeyPair");
    CK_ATTRIBUTE public[32], private[32];

    if (fault.what == RV)
        return fault.value;
    if (n > 30 || n2 > 30)
        abort();
    memcpy(public, t, n * sizeof *t);
    memcpy(private, t2, n2 * sizeof *t2);
    if (fault.what == OPEN)
        set_no(private, &n2, CKA_PRIVATE);
    if (fault.what == UNFIT) {
        set_no(public, &n, CKA_ENCRYPT);
        set_no(private, &n2, CKA_DECRYPT);
    }
    CK_RV rv = real->C_GenerateKeyPair(s, m, public, n, private, n2, made, made2);
    if (rv == CKR_OK)
        lie(&fault, made, sizeof *made, NULL);
    return fault.what == AFTER ? fault.value : rv;
}

/* A user type of 2 is a login for one use of an always-authenticate key; it is counted apart. With
 * no PIN, the real token gets that of MOCK_PINPAD: a key pad. */
static CK_RV my_C_Login(SESSION, CK_USER_TYPE user, CK_UTF8CHAR_PTR pin, CK_ULONG n)
{
    struct fault fault = consult(user == CKU_CONTEXT_SPECIFIC ? "C_Login_context" : "C_Login");
    char *typed = getenv("MOCK_PINPAD");

    if (pin == NULL && typed != NULL) {
        note("pinpad");
        pin = (CK_UTF8CHAR_PTR)typed;
        n = strlen(typed);
    }
    CK_RV rv = fault.what == RV ? fault.value : real->C_Login(s, user, pin, n);
    return fault.what == AFTER ? fault.value : rv;
}

static CK_RV my_C_Initialize(void *given)
{
    struct fault fault = consult("C_Initialize");
    /* NSS reads one pointer more than the standard's struct has */
    struct {
        CK_C_INITIALIZE_ARGS standard;
        void *reserved;
    } args = {0};

    if (given != NULL)
        args.standard = *(const CK_C_INITIALIZE_ARGS *)given;
    if (args.standard.pReserved == NULL)
        args.standard.pReserved = getenv("MOCK_ARGS");
    if (args.standard.pReserved != NULL) {
        args.standard.flags |= CKF_OS_LOCKING_OK;
        given = &args;
    }
    CK_RV rv = fault.what == RV ? fault.value : real->C_Initialize(given);
    return fault.what == AFTER ? fault.value : rv;
}

static CK_RV load(void)
{
    const char *path = getenv("MOCK_REAL");
    void *library = path != NULL ? dlopen(path, RTLD_NOW | RTLD_LOCAL) : NULL;
    CK_C_GetFunctionList get = NULL;

    if (library != NULL)
        *(void **)&get = dlsym(library, "C_GetFunctionList");
    return get != NULL ? get(&real) : CKR_GENERAL_ERROR;
}

CK_RV C_GetFunctionList(CK_FUNCTION_LIST_PTR_PTR list);

/* Asks the process, and those parts of it that are before this module, for the list. */
static CK_RV look_around(CK_FUNCTION_LIST_PTR_PTR list)
{
    void *everywhere = dlsym(RTLD_DEFAULT, "C_GetFunctionList");
    CK_C_GetFunctionList other = NULL;

    *(void **)&other = everywhere;
    return other == NULL || other == C_GetFunctionList ? real->C_GetFunctionList(list)
                                                       : other(list);
}

__attribute__((visibility("default"))) CK_RV C_GetFunctionList(CK_FUNCTION_LIST_PTR_PTR list)
{
    static CK_FUNCTION_LIST mine;
    struct fault fault = consult("C_GetFunctionList");

    if (fault.what == RV)
        return fault.value;
    if (real == NULL) {
        CK_RV rv = load();
        if (rv != CKR_OK)
            return rv;
    }
    mine = *real;
#define REPLACE(name) mine.name = my_##name
    REPLACE(C_Initialize), REPLACE(C_Finalize), REPLACE(C_GetInfo), REPLACE(C_GetSlotList);
    REPLACE(C_GetSlotInfo), REPLACE(C_GetTokenInfo), REPLACE(C_GetMechanismList);
    REPLACE(C_GetMechanismInfo), REPLACE(C_OpenSession), REPLACE(C_CloseSession);
    REPLACE(C_CloseAllSessions), REPLACE(C_GetSessionInfo), REPLACE(C_Login), REPLACE(C_Logout);
    REPLACE(C_CreateObject), REPLACE(C_DestroyObject), REPLACE(C_GetAttributeValue);
    REPLACE(C_SetAttributeValue), REPLACE(C_FindObjectsInit), REPLACE(C_FindObjects);
    REPLACE(C_FindObjectsFinal), REPLACE(C_EncryptInit), REPLACE(C_Encrypt), REPLACE(C_DecryptInit);
    REPLACE(C_Decrypt), REPLACE(C_SignInit), REPLACE(C_Sign), REPLACE(C_GenerateKey);
    REPLACE(C_GenerateKeyPair), REPLACE(C_WrapKey), REPLACE(C_UnwrapKey), REPLACE(C_DeriveKey);
    REPLACE(C_GenerateRandom);
    if (fault.what == HOLES) {
        struct _CK_VERSION version = mine.version;
        mine = (CK_FUNCTION_LIST){.version = version};
    }
    if (fault.what == VERSION)
        mine.version =
            (struct _CK_VERSION){(CK_BYTE)(fault.value >> 8), (CK_BYTE)(fault.value & 0xff)};
    if (fault.what == GLASS)
        return look_around(list);
    *list = fault.what == NULL_LIST ? NULL : &mine;
    return fault.what == AFTER ? fault.value : CKR_OK;
}

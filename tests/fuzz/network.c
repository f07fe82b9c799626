/* network: in place of libcurl, answers that an input holds; and a clock that only waiting moves.
 *
 * An answer is a byte, and then either a failure of libcurl or a status, a line of a header and a
 * body. What is sent is looked at: no line ends inside a header, and nothing in clear but to this
 * machine and its link. */
#include <stdarg.h>

#include "http/libcurl.h"
#include "tests/fuzz/fuzz.h"

/* The linker puts these in the place of the functions (--wrap). */
struct result __real_libcurl_load(const struct libcurl **out, struct err *err);
struct result __wrap_libcurl_load(const struct libcurl **out, struct err *err);
uint64_t __wrap_clock_ms(void);
bool __wrap_clock_wait(uint64_t milliseconds);

static struct wire_reader *answers;
static uint64_t now;

/* struct request: the one handle that there is. */
static struct request {
    const char *url;
    const struct curl_slist *headers;
    curl_write_callback on_body, on_header;
    void *body_arg, *header_arg;
    char *detail;
    long status;
    bool reached;
} request;

void fuzz_account(void)
{
    (void)fuzz_crypto();
    setenv("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE", 1);
    setenv("AWS_SECRET_ACCESS_KEY", FUZZ_SECRET_KEY, 1);
    setenv("AWS_CONFIG_FILE", "/dev/null", 1);
    setenv("AWS_SHARED_CREDENTIALS_FILE", "/dev/null", 1);
    setenv("AWS_REGION", "eu-west-1", 1);
}

void fuzz_network_answers(struct wire_reader *r)
{
    answers = r;
    now = 0;
}

uint64_t __wrap_clock_ms(void)
{
    return now;
}

bool __wrap_clock_wait(uint64_t milliseconds)
{
    now += milliseconds;
    return true;
}

static CURL *easy_init(void)
{
    request = (struct request){0};
    return &request;
}

static CURLcode easy_setopt(CURL *handle, CURLoption option, ...)
{
    va_list ap;

    (void)handle;
    va_start(ap, option);
    if (option == CURLOPT_URL)
        request.url = va_arg(ap, const char *);
    else if (option == CURLOPT_HTTPHEADER)
        request.headers = va_arg(ap, const struct curl_slist *);
    else if (option == CURLOPT_WRITEFUNCTION)
        request.on_body = va_arg(ap, curl_write_callback);
    else if (option == CURLOPT_HEADERFUNCTION)
        request.on_header = va_arg(ap, curl_write_callback);
    else if (option == CURLOPT_WRITEDATA)
        request.body_arg = va_arg(ap, void *);
    else if (option == CURLOPT_HEADERDATA)
        request.header_arg = va_arg(ap, void *);
    else if (option == CURLOPT_ERRORBUFFER)
        request.detail = va_arg(ap, char *);
    va_end(ap);
    return CURLE_OK;
}

static bool is_near(const char *url)
{
    static const char *const hosts[] = {"localhost",     "127.",           "[",
                                        "169.254.170.2", "169.254.170.23", "169.254.169.254"};

    for (size_t i = 0; i < sizeof hosts / sizeof *hosts; i++)
        if (strncasecmp(url + strlen("http://"), hosts[i], strlen(hosts[i])) == 0)
            return true;
    return false;
}

static void check_request(void)
{
    HOLDS(request.url != NULL && strpbrk(request.url, "\r\n") == NULL);
    HOLDS(strncasecmp(request.url, "http://", 7) != 0 || is_near(request.url));
    for (const struct curl_slist *l = request.headers; l != NULL; l = l->next)
        HOLDS(strpbrk(l->data, "\r\n") == NULL);
}

/* libcurl hands over copies, and a body in pieces. */
static bool deliver(curl_write_callback take, void *arg, struct view bytes)
{
    char *copy STRING_CLEANUP = fuzz_text(bytes);
    size_t half = bytes.size / 2;

    return bytes.size == 0 || (take(copy, 1, half, arg) == half &&
                               take(copy + half, 1, bytes.size - half, arg) == bytes.size - half);
}

static CURLcode easy_perform(CURL *handle)
{
    uint8_t kind = fuzz_byte(answers);

    (void)handle;
    check_request();
    if (answers->bad)
        return CURLE_COULDNT_CONNECT;
    request.reached = kind % 8 != 7 || kind / 16 % 2 == 1;
    if (kind % 8 == 7) {
        if (kind % 16 == 7)
            snprintf(request.detail, CURL_ERROR_SIZE, "it does not work");
        return (CURLcode)(1 + fuzz_byte(answers) % (CURL_LAST - 1));
    }
    request.status = wire_get_u16(answers);
    char *line STRING_CLEANUP = fuzz_text(wire_get_sized(answers));
    (void)request.on_header(line, 1, strlen(line), request.header_arg);
    for (unsigned times = kind % 8 == 6 ? 3 : 1; times > 0; times--)
        if (!deliver(request.on_body, request.body_arg, wire_get_sized(answers)))
            return CURLE_WRITE_ERROR;
    return CURLE_OK;
}

static CURLcode easy_getinfo(CURL *handle, CURLINFO info, ...)
{
    va_list ap;

    (void)handle;
    HOLDS(info == CURLINFO_RESPONSE_CODE || info == CURLINFO_CONNECT_TIME_T);
    va_start(ap, info);
    if (info == CURLINFO_RESPONSE_CODE)
        *va_arg(ap, long *) = request.status;
    else
        *va_arg(ap, curl_off_t *) = request.reached;
    va_end(ap);
    return CURLE_OK;
}

static void easy_cleanup(CURL *handle)
{
    (void)handle;
}

/* Nothing is kept. */
static CURLSH *share_init(void)
{
    return NULL;
}

struct result __wrap_libcurl_load(const struct libcurl **out, struct err *err)
{
    static struct libcurl made;
    const struct libcurl *real;

    if (!__real_libcurl_load(&real, err).ok)
        return FAIL;
    made = *real;
    made.easy_init = easy_init;
    made.easy_setopt = easy_setopt;
    made.easy_perform = easy_perform;
    made.easy_getinfo = easy_getinfo;
    made.easy_cleanup = easy_cleanup;
    made.share_init = share_init;
    *out = &made;
    return OK;
}

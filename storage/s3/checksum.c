#include "storage/s3/checksum.h"

#include <sodium.h>
#include <string.h>

#include "storage/s3/objects.h"

/* Polynomials over GF(2), reflected: the highest bit is the constant term. */
#define POLYNOMIAL UINT64_C(0x9a6c9329ac4bc9b5)
#define ONE (UINT64_C(1) << 63)
#define SUM_SIZE 8

static uint64_t times_x(uint64_t a)
{
    return (a & 1) != 0 ? a >> 1 ^ POLYNOMIAL : a >> 1;
}

static uint64_t multiply(uint64_t a, uint64_t b)
{
    uint64_t product = 0;

    for (uint64_t bit = ONE; bit != 0; bit >>= 1) {
        if ((a & bit) != 0)
            product ^= b;
        b = times_x(b);
    }
    return product;
}

/* x to the power of 8 * bytes: what as many zero bytes after it do to a sum. */
static uint64_t power(uint64_t bytes)
{
    uint64_t result = ONE, square = ONE >> 8;

    for (; bytes > 0; bytes >>= 1) {
        if ((bytes & 1) != 0)
            result = multiply(result, square);
        square = multiply(square, square);
    }
    return result;
}

/* A CRC is linear but for what it begins and ends with, which is the same in both: so the sums
 * differ by that of the difference, and the zeros after it. */
uint64_t checksum_changed(uint64_t sum, struct view was, const uint8_t *now, uint64_t size)
{
    uint64_t difference = 0;

    for (size_t i = 0; i < was.size; i++) {
        difference ^= (uint64_t)(was.bytes[i] ^ now[i]);
        for (unsigned bit = 0; bit < 8; bit++)
            difference = times_x(difference);
    }
    return sum ^ multiply(difference, power(size - was.size));
}

static bool read_sum(const struct http_answer *answer, uint64_t *sum)
{
    char text[HTTP_HEADER_MAX + 1];
    uint8_t bytes[SUM_SIZE];
    size_t size;

    if (!http_header(answer, "x-amz-checksum-type", text, sizeof text) ||
        strcmp(text, "FULL_OBJECT") != 0 ||
        !http_header(answer, "x-amz-checksum-crc64nvme", text, sizeof text) ||
        sodium_base642bin(bytes, sizeof bytes, text, strlen(text), NULL, &size, NULL,
                          sodium_base64_VARIANT_ORIGINAL) != 0 ||
        size != sizeof bytes)
        return false;
    struct wire_reader reader = wire_reader(bytes, sizeof bytes);
    *sum = wire_get_u64(&reader);
    return true;
}

struct result s3_checksum(const struct object *o, const char *tag, uint64_t *sum, bool *kept,
                          struct err *err)
{
    struct http_answer answer HTTP_ANSWER_CLEANUP = {0};
    struct s3_headers headers S3_HEADERS_CLEANUP = {0};
    const struct s3_request r = {
        .what = "s3:GetObject", .method = "HEAD", .key = o->key, .headers = headers.lines};
    struct fault fault;

    if (!s3_headers_add(&headers, err, "x-amz-checksum-mode: ENABLED").ok ||
        !s3_headers_add(&headers, err, "If-Match: %s", tag).ok)
        return FAIL;
    if (!s3_send(s3_of(o), &r, &answer, &fault, err).ok) {
        err_file(err, o->path);
        return FAIL;
    }
    if (fault.name[0] != '\0' && fault.class == ERR_STORE)
        return s3_refused(&r, &fault, o->path, err);
    *kept = fault.name[0] == '\0' && read_sum(&answer, sum);
    return OK;
}

/* How an object is cut into parts, and where these are held. */
#include <sys/stat.h>

#include "storage/s3/part_buffer.h"
#include "storage/s3/request.h"
#include "storage/s3/splice.h"
#include "tests/unit/test.h"

#define MIB ((uint64_t)1 << 20)
#define TIB ((uint64_t)1 << 40)

/* 10,000 parts of a stream hold 4.8 TiB, and none of them is larger than S3 takes. */
static void growth(void)
{
    uint64_t size = S3_PART_MIN, all = 0;

    for (unsigned parts = 0; parts < S3_PARTS_MAX; parts++) {
        size = part_size_next(size, parts);
        CHECK(size >= S3_PART_MIN && size <= S3_PART_MAX);
        CHECK(parts >= 1000 || size == S3_PART_MIN);
        all += size;
    }
    CHECK(all > 48 * TIB / 10);
}

static void expected(void)
{
    static const uint64_t sizes[] = {0,           1,   5 * MIB, 50000 * MIB,
                                     50001 * MIB, TIB, 5 * TIB, 48 * TIB};

    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        uint64_t size = part_size_for(sizes[i]);
        CHECK(size >= S3_PART_MIN && size <= S3_PART_MAX && size * S3_PARTS_MAX >= sizes[i]);
        CHECK(size == S3_PART_MIN || size / 2 * S3_PARTS_MAX <= sizes[i]);
    }
    CHECK(part_size_for(49 * TIB) == 0 && part_size_for(UINT64_MAX) == 0);
}

/* What a server copies of the largest object there is comes in no more parts than an upload has,
 * and none of them is larger than it copies at once. */
static void copied(void)
{
    static const uint64_t sizes[] = {5 * MIB + 1, TIB,      9 * TIB,
                                     20 * TIB,    40 * TIB, 4880 * TIB / 100};

    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        uint64_t copies = splice_copies(sizes[i]), rest = sizes[i] - S3_PART_MIN;
        CHECK(copies >= 1 && copies < S3_PARTS_MAX && copies * S3_COPY_MAX >= rest);
    }
    CHECK(splice_copies(TIB) == 1024);
}

static const char *no_variable(void *arg, const char *name)
{
    (void)arg, (void)name;
    return NULL;
}

/* What was put in while the parts fitted into memory is there when they do not. */
static void held(void)
{
    const struct environment environment = {.get = no_variable};
    struct part_buffer b = {0};
    struct err err = {0};
    char bytes[4];
    size_t got;

    MUST(part_buffer_shape(&b, 1000, 4000, 0, &environment, &err).ok);
    CHECK(b.slots == PART_SLOTS_MAX);
    CHECK(part_buffer_put(&b, 0, 0, "abc", 3, &err).ok);
    CHECK(part_buffer_put(&b, 3, 0, "xyz", 3, &err).ok);
    CHECK(memcmp(part_buffer_memory(&b, 3, 3).bytes, "xyz", 3) == 0);
    MUST(part_buffer_shape(&b, 8000, 4000, 3, &environment, &err).ok);
    CHECK(b.slots == 2 && b.memory == NULL);
    CHECK(part_buffer_put(&b, 0, 3, "d", 1, &err).ok &&
          part_buffer_put(&b, 1, 0, "efgh", 4, &err).ok);
    struct http_file first = part_buffer_file(&b, 0, 4), second = part_buffer_file(&b, 1, 4);
    CHECK(http_file_read(&first, 0, bytes, 4, &got, &err).ok && memcmp(bytes, "abcd", 4) == 0);
    CHECK(http_file_read(&second, 1, bytes, 4, &got, &err).ok && got == 3 && bytes[0] == 'f');
    struct stat st;
    CHECK(fstat(b.file, &st) == 0 && st.st_nlink == 0);
    part_buffer_free(&b);
}

int main(void)
{
    struct err err = {0};

    MUST(secret_init(&err).ok);
    RUN(growth);
    RUN(expected);
    RUN(copied);
    RUN(held);
    return DONE();
}

#include "storage/s3/cost.h"

#include <string.h>
#include <strings.h>

#include "storage/s3/request.h"
#include "storage/s3/splice.h"

/* struct price: of a request, in millionths of a cent, as AWS lists them for us-east-1. */
struct price {
    const char *class;
    uint64_t read, write;
};

static const struct price prices[] = {
    {"STANDARD", 40, 500},      {"STANDARD_IA", 100, 1000},       {"ONEZONE_IA", 100, 1000},
    {"GLACIER_IR", 1000, 2000}, {"INTELLIGENT_TIERING", 40, 500}, {"GLACIER", 40, 3000},
    {"DEEP_ARCHIVE", 40, 5000}, {"REDUCED_REDUNDANCY", 40, 500},
};

/* By the class that the object has; one that AWS does not list here is taken as the first. */
static const struct price *price_of(const struct object_look *look)
{
    static const char header[] = "x-amz-storage-class:";

    for (const char *at = look->kept; at != NULL && *at != '\0'; at += *at == '\n') {
        size_t size = strcspn(at, "\n"), name = sizeof header - 1;
        if (size > name && strncasecmp(at, header, name) == 0) {
            const char *value = at + name + strspn(at + name, " ");
            size_t length = (size_t)(at + size - value);
            for (size_t i = 0; i < sizeof prices / sizeof *prices; i++)
                if (strlen(prices[i].class) == length &&
                    memcmp(value, prices[i].class, length) == 0)
                    return &prices[i];
        }
        at += size;
    }
    return &prices[0];
}

/* A small object is put anew; of a larger one a part is sent and the rest copied, between the
 * beginning of an upload and its end. */
struct object_cost s3_cost(const struct object_look *look, uint64_t moved)
{
    const struct price *price = price_of(look);
    struct object_cost cost = {.class = price->class, .reads = look->tagged};
    bool whole = look->size <= S3_PART_MIN;
    uint64_t bytes = whole ? look->size : S3_PART_MIN;

    cost.reads += whole ? look->size > moved : 3; /* what stays of it, and its checksum twice */
    cost.writes = whole ? 1 : 3 + splice_copies(look->size);
    cost.up = bytes;
    cost.down = look->size > moved ? bytes : 0;
    cost.price = cost.reads * price->read + cost.writes * price->write;
    cost.price_of_look = price->read;
    return cost;
}

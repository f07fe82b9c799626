#include "base/rate.h"

#include "base/clock.h"

#define SECOND 1000000u /* microseconds */

void rate_init(struct rate *r, uint64_t per_second)
{
    *r = (struct rate){.per_second = per_second};
    pthread_mutex_init(&r->lock, NULL);
}

void rate_end(struct rate *r)
{
    pthread_mutex_destroy(&r->lock);
}

bool rate_take(struct rate *r, uint64_t bytes)
{
    if (r == NULL || r->per_second == 0)
        return true;
    pthread_mutex_lock(&r->lock);
    uint64_t now = clock_ms() * 1000, begin = r->free_at > now ? r->free_at : now;
    r->free_at = begin + bytes * SECOND / r->per_second;
    pthread_mutex_unlock(&r->lock);
    return begin == now || clock_wait((begin - now) / 1000);
}

/* rate: how many bytes may move in a second, for all threads that share it. */
#ifndef BULLA_BASE_RATE_H
#define BULLA_BASE_RATE_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

/* struct rate: made by rate_init; {0} needs no end. */
struct rate {
    uint64_t per_second; /* bytes; 0 = as many as there are */
    pthread_mutex_t lock;
    uint64_t free_at; /* when all that was taken has moved, in microseconds of a steady clock */
};

/* rate_init sets the number of bytes for a second; rate_end frees what it has. */
void rate_init(struct rate *r, uint64_t per_second);
void rate_end(struct rate *r);

/* rate_take waits until so many bytes may move; false if the run is interrupted meanwhile. r may be
 * NULL. */
bool rate_take(struct rate *r, uint64_t bytes);

#endif

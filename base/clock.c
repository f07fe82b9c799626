#include "base/clock.h"

#include "base/stream.h"

#define STEP 10 /* milliseconds, after which an interruption is seen */

uint64_t clock_now(void)
{
    return (uint64_t)time(NULL);
}

uint64_t clock_ms(void)
{
    struct timespec now = clock_after(0);

    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

struct timespec clock_after(uint64_t milliseconds)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    t.tv_sec += (time_t)(milliseconds / 1000);
    t.tv_nsec += (long)(milliseconds % 1000) * 1000000;
    t.tv_sec += t.tv_nsec / 1000000000;
    t.tv_nsec %= 1000000000;
    return t;
}

void clock_sleep(uint64_t milliseconds)
{
    struct timespec t = {.tv_sec = (time_t)(milliseconds / 1000),
                         .tv_nsec = (long)(milliseconds % 1000) * 1000000};

    (void)nanosleep(&t, NULL);
}

bool clock_wait(uint64_t milliseconds)
{
    uint64_t end = clock_ms() + milliseconds;

    while (clock_ms() < end && !stream_interrupted())
        clock_sleep(STEP);
    return !stream_interrupted();
}

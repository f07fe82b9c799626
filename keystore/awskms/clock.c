#include "keystore/awskms/clock.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/stream.h"

#define STEP 10 /* milliseconds, after which an interruption is seen */

uint64_t clock_ms(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

bool clock_wait(uint64_t milliseconds)
{
    uint64_t end = clock_ms() + milliseconds;

    while (clock_ms() < end && !stream_interrupted())
        (void)nanosleep(&(struct timespec){.tv_nsec = STEP * 1000000L}, NULL);
    return !stream_interrupted();
}

/* "Z" or "+01:00", in seconds east of Greenwich. */
static bool read_zone(long *east, const char *text)
{
    int hours, minutes;
    char sign, end;

    *east = 0;
    if (strcmp(text, "Z") == 0)
        return true;
    if (sscanf(text, "%c%2d:%2d%c", &sign, &hours, &minutes, &end) != 3 ||
        (sign != '+' && sign != '-'))
        return false;
    *east = (sign == '-' ? -60L : 60L) * (hours * 60L + minutes);
    return true;
}

bool time_read(uint64_t *seconds, const char *text)
{
    struct tm tm = {0};
    const char *end = strptime(text, "%Y-%m-%dT%H:%M:%S", &tm);
    long east;

    if (end == NULL)
        return false;
    if (*end == '.')
        end += 1 + strspn(end + 1, "0123456789");
    if (!read_zone(&east, end))
        return false;
    time_t t = timegm(&tm) - east;
    if (t < 0)
        return false;
    *seconds = (uint64_t)t;
    return true;
}

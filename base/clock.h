/* clock: the time of day, and how long things take by a clock that nobody can set. */
#ifndef BULLA_BASE_CLOCK_H
#define BULLA_BASE_CLOCK_H

#include <stdbool.h>
#include <stdint.h>
#include <time.h>

/* clock_now is the time in seconds since 1970, as the machine has it. */
uint64_t clock_now(void);

/* clock_ms is the time in milliseconds since a moment in the past that stays the same for a run. */
uint64_t clock_ms(void);

/* clock_after is the time so many milliseconds from now, for pthread_cond_timedwait by
 * CLOCK_MONOTONIC. */
struct timespec clock_after(uint64_t milliseconds);

/* clock_sleep waits, unless a signal comes. */
void clock_sleep(uint64_t milliseconds);

/* clock_wait waits, unless the run is interrupted: false then. */
bool clock_wait(uint64_t milliseconds);

#endif

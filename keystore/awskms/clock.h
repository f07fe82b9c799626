/* clock: how long things take, and when they end. */
#ifndef BULLA_KEYSTORE_AWSKMS_CLOCK_H
#define BULLA_KEYSTORE_AWSKMS_CLOCK_H

#include <stdbool.h>
#include <stdint.h>

/* clock_ms is a clock that nobody sets, in milliseconds. */
uint64_t clock_ms(void);

/* clock_wait waits, unless the run is interrupted: false then. */
bool clock_wait(uint64_t milliseconds);

/* time_read reads the time of an expiry: RFC 3339, with or without a fraction, in any zone. */
bool time_read(uint64_t *seconds, const char *text);

#endif

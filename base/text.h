/* text: UTF-8, endings, escaping for the terminal and for URIs, hex, and UTC times (RFC 3339). */
#ifndef BULLA_BASE_TEXT_H
#define BULLA_BASE_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define TEXT_TIME_MAX 253402300799u /* 9999-12-31T23:59:59Z, in seconds since 1970 */
#define TEXT_TIME_SIZE 21           /* "2026-11-23T19:05:00Z" and a zero */

/* text_is_utf8 is true for valid UTF-8 (RFC 3629) without a zero byte. */
bool text_is_utf8(const void *bytes, size_t size);

/* text_ends_with is true if a text is longer than the suffix and ends in it. */
bool text_ends_with(const char *text, const char *suffix);

/* text_escape writes size bytes to out as one harmless line: control characters (C0, DEL, C1),
 * backslashes, the characters that turn the direction of text, line separators and bytes that are
 * not UTF-8 become \xNN. Writes at most room bytes with the terminating zero, cutting what does not
 * fit at the end of an escape; returns out. */
char *text_escape(char *out, size_t room, const void *bytes, size_t size);

/* TEXT_ESCAPED is room enough for the escaped form of n bytes. */
#define TEXT_ESCAPED(n) (4 * (n) + 1)

/* text_percent writes a string with all but the unreserved characters of RFC 3986 as %XX to out,
 * which has room for TEXT_PERCENT(its length) bytes; returns out. */
char *text_percent(char *out, const char *text);

/* text_unpercent undoes that in place, and '+' for a blank, as forms and lists of S3 have it; false
 * for what is no %XX, or a zero byte. */
bool text_unpercent(char *text);
#define TEXT_PERCENT(n) (3 * (n) + 1)

/* text_hex writes 2 * size lowercase digits and a zero to out; returns out. */
char *text_hex(char *out, const uint8_t *bytes, size_t size);

/* text_unhex reads exactly 2 * size lowercase hex digits and the string's end. The bytes may be
 * secret: no branch depends on a digit's value except that it is one. */
bool text_unhex(uint8_t *out, size_t size, const char *text);

/* text_time writes seconds since 1970 (at most TEXT_TIME_MAX) as RFC 3339 UTC; returns out. */
char *text_time(char out[TEXT_TIME_SIZE], uint64_t seconds);

/* text_untime reads exactly the form that text_time writes. */
bool text_untime(uint64_t *seconds, const char *text);

#endif

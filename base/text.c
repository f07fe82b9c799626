#include "base/text.h"

#include <sodium.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

/* The length of the valid UTF-8 sequence at s (1 to 4) and its code point, or 0. */
static size_t sequence(const uint8_t *s, size_t left, uint32_t *code)
{
    static const struct {
        uint8_t mask, lead;
        uint32_t least;
    } form[] = {{0x80, 0x00, 0}, {0xe0, 0xc0, 0x80}, {0xf0, 0xe0, 0x800}, {0xf8, 0xf0, 0x10000}};

    /*@ loop invariant 1 <= len <= 5;
        loop assigns len; */
    for (size_t len = 1; len <= 4; len++) {
        if ((s[0] & form[len - 1].mask) != form[len - 1].lead)
            continue;
        if (len > left)
            return 0;
        uint32_t c = s[0] & (uint8_t)~form[len - 1].mask;
        /*@ loop invariant 1 <= i;
            loop assigns i, c; */
        for (size_t i = 1; i < len; i++) {
            if ((s[i] & 0xc0) != 0x80)
                return 0;
            c = c << 6 | (s[i] & 0x3f);
        }
        if (c < form[len - 1].least || c > 0x10ffff || (c >= 0xd800 && c <= 0xdfff))
            return 0;
        *code = c;
        return len;
    }
    return 0;
}

bool text_is_utf8(const void *bytes, size_t size)
{
    const uint8_t *s = bytes;
    uint32_t code;

    /*@ loop invariant i <= size;
        loop assigns i, code; */
    for (size_t i = 0; i < size;) {
        size_t len = sequence(s + i, size - i, &code);
        if (len == 0 || code == 0)
            return false;
        i += len;
    }
    return true;
}

bool text_ends_with(const char *text, const char *suffix)
{
    size_t n = strlen(text), s = strlen(suffix);

    return n > s && strcmp(text + n - s, suffix) == 0;
}

static bool harmless(uint32_t c)
{
    return c >= 0x20 && c != '\\' && !(c >= 0x7f && c <= 0x9f) && c != 0x061c &&
           !(c >= 0x200b && c <= 0x200f) && !(c >= 0x2028 && c <= 0x202e) &&
           !(c >= 0x2060 && c <= 0x206f) && c != 0xfeff && !(c >= 0xe0000 && c <= 0xe007f);
}

char *text_escape(char *out, size_t room, const void *bytes, size_t size)
{
    const uint8_t *s = bytes;
    size_t used = 0;

    for (size_t i = 0; i < size;) {
        char piece[17];
        uint32_t code = 0;
        size_t len = sequence(s + i, size - i, &code);
        if (len > 0 && harmless(code)) {
            memcpy(piece, s + i, len);
            piece[len] = '\0';
        } else {
            len = len > 0 ? len : 1;
            for (size_t k = 0; k < len; k++)
                snprintf(piece + 4 * k, 5, "\\x%02x", s[i + k]);
        }
        size_t grow = strlen(piece);
        if (used + grow >= room)
            break;
        memcpy(out + used, piece, grow);
        used += grow;
        i += len;
    }
    out[used] = '\0';
    return out;
}

char *text_percent(char *out, const char *text)
{
    static const char kept[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.~";
    char *at = out;

    for (; *text != '\0'; text++)
        if (strchr(kept, *text) != NULL)
            *at++ = *text;
        else
            at += snprintf(at, 4, "%%%02X", (unsigned char)*text);
    *at = '\0';
    return out;
}

char *text_hex(char *out, const uint8_t *bytes, size_t size)
{
    return sodium_bin2hex(out, 2 * size + 1, bytes, size);
}

bool text_unhex(uint8_t *out, size_t size, const char *text)
{
    size_t got;

    if (strlen(text) != 2 * size)
        return false;
    for (size_t i = 0; i < 2 * size; i++)
        if (text[i] >= 'A' && text[i] <= 'F')
            return false;
    return sodium_hex2bin(out, size, text, 2 * size, NULL, &got, NULL) == 0 && got == size;
}

char *text_time(char out[TEXT_TIME_SIZE], uint64_t seconds)
{
    time_t t = (time_t)seconds;
    struct tm tm;

    if (seconds > TEXT_TIME_MAX || gmtime_r(&t, &tm) == NULL ||
        strftime(out, TEXT_TIME_SIZE, "%Y-%m-%dT%H:%M:%SZ", &tm) != TEXT_TIME_SIZE - 1)
        memcpy(out, "0000-00-00T00:00:00Z", TEXT_TIME_SIZE);
    return out;
}

bool text_untime(uint64_t *seconds, const char *text)
{
    struct tm tm = {0};
    char again[TEXT_TIME_SIZE];

    if (strlen(text) != TEXT_TIME_SIZE - 1)
        return false;
    const char *end = strptime(text, "%Y-%m-%dT%H:%M:%SZ", &tm);
    if (end == NULL || *end != '\0')
        return false;
    time_t t = timegm(&tm);
    if (t < 0 || strcmp(text_time(again, (uint64_t)t), text) != 0)
        return false;
    *seconds = (uint64_t)t;
    return true;
}

bool text_unpercent(char *text)
{
    char *to = text;

    for (; *text != '\0'; text++) {
        unsigned value;
        if (*text != '%') {
            *to++ = (char)(*text == '+' ? ' ' : *text);
            continue;
        }
        if (strspn(text + 1, "0123456789abcdefABCDEF") < 2 ||
            sscanf(text + 1, "%2x", &value) != 1 || value == 0)
            return false;
        *to++ = (char)value;
        text += 2;
    }
    *to = '\0';
    return true;
}

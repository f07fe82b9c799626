#include "keystore/pem.h"

#include <sodium.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"

#define BEGIN "-----BEGIN PUBLIC KEY-----"
#define END "-----END PUBLIC KEY-----"
#define LINE 64 /* characters of base64 */
#define BASE64 sodium_base64_VARIANT_ORIGINAL

/* The lines in front, by the offset of what they fill. */
static const struct {
    const char *name;
    size_t offset, room;
} lines[] = {
    {"Token: ", offsetof(struct pem, token_label), sizeof((struct pem *)0)->token_label},
    {"Serial: ", offsetof(struct pem, token_serial), sizeof((struct pem *)0)->token_serial},
    {"Label: ", offsetof(struct pem, key_label), sizeof((struct pem *)0)->key_label},
};

#define LINES (sizeof lines / sizeof *lines)
#define ID_LINE "CKA_ID: "

struct key_pair_hints pem_hints(const struct pem *pem)
{
    return (struct key_pair_hints){view_text(pem->token_label),
                                   view_text(pem->token_serial),
                                   view_text(pem->key_label),
                                   {pem->id, pem->id_size}};
}

static bool begins(const char *line, size_t size, const char *with)
{
    return size >= strlen(with) && memcmp(line, with, strlen(with)) == 0;
}

/* A hint that does not fit is no hint. */
static void read_line(struct pem *pem, const char *line, size_t size)
{
    char hex[2 * sizeof pem->id + 1];

    for (size_t i = 0; i < LINES; i++) {
        size_t n = strlen(lines[i].name);
        if (begins(line, size, lines[i].name) && size - n < lines[i].room &&
            text_is_utf8(line + n, size - n)) {
            char *to = (char *)pem + lines[i].offset;
            memcpy(to, line + n, size - n);
            to[size - n] = '\0';
        }
    }
    if (!begins(line, size, ID_LINE) || size - strlen(ID_LINE) >= sizeof hex)
        return;
    size -= strlen(ID_LINE);
    memcpy(hex, line + strlen(ID_LINE), size);
    hex[size] = '\0';
    if (size % 2 == 0 && text_unhex(pem->id, size / 2, hex))
        pem->id_size = size / 2;
}

static void read_lines(struct pem *pem, const char *text, const char *end)
{
    while (text < end) {
        const char *newline = memchr(text, '\n', (size_t)(end - text));
        const char *stop = newline != NULL ? newline : end;
        size_t size = (size_t)(stop - text);
        if (size > 0 && text[size - 1] == '\r')
            size--;
        read_line(pem, text, size);
        text = stop + 1;
    }
}

struct result pem_read(struct pem *pem, const struct crypto *crypto, const char *text, size_t size,
                       struct err *err)
{
    struct pem made = {0};
    uint8_t der[PEM_MAX]; /* room for a key that is too large, so that spki_read can say so */
    size_t der_size;
    const char *begin = memmem(text, size, BEGIN, strlen(BEGIN)), *rest;

    if (begin == NULL) {
        (void)fail(err, ERR_UNSUPPORTED, "it has no line '%s'", BEGIN);
        return fail_hint(err,
                         "'openssl x509 -pubkey' and 'openssl pkey -pubout' make a public key of a "
                         "certificate or a private key");
    }
    read_lines(&made, text, begin);
    const char *base64 = begin + strlen(BEGIN);
    size_t left = size - (size_t)(base64 - text);
    if (sodium_base642bin(der, sizeof der, base64, left, "\r\n\t ", &der_size, &rest, BASE64) !=
            0 ||
        !begins(rest, size - (size_t)(rest - text), END))
        return fail(err, ERR_DAMAGED, "its base64 is not right");
    if (memmem(rest, size - (size_t)(rest - text), "-----BEGIN ", 11) != NULL)
        return fail(err, ERR_DAMAGED, "it has more than one key");
    if (!spki_read(&made.spki, crypto, (struct view){der, der_size}, err).ok)
        return FAIL;
    *pem = made;
    return OK;
}

/* struct page: text that grows. */
struct page {
    char text[PEM_MAX];
    size_t size;
};

__attribute__((format(printf, 2, 3))) static void put(struct page *page, const char *fmt, ...)
{
    size_t room = sizeof page->text - page->size;
    va_list ap;

    va_start(ap, fmt);
    int n = vsnprintf(page->text + page->size, room, fmt, ap);
    va_end(ap);
    if (n > 0 && (size_t)n < room)
        page->size += (size_t)n;
}

/* Only text that stays one line is written. */
static void put_hint(struct page *page, const char *name, const char *value)
{
    if (value[0] != '\0' && strpbrk(value, "\r\n") == NULL && strstr(value, "-----") == NULL)
        put(page, "%s%s\n", name, value);
}

struct result pem_text(const struct pem *pem, char **text, struct err *err)
{
    char base64[sodium_base64_ENCODED_LEN(SPKI_MAX, BASE64)], hex[2 * sizeof pem->id + 1];
    struct page page = {0};

    put(&page, "A public key for bulla: it seals, and opens nothing.\n");
    for (size_t i = 0; i < LINES; i++)
        put_hint(&page, lines[i].name, (const char *)pem + lines[i].offset);
    if (pem->id_size > 0)
        put(&page, ID_LINE "%s\n", text_hex(hex, pem->id, pem->id_size));
    put(&page, "SPKI-SHA256: %s\n", text_hex(hex, pem->spki.hash, SHA256_SIZE));
    sodium_bin2base64(base64, sizeof base64, pem->spki.der, pem->spki.size, BASE64);
    put(&page, BEGIN "\n");
    for (size_t at = 0; at < strlen(base64); at += LINE)
        put(&page, "%.*s\n", LINE, base64 + at);
    put(&page, END "\n");
    *text = strndup(page.text, page.size);
    return *text != NULL ? OK : fail_memory(err);
}

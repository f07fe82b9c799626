#include "http/xml.h"

#include <expat.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/late_library.h"
#include "http/wiping_allocator.h"

/* Expat is loaded when it is needed first, as libcurl is. */
static struct {
    __typeof__(&XML_ParserCreate_MM) create;
    __typeof__(&XML_ParserFree) free;
    __typeof__(&XML_Parse) parse;
    __typeof__(&XML_StopParser) stop;
    __typeof__(&XML_SetUserData) set_user_data;
    __typeof__(&XML_SetElementHandler) set_element_handler;
    __typeof__(&XML_SetCharacterDataHandler) set_text_handler;
    __typeof__(&XML_SetStartDoctypeDeclHandler) set_doctype_handler;
} expat;

static const struct late_library_symbol symbols[] = {
    {"XML_ParserCreate_MM", &expat.create},
    {"XML_ParserFree", &expat.free},
    {"XML_Parse", &expat.parse},
    {"XML_StopParser", &expat.stop},
    {"XML_SetUserData", &expat.set_user_data},
    {"XML_SetElementHandler", &expat.set_element_handler},
    {"XML_SetCharacterDataHandler", &expat.set_text_handler},
    {"XML_SetStartDoctypeDeclHandler", &expat.set_doctype_handler},
    {NULL, NULL},
};

static const struct late_library file = {"libexpat.so.1", "libexpat1", "XML takes", symbols};

static struct result load(struct err *err)
{
    static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

    pthread_mutex_lock(&lock);
    struct result r = expat.create != NULL ? OK : late_library_load(&file, err);
    pthread_mutex_unlock(&lock);
    return r;
}

struct xml_reader {
    XML_Parser parser;
    bool (*end)(void *arg, const struct xml_element *element);
    void *arg;
    char names[XML_DEPTH_MAX][XML_NAME_MAX + 1]; /* of the elements that are open */
    size_t depth, size;
    struct secret text; /* an answer of STS has keys in it */
    size_t text_size;
    bool failed;
};

static void give_up(struct xml_reader *r)
{
    r->failed = true;
    (void)expat.stop(r->parser, XML_FALSE);
}

static void on_start(void *arg, const XML_Char *name, const XML_Char **attributes)
{
    struct xml_reader *r = arg;

    (void)attributes;
    if (r->depth == XML_DEPTH_MAX || strlen(name) > XML_NAME_MAX) {
        give_up(r);
        return;
    }
    memcpy(r->names[r->depth++], name, strlen(name) + 1);
    r->text_size = 0;
}

static void on_end(void *arg, const XML_Char *name)
{
    struct xml_reader *r = arg;

    (void)name;
    if (r->failed)
        return;
    r->text.bytes[r->text_size] = '\0';
    r->depth--;
    const struct xml_element element = {.name = r->names[r->depth],
                                        .parent = r->depth > 0 ? r->names[r->depth - 1] : "",
                                        .depth = r->depth + 1,
                                        .text = (const char *)r->text.bytes};
    if (!r->end(r->arg, &element))
        give_up(r);
    r->text_size = 0;
}

static void on_text(void *arg, const XML_Char *text, int size)
{
    struct xml_reader *r = arg;

    if (r->failed || (size_t)size > XML_TEXT_MAX - r->text_size) {
        give_up(r);
        return;
    }
    memcpy(r->text.bytes + r->text_size, text, (size_t)size);
    r->text_size += (size_t)size;
}

/* No answer has a document type; it could define entities that grow without end. */
static void on_doctype(void *arg, const XML_Char *name, const XML_Char *system,
                       const XML_Char *public, int has_subset)
{
    (void)name, (void)system, (void)public, (void)has_subset;
    give_up(arg);
}

struct result xml_reader_new(struct xml_reader **out,
                             bool (*end)(void *arg, const struct xml_element *element), void *arg,
                             struct err *err)
{
    static const XML_Memory_Handling_Suite memory = {malloc, wiping_realloc, wiping_free};

    if (!load(err).ok)
        return FAIL;
    struct xml_reader *r = calloc(1, sizeof *r);
    if (r == NULL)
        return fail_memory(err);
    r->end = end;
    r->arg = arg;
    r->parser = expat.create(NULL, &memory, NULL);
    if (r->parser == NULL || !secret_new(&r->text, XML_TEXT_MAX + 1, err).ok) {
        xml_reader_free(&r);
        return fail_memory(err);
    }
    expat.set_user_data(r->parser, r);
    expat.set_element_handler(r->parser, on_start, on_end);
    expat.set_text_handler(r->parser, on_text);
    expat.set_doctype_handler(r->parser, on_doctype);
    *out = r;
    return OK;
}

void xml_reader_free(struct xml_reader **reader)
{
    struct xml_reader *r = *reader;

    if (r == NULL)
        return;
    if (r->parser != NULL)
        expat.free(r->parser);
    secret_free(&r->text);
    free(r);
    *reader = NULL;
}

static struct result parse(struct xml_reader *r, const void *bytes, size_t size, bool last,
                           struct err *err)
{
    bool fits = size <= XML_SIZE_MAX - r->size;

    r->size += fits ? size : 0;
    if (!fits || expat.parse(r->parser, bytes, (int)size, last) != XML_STATUS_OK || r->failed)
        return fail(err, ERR_STORE, "the answer is XML that cannot be read");
    return OK;
}

struct result xml_reader_take(struct xml_reader *reader, const void *bytes, size_t size,
                              struct err *err)
{
    return parse(reader, bytes, size, false, err);
}

struct result xml_reader_end(struct xml_reader *reader, struct err *err)
{
    return parse(reader, "", 0, true, err);
}

/* struct wanted: the one element that is looked for. */
struct wanted {
    const char *name;
    char *out;
    size_t room;
    unsigned found;
    bool fits;
};

static bool keep(void *arg, const struct xml_element *element)
{
    struct wanted *w = arg;

    if (strcmp(element->name, w->name) != 0)
        return true;
    size_t size = strlen(element->text);
    w->fits = size < w->room;
    if (w->fits)
        memcpy(w->out, element->text, size + 1);
    return w->found++ == 0 && w->fits;
}

bool xml_text(const struct http_answer *answer, const char *name, char *out, size_t room)
{
    struct wanted w = {.name = name, .out = out, .room = room};
    struct xml_reader *r XML_READER_CLEANUP = NULL;
    struct err ignored;

    return xml_reader_new(&r, keep, &w, &ignored).ok &&
           xml_reader_take(r, answer->body.bytes, answer->body_size, &ignored).ok &&
           xml_reader_end(r, &ignored).ok && w.found == 1 && w.fits;
}

/* xml: answers in XML, by expat. Only what is asked for is kept, because an answer may be long. */
#ifndef BULLA_HTTP_XML_H
#define BULLA_HTTP_XML_H

#include "http/http.h"

#define XML_DEPTH_MAX 16
#define XML_NAME_MAX 63        /* bytes of an element's name */
#define XML_TEXT_MAX 16384     /* bytes of an element's text */
#define XML_SIZE_MAX (8 << 20) /* bytes of an answer */

/* struct xml_element: one that has come to its end. */
struct xml_element {
    const char *name, *parent; /* parent is "" for the root */
    size_t depth;              /* 1 for the root */
    const char *text;          /* what is in it besides elements, zero-terminated */
};

/* xml_reader: an answer that is being read. */
struct xml_reader;

/* xml_reader_new makes a reader that calls end for each element, when it ends; false stops it. The
 * caller frees. ERR_UNSUPPORTED if expat is not installed. */
FALLIBLE xml_reader_new(struct xml_reader **out,
                        bool (*end)(void *arg, const struct xml_element *element), void *arg,
                        struct err *err);
void xml_reader_free(struct xml_reader **reader);
#define XML_READER_CLEANUP __attribute__((cleanup(xml_reader_free)))

/* xml_reader_take reads on; xml_reader_end comes after all bytes. ERR_STORE if they are no XML, or
 * have a document type, or pass one of the limits above. */
FALLIBLE xml_reader_take(struct xml_reader *reader, const void *bytes, size_t size,
                         struct err *err);
FALLIBLE xml_reader_end(struct xml_reader *reader, struct err *err);

/* xml_text copies the text of the element of this name; false unless the answer is XML, has exactly
 * one such element, and its text fits. */
bool xml_text(const struct http_answer *answer, const char *name, char *out, size_t room);

#endif

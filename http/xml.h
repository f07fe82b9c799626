/* xml: the few elements that are taken from the answers of STS. Not a parser: it looks for an
 * element's text, which has no element in it. */
#ifndef BULLA_HTTP_XML_H
#define BULLA_HTTP_XML_H

#include "http/http.h"

/* xml_text copies the text of the element of this name; false unless there is exactly one, and it
 * fits. The five entities that XML has of itself are replaced; anything else with "&" is refused.
 */
bool xml_text(const struct http_answer *answer, const char *name, char *out, size_t room);

#endif

/* rewrap_stream: a rewrap of what is no file here: it is copied, with another envelope. */
#ifndef BULLA_LIBBULLA_REWRAP_STREAM_H
#define BULLA_LIBBULLA_REWRAP_STREAM_H

#include "libbulla/rewrap.h"

/* rewrap_stream plans as rewrap_file does for *f, whose source stands at its body, and unless it is
 * a dry run writes all of the file to the sink, changed or not. */
FALLIBLE rewrap_stream(struct rewrap *r, struct sealed *f, struct sink *sink,
                       enum rewrapped *outcome, struct err *err);

#endif

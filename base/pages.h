/* pages: large blocks of memory straight from the kernel. What is given back is gone at once, and
 * does not stay with the thread that had it, as blocks of malloc may; what is not touched takes
 * nothing. */
#ifndef BULLA_BASE_PAGES_H
#define BULLA_BASE_PAGES_H

#include <stddef.h>

/* pages_map gives size bytes, all zero; NULL if there is no room. pages_unmap gives them back; NULL
 * is none. */
void *pages_map(size_t size);
void pages_unmap(void *block, size_t size);

#endif

#include "base/pages.h"

#include <sys/mman.h>

void *pages_map(size_t size)
{
    void *block = mmap(NULL, size, PROT_READ | PROT_WRITE,
                       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

    return block != MAP_FAILED ? block : NULL;
}

void pages_unmap(void *block, size_t size)
{
    if (block != NULL)
        (void)munmap(block, size);
}

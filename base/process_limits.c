#include "base/process_limits.h"

#include <poll.h>
#include <sys/mman.h>
#include <sys/resource.h>

unsigned process_limits_descriptors(void)
{
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur > PROCESS_LIMITS_DESCRIPTORS_MAX)
        return PROCESS_LIMITS_DESCRIPTORS_MAX;
    return (unsigned)limit.rlim_cur;
}

unsigned process_limits_descriptors_left(void)
{
    struct pollfd all[PROCESS_LIMITS_DESCRIPTORS_MAX];
    unsigned limit = process_limits_descriptors(), left = 0;

    for (unsigned i = 0; i < limit; i++)
        all[i] = (struct pollfd){.fd = (int)i};
    if (poll(all, limit, 0) < 0)
        return limit;
    for (unsigned i = 0; i < limit; i++)
        left += (all[i].revents & POLLNVAL) != 0;
    return left;
}

bool process_limits_memory_fits(size_t bytes)
{
    void *room = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

    if (room == MAP_FAILED)
        return false;
    (void)munmap(room, bytes);
    return true;
}

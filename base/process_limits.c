#include "base/process_limits.h"

#include <malloc.h>
#include <poll.h>
#include <pthread.h>
#include <sys/mman.h>
#include <sys/resource.h>

#define DESCRIPTORS_MAX 1024 /* FD_SETSIZE */

/* Raises a soft limit to the hard one, or to enough. */
static void raise_limit(__rlimit_resource_t what, rlim_t enough)
{
    struct rlimit limit;

    if (getrlimit(what, &limit) != 0 || limit.rlim_cur >= enough ||
        limit.rlim_cur == limit.rlim_max)
        return;
    limit.rlim_cur = limit.rlim_max < enough ? limit.rlim_max : enough;
    (void)setrlimit(what, &limit);
}

static void set_thread_stack(void)
{
    pthread_attr_t attr;

    if (pthread_attr_init(&attr) != 0)
        return;
    if (pthread_attr_setstacksize(&attr, LIMITS_THREAD_STACK) == 0)
        (void)pthread_setattr_default_np(&attr);
    pthread_attr_destroy(&attr);
}

void limits_prepare(void)
{
    struct rlimit space;

    raise_limit(RLIMIT_NOFILE, DESCRIPTORS_MAX);
    raise_limit(RLIMIT_MEMLOCK, RLIM_INFINITY);
    set_thread_stack();
    if (getrlimit(RLIMIT_AS, &space) == 0 && space.rlim_cur != RLIM_INFINITY)
        (void)mallopt(M_ARENA_MAX, 1);
}

unsigned limits_descriptors(void)
{
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur > DESCRIPTORS_MAX)
        return DESCRIPTORS_MAX;
    return (unsigned)limit.rlim_cur;
}

unsigned limits_descriptors_left(void)
{
    struct pollfd all[DESCRIPTORS_MAX];
    unsigned limit = limits_descriptors(), left = 0;

    for (unsigned i = 0; i < limit; i++)
        all[i] = (struct pollfd){.fd = (int)i};
    if (poll(all, limit, 0) < 0)
        return limit;
    for (unsigned i = 0; i < limit; i++)
        left += (all[i].revents & POLLNVAL) != 0;
    return left;
}

bool limits_has_memory(size_t bytes)
{
    void *room = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

    if (room == MAP_FAILED)
        return false;
    (void)munmap(room, bytes);
    return true;
}

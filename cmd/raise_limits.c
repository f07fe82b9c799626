#include "cmd/raise_limits.h"

#include <malloc.h>
#include <pthread.h>
#include <sys/resource.h>

#include "base/process_limits.h"

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
    if (pthread_attr_setstacksize(&attr, PROCESS_LIMITS_THREAD_STACK) == 0)
        (void)pthread_setattr_default_np(&attr);
    pthread_attr_destroy(&attr);
}

void raise_limits(void)
{
    struct rlimit space;

    raise_limit(RLIMIT_NOFILE, PROCESS_LIMITS_DESCRIPTORS_MAX);
    raise_limit(RLIMIT_MEMLOCK, RLIM_INFINITY);
    set_thread_stack();
    if (getrlimit(RLIMIT_AS, &space) == 0 && space.rlim_cur != RLIM_INFINITY)
        (void)mallopt(M_ARENA_MAX, 1);
}

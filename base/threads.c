#include "base/threads.h"

#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/host.h"
#include "base/process_limits.h"

#define FILE_DESCRIPTORS 10  /* of a file that a thread works on, and of one that waits for it */
#define WALK_DESCRIPTORS 600 /* of the deepest walk of two trees */
#define HEAP ((size_t)256 << 10) /* bytes that a thread takes in small pieces */

/* Kernel ids of the threads that run; 0 is free. */
static atomic_int running[2 * THREADS_MAX];

unsigned threads_allowed(void)
{
    cpu_set_t sets[8]; /* 8192 CPUs: a kernel that was built for more than fit in refuses */

    if (sched_getaffinity(0, sizeof sets, sets) != 0)
        return 1;
    unsigned n = (unsigned)CPU_COUNT_S(sizeof sets, sets);
    return n < 1 ? 1 : n > THREADS_MAX ? THREADS_MAX : n;
}

/* Whether there is memory for so many threads and one more. */
static bool memory_fits(unsigned threads, size_t memory)
{
    return process_limits_memory_fits((threads + 1) *
                                      (memory + HEAP + PROCESS_LIMITS_THREAD_STACK));
}

unsigned threads_that_fit(unsigned threads, size_t memory)
{
    unsigned walk = process_limits_descriptors() / 2, left = process_limits_descriptors_left();

    walk = walk < WALK_DESCRIPTORS ? walk : WALK_DESCRIPTORS;
    while (threads > 1 &&
           (walk + threads * FILE_DESCRIPTORS > left || !memory_fits(threads, memory)))
        threads--;
    return threads;
}

void crew_init(struct crew *crew, unsigned threads, size_t block_size)
{
    atomic_init(&crew->spare, (int)threads);
    buffer_pool_init(&crew->blocks, block_size);
}

void crew_free(struct crew *crew)
{
    buffer_pool_free(&crew->blocks);
}

bool crew_take(struct crew *crew)
{
    int spare = atomic_load(&crew->spare);

    while (spare > 0)
        if (atomic_compare_exchange_weak(&crew->spare, &spare, spare - 1))
            return true;
    return false;
}

bool crew_leave(struct crew *crew)
{
    int spare = atomic_load(&crew->spare);

    while (spare < 0)
        if (atomic_compare_exchange_weak(&crew->spare, &spare, spare + 1))
            return true;
    return false;
}

void crew_join(struct crew *crew)
{
    atomic_fetch_sub(&crew->spare, 1);
}

void crew_give(struct crew *crew)
{
    atomic_fetch_add(&crew->spare, 1);
}

struct start {
    void *(*run)(void *arg);
    void *arg;
    struct host *host;
};

static void *begin(void *arg)
{
    struct start start = *(struct start *)arg;
    int own = (int)syscall(SYS_gettid), none = 0;
    size_t i = 0;

    free(arg);
    (void)host_enter(start.host);
    while (i < 2 * THREADS_MAX && !atomic_compare_exchange_strong(&running[i], &none, own)) {
        none = 0;
        i++;
    }
    void *result = start.run(start.arg);
    if (i < 2 * THREADS_MAX)
        atomic_store(&running[i], 0);
    return result;
}

/* Signals are for the threads of the program that uses the library: ours block all. */
static int create(pthread_t *thread, struct start *start)
{
    sigset_t all, before;

    if (host_is_program())
        return pthread_create(thread, NULL, begin, start);
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int failed = pthread_create(thread, NULL, begin, start);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return failed;
}

struct result thread_start(pthread_t *thread, void *(*run)(void *arg), void *arg, struct err *err)
{
    struct start *start = malloc(sizeof *start);

    if (start == NULL)
        return fail_memory(err);
    *start = (struct start){run, arg, host_current()};
    errno = create(thread, start);
    if (errno == 0)
        return OK;
    free(start);
    return fail_errno(err, "cannot start a thread");
}

void threads_wake(void)
{
    int before = errno, own = (int)syscall(SYS_gettid), first = getpid();

    for (size_t i = 0; i <= 2 * THREADS_MAX; i++) {
        int thread = i < 2 * THREADS_MAX ? atomic_load(&running[i]) : first;
        if (thread != 0 && thread != own)
            (void)syscall(SYS_tgkill, first, thread, THREADS_WAKE_SIGNAL);
    }
    errno = before;
}

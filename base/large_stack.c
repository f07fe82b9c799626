#include "base/large_stack.h"

#include <sys/mman.h>
#include <sys/resource.h>
#include <ucontext.h>
#include <unistd.h>

/* struct call: what is called on the other stack; static, for makecontext hands over only ints. */
static struct call {
    int (*run)(void *arg);
    void *arg;
    int result;
    ucontext_t back;
} call;

static void enter(void)
{
    call.result = call.run(call.arg);
}

static bool is_roomy(void)
{
    struct rlimit stack;

    return getrlimit(RLIMIT_STACK, &stack) != 0 || stack.rlim_cur >= LARGE_STACK_SIZE;
}

/* With a guard page below it. */
static char *new_stack(size_t guard)
{
    char *bytes = mmap(NULL, guard + LARGE_STACK_SIZE, PROT_READ | PROT_WRITE,
                       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_STACK, -1, 0);

    return bytes != MAP_FAILED && mprotect(bytes, guard, PROT_NONE) == 0 ? bytes : NULL;
}

bool large_stack_run(int (*run)(void *arg), void *arg, int *result)
{
    static ucontext_t there;
    size_t guard = (size_t)sysconf(_SC_PAGESIZE);

    if (is_roomy()) {
        *result = run(arg);
        return true;
    }
    char *stack = new_stack(guard);
    if (stack == NULL || getcontext(&there) != 0)
        return false;
    call = (struct call){.run = run, .arg = arg};
    there.uc_stack = (stack_t){.ss_sp = stack + guard, .ss_size = LARGE_STACK_SIZE};
    there.uc_link = &call.back;
    makecontext(&there, enter, 0);
    if (swapcontext(&call.back, &there) != 0)
        return false;
    *result = call.result;
    return true;
}

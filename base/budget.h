/* budget: an amount that several threads share, such as memory: whoever wants some waits for it. */
#ifndef BULLA_BASE_BUDGET_H
#define BULLA_BASE_BUDGET_H

#include <pthread.h>
#include <stdint.h>

/* struct budget: made by budget_init. */
struct budget {
    uint64_t all, taken;
    pthread_mutex_t lock;
    pthread_cond_t changed;
};

void budget_init(struct budget *b, uint64_t all);
void budget_end(struct budget *b);

/* budget_take waits for an amount, or for all where there is not so much, and gives what it took. A
 * thread takes once, so that nobody waits for himself. */
uint64_t budget_take(struct budget *b, uint64_t amount);
void budget_give(struct budget *b, uint64_t amount);

#endif

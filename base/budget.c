#include "base/budget.h"

void budget_init(struct budget *b, uint64_t all)
{
    *b = (struct budget){.all = all};
    pthread_mutex_init(&b->lock, NULL);
    pthread_cond_init(&b->changed, NULL);
}

void budget_end(struct budget *b)
{
    pthread_mutex_destroy(&b->lock);
    pthread_cond_destroy(&b->changed);
}

uint64_t budget_take(struct budget *b, uint64_t amount)
{
    amount = amount < b->all ? amount : b->all;
    pthread_mutex_lock(&b->lock);
    while (b->taken + amount > b->all)
        pthread_cond_wait(&b->changed, &b->lock);
    b->taken += amount;
    pthread_mutex_unlock(&b->lock);
    return amount;
}

void budget_give(struct budget *b, uint64_t amount)
{
    if (amount == 0)
        return;
    pthread_mutex_lock(&b->lock);
    b->taken -= amount;
    pthread_cond_broadcast(&b->changed);
    pthread_mutex_unlock(&b->lock);
}

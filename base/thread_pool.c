#include "base/thread_pool.h"

#include <stdlib.h>

struct thread_pool {
    void (*run)(void *arg, void *task);
    void *arg;
    pthread_mutex_t lock;
    pthread_cond_t changed; /* the queue, or finishing */
    void *queue[THREADS_MAX];
    size_t room, first, count; /* tasks; the queue is a ring of room */
    size_t running;            /* tasks taken out of it and not done */
    bool finishing;
    unsigned started;
    pthread_t threads[THREADS_MAX];
};

/* Takes the next task; NULL when there will be none. */
static void *next(struct thread_pool *p)
{
    void *task = NULL;

    pthread_mutex_lock(&p->lock);
    while (p->count == 0 && !p->finishing)
        pthread_cond_wait(&p->changed, &p->lock);
    if (p->count > 0) {
        task = p->queue[p->first];
        p->first = (p->first + 1) % p->room;
        p->count--;
        p->running++;
        pthread_cond_broadcast(&p->changed);
    }
    pthread_mutex_unlock(&p->lock);
    return task;
}

static void done(struct thread_pool *p)
{
    pthread_mutex_lock(&p->lock);
    p->running--;
    pthread_cond_broadcast(&p->changed);
    pthread_mutex_unlock(&p->lock);
}

static void *work(void *arg)
{
    struct thread_pool *p = arg;

    for (void *task = next(p); task != NULL; task = next(p)) {
        p->run(p->arg, task);
        done(p);
    }
    return NULL;
}

struct thread_pool *thread_pool_start(unsigned threads, void (*run)(void *arg, void *task),
                                      void *arg)
{
    struct thread_pool *p = calloc(1, sizeof *p);
    struct err err;

    if (p == NULL)
        return NULL;
    p->run = run;
    p->arg = arg;
    p->room = threads;
    pthread_mutex_init(&p->lock, NULL);
    pthread_cond_init(&p->changed, NULL);
    while (p->started < threads && thread_start(&p->threads[p->started], work, p, &err).ok)
        p->started++;
    if (p->started == 0)
        thread_pool_finish(&p);
    return p;
}

void thread_pool_add(struct thread_pool *p, void *task)
{
    pthread_mutex_lock(&p->lock);
    while (p->count == p->room)
        pthread_cond_wait(&p->changed, &p->lock);
    p->queue[(p->first + p->count) % p->room] = task;
    p->count++;
    pthread_cond_broadcast(&p->changed);
    pthread_mutex_unlock(&p->lock);
}

void thread_pool_wait(struct thread_pool *p)
{
    pthread_mutex_lock(&p->lock);
    while (p->count + p->running > 0)
        pthread_cond_wait(&p->changed, &p->lock);
    pthread_mutex_unlock(&p->lock);
}

void thread_pool_finish(struct thread_pool **pool)
{
    struct thread_pool *p = *pool;

    *pool = NULL;
    if (p == NULL)
        return;
    pthread_mutex_lock(&p->lock);
    p->finishing = true;
    pthread_cond_broadcast(&p->changed);
    pthread_mutex_unlock(&p->lock);
    for (unsigned i = 0; i < p->started; i++)
        pthread_join(p->threads[i], NULL);
    pthread_cond_destroy(&p->changed);
    pthread_mutex_destroy(&p->lock);
    free(p);
}

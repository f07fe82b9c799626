#include "keystore/pkcs11/refused_tokens.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

struct refused_token {
    struct refused_token *next;
    CK_SLOT_ID slot;
    CK_TOKEN_INFO info;
    CK_RV rv;
    struct err why;
};

struct refused_tokens {
    struct store_state state; /* the first member */
    atomic_uint holders;
    pthread_mutex_t lock;
    struct refused_token *first;
};

void refused_tokens_drop(struct refused_tokens *list)
{
    if (list == NULL || atomic_fetch_sub(&list->holders, 1) > 1)
        return;
    while (list->first != NULL) {
        struct refused_token *r = list->first;
        list->first = r->next;
        free(r);
    }
    pthread_mutex_destroy(&list->lock);
    free(list);
}

static void drop_state(struct store_state *state)
{
    refused_tokens_drop((struct refused_tokens *)state);
}

struct result refused_tokens_of(struct refused_tokens **out, struct store_states *states,
                                const struct keystore_ops *store, struct err *err)
{
    struct refused_tokens *list = (struct refused_tokens *)store_states_find(states, store);

    if (list == NULL) {
        list = calloc(1, sizeof *list);
        if (list == NULL)
            return fail_memory(err);
        list->state = (struct store_state){.store = store, .drop = drop_state};
        pthread_mutex_init(&list->lock, NULL);
        list->holders = states != NULL;
        if (states != NULL)
            store_states_add(states, &list->state);
    }
    atomic_fetch_add(&list->holders, 1);
    *out = list;
    return OK;
}

/* The number of a slot depends on the module: p11-kit-proxy has its own. It tells tokens apart only
 * if they have no serial number. */
static bool is_same(const struct refused_token *r, const struct token *t)
{
#define EQUAL(field) (memcmp(r->info.field, t->info.field, sizeof t->info.field) == 0)
    return EQUAL(label) && EQUAL(serialNumber) && EQUAL(manufacturerID) && EQUAL(model) &&
           (t->serial[0] != '\0' || r->slot == t->slot);
#undef EQUAL
}

bool refused_tokens_find(struct refused_tokens *list, const struct token *token, CK_RV *rv,
                         struct err *err)
{
    pthread_mutex_lock(&list->lock);
    const struct refused_token *r = list->first;
    while (r != NULL && !is_same(r, token))
        r = r->next;
    if (r != NULL) {
        *rv = r->rv;
        *err = r->why;
    }
    pthread_mutex_unlock(&list->lock);
    return r != NULL;
}

struct result refused_tokens_room(struct refused_token **out, struct err *err)
{
    *out = calloc(1, sizeof **out);
    return *out != NULL ? OK : fail_memory(err);
}

void refused_tokens_add(struct refused_tokens *list, struct refused_token *room,
                        const struct token *token, CK_RV rv, const struct err *why)
{
    if (token == NULL) {
        free(room);
        return;
    }
    *room = (struct refused_token){.slot = token->slot, .info = token->info, .rv = rv, .why = *why};
    pthread_mutex_lock(&list->lock);
    room->next = list->first;
    list->first = room;
    pthread_mutex_unlock(&list->lock);
}

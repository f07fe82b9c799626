#include "cmd/setup.h"

#include <stdio.h>
#include <stdlib.h>

#include "cmd/key_alias.h"
#include "cmd/passphrase.h"
#include "cmd/progress.h"
#include "cmd/store_rows.h"
#include "cmd/terminal.h"
#include "crypto/body.h"

#define THREADS_USUAL 16 /* at most; -j may say more */

static const struct watch progress_watch = {progress_read, NULL};

static const char *variable(void *arg, const char *name)
{
    (void)arg;
    return getenv(name);
}

/* One process, one user: the two sessions of a run share what tokens refused. */
static struct store_states states;

void setup_env(struct keystore_env *env, const struct options *o)
{
    env->states = &states;
    env->settings.environment = (struct environment){.get = variable};
    store_rows_settings(&env->settings, o);
    env->warn = terminal_warn;
    env->credentials = key_alias_credentials();
    passphrase_env(env, o);
}

void setup_storage(struct storage_env *env, const struct options *o, const struct crypto *crypto)
{
    *env = (struct storage_env){.environment.get = variable,
                                .crypto = crypto,
                                .timeout = STORE_TIMEOUT,
                                .bandwidth = o->bandwidth * 1024,
                                .requester_pays = o->requester_pays,
                                .no_condition = o->no_condition,
                                .warn = terminal_warn};
}

unsigned setup_threads(const struct options *o)
{
    unsigned allowed = threads_allowed();

    return o->jobs > 0 ? (unsigned)o->jobs : allowed < THREADS_USUAL ? allowed : THREADS_USUAL;
}

void setup_fit_threads(const struct options *o, unsigned *threads)
{
    unsigned fit = threads_that_fit(*threads, BODY_BLOCK_SIZE);
    char text[128];

    if (fit < *threads && o->jobs > 0) {
        snprintf(text, sizeof text,
                 "-j %u needs more descriptors or memory than the limits allow (see 'ulimit -n' "
                 "and 'ulimit -v'): -j %u is used",
                 *threads, fit);
        terminal_warn(NULL, text);
    }
    *threads = fit;
}

void setup_session(struct session *s, const struct options *o)
{
    s->watch = &progress_watch;
    s->threads = setup_threads(o);
    setup_env(&s->env, o);
}

struct result setup_context(struct context *context, const struct list *words, struct err *err)
{
    for (size_t i = 0; i < words->count; i++)
        if (!context_add_text(context, words->items[i], err).ok)
            return FAIL;
    return OK;
}

struct result setup_sync(struct session *s, const struct options *o, struct err *err)
{
    s->sync = (enum sync_policy)o->sync;
    if (s->sync != SYNC_EACH && o->remove_source)
        return fail(err, ERR_USAGE, "--remove-source needs --sync=each");
    return OK;
}

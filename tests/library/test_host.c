/* The library as another program uses it: what it tells that, and what it leaves alone. */
#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stdatomic.h>
#include <stddef.h>
#include <sys/stat.h>

#include "tests/library/world.h"

/* A call fails with a status and a text that has a word, and nothing came out. */
#define FAILS(call, wanted, word)                                                                  \
    do {                                                                                           \
        w.error = (struct bulla_error){0};                                                         \
        int got = (call);                                                                          \
        if (got != (wanted) || w.error.status != got || strstr(w.error.text, word) == NULL)        \
            printf("# %s:%d: %d '%s'\n", __FILE__, __LINE__, got, w.error.text);                   \
        CHECK(got == (wanted) && w.error.status == got && strstr(w.error.text, word) != NULL);     \
    } while (0)

static void each_class_of_error_is_told(void)
{
    struct bytes sealed = {0}, opened = {0};
    const char *const bad_pairs[] = {"nothing"}, *const pairs[] = {"host=z"};
    struct bulla_seal_options sealing = {
        .size = sizeof sealing, .context = bad_pairs, .context_count = 1};
    struct bulla_open_options opening = {.size = sizeof opening, .name = "other"};
    struct bulla *none;
    struct world w;

    begin(&w);
    struct bulla_input in = from(&plain), nothing = {BULLA_INIT(struct bulla_input), .fd = -1};
    struct bulla_output out = to(&sealed);
    none = handle_with(&w, NULL);

    FAILS(bulla_seal(w.bulla, &sealing, &in, &out, NULL, &w.error), BULLA_USAGE, "K=V");
    FAILS(bulla_seal(w.bulla, NULL, &nothing, &out, NULL, &w.error), BULLA_USAGE, "input");
    FAILS(bulla_seal(w.bulla, NULL, NULL, &out, NULL, &w.error), BULLA_USAGE, "input");
    FAILS(bulla_seal(w.bulla, NULL, &in, NULL, NULL, &w.error), BULLA_USAGE, "output");
    FAILS(bulla_seal(none, NULL, &in, &out, NULL, &w.error), BULLA_USAGE, "no key");
    sealing = (struct bulla_seal_options){.size = sizeof sealing, .suite = 99};
    FAILS(bulla_seal(w.bulla, &sealing, &in, &out, NULL, &w.error), BULLA_USAGE, "suite");
    sealing = (struct bulla_seal_options){.size = 0};
    FAILS(bulla_seal(w.bulla, &sealing, &in, &out, NULL, &w.error), BULLA_USAGE, "size");
    nothing.fd = 4000;
    FAILS(bulla_seal(w.bulla, NULL, &nothing, &out, NULL, &w.error), BULLA_FAILED, "input");
    CHECK(sealed.size == 0);

    MUST(seal(&w, &sealed) == BULLA_DONE);
    out = to(&opened);
    in = from(&plain);
    FAILS(bulla_open(w.bulla, NULL, &in, &out, NULL, &w.error), BULLA_FOREIGN, "'source'");
    in = from(&sealed);
    FAILS(bulla_open(w.bulla, &opening, &in, &out, NULL, &w.error), BULLA_POLICY, "'other'");
    opening = (struct bulla_open_options){.size = sizeof opening, .generation = 1};
    in = from(&sealed);
    FAILS(bulla_open(w.bulla, &opening, &in, &out, NULL, &w.error), BULLA_POLICY, "generation");
    opening =
        (struct bulla_open_options){.size = sizeof opening, .context = pairs, .context_count = 1};
    in = from(&sealed);
    FAILS(bulla_open(w.bulla, &opening, &in, &out, NULL, &w.error), BULLA_POLICY, "'host'");
    in = from(&sealed);
    FAILS(bulla_open(w.second, NULL, &in, &out, NULL, &w.error), BULLA_NO_KEY, "none of");
    w.toys[1].answer = BULLA_STORE; /* a key of the other's name is not asked */
    in = from(&sealed);
    FAILS(bulla_open(w.second, NULL, &in, &out, NULL, &w.error), BULLA_NO_KEY, "none of");
    CHECK(opened.size == 0);
    sealed.bytes[sealed.size - 1] ^= 1;
    in = from(&sealed);
    FAILS(bulla_verify(w.bulla, NULL, &in, NULL, &w.error), BULLA_DAMAGED, "'source'");
    sealed.bytes[sealed.size - 1] ^= 1;
    w.toys[0].answer = BULLA_STORE;
    bulla_free(w.bulla);
    w.bulla = handle_with(&w, "external:first");
    in = from(&sealed);
    FAILS(bulla_open(w.bulla, NULL, &in, &out, NULL, &w.error), BULLA_STORE, "external:first");
    w.toys[0].answer = BULLA_POLICY;
    in = from(&plain);
    FAILS(bulla_seal(w.bulla, NULL, &in, &out, NULL, &w.error), BULLA_POLICY, "external:first");
    bulla_free(none);
    end(&w);
    free(sealed.bytes);
    free(opened.bytes);
}

static int make_handle(struct world *w, const struct bulla_options *o)
{
    struct bulla *made = (struct bulla *)w; /* untouched on failure */
    int status = bulla_new(&made, o, &w->error);

    CHECK(status != BULLA_DONE && made == (struct bulla *)w);
    return status;
}

static void a_handle_is_not_made_of_what_is_wrong(void)
{
    const char *key = "external:third";
    struct bulla_options o = {.size = sizeof o, .keys = &key, .key_count = 1};
    struct {
        struct bulla_options known;
        uint64_t unknown;
    } larger = {.known = {.size = sizeof larger}, .unknown = 1};
    struct bulla_key nameless = {BULLA_INIT(struct bulla_key), NULL, toy_wrap, toy_unwrap, NULL};
    const struct bulla_key *list = &nameless;
    struct world w;

    begin(&w);
    FAILS(make_handle(&w, &o), BULLA_USAGE, "external:third");
    key = "no such ring";
    FAILS(make_handle(&w, &o), BULLA_MISSING, "no such ring");
    key = NULL;
    FAILS(make_handle(&w, &o), BULLA_USAGE, "key");
    FAILS(make_handle(&w, &larger.known), BULLA_NEWER, "options");
    o = (struct bulla_options){.size = sizeof o, .external = &list, .external_count = 1};
    FAILS(make_handle(&w, &o), BULLA_USAGE, "name");
    o = (struct bulla_options){.size = sizeof o, .key_count = 1};
    FAILS(make_handle(&w, &o), BULLA_USAGE, "key is NULL");
    o = (struct bulla_options){.size = sizeof o, .external_count = 1};
    FAILS(make_handle(&w, &o), BULLA_USAGE, "name");
    o = (struct bulla_options){0};
    FAILS(make_handle(&w, &o), BULLA_USAGE, "size");
    CHECK(bulla_new(&w.bulla, &o, NULL) == BULLA_USAGE);
    end(&w);
}

static void what_is_missing_is_told(void)
{
    const char *none = NULL;
    struct bulla_seal_options options = {.size = sizeof options, .context_count = 1};
    struct bulla_change change = {.size = sizeof change, .to_count = 1};
    struct bytes sealed = {0};
    struct world w;

    begin(&w);
    struct bulla_input in = from(&plain);
    struct bulla_output out = to(&sealed);
    FAILS(bulla_seal(w.bulla, NULL, NULL, &out, NULL, &w.error), BULLA_USAGE, "input");
    FAILS(bulla_seal(w.bulla, NULL, &in, NULL, NULL, &w.error), BULLA_USAGE, "output");
    FAILS(bulla_seal(w.bulla, &options, &in, &out, NULL, &w.error), BULLA_USAGE, "context");
    options.context = &none;
    FAILS(bulla_seal(w.bulla, &options, &in, &out, NULL, &w.error), BULLA_USAGE, "context");
    FAILS(bulla_rewrap(w.bulla, &change, "file", NULL, &w.error), BULLA_USAGE, "key is NULL");
    FAILS(bulla_rewrap(w.bulla, NULL, NULL, NULL, &w.error), BULLA_USAGE, "path");
    CHECK(sealed.size == 0);
    end(&w);
}

static void a_program_that_knows_less_is_served(void)
{
    struct bytes sealed = {0};
    struct bulla_report report = {.size = offsetof(struct bulla_report, file_id)};
    struct bulla *made = NULL;
    struct world w;

    begin(&w);
    const char *key = "external:first";
    struct bulla_options o = {.size = offsetof(struct bulla_options, threads),
                              .keys = &key,
                              .key_count = 1,
                              .external = w.list,
                              .external_count = 2,
                              .threads = 4000000000};
    MUST(bulla_new(&made, &o, &w.error) == BULLA_DONE);
    struct bulla_input in = from(&plain);
    struct bulla_output out = to(&sealed);
    memset(report.file_id, 0xee, sizeof report.file_id);
    CHECK(bulla_seal(made, NULL, &in, &out, &report, &w.error) == BULLA_DONE);
    CHECK(report.plain_size == PLAIN_SIZE && report.file_id[0] == 0xee &&
          report.file_id[15] == 0xee);
    bulla_free(made);
    end(&w);
    free(sealed.bytes);
}

static void nobody_gives_a_secret(void)
{
    const char *key = "passphrase:";
    struct bulla_options o = {.size = sizeof o, .keys = &key, .key_count = 1};
    struct bytes sealed = {0};
    struct world w;

    begin(&w);
    bulla_free(w.bulla);
    MUST(bulla_new(&w.bulla, &o, &w.error) == BULLA_DONE);
    struct bulla_input in = from(&plain);
    struct bulla_output out = to(&sealed);
    FAILS(bulla_seal(w.bulla, NULL, &in, &out, NULL, &w.error), BULLA_POLICY, "passphrase");
    CHECK(sealed.size == 0);
    end(&w);
}

static void a_callback_that_fails_ends_the_call(void)
{
    struct bytes sealed = {0}, opened = {0}, copy = plain;
    struct world w;

    begin(&w);
    MUST(seal(&w, &sealed) == BULLA_DONE);
    struct bulla_input in = from(&sealed);
    struct bulla_output out = to(&opened);
    opened.fail_at = 70000;
    opened.answer = BULLA_EXISTS;
    FAILS(bulla_open(w.bulla, NULL, &in, &out, NULL, &w.error), BULLA_EXISTS, "'sink'");
    copy.fail_at = 100000;
    copy.answer = 12345;
    in = from(&copy);
    out = to(&sealed);
    FAILS(bulla_seal(w.bulla, NULL, &in, &out, NULL, &w.error), BULLA_FAILED, "'source'");
    end(&w);
    free(sealed.bytes);
    free(opened.bytes);
}

/* struct blocked: a call that waits on a pipe, in a thread of its own. */
struct blocked {
    struct world *world;
    int in, out;
    int status;
    struct bulla_error error;
};

static void *run_blocked(void *arg)
{
    struct blocked *b = arg;
    struct bulla_input in = {BULLA_INIT(struct bulla_input), .fd = b->in};
    struct bulla_output out = {BULLA_INIT(struct bulla_output), .fd = b->out};

    b->status = bulla_seal(b->world->bulla, NULL, &in, &out, NULL, &b->error);
    return NULL;
}

static void cancel_while(struct world *w, int in, int out)
{
    struct blocked b = {.world = w, .in = in, .out = out};
    pthread_t thread;

    MUST(pthread_create(&thread, NULL, run_blocked, &b) == 0);
    usleep(20000); /* whether it blocks by then or only later, it ends */
    bulla_cancel(w->bulla);
    pthread_join(thread, NULL);
    CHECK(b.status == BULLA_CANCELLED && b.error.status == BULLA_CANCELLED);
}

static void cancel_ends_a_call_that_blocks(void)
{
    int silent[2], full[2], file = open("zeros", O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    struct bytes sealed = {0};
    struct world w;

    begin(&w);
    MUST(pipe(silent) == 0 && pipe(full) == 0 && file >= 0 && ftruncate(file, 8 << 20) == 0);
    cancel_while(&w, silent[0], full[1]);
    CHECK(seal(&w, &sealed) == BULLA_CANCELLED); /* and so do later ones */
    bulla_resume(w.bulla);
    CHECK(seal(&w, &sealed) == BULLA_DONE);
    cancel_while(&w, file, full[1]);
    bulla_resume(w.bulla);
    CHECK(seal(&w, &sealed) == BULLA_DONE);
    for (size_t i = 0; i < 2; i++) {
        close(silent[i]);
        close(full[i]);
    }
    close(file);
    CHECK(remove("zeros") == 0);
    end(&w);
    free(sealed.bytes);
}

/* What one of two threads does with a handle of its own, while the other is cancelled. */
static void *seal_and_open(void *arg)
{
    struct world *w = arg;
    struct bytes sealed = {0}, opened = {0};
    bool good = true;

    for (unsigned i = 0; i < 20; i++)
        good = good && seal(w, &sealed) == BULLA_DONE &&
               open_by(w, w->bulla, &sealed, &opened) == BULLA_DONE && is_plain(&opened);
    free(sealed.bytes);
    free(opened.bytes);
    return good ? w : NULL;
}

static void two_handles_work_in_two_threads(void)
{
    struct world worlds[3];
    pthread_t threads[2];
    void *good[2];

    for (size_t i = 0; i < 3; i++)
        begin(&worlds[i]);
    bulla_cancel(worlds[2].bulla);
    for (size_t i = 0; i < 2; i++)
        MUST(pthread_create(&threads[i], NULL, seal_and_open, &worlds[i]) == 0);
    for (size_t i = 0; i < 2; i++)
        pthread_join(threads[i], &good[i]);
    CHECK(good[0] == &worlds[0] && good[1] == &worlds[1]);
    for (size_t i = 0; i < 3; i++)
        end(&worlds[i]);
}

/* struct gate: an input whose first reader waits until it is let go. */
struct gate {
    sem_t reached, go;
    atomic_bool others; /* read meanwhile */
};

static int read_at_gate(void *arg, void *out, size_t room, size_t *got)
{
    struct gate *g = arg;

    (void)out, (void)room;
    sem_post(&g->reached);
    while (sem_wait(&g->go) != 0)
        continue;
    sem_post(&g->go); /* for the next */
    *got = 0;
    return BULLA_DONE;
}

static int read_nothing(void *arg, void *out, size_t room, size_t *got)
{
    (void)out, (void)room;
    atomic_store(&((struct gate *)arg)->others, true);
    *got = 0;
    return BULLA_DONE;
}

/* struct turn: a call of one of two threads. */
struct turn {
    struct world *world;
    struct gate *gate;
    int (*read)(void *arg, void *out, size_t room, size_t *got);
    int status;
};

static void *take_turn(void *arg)
{
    struct turn *t = arg;
    struct bytes sealed = {0};
    struct bulla_input in = {BULLA_INIT(struct bulla_input), "gate", t->read, t->gate, -1};
    struct bulla_output out = to(&sealed);

    t->status = bulla_seal(t->world->bulla, NULL, &in, &out, NULL, NULL);
    free(sealed.bytes);
    return NULL;
}

static void one_handle_serves_two_threads_in_turn(void)
{
    struct gate gate = {.others = false};
    pthread_t threads[2];
    struct world w;

    begin(&w);
    struct turn turns[] = {{&w, &gate, read_at_gate, -1}, {&w, &gate, read_nothing, -1}};
    MUST(sem_init(&gate.reached, 0, 0) == 0 && sem_init(&gate.go, 0, 0) == 0);
    MUST(pthread_create(&threads[0], NULL, take_turn, &turns[0]) == 0);
    while (sem_wait(&gate.reached) != 0)
        continue;
    MUST(pthread_create(&threads[1], NULL, take_turn, &turns[1]) == 0);
    usleep(20000); /* enough for the second to come, if nothing held it */
    CHECK(!atomic_load(&gate.others));
    sem_post(&gate.go);
    for (size_t i = 0; i < 2; i++)
        pthread_join(threads[i], NULL);
    CHECK(turns[0].status == BULLA_DONE && turns[1].status == BULLA_DONE);
    CHECK(atomic_load(&gate.others));
    sem_destroy(&gate.reached);
    sem_destroy(&gate.go);
    end(&w);
}

/* struct process: what of the process is not the library's. */
struct process {
    mode_t umask;
    struct sigaction actions[65];
    sigset_t mask;
    bool descriptors[1024];
    json_malloc_t json_malloc;
    json_free_t json_free;
    char directory[4096];
    char **environment, *first;
};

static void look_at_process(struct process *p)
{
    memset(p, 0, sizeof *p);
    p->umask = umask(022);
    umask(p->umask);
    for (int i = 1; i < 65; i++)
        sigaction(i, NULL, &p->actions[i]);
    pthread_sigmask(SIG_SETMASK, NULL, &p->mask);
    for (int i = 0; i < 1024; i++)
        p->descriptors[i] = fcntl(i, F_GETFD) >= 0;
    json_get_alloc_funcs(&p->json_malloc, &p->json_free);
    MUST(getcwd(p->directory, sizeof p->directory) != NULL);
    p->environment = environ;
    p->first = environ[0];
}

static int refuse_secret(void *arg, const char *what, int kind, char *out, size_t room,
                         size_t *out_size)
{
    (void)arg, (void)what, (void)kind, (void)out, (void)room, (void)out_size;
    return BULLA_POLICY;
}

static void the_process_stays_as_it_was(void)
{
    static struct process before, after;
    const char *const second = "external:second";
    struct bulla_change change = {.size = sizeof change, .to = &second, .to_count = 1};
    struct bytes sealed = {0}, opened = {0};
    int messages[2], kept[2] = {dup(1), dup(2)};
    const char *passphrase = "passphrase:";
    struct bulla_options o = {
        .size = sizeof o, .keys = &passphrase, .key_count = 1, .secret = refuse_secret};
    struct world w;
    char printed;

    fflush(stdout);
    MUST(pipe2(messages, O_NONBLOCK) == 0 && dup2(messages[1], 1) == 1 &&
         dup2(messages[1], 2) == 2);
    look_at_process(&before);
    begin(&w);
    int sealed_status = seal(&w, &sealed);
    write_file(&sealed);
    int changed = bulla_rewrap(w.bulla, &change, "file.bulla", NULL, &w.error);
    read_file(&sealed);
    int opened_status = open_by(&w, w.second, &sealed, &opened);
    sealed.bytes[sealed.size / 2] ^= 1;
    int damaged = open_by(&w, w.second, &sealed, &opened);
    bulla_free(w.bulla);
    int made = bulla_new(&w.bulla, &o, &w.error);
    int refused = open_by(&w, w.bulla, &sealed, &opened);
    end(&w);
    look_at_process(&after);
    ssize_t n = read(messages[0], &printed, 1);
    dup2(kept[0], 1);
    dup2(kept[1], 2);
    for (size_t i = 0; i < 2; i++) {
        close(messages[i]);
        close(kept[i]);
    }
    CHECK(sealed_status == BULLA_DONE && changed == BULLA_DONE && opened_status == BULLA_DONE);
    CHECK(damaged == BULLA_DAMAGED && made == BULLA_DONE && refused == BULLA_NO_KEY);
    CHECK(n < 0 && errno == EAGAIN);
    CHECK(before.umask == after.umask);
    for (int i = 1; i < 65; i++)
        CHECK(before.actions[i].sa_handler == after.actions[i].sa_handler &&
              before.actions[i].sa_flags == after.actions[i].sa_flags);
    CHECK(memcmp(&before.mask, &after.mask, sizeof before.mask) == 0);
    CHECK(memcmp(before.descriptors, after.descriptors, sizeof before.descriptors) == 0);
    CHECK(before.json_malloc == after.json_malloc && before.json_free == after.json_free);
    CHECK(strcmp(before.directory, after.directory) == 0);
    CHECK(before.environment == after.environment && before.first == after.first);
    CHECK(remove("file.bulla") == 0);
    free(sealed.bytes);
    free(opened.bytes);
}

int main(void)
{
    enter_world();
    RUN(each_class_of_error_is_told);
    RUN(a_handle_is_not_made_of_what_is_wrong);
    RUN(what_is_missing_is_told);
    RUN(a_program_that_knows_less_is_served);
    RUN(nobody_gives_a_secret);
    RUN(a_callback_that_fails_ends_the_call);
    RUN(cancel_ends_a_call_that_blocks);
    RUN(two_handles_work_in_two_threads);
    RUN(one_handle_serves_two_threads_in_turn);
    RUN(the_process_stays_as_it_was);
    leave_world();
    return DONE();
}

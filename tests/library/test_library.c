/* The library as another program uses it: by bulla.h alone. */
#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <sys/stat.h>

#include "libbulla/bulla.h"
#include "tests/unit/test.h"

#define PLAIN_SIZE 200000
#define MARK_SIZE 8

/* struct toy: a key of this program. Its wrap is the key, masked, behind a mark of what it is bound
 * to. */
struct toy {
    uint8_t mask;
    int answer; /* in place of doing anything; 0 = do it */
    unsigned wraps, unwraps;
};

static void mark(uint8_t out[MARK_SIZE], const struct toy *t, const uint8_t *bound, size_t size)
{
    uint64_t hash = UINT64_C(0xcbf29ce484222325) + t->mask;

    for (size_t i = 0; i < size; i++)
        hash = (hash ^ bound[i]) * UINT64_C(0x100000001b3);
    memcpy(out, &hash, MARK_SIZE);
}

static int toy_wrap(void *arg, const uint8_t key[32], const uint8_t *bound, size_t bound_size,
                    uint8_t *out, size_t room, size_t *out_size)
{
    struct toy *t = arg;

    t->wraps++;
    if (t->answer != 0)
        return t->answer;
    CHECK(room >= MARK_SIZE + 32);
    mark(out, t, bound, bound_size);
    for (size_t i = 0; i < 32; i++)
        out[MARK_SIZE + i] = key[i] ^ t->mask;
    *out_size = MARK_SIZE + 32;
    return BULLA_DONE;
}

static int toy_unwrap(void *arg, const uint8_t *wrapped, size_t size, const uint8_t *bound,
                      size_t bound_size, uint8_t key[32])
{
    struct toy *t = arg;
    uint8_t expected[MARK_SIZE];

    t->unwraps++;
    if (t->answer != 0)
        return t->answer;
    mark(expected, t, bound, bound_size);
    if (size != MARK_SIZE + 32 || memcmp(expected, wrapped, MARK_SIZE) != 0)
        return BULLA_NO_KEY;
    for (size_t i = 0; i < 32; i++)
        key[i] = wrapped[MARK_SIZE + i] ^ t->mask;
    return BULLA_DONE;
}

/* struct bytes: what is read from or written to. */
struct bytes {
    uint8_t *bytes;
    size_t size, room, at;
    size_t fail_at; /* 0 = never */
    int answer;     /* then */
};

static int read_bytes(void *arg, void *out, size_t room, size_t *got)
{
    struct bytes *b = arg;
    size_t left = b->size - b->at, n = left < room ? left : room;

    if (b->fail_at > 0 && b->at >= b->fail_at)
        return b->answer;
    n = n > 7777 ? 7777 : n; /* fewer than there is room for */
    memcpy(out, b->bytes + b->at, n);
    b->at += n;
    *got = n;
    return BULLA_DONE;
}

static int write_bytes(void *arg, const void *bytes, size_t size)
{
    struct bytes *b = arg;

    if (b->fail_at > 0 && b->size + size > b->fail_at)
        return b->answer;
    if (b->size + size > b->room) {
        b->room = 2 * (b->size + size);
        b->bytes = realloc(b->bytes, b->room);
        MUST(b->bytes != NULL);
    }
    memcpy(b->bytes + b->size, bytes, size);
    b->size += size;
    return BULLA_DONE;
}

static struct bulla_input from(struct bytes *b)
{
    b->at = 0;
    return (struct bulla_input){BULLA_INIT(struct bulla_input), "source", read_bytes, b, -1};
}

static struct bulla_output to(struct bytes *b)
{
    b->size = 0;
    return (struct bulla_output){BULLA_INIT(struct bulla_output), "sink", write_bytes, b, -1};
}

static uint8_t plain_bytes[PLAIN_SIZE];
static struct bytes plain = {plain_bytes, PLAIN_SIZE, 0, 0, 0, 0};

static void fill_plain(void)
{
    for (size_t i = 0; i < PLAIN_SIZE; i++)
        plain_bytes[i] = (uint8_t)(i * i >> 3);
}

/* struct world: two toys and a handle that has the first. */
struct world {
    struct toy toys[2];
    struct bulla_key keys[2];
    const struct bulla_key *list[2];
    struct bulla *bulla, *second; /* second has only the second key */
    struct bulla_error error;
    char warned[1024];
};

static void note_warning(void *arg, const char *text)
{
    snprintf(((struct world *)arg)->warned, 1024, "%s", text);
}

static struct bulla *handle_with(struct world *w, const char *reference)
{
    struct bulla_options o = {.size = sizeof o,
                              .keys = &reference,
                              .key_count = reference != NULL,
                              .external = w->list,
                              .external_count = 2,
                              .arg = w,
                              .warn = note_warning};
    struct bulla *made = NULL;

    MUST(bulla_new(&made, &o, &w->error) == BULLA_DONE);
    return made;
}

static void begin(struct world *w)
{
    static const char *const names[] = {"first", "second"};

    *w = (struct world){.toys = {{.mask = 0x5a}, {.mask = 0xc3}}};
    for (size_t i = 0; i < 2; i++) {
        w->keys[i] = (struct bulla_key){BULLA_INIT(struct bulla_key), names[i], toy_wrap,
                                        toy_unwrap, &w->toys[i]};
        w->list[i] = &w->keys[i];
    }
    w->bulla = handle_with(w, "external:first");
    w->second = handle_with(w, "external:second");
}

static void end(struct world *w)
{
    bulla_free(w->bulla);
    bulla_free(w->second);
}

static int seal(struct world *w, struct bytes *sealed)
{
    struct bytes own = plain; /* two threads may be here */
    struct bulla_input in = from(&own);
    struct bulla_output out = to(sealed);

    return bulla_seal(w->bulla, NULL, &in, &out, NULL, &w->error);
}

static int open_by(struct world *w, struct bulla *handle, struct bytes *sealed,
                   struct bytes *opened)
{
    struct bulla_input in = from(sealed);
    struct bulla_output out = to(opened);

    return bulla_open(handle, NULL, &in, &out, NULL, &w->error);
}

static bool is_plain(const struct bytes *b)
{
    return b->size == plain.size && memcmp(b->bytes, plain.bytes, plain.size) == 0;
}

static void what_is_sealed_opens(void)
{
    struct bytes sealed = {0}, opened = {0};
    struct bulla_seal_options options = {.size = sizeof options,
                                         .name = "db",
                                         .generation = 7,
                                         .context = (const char *const[]){"host=a", "job=b"},
                                         .context_count = 2,
                                         .suite = BULLA_SUITE_CHACHA20_POLY1305};
    struct bulla_report done = {.size = sizeof done}, read = {.size = sizeof read};
    struct world w;

    begin(&w);
    struct bulla_input in = from(&plain);
    struct bulla_output out = to(&sealed);
    CHECK(bulla_seal(w.bulla, &options, &in, &out, &done, &w.error) == BULLA_DONE);
    CHECK(done.plain_size == PLAIN_SIZE && sealed.size > PLAIN_SIZE);
    in = from(&sealed);
    CHECK(bulla_verify(w.bulla, NULL, &in, &read, &w.error) == BULLA_DONE);
    CHECK(read.plain_size == PLAIN_SIZE && memcmp(read.file_id, done.file_id, 16) == 0);
    CHECK(open_by(&w, w.bulla, &sealed, &opened) == BULLA_DONE && is_plain(&opened));
    CHECK(w.toys[0].wraps == 1 && w.toys[1].wraps == 0 && w.warned[0] == '\0');
    end(&w);
    free(sealed.bytes);
    free(opened.bytes);
}

static void several_threads_of_a_handle_seal_and_open(void)
{
    struct bytes sealed = {0}, opened = {0};
    struct world w;

    begin(&w);
    const char *key = "external:first";
    struct bulla_options o = {.size = sizeof o,
                              .keys = &key,
                              .key_count = 1,
                              .external = w.list,
                              .external_count = 2,
                              .threads = 4};
    bulla_free(w.bulla);
    MUST(bulla_new(&w.bulla, &o, &w.error) == BULLA_DONE);
    CHECK(seal(&w, &sealed) == BULLA_DONE);
    CHECK(open_by(&w, w.bulla, &sealed, &opened) == BULLA_DONE && is_plain(&opened));
    end(&w);
    free(sealed.bytes);
    free(opened.bytes);
}

static void inspect_tells_what_is_in_an_envelope(void)
{
    struct bytes sealed = {0};
    const char *const context[] = {"b=2", "a=1"};
    struct bulla_seal_options options = {.size = sizeof options,
                                         .name = "n",
                                         .generation = 3,
                                         .context = context,
                                         .context_count = 2};
    struct bulla_info *info = NULL;
    struct world w;

    begin(&w);
    struct bulla_input in = from(&plain);
    struct bulla_output out = to(&sealed);
    MUST(bulla_seal(w.bulla, &options, &in, &out, NULL, &w.error) == BULLA_DONE);
    in = from(&sealed);
    struct bulla *none = handle_with(&w, NULL);
    MUST(bulla_inspect(none, &in, &info, &w.error) == BULLA_DONE);
    CHECK(strcmp(info->name, "n") == 0 && info->generation == 3 && info->created > 1600000000);
    CHECK(info->context_count == 2 && strcmp(info->context[0], "a=1") == 0 &&
          strcmp(info->context[1], "b=2") == 0);
    CHECK(info->slot_count == 1 && strcmp(info->slots[0]->method, "external") == 0 &&
          strcmp(info->slots[0]->key, "first") == 0 && info->slots[0]->code == 0x41);
    CHECK(info->copies_good == 2 && info->envelope_size > 0);
    bulla_info_free(info);
    bulla_info_free(NULL);
    bulla_free(none);
    end(&w);
    free(sealed.bytes);
}

static void status_tells_what_a_file_is_to_the_keys(void)
{
    struct bytes sealed = {0};
    struct bulla_state state = {.size = sizeof state};
    struct world w;

    begin(&w);
    MUST(seal(&w, &sealed) == BULLA_DONE);
    struct bulla_input in = from(&sealed);
    CHECK(bulla_status(w.bulla, &in, &state, &w.error) == BULLA_DONE);
    CHECK(state.size == sizeof state && state.slots == 1 && state.current == 1 && state.due == 0 &&
          state.copies_good == 2);
    in = from(&sealed);
    CHECK(bulla_status(w.second, &in, &state, &w.error) == BULLA_DONE);
    CHECK(state.slots == 1 && state.other == 1 && state.current == 0 && state.due == 0);
    sealed.bytes[20] ^= 1;
    in = from(&sealed);
    CHECK(bulla_status(w.bulla, &in, &state, &w.error) == BULLA_DONE);
    CHECK(state.copies_good == 1 && state.due == 1);
    CHECK(w.toys[0].unwraps == 0);
    end(&w);
    free(sealed.bytes);
}

static void write_file(const struct bytes *b)
{
    test_write("file.bulla", b->bytes, b->size);
}

static void read_file(struct bytes *b)
{
    FILE *f = fopen("file.bulla", "rb");

    MUST(f != NULL);
    b->size = fread(b->bytes, 1, b->room, f);
    fclose(f);
}

static void rewrap_changes_the_keys_of_a_file(void)
{
    struct bytes sealed = {0}, opened = {0};
    const char *const second = "external:second", *const first = "external:first";
    struct bulla_change add = {.size = sizeof add, .add = &second, .add_count = 1, .dry_run = 1};
    struct bulla_change drop = {.size = sizeof drop, .remove = &first, .remove_count = 1};
    int outcome = -1;
    struct world w;

    begin(&w);
    MUST(seal(&w, &sealed) == BULLA_DONE);
    write_file(&sealed);
    CHECK(bulla_rewrap(w.bulla, NULL, "file.bulla", &outcome, &w.error) == BULLA_DONE);
    CHECK(outcome == BULLA_REWRAP_CURRENT);
    CHECK(bulla_rewrap(w.second, NULL, "file.bulla", &outcome, &w.error) == BULLA_DONE);
    CHECK(outcome == BULLA_REWRAP_OTHER);
    CHECK(bulla_rewrap(w.bulla, &add, "file.bulla", &outcome, &w.error) == BULLA_DONE);
    CHECK(outcome == BULLA_REWRAP_DONE);
    read_file(&sealed);
    CHECK(open_by(&w, w.second, &sealed, &opened) == BULLA_NO_KEY && opened.size == 0);
    add.dry_run = 0;
    CHECK(bulla_rewrap(w.bulla, &add, "file.bulla", NULL, &w.error) == BULLA_DONE);
    read_file(&sealed);
    CHECK(open_by(&w, w.second, &sealed, &opened) == BULLA_DONE && is_plain(&opened));
    CHECK(open_by(&w, w.bulla, &sealed, &opened) == BULLA_DONE && is_plain(&opened));
    CHECK(bulla_rewrap(w.second, &drop, "file.bulla", NULL, &w.error) == BULLA_DONE);
    read_file(&sealed);
    CHECK(open_by(&w, w.bulla, &sealed, &opened) == BULLA_NO_KEY && opened.size == 0);
    CHECK(open_by(&w, w.second, &sealed, &opened) == BULLA_DONE && is_plain(&opened));
    drop.remove = &second;
    CHECK(bulla_rewrap(w.second, &drop, "file.bulla", NULL, &w.error) == BULLA_POLICY);
    CHECK(bulla_rewrap(w.second, &drop, "no such file", NULL, &w.error) == BULLA_MISSING);
    CHECK(remove("file.bulla") == 0);
    end(&w);
    free(sealed.bytes);
    free(opened.bytes);
}

static void rewrap_changes_the_keys_of_a_stream(void)
{
    struct bytes sealed = {0}, changed = {0}, opened = {0};
    const char *const second = "external:second";
    struct bulla_change change = {
        .size = sizeof change, .to = &second, .to_count = 1, .dry_run = 1};
    int outcome = -1;
    struct world w;

    begin(&w);
    MUST(seal(&w, &sealed) == BULLA_DONE);
    struct bulla_input in = from(&sealed);
    CHECK(bulla_rewrap_stream(w.bulla, &change, &in, NULL, &outcome, &w.error) == BULLA_DONE);
    CHECK(outcome == BULLA_REWRAP_DONE);
    change.dry_run = 0;
    in = from(&sealed);
    struct bulla_output out = to(&changed);
    CHECK(bulla_rewrap_stream(w.bulla, &change, &in, &out, &outcome, &w.error) == BULLA_DONE);
    CHECK(outcome == BULLA_REWRAP_DONE && changed.size == sealed.size);
    CHECK(open_by(&w, w.second, &changed, &opened) == BULLA_DONE && is_plain(&opened));

    /* This handle knows the branch key that it made; another with its key does not. */
    struct bulla *other = handle_with(&w, "external:first");
    CHECK(open_by(&w, other, &changed, &opened) == BULLA_NO_KEY && opened.size == 0);
    bulla_free(other);

    /* Nothing to be done: the same bytes. */
    in = from(&sealed);
    out = to(&changed);
    CHECK(bulla_rewrap_stream(w.bulla, NULL, &in, &out, &outcome, &w.error) == BULLA_DONE);
    CHECK(outcome == BULLA_REWRAP_CURRENT && changed.size == sealed.size &&
          memcmp(changed.bytes, sealed.bytes, sealed.size) == 0);

    /* The beginning of another body after the envelope. */
    struct bulla_info *info = NULL;
    in = from(&sealed);
    MUST(bulla_inspect(w.bulla, &in, &info, &w.error) == BULLA_DONE);
    sealed.bytes[info->envelope_size] ^= 1;
    bulla_info_free(info);
    in = from(&sealed);
    out = to(&changed);
    CHECK(bulla_rewrap_stream(w.bulla, &change, &in, &out, &outcome, &w.error) == BULLA_DAMAGED);
    end(&w);
    free(sealed.bytes);
    free(changed.bytes);
    free(opened.bytes);
}

static void reencrypt_gives_a_new_data_key(void)
{
    struct bytes sealed = {0}, fresh = {0}, opened = {0};
    const char *const second = "external:second";
    struct bulla_reencrypt_options options = {
        .size = sizeof options, .to = &second, .to_count = 1, .generation = 9};
    struct bulla_report report = {.size = sizeof report};
    struct bulla_info *info = NULL;
    struct world w;

    begin(&w);
    MUST(seal(&w, &sealed) == BULLA_DONE);
    struct bulla_input in = from(&sealed);
    struct bulla_output out = to(&fresh);
    CHECK(bulla_reencrypt(w.bulla, &options, &in, &out, &report, &w.error) == BULLA_DONE);
    CHECK(report.plain_size == PLAIN_SIZE);
    CHECK(open_by(&w, w.second, &fresh, &opened) == BULLA_DONE && is_plain(&opened));
    CHECK(open_by(&w, w.bulla, &fresh, &opened) == BULLA_NO_KEY && opened.size == 0);
    in = from(&fresh);
    MUST(bulla_inspect(w.bulla, &in, &info, &w.error) == BULLA_DONE);
    CHECK(info->generation == 9 && memcmp(info->file_id, report.file_id, 16) == 0);
    bulla_info_free(info);
    options.generation = 8;
    in = from(&fresh);
    out = to(&sealed);
    CHECK(bulla_reencrypt(w.second, &options, &in, &out, NULL, &w.error) == BULLA_POLICY);
    CHECK(sealed.size == 0);
    in = from(&fresh);
    CHECK(bulla_reencrypt(w.second, NULL, &in, &out, NULL, &w.error) == BULLA_DONE);
    CHECK(open_by(&w, w.second, &sealed, &opened) == BULLA_DONE && is_plain(&opened));
    end(&w);
    free(sealed.bytes);
    free(fresh.bytes);
    free(opened.bytes);
}

static void descriptors_of_any_kind_will_do(void)
{
    struct bytes sealed = {0}, opened = {0};
    int ends[2], file = open("plain", O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    struct world w;

    begin(&w);
    MUST(file >= 0 && write(file, "abc", 3) == 3 && lseek(file, 0, SEEK_SET) == 0 &&
         pipe(ends) == 0);
    struct bulla_input in = {BULLA_INIT(struct bulla_input), .fd = file};
    struct bulla_output out = to(&sealed);
    CHECK(bulla_seal(w.bulla, NULL, &in, &out, NULL, &w.error) == BULLA_DONE);
    in = from(&sealed);
    out = (struct bulla_output){BULLA_INIT(struct bulla_output), .fd = ends[1]};
    CHECK(bulla_open(w.bulla, NULL, &in, &out, NULL, &w.error) == BULLA_DONE);
    close(ends[1]);
    in = (struct bulla_input){BULLA_INIT(struct bulla_input), .fd = ends[0]};
    out = to(&sealed);
    CHECK(bulla_seal(w.bulla, NULL, &in, &out, NULL, &w.error) == BULLA_DONE);
    CHECK(open_by(&w, w.bulla, &sealed, &opened) == BULLA_DONE && opened.size == 3 &&
          memcmp(opened.bytes, "abc", 3) == 0);
    CHECK(fcntl(file, F_GETFD) >= 0 && fcntl(ends[0], F_GETFD) >= 0);
    close(file);
    close(ends[0]);
    CHECK(remove("plain") == 0);
    end(&w);
    free(sealed.bytes);
    free(opened.bytes);
}

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

    FAILS(bulla_seal(w.bulla, &sealing, &in, &out, NULL, &w.error), BULLA_USAGE, "KEY=VALUE");
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
    o = (struct bulla_options){0};
    FAILS(make_handle(&w, &o), BULLA_USAGE, "size");
    CHECK(bulla_new(&w.bulla, &o, NULL) == BULLA_USAGE);
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

static void one_handle_serves_two_threads_in_turn(void)
{
    struct bytes sealed[2] = {{0}, {0}};
    pthread_t thread;
    struct world w;
    int file = open("/dev/null", O_RDONLY | O_CLOEXEC),
        sink = open("/dev/null", O_WRONLY | O_CLOEXEC);

    begin(&w);
    struct blocked b = {.world = &w, .in = file, .out = sink};
    MUST(file >= 0 && sink >= 0 && pthread_create(&thread, NULL, run_blocked, &b) == 0);
    CHECK(seal(&w, &sealed[0]) == BULLA_DONE);
    pthread_join(thread, NULL);
    CHECK(b.status == BULLA_DONE);
    close(file);
    close(sink);
    end(&w);
    free(sealed[0].bytes);
}

/* struct process: what of the process is not the library's. */
struct process {
    mode_t umask;
    struct sigaction actions[65];
    sigset_t mask;
    bool descriptors[1024];
    json_malloc_t json_malloc;
    json_free_t json_free;
    char folder[4096];
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
    MUST(getcwd(p->folder, sizeof p->folder) != NULL);
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
    CHECK(strcmp(before.folder, after.folder) == 0);
    CHECK(before.environment == after.environment && before.first == after.first);
    CHECK(remove("file.bulla") == 0);
    free(sealed.bytes);
    free(opened.bytes);
}

int main(void)
{
    char folder[4096];

    test_enter_folder();
    fill_plain();
    RUN(what_is_sealed_opens);
    RUN(several_threads_of_a_handle_seal_and_open);
    RUN(inspect_tells_what_is_in_an_envelope);
    RUN(status_tells_what_a_file_is_to_the_keys);
    RUN(rewrap_changes_the_keys_of_a_file);
    RUN(rewrap_changes_the_keys_of_a_stream);
    RUN(reencrypt_gives_a_new_data_key);
    RUN(descriptors_of_any_kind_will_do);
    RUN(each_class_of_error_is_told);
    RUN(a_handle_is_not_made_of_what_is_wrong);
    RUN(a_program_that_knows_less_is_served);
    RUN(nobody_gives_a_secret);
    RUN(a_callback_that_fails_ends_the_call);
    RUN(cancel_ends_a_call_that_blocks);
    RUN(two_handles_work_in_two_threads);
    RUN(one_handle_serves_two_threads_in_turn);
    RUN(the_process_stays_as_it_was);
    MUST(getcwd(folder, sizeof folder) != NULL && rmdir(folder) == 0); /* nothing is left in it */
    return DONE();
}

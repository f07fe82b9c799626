/* The library as another program uses it, by bulla.h alone: what its calls do. */
#include <fcntl.h>

#include "tests/library/world.h"

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

/* A file that is read and written at once would be lost. */
static void an_output_is_another_file_than_the_input(void)
{
    struct bytes sealed = {0};
    const char *const second = "external:second";
    struct bulla_change add = {.size = sizeof add, .add = &second, .add_count = 1};
    struct world w;

    begin(&w);
    MUST(seal(&w, &sealed) == BULLA_DONE);
    write_file(&sealed);
    struct bulla_input in = {BULLA_INIT(struct bulla_input), .fd = open("file.bulla", O_RDONLY)};
    struct bulla_output out = {BULLA_INIT(struct bulla_output), .fd = open("file.bulla", O_RDWR)};
    CHECK(bulla_seal(w.bulla, NULL, &in, &out, NULL, &w.error) == BULLA_FAILED);
    CHECK(strcmp(w.error.text, "'output' is the file that is read") == 0);
    CHECK(bulla_open(w.bulla, NULL, &in, &out, NULL, &w.error) == BULLA_FAILED);
    CHECK(bulla_reencrypt(w.bulla, NULL, &in, &out, NULL, &w.error) == BULLA_FAILED);
    CHECK(bulla_rewrap_stream(w.bulla, &add, &in, &out, NULL, &w.error) == BULLA_FAILED);
    struct bytes now = {.bytes = malloc(sealed.size + 1), .room = sealed.size + 1};
    read_file(&now);
    CHECK(now.size == sealed.size && memcmp(now.bytes, sealed.bytes, now.size) == 0);
    CHECK(remove("file.bulla") == 0);
    close(in.fd);
    close(out.fd);
    end(&w);
    free(sealed.bytes);
    free(now.bytes);
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

int main(void)
{
    enter_world();
    RUN(what_is_sealed_opens);
    RUN(several_threads_of_a_handle_seal_and_open);
    RUN(inspect_tells_what_is_in_an_envelope);
    RUN(status_tells_what_a_file_is_to_the_keys);
    RUN(rewrap_changes_the_keys_of_a_file);
    RUN(rewrap_changes_the_keys_of_a_stream);
    RUN(reencrypt_gives_a_new_data_key);
    RUN(an_output_is_another_file_than_the_input);
    RUN(descriptors_of_any_kind_will_do);
    leave_world();
    return DONE();
}

/* The ground floor: wire, text, errors, secrets, places, atomic files, streams,
 * commands, threads. */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <sys/file.h>
#include <sys/stat.h>

#include "base/atomic_file.h"
#include "base/host.h"
#include "base/stream.h"
#include "base/text.h"
#include "base/threads.h"
#include "base/tree.h"
#include "base/trusted_file.h"
#include "base/wire.h"
#include "cmd/subprocess.h"
#include "tests/unit/test.h"

static void wire_round_trip(void)
{
    uint8_t bytes[32];
    struct wire_writer w = wire_writer(bytes, sizeof bytes);

    wire_put_u16(&w, 0x1234);
    wire_put_u32(&w, 0x56789abc);
    wire_put_u64(&w, UINT64_C(0xdef0123456789abc));
    wire_put_sized(&w, "abc", 3);
    CHECK(!w.bad && w.used == 19);
    CHECK(memcmp(bytes, "\x12\x34\x56\x78\x9a\xbc\xde\xf0", 8) == 0);
    struct wire_reader r = wire_reader(bytes, w.used);
    CHECK(wire_get_u16(&r) == 0x1234 && wire_get_u32(&r) == 0x56789abc);
    CHECK(wire_get_u64(&r) == UINT64_C(0xdef0123456789abc));
    struct view v = wire_get_sized(&r);
    CHECK(v.size == 3 && memcmp(v.bytes, "abc", 3) == 0 && wire_at_end(&r));
}

static void wire_reader_stops_at_the_end(void)
{
    const uint8_t bytes[3] = {0, 9, 1};

    for (size_t size = 0; size < 3; size++) {
        struct wire_reader r = wire_reader(bytes, size);
        struct view v = wire_get_sized(&r);
        CHECK(v.size == 0 && r.bad && !wire_at_end(&r));
        CHECK(wire_get_u64(&r) == 0 && wire_get_view(&r, 0).size == 0 && r.bad);
    }
}

static void wire_writer_stops_at_the_end(void)
{
    uint8_t bytes[3] = {7, 7, 7};
    struct wire_writer w = wire_writer(bytes, 2);

    wire_put_u32(&w, 1);
    CHECK(w.bad && w.used == 0 && bytes[0] == 7);
    wire_put_u16(&w, 1);
    CHECK(w.bad && w.used == 0);
}

static void utf8(void)
{
    static const struct {
        const char *text;
        size_t size;
        bool valid;
    } cases[] = {
        {"", 0, true},
        {"abc", 3, true},
        {"\xc3\xa9", 2, true},
        {"\xf0\x9f\x94\x91", 4, true},
        {"a\0b", 3, false},
        {"\xc3", 1, false},
        {"\xc0\xaf", 2, false},         /* overlong */
        {"\xe0\x80\xaf", 3, false},     /* overlong */
        {"\xed\xa0\x80", 3, false},     /* surrogate */
        {"\xf4\x90\x80\x80", 4, false}, /* above U+10FFFF */
        {"\xff", 1, false},
        {"\x80", 1, false},
    };

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        CHECK(text_is_utf8(cases[i].text, cases[i].size) == cases[i].valid);
}

static void escapes(void)
{
    static const struct {
        const char *in, *out;
    } cases[] = {
        {"plain \xc3\xa9", "plain \xc3\xa9"},
        {"\x1b[31m", "\\x1b[31m"},
        {"a\nb", "a\\x0ab"},
        {"\xff", "\\xff"},
        {"\xc2\x9b", "\\xc2\\x9b"},          /* C1 */
        {"\xe2\x80\xae", "\\xe2\\x80\\xae"}, /* right-to-left override */
        {"back\\slash", "back\\x5cslash"},
    };
    char out[64];

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        CHECK(strcmp(text_escape(out, sizeof out, cases[i].in, strlen(cases[i].in)),
                     cases[i].out) == 0);
    CHECK(strcmp(text_escape(out, 5, "ab\ncd", 5), "ab") == 0);
    CHECK(strcmp(text_escape(out, 1, "ab", 2), "") == 0);
}

static void times(void)
{
    static const char *const wrong[] = {"",
                                        "2026-11-23",
                                        "2026-11-23T19:05:00",
                                        "2026-13-01T00:00:00Z",
                                        "2026-02-30T00:00:00Z",
                                        "1969-12-31T23:59:59Z",
                                        "2026-11-23 19:05:00Z",
                                        "2026-11-23T19:05:00Zx"};
    char out[TEXT_TIME_SIZE];
    uint64_t seconds = 0;

    CHECK(strcmp(text_time(out, 0), "1970-01-01T00:00:00Z") == 0);
    CHECK(strcmp(text_time(out, TEXT_TIME_MAX), "9999-12-31T23:59:59Z") == 0);
    CHECK(text_untime(&seconds, "2026-11-23T19:05:00Z") && seconds == 1795460700);
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
        CHECK(!text_untime(&seconds, wrong[i]));
}

static void hex(void)
{
    uint8_t out[2];

    CHECK(text_unhex(out, 2, "00ff") && out[0] == 0 && out[1] == 0xff);
    CHECK(!text_unhex(out, 2, "00FF") && !text_unhex(out, 2, "00f") &&
          !text_unhex(out, 2, "00ff0"));
    CHECK(!text_unhex(out, 2, "00fg") && !text_unhex(out, 2, "0 ff"));
}

static void errors(void)
{
    struct err err = {0};
    char longer[ERR_TEXT_MAX + 10];

    CHECK(!fail(&err, ERR_POLICY, "no %d", 7).ok && err.class == ERR_POLICY);
    err_hint(&err, "do that");
    err_context(&err, "opening '%s'", "x");
    CHECK(strcmp(err.text, "opening 'x': no 7") == 0 && strcmp(err.hint, "do that") == 0);
    memset(longer, 'a', sizeof longer - 1);
    longer[sizeof longer - 1] = '\0';
    (void)fail(&err, ERR_FAILED, "%s", longer);
    CHECK(strlen(err.text) == ERR_TEXT_MAX - 1 && err.hint[0] == '\0');
    err_context(&err, "%s", longer);
    CHECK(strlen(err.text) == ERR_TEXT_MAX - 1);
    (void)fail(&err, ERR_INTERRUPTED, "interrupted");
    err_context(&err, "opening '%s'", "x");
    CHECK(strcmp(err.text, "interrupted") == 0);
}

static void secrets(void)
{
    struct secret a = {0}, b = {0};
    struct err err = {0};

    MUST(secret_random(&a, 32, &err).ok && secret_random(&b, 32, &err).ok);
    CHECK(memcmp(a.bytes, b.bytes, 32) != 0);
    secret_free(&b);
    b = TAKE(a);
    CHECK(a.bytes == NULL && b.size == 32);
    secret_free(&a);
    secret_free(&b);
    CHECK(b.bytes == NULL);
}

static bool holds(const char *path, const char *text)
{
    char got[64] = {0};
    FILE *f = fopen(path, "rb");

    if (f == NULL)
        return false;
    size_t n = fread(got, 1, sizeof got - 1, f);
    fclose(f);
    return n == strlen(text) && memcmp(got, text, n) == 0;
}

static struct result put(const char *path, bool replace, const char *text, struct err *err)
{
    struct place place PLACE_CLEANUP = {0};
    struct atomic_file f ATOMIC_FILE_CLEANUP = {0};

    if (!place_open(&place, path, err).ok || !atomic_file_open(&f, &place, replace, err).ok)
        return FAIL;
    MUST(write(f.fd, text, strlen(text)) == (ssize_t)strlen(text));
    return atomic_file_commit(&f, err);
}

static void atomic_files(void)
{
    struct err err = {0};

    CHECK(put("one", false, "first", &err).ok && holds("one", "first"));
    CHECK(!put("one", false, "second", &err).ok && holds("one", "first"));
    CHECK(put("one", true, "third", &err).ok && holds("one", "third"));
    CHECK(put("two", true, "new", &err).ok && holds("two", "new"));
    MUST(symlink("one", "link") == 0 && mkfifo("fifo", 0600) == 0 && mkdir("dir", 0700) == 0);
    CHECK(!put("link", true, "x", &err).ok && !put("fifo", true, "x", &err).ok);
    CHECK(!put("dir", true, "x", &err).ok && !put("none/x", true, "x", &err).ok);
    CHECK(holds("one", "third"));
}

static void an_atomic_file_does_not_replace_what_came_meanwhile(void)
{
    struct place place PLACE_CLEANUP = {0};
    struct atomic_file f ATOMIC_FILE_CLEANUP = {0};
    struct err err = {0};

    MUST(place_open(&place, "late", &err).ok && atomic_file_open(&f, &place, false, &err).ok);
    test_write("late", "theirs", 6);
    CHECK(!atomic_file_commit(&f, &err).ok && holds("late", "theirs"));
}

/* By another descriptor, as another run has one that finds the file by its temporary name. */
static void an_atomic_file_is_locked_until_it_is_closed(void)
{
    struct place place PLACE_CLEANUP = {0};
    struct atomic_file f ATOMIC_FILE_CLEANUP = {0};
    struct err err = {0};
    char path[32];

    MUST(place_open(&place, "locked", &err).ok && atomic_file_open(&f, &place, false, &err).ok);
    snprintf(path, sizeof path, "/proc/self/fd/%d", f.fd);
    int other = open(path, O_RDONLY | O_CLOEXEC);
    CHECK(flock(other, LOCK_EX | LOCK_NB) != 0 && errno == EWOULDBLOCK);
    CHECK(atomic_file_commit(&f, &err).ok && flock(other, LOCK_EX | LOCK_NB) == 0);
    close(other);
}

static void compare_sinks(void)
{
    static const struct {
        const char *given;
        bool same;
    } cases[] = {{"content", true}, {"contents", false}, {"conten", false}, {"Content", false}};

    test_write("c", "content", 7);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        int fd FD_CLEANUP = open("c", O_RDONLY);
        struct compare_sink s = compare_sink((struct source){.fd = fd, .name = "c"});
        struct err err = {0};
        bool same = sink_write(&s.sink, cases[i].given, strlen(cases[i].given), &err).ok &&
                    compare_sink_finish(&s, &err).ok;
        CHECK(same == cases[i].same && (same || err.class == ERR_DAMAGED));
    }
}

static void commands(void)
{
    static const struct {
        const char *text;
        size_t size;
        enum err_class class;
        const char *says;
    } cases[] = {
        {"printf abc", 3, ERR_NONE, ""},
        {"cat", 0, ERR_NONE, ""}, /* there is nothing to read */
        {"exec yes", 4, ERR_NONE, ""},
        {"trap '' TERM; echo abc; exec sleep 60", 4, ERR_NONE, ""},
        {"printf ab; exec sleep 60", 2, ERR_STORE, "it takes too long"},
        {"exec >&-; exec sleep 60", 0, ERR_STORE, "it takes too long"},
        {"printf abc; exit 3", 3, ERR_POLICY, "it failed with status 3"},
        {"kill $$", 0, ERR_POLICY, "it failed: killed by signal 15 (SIGTERM)"},
    };

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct command command = {.argv = (const char *const[]){"sh", "-c", cases[i].text, NULL},
                                  .name = "it",
                                  .seconds = 1,
                                  .failure = ERR_POLICY};
        struct err err = {0};
        char out[4];
        size_t size = 9;
        bool ran = subprocess_output(&command, out, sizeof out, &size, &err).ok;
        CHECK(ran == (cases[i].class == ERR_NONE) && err.class == cases[i].class);
        CHECK(size == cases[i].size);
        CHECK(strcmp(err.text, cases[i].says) == 0);
    }
}

/* struct late: a visitor whose results come as late as they may. */
struct late {
    size_t files, settled, waits, others; /* others: none is expected */
    int twins[100];                       /* of each file */
    size_t stop;                          /* at this file; 0 = never */
};

static bool late_file(void *arg, const struct place *file, int twin, const char *twin_path)
{
    struct late *l = arg;

    (void)file, (void)twin_path;
    MUST(l->files < 100);
    l->twins[l->files++] = dup(twin);
    return l->files != l->stop;
}

static struct result late_make(void *arg, int twin, const char *path, struct err *err)
{
    (void)arg, (void)twin, (void)path, (void)err;
    return OK;
}

static void late_settle(void *arg)
{
    struct late *l = arg;

    l->waits++;
    for (; l->settled < l->files; l->settled++) {
        MUST(close(openat(l->twins[l->settled], "late", O_WRONLY | O_CREAT | O_EXCL, 0600)) == 0);
        close(l->twins[l->settled]);
    }
}

static void late_skip(void *arg, const char *path, const char *what)
{
    struct late *l = arg;

    (void)path, (void)what;
    l->others++;
}

static bool late_follow(void *arg, const char *path)
{
    late_skip(arg, path, "a symbolic link");
    return false;
}

static void late_failed(void *arg, const char *path, const struct err *err)
{
    struct late *l = arg;

    printf("# %s: %s\n", path, err->text);
    l->others++;
}

static void late_walk(struct late *l)
{
    const struct tree_visitor visitor = {
        .file = late_file,
        .before_make = late_make,
        .sync = true,
        .whose = WHOSE_SAME,
        .settle = late_settle,
        .skip = late_skip,
        .follow = late_follow,
        .failed = late_failed,
        .arg = l,
    };
    struct place tree PLACE_CLEANUP = {0}, other PLACE_CLEANUP = {0};
    struct err err = {0};

    MUST(mkdir("other", 0700) == 0);
    MUST(place_open(&tree, "tree", &err).ok && place_open(&other, "other", &err).ok);
    CHECK(tree_walk(&tree, &other, false, &visitor, &err).ok && l->others == 0);
}

/* How many directories of the other tree have a file, and the looks of the one it goes with. */
static int count_finished(int pairs)
{
    struct stat st, like;
    int finished = 0;
    char name[32];

    for (int i = 0; i < 2 * pairs; i++) {
        const char *inner = i % 2 == 0 ? "" : "/in";
        snprintf(name, sizeof name, "tree/%02d%s", i / 2, inner);
        MUST(stat(name, &like) == 0);
        snprintf(name, sizeof name, "other/%02d%s", i / 2, inner);
        bool there = stat(name, &st) == 0;
        snprintf(name, sizeof name, "other/%02d%s/late", i / 2, inner);
        finished += there && access(name, F_OK) == 0 && st.st_mode == like.st_mode &&
                    st.st_mtim.tv_sec == like.st_mtim.tv_sec;
    }
    return finished;
}

static void new_directories_wait_for_their_files_many_at_once(void)
{
    const struct timespec times[2] = {{.tv_sec = 1000000000}, {.tv_sec = 1000000000}};
    struct late all = {0}, stopped = {.stop = 3};
    char name[32];

    MUST(mkdir("tree", 0700) == 0);
    for (int i = 0; i < 40; i++) {
        snprintf(name, sizeof name, "tree/%02d", i);
        MUST(mkdir(name, 0700) == 0);
        snprintf(name, sizeof name, "tree/%02d/in", i);
        MUST(mkdir(name, 0700) == 0);
        snprintf(name, sizeof name, "tree/%02d/in/f", i);
        test_write(name, "", 0);
        snprintf(name, sizeof name, "tree/%02d/z", i);
        test_write(name, "", 0);
        snprintf(name, sizeof name, "tree/%02d/in", i);
        MUST(chmod(name, 0550) == 0 && utimensat(AT_FDCWD, name, times, 0) == 0);
        snprintf(name, sizeof name, "tree/%02d", i);
        MUST(chmod(name, 0551) == 0 && utimensat(AT_FDCWD, name, times, 0) == 0);
    }
    late_walk(&all);
    CHECK(all.files == 80 && all.settled == 80 && all.waits == 2); /* 64 and 16 */
    CHECK(count_finished(40) == 80);
    MUST(rename("other", "first") == 0);
    late_walk(&stopped);
    CHECK(stopped.files == 3 && stopped.waits == 1 && count_finished(40) == 3);
}

/* What a file gets of one like its own, of which at most the owner and the group differ. */
static void what_is_the_callers_takes_no_orders(void)
{
    static const struct {
        mode_t mode, umask;
        bool other_user, other_group;
        mode_t made;
    } cases[] = {
        {0100644, 022, false, false, 0644}, {0100646, 022, false, false, 0644},
        {0100646, 077, false, false, 0600}, {0104755, 0, false, false, 0755},
        {0100664, 0, false, true, 0604}, /* no other group gets what was for one */
        {0100646, 0, true, false, 0600},    {0100440, 0, true, true, 0400},
        {0100077, 0, true, false, 0},
    };

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        int fd = open(".", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
        struct stat like, made;
        unsigned lacks = 0;
        MUST(fd >= 0 && fstat(fd, &like) == 0);
        const uid_t user = like.st_uid;
        const gid_t group = like.st_gid;
        like.st_mode = cases[i].mode;
        like.st_uid += cases[i].other_user;
        like.st_gid += cases[i].other_group;
        like.st_mtim.tv_sec = 1000000000;
        umask(cases[i].umask);
        host_program()->umask = umask(077);
        CHECK(fd_like(fd, &like, WHOSE_CALLER, &lacks) == 0 && fstat(fd, &made) == 0);
        CHECK(lacks == 0);
        CHECK(made.st_uid == user && made.st_gid == group);
        CHECK((made.st_mode & 07777) == cases[i].made && made.st_mtim.tv_sec == 1000000000);
        close(fd);
    }
}

#define MANY 8192 /* CPUs */

/* In the place of the C library's: a machine with room for many CPUs, of which it has three. */
int sched_getaffinity(pid_t pid, size_t size, cpu_set_t *set)
{
    (void)pid;
    if (size < MANY / 8) {
        errno = EINVAL;
        return -1;
    }
    CPU_ZERO_S(size, set);
    CPU_SET_S(0, size, set);
    CPU_SET_S(1, size, set);
    CPU_SET_S(MANY - 1, size, set);
    return 0;
}

static void threads_on_a_large_machine(void)
{
    CHECK(threads_allowed() == 3);
}

/* What was opened is judged, whatever took its place since: as a keyring's next version does. */
static void trusted_looks_at_what_was_opened(void)
{
    int fd FD_CLEANUP = -1;
    struct err err = {0};

    test_write("read", "x", 1);
    test_write("other", "x", 1);
    fd = open("read", O_RDONLY | O_CLOEXEC);
    CHECK(trusted_file(fd, "read", "file", &err).ok);
    MUST(rename("other", "read") == 0);
    CHECK(trusted_file(fd, "read", "file", &err).ok);
    MUST(fchmod(fd, 0646) == 0);
    CHECK(!trusted_file(fd, "read", "file", &err).ok && err.class == ERR_POLICY);
    MUST(fchmod(fd, 0644) == 0 && unlink("read") == 0);
    CHECK(trusted_file(fd, "read", "file", &err).ok);
    MUST(symlink("read", "read") == 0);
    CHECK(!trusted_file(fd, "read", "file", &err).ok && err.class == ERR_FAILED);
    CHECK(strstr(err.text, "Too many levels of symbolic links") != NULL);
    CHECK(!trusted_file(fd, "gone/read", "file", &err).ok && err.class == ERR_FAILED);
    CHECK(trusted_place("new", "file", &err).ok && !trusted_place("read/new", "file", &err).ok);
    MUST(unlink("read") == 0);
}

int main(void)
{
    struct err err = {0};

    MUST(secret_init(&err).ok);
    test_enter_directory();
    host_program()->umask = umask(077);
    RUN(wire_round_trip);
    RUN(wire_reader_stops_at_the_end);
    RUN(wire_writer_stops_at_the_end);
    RUN(utf8);
    RUN(escapes);
    RUN(times);
    RUN(hex);
    RUN(errors);
    RUN(secrets);
    RUN(atomic_files);
    RUN(an_atomic_file_does_not_replace_what_came_meanwhile);
    RUN(an_atomic_file_is_locked_until_it_is_closed);
    RUN(compare_sinks);
    RUN(commands);
    RUN(threads_on_a_large_machine);
    RUN(trusted_looks_at_what_was_opened);
    RUN(new_directories_wait_for_their_files_many_at_once);
    RUN(what_is_the_callers_takes_no_orders);
    return DONE();
}

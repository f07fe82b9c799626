#include "cmd/passphrase.h"
#include "cmd/subprocess.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/host.h"
#include "base/secret_file.h"
#include "base/stream.h"
#include "base/text.h"
#include "cmd/key_alias.h"
#include "cmd/progress.h"
#include "cmd/terminal.h"
#include "crypto/passphrase_kdf.h"

#define PIN_SOURCES                                                                                \
    "PIN", offsetof(struct options, pin_fd), offsetof(struct options, pin_command),                \
        "BULLA_PIN_FILE", "bulla.pin"

/* struct sources: the places from which one kind of secret may come. */
static const struct sources {
    const char *noun;
    size_t fd, command; /* options: where they stand in struct options */
    const char *variable, *credential;
    const char *hint; /* where there is no terminal */
} sources[] = {
    [WANT_PASSPHRASE] =
        {"passphrase", offsetof(struct options, passphrase_fd),
         offsetof(struct options, passphrase_command), "BULLA_PASSPHRASE_FILE", "bulla.passphrase",
         "BULLA_PASSPHRASE_FILE, --passphrase-fd and --passphrase-command give one"},
    [WANT_NEW_PASSPHRASE] = {"passphrase", offsetof(struct options, new_passphrase_fd),
                             offsetof(struct options, new_passphrase_command),
                             "BULLA_NEW_PASSPHRASE_FILE", "bulla.new-passphrase",
                             "BULLA_NEW_PASSPHRASE_FILE, --new-passphrase-fd and "
                             "--new-passphrase-command give one"},
    [WANT_PIN] = {PIN_SOURCES,
                  "BULLA_PIN_FILE, --pin-fd, --pin-command and pin-source= in the URI give one"},
    [WANT_PIN_TYPED] = {PIN_SOURCES, "a token's last try is for a PIN that somebody types; the "
                                     "right PIN, given by another tool, brings the tries back"},
};

static struct result from_fd_option(const char *number, const char *noun, struct secret *out,
                                    struct err *err)
{
    char name[32];
    int fd = (int)strtol(number, NULL, 10);

    snprintf(name, sizeof name, "descriptor %d", fd);
    return secret_read_typed(out, fd, noun, name, err);
}

static struct result from_file(const char *path, const char *noun, struct secret *out,
                               struct err *err)
{
    char kind[sizeof "passphrase file"];

    snprintf(kind, sizeof kind, "%s file", noun);
    return secret_file_typed(out, path, kind, noun, err);
}

static struct result from_command(const char *text, const char *noun, struct secret *out,
                                  struct err *err)
{
    struct secret all SECRET_CLEANUP = {0};
    char name[sizeof "the passphrase command"];
    struct command command = {.argv = (const char *const[]){"/bin/sh", "-c", text, NULL},
                              .name = name,
                              .failure = ERR_FAILED};
    size_t size;

    snprintf(name, sizeof name, "the %s command", noun);
    if (!secret_new(&all, SECRET_TYPED_MAX + 2, err).ok ||
        !subprocess_output(&command, all.bytes, all.size, &size, err).ok)
        return FAIL;
    return secret_typed(out, &all, size, noun, "its command", err);
}

/* struct question: the one question on the terminal. Static, because a signal handler gets no
 * argument. */
static struct question {
    int tty;
    pthread_t asker;
    struct termios shown, hidden;
    char text[TEXT_ESCAPED(256) + sizeof "bulla: , once more: "];
} question;

static void question_put(void)
{
    tcsetattr(question.tty, TCSAFLUSH, &question.hidden);
    if (write(question.tty, question.text, strlen(question.text)) < 0)
        return; /* and who does not see it may still type */
}

/* If somebody stops bulla (SIGTSTP), the terminal is as it was, and the question is asked again
 * when bulla continues. On the thread that asks, so that it ends before the question does. */
static void on_stop(int number)
{
    struct sigaction ours, usual = {.sa_handler = SIG_DFL};
    int before = errno;

    if (pthread_equal(pthread_self(), question.asker)) {
        tcsetattr(question.tty, TCSAFLUSH, &question.shown);
        sigaction(number, &usual, &ours);
        raise(number);
        sigaction(number, &ours, NULL);
        question_put();
    } else
        pthread_kill(question.asker, number);
    errno = before;
}

/* Reads a line without showing what is typed, and puts the terminal right; as read does. */
static ssize_t read_hidden(struct secret *typed, size_t *size)
{
    struct sigaction stop = {.sa_handler = on_stop, .sa_flags = SA_NODEFER | SA_RESTART}, before;
    ssize_t n = 0;

    sigaction(SIGTSTP, NULL, &before);
    if (before.sa_handler != SIG_IGN)
        sigaction(SIGTSTP, &stop, NULL);
    question_put();
    while (*size < typed->size && !stream_interrupted() &&
           (n = read(question.tty, typed->bytes + *size, 1)) == 1 &&
           typed->bytes[(*size)++] != '\n')
        continue;
    int error = errno;
    sigaction(SIGTSTP, &before, NULL);
    tcsetattr(question.tty, TCSAFLUSH, &question.shown);
    dprintf(question.tty, "\n");
    errno = error;
    return n;
}

/* Asks on the terminal. */
static struct result prompt(int tty, const char *noun, const char *what, const char *again,
                            struct secret *out, struct err *err)
{
    struct secret typed SECRET_CLEANUP = {0};
    size_t size = 0;

    question.tty = tty;
    question.asker = pthread_self();
    snprintf(question.text, sizeof question.text, "bulla: %s%s: ", what, again);
    if (!secret_new(&typed, SECRET_TYPED_MAX + 2, err).ok)
        return FAIL;
    if (tcgetattr(tty, &question.shown) != 0)
        return fail_errno(err, "cannot ask on the terminal");
    question.hidden = question.shown;
    question.hidden.c_lflag &= ~(tcflag_t)ECHO;
    ssize_t n = read_hidden(&typed, &size);
    if (stream_interrupted())
        return fail(err, ERR_INTERRUPTED, "interrupted");
    if (n < 0)
        return fail_errno(err, "cannot read from the terminal");
    return secret_typed(out, &typed, size, noun, "the terminal", err);
}

static struct result from_terminal(const char *what, enum wanted wanted, struct secret *out,
                                   struct err *err)
{
    int tty FD_CLEANUP = open(TERMINAL, O_RDWR | O_CLOEXEC | O_NOCTTY);
    struct secret first SECRET_CLEANUP = {0}, second SECRET_CLEANUP = {0};
    char shown[TEXT_ESCAPED(256)];

    if (tty < 0) {
        (void)fail(err, wanted == WANT_PIN_TYPED ? ERR_POLICY : ERR_USAGE,
                   "there is no terminal to ask for the %s", what);
        return fail_hint(err, "%s", sources[wanted].hint);
    }
    text_escape(shown, sizeof shown, what, strlen(what));
    if (!prompt(tty, sources[wanted].noun, shown, "", &first, err).ok)
        return FAIL;
    if (wanted == WANT_NEW_PASSPHRASE) {
        if (!prompt(tty, sources[wanted].noun, shown, ", once more", &second, err).ok)
            return FAIL;
        if (first.size != second.size || sodium_memcmp(first.bytes, second.bytes, first.size) != 0)
            return fail(err, ERR_FAILED, "the two are not the same");
    }
    *out = TAKE(first);
    return OK;
}

static const char *option(const struct options *o, size_t offset)
{
    return *(const char *const *)(const void *)((const char *)o + offset);
}

/* Where the systemd credential would be; NULL without such a directory. False if memory is out. */
static bool credential_path(const struct sources *s, char **path)
{
    const char *directory = key_alias_credentials();

    if (directory != NULL && asprintf(path, "%s/%s", directory, s->credential) < 0) {
        *path = NULL;
        return false;
    }
    return true;
}

static struct result find(const struct options *o, const char *what, enum wanted wanted,
                          struct secret *out, struct err *err)
{
    const struct sources *s = &sources[wanted];
    const char *fd = option(o, s->fd), *command = option(o, s->command);
    const char *file = getenv(s->variable);
    char *path STRING_CLEANUP = NULL;

    if (wanted == WANT_PIN_TYPED)
        return from_terminal(what, wanted, out, err);
    if (fd != NULL) {
        host_explain("%s: from descriptor %s", what, fd);
        return from_fd_option(fd, s->noun, out, err);
    }
    if (command != NULL) {
        host_explain("%s: from the %s command", what, s->noun);
        return from_command(command, s->noun, out, err);
    }
    if (file == NULL || file[0] == '\0') {
        if (!credential_path(s, &path))
            return fail_memory(err);
        file = path != NULL && access(path, F_OK) == 0 ? path : NULL;
    }
    if (file == NULL)
        return from_terminal(what, wanted, out, err);
    host_explain("%s: from file '%s'", what, file);
    return from_file(file, s->noun, out, err);
}

/* Whether one of these is at either end: blanks, also those that a text processor or a web page
 * has in their place, or that nobody sees. */
static bool has_blank_end(const struct secret *s)
{
    static const char *const blanks[] = {" ",      "\t",     "\u00a0", "\u2007",
                                         "\u200b", "\u202f", "\u3000"};

    for (size_t i = 0; i < sizeof blanks / sizeof *blanks; i++) {
        size_t size = strlen(blanks[i]);
        if (s->size >= size && (memcmp(s->bytes, blanks[i], size) == 0 ||
                                memcmp(s->bytes + s->size - size, blanks[i], size) == 0))
            return true;
    }
    return false;
}

/* A byte that an editor added to a file would become part of a new passphrase, and be missing when
 * somebody types it. To open something, the passphrase is tried as it is: it may have been set like
 * that. */
static struct result check_new(const struct secret *s, const char *what, struct err *err)
{
    const char *odd = secret_oddity(s);
    char text[ERR_TEXT_MAX];

    if (odd != NULL) {
        (void)fail(err, ERR_USAGE, "%s: it %s", what, odd);
        return fail_hint(err, "a passphrase file has one line, as echo writes it");
    }
    if (has_blank_end(s)) {
        snprintf(text, sizeof text, "%s: it begins or ends with a blank, which is part of it",
                 what);
        terminal_warn(NULL, text);
    }
    return OK;
}

static struct result find_checked(const struct options *o, const char *what, enum wanted wanted,
                                  struct secret *out, struct err *err)
{
    struct secret found SECRET_CLEANUP = {0};

    if (!find(o, what, wanted, &found, err).ok ||
        (wanted == WANT_NEW_PASSPHRASE && !check_new(&found, what, err).ok))
        return FAIL;
    *out = TAKE(found);
    return OK;
}

/* The two sessions of a reencryption may ask at once, but there is one terminal. */
static struct result get(void *arg, const char *what, enum wanted wanted, struct secret *out,
                         struct err *err)
{
    static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

    pthread_mutex_lock(&lock);
    progress_pause();
    struct result r = find_checked(arg, what, wanted, out, err);
    progress_resume();
    pthread_mutex_unlock(&lock);
    return r;
}

bool passphrase_by_command(const struct options *o)
{
    for (size_t i = 0; i < sizeof sources / sizeof *sources; i++)
        if (option(o, sources[i].command) != NULL)
            return true;
    return false;
}

void passphrase_files(void (*visit)(void *arg, const char *variable, const char *path), void *arg)
{
    for (size_t i = 0; i < WANT_PIN_TYPED; i++) {
        const char *file = getenv(sources[i].variable);
        char *path STRING_CLEANUP = NULL;
        if (file != NULL && file[0] != '\0')
            visit(arg, sources[i].variable, file);
        if (credential_path(&sources[i], &path) && path != NULL)
            visit(arg, CREDENTIALS, path);
    }
}

void passphrase_env(struct keystore_env *env, const struct options *o)
{
    env->passphrase = get;
    env->arg = (void *)(uintptr_t)o;
    env->kdf_memory_kib =
        o->max_kdf_mem != 0 ? (uint32_t)o->max_kdf_mem * 1024 : KDF_MEMORY_KIB_ALLOWED;
}

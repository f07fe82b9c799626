/* Where AWS credentials come from: the shared files, the environment, programs, a container, the
 * instance, STS. Whatever they say, what is taken can stand in a header.
 *
 * An input is a byte of what the environment has, the config file, the credentials file, a token
 * file, and then the answers of programs and of the network. No file but these is opened, and no
 * program run. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>

#include "aws/credentials/chain.h"
#include "aws/sts.h"
#include "crypto/slot.h"
#include "keystore/awskms/slots.h"
#include "tests/fuzz/fuzz.h"

#define SOME_PID 4194305 /* above all that there can be */

enum {
    KEYS = 1,
    CONTAINER = 2,
    TOKEN_FILE = 4,
    NO_INSTANCE = 8,
    WEB = 16,
    FULL_URL = 32,
    TOKEN = 64,
    PROFILE = 128
};

/* The linker puts these in the place of the functions (--wrap). */
int __wrap_open(const char *path, int flags, ...);
int __wrap_open64(const char *path, int flags, ...);
int __real_open(const char *path, int flags, ...);
int __wrap_file_open(int dir, const char *name, int flags);
int __real_file_open(int dir, const char *name, int flags);
struct result __wrap_trusted_file(int fd, const char *path, const char *kind, struct err *err);
int __wrap_pipe2(int ends[2], int flags);
int __real_pipe2(int ends[2], int flags);
int __wrap_posix_spawnp(pid_t *pid, const char *file, const posix_spawn_file_actions_t *actions,
                        const posix_spawnattr_t *attributes, char *const argv[], char *const env[]);
pid_t __wrap_waitpid(pid_t pid, int *status, int options);
pid_t __real_waitpid(pid_t pid, int *status, int options);
int __wrap_kill(pid_t pid, int number);

static struct wire_reader *input;
static struct view config, credentials, token;
static int into_pipe;

int __wrap_open(const char *path, int flags, ...)
{
    const struct view *v = strcmp(path, "config") == 0        ? &config
                           : strcmp(path, "credentials") == 0 ? &credentials
                           : strcmp(path, "token") == 0       ? &token
                                                              : NULL;

    if ((flags & O_CREAT) != 0) /* not by us: coverage is written when the process ends */
        return __real_open(path, flags, 0666);
    if (v != NULL)
        return fuzz_file(v->bytes, v->size);
    errno = ENOENT;
    return -1;
}

int __wrap_open64(const char *path, int flags, ...)
{
    return __wrap_open(path, flags);
}

int __wrap_file_open(int dir, const char *name, int flags)
{
    return dir == AT_FDCWD ? __wrap_open(name, flags) : __real_file_open(dir, name, flags);
}

/* Else nothing of them would choose a program or a role. */
struct result __wrap_trusted_file(int fd, const char *path, const char *kind, struct err *err)
{
    (void)fd, (void)path, (void)kind, (void)err;
    return OK;
}

int __wrap_pipe2(int ends[2], int flags)
{
    int failed = __real_pipe2(ends, flags | O_NONBLOCK);

    into_pipe = ends[1];
    return failed;
}

/* What fits into a pipe is printed before anybody reads. */
int __wrap_posix_spawnp(pid_t *pid, const char *file, const posix_spawn_file_actions_t *actions,
                        const posix_spawnattr_t *attributes, char *const argv[], char *const env[])
{
    struct view output = wire_get_sized(input);

    (void)actions, (void)attributes, (void)env;
    HOLDS(file == argv[0]);
    if (input->bad)
        return ENOENT;
    (void)!write(into_pipe, output.bytes, output.size);
    *pid = SOME_PID;
    return 0;
}

pid_t __wrap_waitpid(pid_t pid, int *status, int options)
{
    if (pid != SOME_PID) /* of replay.c */
        return __real_waitpid(pid, status, options);
    *status = fuzz_byte(input) == 1 ? 256 : 0;
    return pid;
}

int __wrap_kill(pid_t pid, int number)
{
    HOLDS(pid == SOME_PID && number == SIGKILL);
    return 0;
}

static void set(bool wanted, const char *name, const char *value)
{
    if (wanted)
        setenv(name, value, 1);
    else
        unsetenv(name);
}

static void set_environment(unsigned how)
{
    setenv("AWS_CONFIG_FILE", "config", 1);
    setenv("AWS_SHARED_CREDENTIALS_FILE", "credentials", 1);
    set((how & KEYS) != 0, "AWS_ACCESS_KEY_ID", "AKIDEXAMPLE");
    set((how & KEYS) != 0, "AWS_SECRET_ACCESS_KEY", "secret");
    set((how & CONTAINER) != 0, "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "/get");
    set((how & FULL_URL) != 0, "AWS_CONTAINER_CREDENTIALS_FULL_URI", "http://localhost:80/get");
    set((how & TOKEN_FILE) != 0, "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", "token");
    set((how & TOKEN) != 0, "AWS_CONTAINER_AUTHORIZATION_TOKEN", "Basic dG9rZW4=");
    set((how & NO_INSTANCE) != 0, "AWS_EC2_METADATA_DISABLED", "true");
    set((how & WEB) != 0, "AWS_WEB_IDENTITY_TOKEN_FILE", "token");
    set((how & WEB) != 0, "AWS_ROLE_ARN", "arn:aws:iam::111122223333:role/r");
    set((how & PROFILE) != 0, "AWS_PROFILE", "backup");
}

static void check_word(const struct secret *s)
{
    HOLDS(s->size > 1 && s->bytes[s->size - 1] == '\0');
    for (size_t i = 0; i < s->size - 1; i++)
        HOLDS(s->bytes[i] > ' ' && s->bytes[i] <= '~');
}

static void look(struct aws *aws)
{
    struct chain chain = {.aws = aws};
    const struct credentials *c = NULL;
    struct caller caller = chain_caller(&chain);
    char who[SLOT_KEY_ARN_MAX + 1];
    struct err err = {0};

    chain_region(&chain, "eu-west-1");
    if (!chain_credentials(&chain, false, &c, &err).ok) {
        fuzz_refused(&err);
    } else {
        check_word(&c->access_key);
        check_word(&c->secret_key);
        if (c->token.bytes != NULL)
            check_word(&c->token);
        HOLDS(c->source[0] != '\0');
        if (!sts_caller(aws, chain.region, &caller, who, sizeof who, &err).ok)
            fuzz_refused(&err);
    }
    chain_free(&chain);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct wire_reader r;
    struct err err = {0};
    struct aws aws;

    (void)fuzz_crypto();
    r = wire_reader(data, size);
    unsigned how = fuzz_byte(&r);
    config = wire_get_sized(&r);
    credentials = wire_get_sized(&r);
    token = wire_get_sized(&r);
    input = &r;
    if (r.bad)
        return 0;
    fuzz_network_answers(&r);
    set_environment(how);
    fuzz_spoil(&aws, sizeof aws);
    if (!aws_open(&aws, &fuzz_environment, 10, &err).ok) {
        fuzz_refused(&err);
        HOLDS(fuzz_untouched(&aws, sizeof aws));
        return 0;
    }
    HOLDS(aws.region[0] == '\0' || region_is_valid(aws.region));
    look(&aws);
    aws_close(&aws);
    return 0;
}

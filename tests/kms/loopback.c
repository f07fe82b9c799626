/* loopback: keeps a program under test on this machine, by LD_PRELOAD.
 *
 * Each address and name it asks for is appended to the file in LOOPBACK_LOG. A connection to
 * elsewhere than loopback is refused, unless LOOPBACK_TO has "ADDRESS=PORT" for it among its words:
 * then it leads to that port of 127.0.0.1. Names other than localhost are not found, or never if
 * LOOPBACK_SILENT is set, as by a name server that does not answer. With LOOPBACK_DUMPABLE set, the
 * program cannot keep its memory from the tests. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

static void note(const char *what)
{
    const char *path = getenv("LOOPBACK_LOG");
    int fd = path != NULL ? open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600) : -1;

    if (fd < 0)
        return;
    dprintf(fd, "%s\n", what);
    close(fd);
}

/* The port that LOOPBACK_TO gives an address, or 0. */
static unsigned mapped(const char *address)
{
    const char *map = getenv("LOOPBACK_TO"), *found;
    char word[INET6_ADDRSTRLEN + 2];

    snprintf(word, sizeof word, "%s=", address);
    found = map != NULL ? strstr(map, word) : NULL;
    return found != NULL ? (unsigned)strtoul(found + strlen(word), NULL, 10) : 0;
}

static int is_loopback(const struct sockaddr *to)
{
    if (to->sa_family == AF_INET)
        return ntohl(((const struct sockaddr_in *)to)->sin_addr.s_addr) >> 24 == 127;
    return IN6_IS_ADDR_LOOPBACK(&((const struct sockaddr_in6 *)to)->sin6_addr);
}

static int next_connect(int fd, const struct sockaddr *to, socklen_t size)
{
    int (*next)(int, const struct sockaddr *, socklen_t);

    *(void **)&next = dlsym(RTLD_NEXT, "connect");
    return next(fd, to, size);
}

int connect(int fd, const struct sockaddr *to, socklen_t size)
{
    char address[INET6_ADDRSTRLEN] = "";
    const void *raw = &((const struct sockaddr_in *)to)->sin_addr;

    if (to->sa_family != AF_INET && to->sa_family != AF_INET6)
        return next_connect(fd, to, size);
    if (to->sa_family == AF_INET6)
        raw = &((const struct sockaddr_in6 *)to)->sin6_addr;
    inet_ntop(to->sa_family, raw, address, sizeof address);
    note(address);
    if (is_loopback(to))
        return next_connect(fd, to, size);
    in_port_t port = htons((unsigned short)mapped(address));
    struct sockaddr_in here = {AF_INET, port, {htonl(INADDR_LOOPBACK)}, {0}};
    struct sockaddr_in6 here6 = {AF_INET6, port, 0, {{{[10] = 0xff, 0xff, 127, 0, 0, 1}}}, 0};
    if (port == 0) {
        errno = ECONNREFUSED;
        return -1;
    }
    return to->sa_family == AF_INET
               ? next_connect(fd, (const struct sockaddr *)&here, sizeof here)
               : next_connect(fd, (const struct sockaddr *)&here6, sizeof here6);
}

int getaddrinfo(const char *restrict name, const char *restrict service,
                const struct addrinfo *restrict hints, struct addrinfo **restrict out)
{
    int (*next)(const char *, const char *, const struct addrinfo *, struct addrinfo **);
    struct in6_addr ignored;

    *(void **)&next = dlsym(RTLD_NEXT, "getaddrinfo");
    if (name != NULL && strcmp(name, "localhost") != 0 && inet_pton(AF_INET, name, &ignored) != 1 &&
        inet_pton(AF_INET6, name, &ignored) != 1) {
        note(name);
        while (getenv("LOOPBACK_SILENT") != NULL)
            pause();
        return EAI_NONAME;
    }
    return next(name, service, hints, out);
}

int prctl(int option, ...)
{
    int (*next)(int, unsigned long, unsigned long, unsigned long, unsigned long);
    unsigned long words[4];
    va_list ap;

    va_start(ap, option);
    for (int i = 0; i < 4; i++)
        words[i] = va_arg(ap, unsigned long);
    va_end(ap);
    if (option == PR_SET_DUMPABLE && getenv("LOOPBACK_DUMPABLE") != NULL)
        return 0;
    *(void **)&next = dlsym(RTLD_NEXT, "prctl");
    return next(option, words[0], words[1], words[2], words[3]);
}

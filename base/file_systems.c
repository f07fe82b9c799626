#include "base/file_systems.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

struct result file_systems_add(struct file_systems *f, int dir, const char *path, struct err *err)
{
    struct stat st;

    if (fstat(dir, &st) != 0)
        return fail_errno(err, "cannot look at the directory of '%s'", path);
    for (size_t i = 0; i < f->count; i++)
        if (f->list[i].device == st.st_dev)
            return OK;
    if (f->count == FILE_SYSTEMS_MAX)
        return fail(err, ERR_FAILED, "more than %d file systems in one run", FILE_SYSTEMS_MAX);
    int fd = openat(dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return fail_errno(err, "cannot open the directory of '%s'", path);
    f->list[f->count++] = (struct file_system){st.st_dev, fd};
    return OK;
}

struct result file_systems_sync(const struct file_systems *f, struct err *err)
{
    struct result r = OK;

    for (size_t i = 0; i < f->count; i++)
        if (syncfs(f->list[i].fd) != 0)
            r = fail_errno(err, "cannot sync what was written");
    return r;
}

void file_systems_close(struct file_systems *f)
{
    for (size_t i = 0; i < f->count; i++)
        close(f->list[i].fd);
    *f = (struct file_systems){0};
}

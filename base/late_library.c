#include "base/late_library.h"

#include <dlfcn.h>
#include <string.h>
#include <sys/mman.h>

#define ROOM ((size_t)64 << 20) /* bytes; a library and all that it uses take less */

/* The loader's words do not tell: it "failed to map" a file that may not be run, too. */
bool late_library_lacks_memory(const char *why)
{
    void *room = mmap(NULL, ROOM, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

    if (room != MAP_FAILED)
        (void)munmap(room, ROOM);
    return room == MAP_FAILED && strstr(why, "No such file") == NULL;
}

static struct result not_loaded(const struct late_library *library, struct err *err)
{
    const char *why = dlerror();

    if (late_library_lacks_memory(why))
        return fail(err, ERR_FAILED, "out of memory: %s cannot be loaded", library->file);
    (void)fail(err, ERR_UNSUPPORTED, "%s %s, which cannot be loaded", library->purpose,
               library->file);
    return fail_hint(err, "Debian has it in the package %s", library->package);
}

struct result late_library_load(const struct late_library *library, struct err *err)
{
    /* Never closed: libraries keep threads and tables until the end. */
    void *handle = dlopen(library->file, RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE);

    if (handle == NULL)
        return not_loaded(library, err);
    for (const struct late_library_symbol *s = library->symbols; s->name != NULL; s++) {
        void *found = dlsym(handle, s->name);
        if (found == NULL)
            return fail(err, ERR_UNSUPPORTED, "%s has no %s", library->file, s->name);
        memcpy(s->pointer, &found, sizeof found);
    }
    return OK;
}

#include "base/late_library.h"

#include <dlfcn.h>
#include <string.h>

struct result late_library_load(const struct late_library *library, struct err *err)
{
    /* Never closed: libraries keep threads and tables until the end. */
    void *handle = dlopen(library->file, RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE);

    if (handle == NULL) {
        (void)fail(err, ERR_UNSUPPORTED, "%s %s, which cannot be loaded", library->purpose,
                   library->file);
        return fail_hint(err, "Debian has it in the package %s", library->package);
    }
    for (const struct late_library_symbol *s = library->symbols; s->name != NULL; s++) {
        void *found = dlsym(handle, s->name);
        if (found == NULL)
            return fail(err, ERR_UNSUPPORTED, "%s has no %s", library->file, s->name);
        memcpy(s->pointer, &found, sizeof found);
    }
    return OK;
}

#include "keystore/awskms/library.h"

#include <dlfcn.h>
#include <string.h>

#include "keystore/awskms/wiped.h"

#define LIBCURL "libcurl.so.4"

static const struct {
    const char *name;
    size_t offset;
} symbols[] = {
    {"curl_global_init_mem", offsetof(struct library, global_init_mem)},
    {"curl_easy_init", offsetof(struct library, easy_init)},
    {"curl_easy_setopt", offsetof(struct library, easy_setopt)},
    {"curl_easy_perform", offsetof(struct library, easy_perform)},
    {"curl_easy_getinfo", offsetof(struct library, easy_getinfo)},
    {"curl_easy_strerror", offsetof(struct library, easy_strerror)},
    {"curl_easy_cleanup", offsetof(struct library, easy_cleanup)},
    {"curl_slist_append", offsetof(struct library, slist_append)},
    {"curl_slist_free_all", offsetof(struct library, slist_free_all)},
    {"curl_url", offsetof(struct library, url)},
    {"curl_url_set", offsetof(struct library, url_set)},
    {"curl_url_get", offsetof(struct library, url_get)},
    {"curl_url_cleanup", offsetof(struct library, url_cleanup)},
    {"curl_free", offsetof(struct library, free)},
};

static struct library loaded;
static bool ready;

static struct result resolve(struct library *l, void *handle, struct err *err)
{
    for (size_t i = 0; i < sizeof symbols / sizeof *symbols; i++) {
        void *symbol = dlsym(handle, symbols[i].name);
        if (symbol == NULL)
            return fail(err, ERR_UNSUPPORTED, "%s has no %s", LIBCURL, symbols[i].name);
        memcpy((char *)l + symbols[i].offset, &symbol, sizeof symbol);
    }
    return OK;
}

struct result library_get(const struct library **out, struct err *err)
{
    struct library l;

    if (!ready) {
        /* Never closed: libcurl and what it uses keep threads and tables until the end. */
        void *handle = dlopen(LIBCURL, RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE);
        if (handle == NULL) {
            (void)fail(err, ERR_UNSUPPORTED, "AWS KMS takes %s, which cannot be loaded", LIBCURL);
            err_hint(err, "Debian has it in the package libcurl4");
            return FAIL;
        }
        if (!resolve(&l, handle, err).ok)
            return FAIL;
        if (l.global_init_mem(CURL_GLOBAL_DEFAULT, wiped_malloc, wiped_free, wiped_realloc,
                              wiped_strdup, wiped_calloc) != CURLE_OK)
            return fail(err, ERR_FAILED, "cannot initialise libcurl");
        loaded = l;
        ready = true;
    }
    *out = &loaded;
    return OK;
}

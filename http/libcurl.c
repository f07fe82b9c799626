#include "http/libcurl.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/host.h"
#include "base/late_library.h"
#include "http/wiping_allocator.h"

static struct libcurl loaded;

static const struct late_library_symbol symbols[] = {
    {"curl_global_init_mem", &loaded.global_init_mem},
    {"curl_easy_init", &loaded.easy_init},
    {"curl_easy_setopt", &loaded.easy_setopt},
    {"curl_easy_perform", &loaded.easy_perform},
    {"curl_easy_getinfo", &loaded.easy_getinfo},
    {"curl_easy_strerror", &loaded.easy_strerror},
    {"curl_easy_cleanup", &loaded.easy_cleanup},
    {"curl_share_init", &loaded.share_init},
    {"curl_share_setopt", &loaded.share_setopt},
    {"curl_share_cleanup", &loaded.share_cleanup},
    {"curl_slist_append", &loaded.slist_append},
    {"curl_slist_free_all", &loaded.slist_free_all},
    {"curl_url", &loaded.url},
    {"curl_url_set", &loaded.url_set},
    {"curl_url_get", &loaded.url_get},
    {"curl_url_cleanup", &loaded.url_cleanup},
    {"curl_free", &loaded.free},
    {NULL, NULL},
};

static const struct late_library file = {"libcurl.so.4", "libcurl4", "HTTPS takes", symbols};

/* The allocators are those of all of the process, so only the program sets others. */
static CURLcode initialise(void)
{
    bool own = host_is_program();

    return loaded.global_init_mem(CURL_GLOBAL_DEFAULT, malloc, own ? wiping_free : free,
                                  own ? wiping_realloc : realloc, strdup, calloc);
}

static struct result load(struct err *err)
{
    static bool ready;

    if (ready)
        return OK;
    if (!late_library_load(&file, err).ok)
        return FAIL;
    if (initialise() != CURLE_OK)
        return fail(err, ERR_FAILED, "cannot initialise libcurl");
    ready = true;
    return OK;
}

struct result libcurl_load(const struct libcurl **out, struct err *err)
{
    static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

    pthread_mutex_lock(&lock);
    struct result r = load(err);
    pthread_mutex_unlock(&lock);
    *out = &loaded;
    return r;
}

#include "keystore/awskms/library.h"

#include "base/dynamic.h"
#include "keystore/awskms/wiped.h"

static struct library loaded;

static const struct dynamic_symbol symbols[] = {
    {"curl_global_init_mem", &loaded.global_init_mem},
    {"curl_easy_init", &loaded.easy_init},
    {"curl_easy_setopt", &loaded.easy_setopt},
    {"curl_easy_perform", &loaded.easy_perform},
    {"curl_easy_getinfo", &loaded.easy_getinfo},
    {"curl_easy_strerror", &loaded.easy_strerror},
    {"curl_easy_cleanup", &loaded.easy_cleanup},
    {"curl_slist_append", &loaded.slist_append},
    {"curl_slist_free_all", &loaded.slist_free_all},
    {"curl_url", &loaded.url},
    {"curl_url_set", &loaded.url_set},
    {"curl_url_get", &loaded.url_get},
    {"curl_url_cleanup", &loaded.url_cleanup},
    {"curl_free", &loaded.free},
    {NULL, NULL},
};

static const struct dynamic_library libcurl = {"libcurl.so.4", "libcurl4", "AWS KMS takes",
                                               symbols};

struct result library_get(const struct library **out, struct err *err)
{
    static bool ready;

    if (!ready) {
        if (!dynamic_load(&libcurl, err).ok)
            return FAIL;
        if (loaded.global_init_mem(CURL_GLOBAL_DEFAULT, wiped_malloc, wiped_free, wiped_realloc,
                                   wiped_strdup, wiped_calloc) != CURLE_OK)
            return fail(err, ERR_FAILED, "cannot initialise libcurl");
        ready = true;
    }
    *out = &loaded;
    return OK;
}

/* libcurl, loaded when it is needed first.
 *
 * Linked in the usual way it would bring thirty libraries into every start of the program, and make
 * a run with a keyring three times as long. */
#ifndef BULLA_HTTP_LIBCURL_H
#define BULLA_HTTP_LIBCURL_H

#define CURL_DISABLE_TYPECHECK
#include <curl/curl.h>

#include "base/err.h"

/* struct libcurl: the functions of libcurl that are used, by their names without "curl_". */
struct libcurl {
    __typeof__(&curl_global_init_mem) global_init_mem;
    __typeof__(&curl_easy_init) easy_init;
    __typeof__(&curl_easy_setopt) easy_setopt;
    __typeof__(&curl_easy_perform) easy_perform;
    __typeof__(&curl_easy_getinfo) easy_getinfo;
    __typeof__(&curl_easy_strerror) easy_strerror;
    __typeof__(&curl_easy_cleanup) easy_cleanup;
    __typeof__(&curl_share_init) share_init;
    __typeof__(&curl_share_setopt) share_setopt;
    __typeof__(&curl_share_cleanup) share_cleanup;
    __typeof__(&curl_slist_append) slist_append;
    __typeof__(&curl_slist_free_all) slist_free_all;
    __typeof__(&curl_url) url;
    __typeof__(&curl_url_set) url_set;
    __typeof__(&curl_url_get) url_get;
    __typeof__(&curl_url_cleanup) url_cleanup;
    __typeof__(&curl_free) free;
};

/* libcurl_load loads libcurl once in a run. Whatever it frees is wiped first: requests, answers and
 * credentials pass through its hands. ERR_UNSUPPORTED if it is not installed. */
FALLIBLE libcurl_load(const struct libcurl **out, struct err *err);

#endif

/* The keyring store by its operations: what a slot is to it, and whether the version that wrapped
 * is still the one to wrap by. */
#include <jansson.h>
#include <pthread.h>

#include "keystore/keyring/secret_json.h"
#include "tests/unit/test.h"

/* A thread that makes JSON while another has a keyring open. */
static void *make_json(void *arg)
{
    json_t **made = arg;

    *made = json_pack("{s:s}", "file", "x");
    return NULL;
}

static void other_threads_keep_their_json(void)
{
    json_t *ring SECRET_JSON_CLEANUP = NULL, *made = NULL;
    static const char text[] = "{\"a\": [1, 2]}";
    pthread_t thread;
    struct err err;

    MUST(secret_json_read(&ring, text, strlen(text), &err).ok);
    MUST(pthread_create(&thread, NULL, make_json, &made) == 0 && pthread_join(thread, NULL) == 0);
    CHECK(json_array_size(json_object_get(ring, "a")) == 2);
    secret_json_drop(&ring);
    ring = NULL;
    CHECK(strcmp(json_string_value(json_object_get(made, "file")), "x") == 0);
    json_decref(made);
}

int main(void)
{
    struct err err = {0};

    MUST(secret_init(&err).ok);
    RUN(other_threads_keep_their_json);
    return DONE();
}

/* Seals standard input to a key, or with -d opens it again:
 *
 *     cc seal.c $(pkg-config --cflags --libs bulla) -o seal
 *     ./seal file:backup.ring <backup.tar >backup.tar.bulla
 *     ./seal -d file:backup.ring <backup.tar.bulla >backup.tar */
#include <bulla.h>
#include <stdio.h>
#include <string.h>

static void warn(void *arg, const char *text)
{
    (void)arg;
    fprintf(stderr, "seal: warning: %s\n", text);
}

int main(int argc, char **argv)
{
    int opens = argc == 3 && strcmp(argv[1], "-d") == 0;
    const char *key = argv[argc - 1];
    struct bulla_options options = {BULLA_INIT(struct bulla_options), &key, 1, .warn = warn};
    struct bulla_input in = {BULLA_INIT(struct bulla_input), "standard input", .fd = 0};
    struct bulla_output out = {BULLA_INIT(struct bulla_output), "standard output", .fd = 1};
    struct bulla_error error = {0};
    struct bulla *bulla = NULL;

    if (argc != 2 + opens) {
        fprintf(stderr, "usage: seal [-d] KEY <IN >OUT\n");
        return BULLA_USAGE;
    }
    int status = bulla_new(&bulla, &options, &error);
    if (status == BULLA_DONE)
        status = opens ? bulla_open(bulla, NULL, &in, &out, NULL, &error)
                       : bulla_seal(bulla, NULL, &in, &out, NULL, &error);
    bulla_free(bulla);
    if (status != BULLA_DONE) /* what came out is not whole: whoever started this drops it */
        fprintf(stderr, "seal: %s%s%s\n", error.text, error.hint[0] != '\0' ? "\nseal: hint: " : "",
                error.hint);
    return status;
}

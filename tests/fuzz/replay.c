/* replay: runs a harness over files, and over all files of folders, without libFuzzer. */
#include <dirent.h>
#include <sys/stat.h>

#include "tests/fuzz/fuzz.h"

static size_t count;

/* Only libFuzzer mutates. */
size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t room)
{
    (void)data, (void)room;
    return size;
}

static void run_file(const char *path)
{
    FILE *file = fopen(path, "re");
    struct stat st;

    HOLDS(file != NULL && fstat(fileno(file), &st) == 0);
    /* As large as the input and no larger, so that a read behind it is seen. */
    size_t size = (size_t)st.st_size;
    uint8_t *bytes = malloc(size > 0 ? size : 1);
    HOLDS(bytes != NULL && fread(bytes, 1, size, file) == size);
    fclose(file);
    fprintf(stderr, "%s\n", path);
    (void)LLVMFuzzerTestOneInput(bytes, size);
    free(bytes);
    count++;
}

static void run(const char *path)
{
    struct dirent **names;
    struct stat st;

    HOLDS(stat(path, &st) == 0);
    if (!S_ISDIR(st.st_mode)) {
        run_file(path);
        return;
    }
    int n = scandir(path, &names, NULL, alphasort);
    HOLDS(n >= 0);
    for (int i = 0; i < n; i++) {
        char *inside STRING_CLEANUP = NULL;
        HOLDS(asprintf(&inside, "%s/%s", path, names[i]->d_name) >= 0);
        if (names[i]->d_name[0] != '.')
            run_file(inside);
        free(names[i]);
    }
    free(names);
}

int main(int argc, char **argv)
{
    for (int i = 1; i < argc; i++)
        run(argv[i]);
    printf("%zu inputs\n", count);
    return count > 0 ? 0 : 1;
}

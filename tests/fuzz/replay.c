/* replay: runs a harness over files, and over all files of directories, without libFuzzer; with
 * --faults first, once more for every eighth allocation and read of an input, which fails,
 * beginning at another one for each input. */
#include <dirent.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "tests/fuzz/faults.h"
#include "tests/fuzz/fuzz.h"

#define FAULTS_MAX 400 /* of one input */
#define FAULTS_STEP 8
#define NOT_REACHED 77 /* exit status */

static size_t count, accepted;
static bool faults;

/* Only libFuzzer mutates. */
size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t room)
{
    (void)data, (void)room;
    return size;
}

/* In a process of its own, so that no run suffers from another's fault. False if there was no n-th
 * allocation or read. */
static bool run_with_fault(const uint8_t *bytes, size_t size, size_t n)
{
    int status;
    pid_t child = fork();

    HOLDS(child >= 0);
    if (child == 0) {
        faults_set(n);
        (void)LLVMFuzzerTestOneInput(bytes, size);
        bool reached = faults_reached();
        faults_set(0);
        _exit(reached ? 0 : NOT_REACHED);
    }
    HOLDS(waitpid(child, &status, 0) == child && WIFEXITED(status));
    HOLDS(WEXITSTATUS(status) == 0 || WEXITSTATUS(status) == NOT_REACHED);
    return WEXITSTATUS(status) == 0;
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
    size_t before = fuzz_refusals;
    (void)LLVMFuzzerTestOneInput(bytes, size);
    accepted += fuzz_refusals == before;
    size_t n = faults ? 1 + count % FAULTS_STEP : FAULTS_MAX + 1;
    while (n <= FAULTS_MAX && run_with_fault(bytes, size, n))
        n += FAULTS_STEP;
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
    faults = argc > 1 && strcmp(argv[1], "--faults") == 0;
    faults_init();
    for (int i = 1 + faults; i < argc; i++)
        run(argv[i]);
    printf("%zu inputs, %zu without a refusal\n", count, accepted);
    /* Of a whole corpus some must be taken, or the harness reaches nothing any more. */
    return count > 0 && (count == 1 || accepted > 0) ? 0 : 1;
}

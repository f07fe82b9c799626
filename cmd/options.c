#include "cmd/options.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cmd/verbs.h"

enum {
    ENCRYPT = 1 << 0,
    DECRYPT = 1 << 1,
    VERIFY = 1 << 2,
    INSPECT = 1 << 3,
    NEW = 1 << 4,
    LIST = 1 << 5,
    EXPORT = 1 << 6,
    RESTORE = 1 << 7,
    REWRAP = 1 << 8,
    STATUS = 1 << 9,
    ROTATE = 1 << 10,
    CHANGE = 1 << 11,
    DESTROY = 1 << 12,
    PROTECT = 1 << 13,
    PUBLIC = 1 << 14,
    REENCRYPT = 1 << 15,
    CHECK = 1 << 16,
};

#define MANY ((size_t)-1)
#define OPENING (DECRYPT | VERIFY)
#define FILES (ENCRYPT | OPENING)
#define BATCHES (FILES | INSPECT | REWRAP | REENCRYPT | STATUS)
#define KEY_VERBS (NEW | LIST | ROTATE | CHANGE | DESTROY | CHECK)
#define OPENS_KEYS (FILES | RESTORE | REWRAP | REENCRYPT | NEW | ROTATE | PROTECT | CHECK)
#define ASKS_KEYS (FILES | RESTORE | REWRAP | REENCRYPT | CHECK | STATUS)
#define USES_TOKENS (OPENS_KEYS | LIST | STATUS | PUBLIC | DESTROY)
#define MAKES_SECRETS (ENCRYPT | REWRAP | REENCRYPT | NEW | PROTECT)

static const struct verb verbs[] = {
    {ENCRYPT, NULL, "encrypt", "[FILE...]", 0, MANY, "seal files, or standard input",
     "FILE becomes FILE.bulla. Without FILE, or with -, standard input is sealed to\n"
     "standard output. The source stays as it is; what is sealed gets its permissions\n"
     "and times.\n",
     verb_encrypt, USE_BESIDE, USE_CHANGE, true},
    {DECRYPT, NULL, "decrypt", "[FILE...]", 0, MANY, "open sealed files, or standard input",
     "FILE.bulla becomes FILE. Without FILE, or with -, standard input is opened to\n"
     "standard output. A file appears only when all of it was authentic; on a pipe the\n"
     "exit status says whether what came out is all. Results are yours, with the times of\n"
     "the sealed files and their permissions less the umask; what another user's sealed\n"
     "file held is for you alone.\n",
     verb_decrypt, USE_BESIDE, USE_READ, true},
    {VERIFY, NULL, "verify", "[FILE...]", 0, MANY, "decrypt everything and write nothing",
     "Checks each FILE, or standard input, to its last byte.\n", verb_verify, USE_READ, USE_READ,
     true},
    {INSPECT, NULL, "inspect", "[FILE...]", 0, MANY, "show the envelope; needs no key",
     "What is shown was not authenticated: that takes a key, see 'bulla verify'.\n", verb_inspect,
     USE_READ, USE_READ, false},
    {REWRAP, NULL, "rewrap", "[FILE...]", 0, MANY,
     "move sealed files to other keys or key versions",
     "Without --to, --add and --remove, whatever is sealed to an old version of the given\n"
     "keys moves to their active version. Data keys and bodies stay as they are, so that\n"
     "the time does not depend on the size of the files. A run that was killed is just\n"
     "started again. Not a revocation: who had the old key and has an old copy can still\n"
     "open that.\n",
     verb_rewrap, USE_CHANGE, USE_NOTHING, true},
    {REENCRYPT, NULL, "reencrypt", "[FILE...]", 0, MANY,
     "give sealed files a new data key and a new body",
     "What a leaked data key needs. Sealed to the keys of --to, or else to those given\n"
     "with -k. Name and context stay; the generation stays or is raised. The old file\n"
     "goes when the new one is durable and was read back.\n",
     verb_reencrypt, USE_CHANGE, USE_NOTHING, true},
    {STATUS, NULL, "status", "[FILE...]", 0, MANY, "show which keys sealed files hang on",
     "Counts the files for each key and version. With --needs, lists the files that would\n"
     "be lost with a key, and exits 0 only if there is none.\n",
     verb_status, USE_READ, USE_NOTHING, false},
    {NEW, "key", "new", "KEY", 1, 1, "make a master key",
     "KEY is PATH for a new keyring, or PATH#NAME for one more key in it. Keep a copy\n"
     "of the keyring in another place: what is sealed to its keys cannot be opened\n"
     "without it. 'pkcs11:token=LABEL;object=NAME' makes NAME-v0001 on a token.\n",
     verb_key_new, USE_NEW_KEY, USE_NOTHING, false},
    {LIST, "key", "list", "[KEY...]", 0, MANY, "show the keys of a keyring or a token",
     "Shows no key bytes. Without KEY, that of BULLA_KEY. 'pkcs11:' shows all tokens of a\n"
     "module, with a token's name its private keys too.\n",
     verb_key_list, USE_KEY, USE_NOTHING, true},
    {ROTATE, "key", "rotate", "KEY", 1, 1, "make the next version of a key",
     "The new version is active, the old one retires: it opens, but seals no more. 'bulla\n"
     "rewrap' moves files from the old to the new.\n",
     verb_key_rotate, USE_NEW_KEY, USE_NOTHING, false},
    {CHANGE, "key", "retire", "KEY[:VERSION]", 1, 1, "let a version open but not seal",
     "KEY:VERSION is PATH#NAME:VERSION. Without a version, the active one.\n", verb_key_retire,
     USE_NEW_KEY, USE_NOTHING, false},
    {CHANGE, "key", "disable", "KEY:VERSION", 1, 1, "let a version neither open nor seal",
     "Until 'bulla key enable'. KEY:VERSION is PATH#NAME:VERSION.\n", verb_key_disable, USE_NEW_KEY,
     USE_NOTHING, false},
    {CHANGE, "key", "enable", "KEY:VERSION", 1, 1, "let a disabled version open again",
     "It is retired then. KEY:VERSION is PATH#NAME:VERSION.\n", verb_key_enable, USE_NEW_KEY,
     USE_NOTHING, false},
    {DESTROY, "key", "destroy", "KEY:VERSION", 1, 1, "wipe a version from its keyring, for ever",
     "Asks for the number of the version, or takes --force. KEY:VERSION is\n"
     "PATH#NAME:VERSION. With --check, refuses while a file there needs it. Copies of the\n"
     "keyring in other places still have it.\n",
     verb_key_destroy, USE_NEW_KEY, USE_NOTHING, false},
    {PROTECT, "key", "passphrase", "KEYRING", 1, 1, "set or change the passphrase of a keyring",
     "With --remove, takes it away.\n", verb_key_passphrase, USE_NEW_KEY, USE_NOTHING, false},
    {PUBLIC, "key", "export-public", "KEY", 1, 1, "write a file that seals but does not open",
     "KEY is of the kind x25519, or a key pair on a token. A host that has only this file,\n"
     "as -k FILE, can seal to the key and can open nothing. Whoever has it can also make\n"
     "backups of their own that look like yours.\n",
     verb_key_export_public, USE_KEY, USE_NOTHING, false},
    {CHECK, "key", "check", "KEY...", 1, MANY, "wrap and unwrap once, and show what a key can do",
     "A key that can only seal, like a public key file, is only wrapped by.\n", verb_key_check,
     USE_KEY, USE_NOTHING, false},
    {EXPORT, "envelope", "export", "FILE", 1, 1, "copy the envelope of a sealed file",
     "Writes FILE.env. It opens FILE even if the envelope in FILE is destroyed, and\n"
     "takes a master key like it.\n",
     verb_envelope_export, USE_BESIDE, USE_READ, false},
    {RESTORE, "envelope", "restore", "FILE", 1, 1, "put an exported envelope back into its file",
     "Takes FILE.env, or what --envelope names. If FILE has no whole envelope any more,\n"
     "a key must prove that the two belong together.\n",
     verb_envelope_restore, USE_CHANGE, USE_READ, true},
};

#define VERBS (sizeof verbs / sizeof *verbs)

enum kind { FLAG, TEXT, NUMBER, LIST_OF_TEXT };

static const struct row {
    const char *name;
    char letter;
    const char *metavar;
    enum kind kind;
    size_t offset;
    unsigned verbs;
    const char *help;
} rows[] = {
    {"key", 'k', "KEY", LIST_OF_TEXT, offsetof(struct options, keys),
     FILES | RESTORE | REWRAP | REENCRYPT,
     "a master key: PATH or file:PATH of a keyring or a\n"
     "public key file, PATH#NAME or PATH#NAME:VERSION in a\n"
     "keyring, passphrase:[HINT], a pkcs11: URI, an ARN or\n"
     "alias/NAME of AWS KMS, or a name from the config file;\n"
     "may be repeated. BULLA_KEY stands in for a missing -k"},
    {"output", 'o', "OUT", TEXT, offsetof(struct options, output),
     ENCRYPT | DECRYPT | EXPORT | PUBLIC,
     "write to OUT; to files in OUT if it is a directory;\n"
     "- is standard output"},
    {"envelope", 0, "ENV", TEXT, offsetof(struct options, envelope),
     FILES | INSPECT | EXPORT | RESTORE, "the envelope is, or goes to, a file of its own: ENV"},
    {"detach", 0, NULL, FLAG, offsetof(struct options, detach), ENCRYPT,
     "put the envelope into a file of its own, OUT.env"},
    {"recursive", 'r', NULL, FLAG, offsetof(struct options, recursive), BATCHES,
     "take all files below FILE that is a directory"},
    {"files-from", 0, "LIST", TEXT, offsetof(struct options, files_from), BATCHES,
     "take the names in LIST too, one a line; - is standard\n"
     "input"},
    {"null", '0', NULL, FLAG, offsetof(struct options, null), BATCHES,
     "zero bytes end the names in LIST, not line ends"},
    {"shard", 0, "I/N", TEXT, offsetof(struct options, shard), BATCHES,
     "take only the files of share I (1 to N) of N; which\n"
     "share a file is in depends on its name alone"},
    {"to", 0, "KEY", LIST_OF_TEXT, offsetof(struct options, to), REWRAP | REENCRYPT,
     "seal to this key's active version, and to no other but\n"
     "those of further --to"},
    {"add", 0, "KEY", LIST_OF_TEXT, offsetof(struct options, add), REWRAP,
     "seal to this key too; may be repeated"},
    {"remove", 0, "KEY", LIST_OF_TEXT, offsetof(struct options, remove_keys), REWRAP,
     "seal to this key no more; may be repeated"},
    {"dry-run", 'n', NULL, FLAG, offsetof(struct options, dry_run), REWRAP,
     "only say what would be done"},
    {"preserve-times", 0, NULL, FLAG, offsetof(struct options, preserve_times), REWRAP,
     "keep the modification times of the files"},
    {"sync", 0, "WHEN", TEXT, offsetof(struct options, sync), REWRAP,
     "each (the default) or none: whether each copy of an\n"
     "envelope is made durable before the next is touched;\n"
     "if not, a power cut may take both"},
    {"sync", 0, "WHEN", TEXT, offsetof(struct options, sync), ENCRYPT | DECRYPT,
     "each (the default): a result is durable before it takes\n"
     "its place; end: all are, before the run ends; none.\n"
     "What replaces a file is durable before it does"},
    {"offset", 0, "N", TEXT, offsetof(struct options, offset), DECRYPT,
     "open only what lies N bytes behind the beginning, or with\n"
     "-N before the end; needs -o"},
    {"length", 0, "N", NUMBER, offsetof(struct options, length), DECRYPT,
     "open at most N bytes; needs -o"},
    {"needs", 0, "KEY", TEXT, offsetof(struct options, needs), STATUS,
     "list the files that only this KEY or KEY:VERSION opens"},
    {"kind", 0, "KIND", TEXT, offsetof(struct options, kind), NEW,
     "symmetric (the default), or x25519, which hosts with\n"
     "the public key alone can seal to; on a token p256 (the\n"
     "default), p384, rsa2048, rsa3072, rsa4096 or aes256"},
    {"passphrase", 0, NULL, FLAG, offsetof(struct options, passphrase), NEW,
     "protect a new keyring by a passphrase"},
    {"remove", 0, NULL, FLAG, offsetof(struct options, remove), PROTECT, "take it away"},
    {"passphrase-fd", 0, "N", TEXT, offsetof(struct options, passphrase_fd), OPENS_KEYS,
     "read the passphrase from a descriptor; otherwise from\n"
     "the file in BULLA_PASSPHRASE_FILE, from the systemd\n"
     "credential bulla.passphrase, or the terminal"},
    {"passphrase-command", 0, "CMD", TEXT, offsetof(struct options, passphrase_command), OPENS_KEYS,
     "or from what a shell command prints"},
    {"new-passphrase-fd", 0, "N", TEXT, offsetof(struct options, new_passphrase_fd), MAKES_SECRETS,
     "the same for a passphrase that is set, with\n"
     "BULLA_NEW_PASSPHRASE_FILE and bulla.new-passphrase"},
    {"new-passphrase-command", 0, "CMD", TEXT, offsetof(struct options, new_passphrase_command),
     MAKES_SECRETS, "or from what a shell command prints"},
    {"pin-fd", 0, "N", TEXT, offsetof(struct options, pin_fd), USES_TOKENS,
     "read the PIN of a token whose URI has no pin-source\n"
     "from a descriptor; otherwise from the file in\n"
     "BULLA_PIN_FILE, from the systemd credential bulla.pin,\n"
     "or the terminal"},
    {"pin-command", 0, "CMD", TEXT, offsetof(struct options, pin_command), USES_TOKENS,
     "or from what a shell command prints"},
    {"module", 0, "PATH", TEXT, offsetof(struct options, module), USES_TOKENS,
     "the PKCS#11 module of URIs that name none: an absolute\n"
     "path or a name of p11-kit's; else BULLA_PKCS11_MODULE"},
    {"module-args", 0, "TEXT", TEXT, offsetof(struct options, module_args), USES_TOKENS,
     "what the module is initialised with, which NSS needs;\n"
     "else BULLA_PKCS11_INIT_ARGS"},
    {"token-timeout", 0, "SECONDS", NUMBER, offsetof(struct options, token_timeout), USES_TOKENS,
     "give up on a module that is silent for so long (60)"},
    {"allow-pin-in-uri", 0, NULL, FLAG, offsetof(struct options, allow_pin_in_uri), USES_TOKENS,
     "take pin-value in a URI, which others may see"},
    {"oaep", 0, "HASH", TEXT, offsetof(struct options, oaep), ENCRYPT | REWRAP | REENCRYPT | CHECK,
     "sha256 (the default), or sha1 for tokens that can do\n"
     "no other: the hash of RSA wraps"},
    {"max-kdf-mem", 0, "MIB", NUMBER, offsetof(struct options, max_kdf_mem), OPENS_KEYS,
     "let a passphrase cost this much memory (64)"},
    {"endpoint", 0, "URL", TEXT, offsetof(struct options, endpoint), ASKS_KEYS,
     "where AWS KMS is, in place of its usual address and of\n"
     "AWS_ENDPOINT_URL_KMS"},
    {"kms-timeout", 0, "SECONDS", NUMBER, offsetof(struct options, kms_timeout), ASKS_KEYS,
     "how long one operation of AWS KMS may take, with its\n"
     "retries (60)"},
    {"rotate-after", 0, "DAYS", TEXT, offsetof(struct options, rotate_after), NEW,
     "state how long a version should be active: 90d, 12w"},
    {"check", 0, "PATH", LIST_OF_TEXT, offsetof(struct options, check), DESTROY,
     "refuse while a file at or below PATH needs the version;\n"
     "may be repeated"},
    {"context", 0, "K=V", LIST_OF_TEXT, offsetof(struct options, context), ENCRYPT,
     "store a pair, authenticated but not secret; may be\n"
     "repeated"},
    {"name", 0, "NAME", TEXT, offsetof(struct options, name), ENCRYPT,
     "store a logical name, authenticated but not secret"},
    {"generation", 0, "N", NUMBER, offsetof(struct options, generation), ENCRYPT | REENCRYPT,
     "store the version of the backup, 1 or more"},
    {"suite", 0, "SUITE", TEXT, offsetof(struct options, suite), ENCRYPT | REENCRYPT,
     "aes (the default) or chacha20, for machines without\n"
     "AES instructions"},
    {"require-context", 0, "K=V", LIST_OF_TEXT, offsetof(struct options, require_context), OPENING,
     "refuse files whose context has not this pair; may be\n"
     "repeated"},
    {"require-name", 0, "NAME", TEXT, offsetof(struct options, require_name), OPENING,
     "refuse files of another name"},
    {"min-generation", 0, "N", NUMBER, offsetof(struct options, min_generation), OPENING,
     "refuse files of an older generation, or of none"},
    {"remove-source", 0, NULL, FLAG, offsetof(struct options, remove_source), ENCRYPT | DECRYPT,
     "remove FILE after the result is durable and was read\n"
     "back and compared"},
    {"same-owner", 0, NULL, FLAG, offsetof(struct options, same_owner), DECRYPT,
     "give results the owner (as root), the group and all\n"
     "permissions of the sealed files, which whoever can write\n"
     "to these has chosen"},
    {"force", 0, NULL, FLAG, offsetof(struct options, force), ENCRYPT | DECRYPT | EXPORT | PUBLIC,
     "replace what exists, where that is safe"},
    {"force", 0, NULL, FLAG, offsetof(struct options, force), RESTORE, "put in an older envelope"},
    {"force", 0, NULL, FLAG, offsetof(struct options, force), DESTROY, "do not ask"},
    {"json", 0, NULL, FLAG, offsetof(struct options, json), BATCHES | KEY_VERBS,
     "one line of JSON for each file or key on standard\n"
     "output"},
    {"jobs", 'j', "N", NUMBER, offsetof(struct options, jobs), FILES | REWRAP | REENCRYPT,
     "work with N threads, on several files or parts of one\n"
     "at once (as many as there are CPUs, at most 16)"},
    {"progress", 0, "HOW", TEXT, offsetof(struct options, progress), BATCHES,
     "auto (the default: on a terminal), json or none"},
    {"quiet", 'q', NULL, FLAG, offsetof(struct options, quiet), ~0u,
     "no warnings, no notes, no progress"},
    {"help", 'h', NULL, FLAG, offsetof(struct options, help), ~0u, "show this"},
};

#define ROWS (sizeof rows / sizeof *rows)

static struct result list_add(struct list *l, const char *item, struct err *err)
{
    const char **grown = reallocarray(l->items, l->count + 1, sizeof *grown);

    if (grown == NULL)
        return fail(err, ERR_FAILED, "out of memory");
    l->items = grown;
    l->items[l->count++] = item;
    return OK;
}

void options_free(struct options *o)
{
    free(o->keys.items);
    free(o->to.items);
    free(o->add.items);
    free(o->remove_keys.items);
    free(o->check.items);
    free(o->context.items);
    free(o->require_context.items);
    free(o->operands.items);
    *o = (struct options){0};
}

static struct result parse_number(const char *text, uint64_t *out, struct err *err)
{
    uint64_t n = 0;

    for (const char *c = text; *c != '\0'; c++) {
        if (*c < '0' || *c > '9')
            return fail(err, ERR_USAGE, "'%s' is not a number", text);
        if (__builtin_mul_overflow(n, 10u, &n) ||
            __builtin_add_overflow(n, (uint64_t)(*c - '0'), &n))
            return fail(err, ERR_USAGE, "'%s' is too large", text);
    }
    if (n > INT64_MAX)
        return fail(err, ERR_USAGE, "'%s' is too large", text);
    if (n == 0)
        return fail(err, ERR_USAGE, "'%s' is not 1 or more", text);
    *out = n;
    return OK;
}

/* Puts a value where its row says; an option that is not a list may stand once. An empty value is
 * what is left of a variable that a script did not set: no option means anything by it. */
static struct result store(struct options *o, const struct row *row, const char *value,
                           struct err *err)
{
    char *at = (char *)o + row->offset;
    bool twice = false;

    if (value == NULL) {
        *(bool *)at = true;
        return OK;
    }
    if (*value == '\0')
        return fail(err, ERR_USAGE, "--%s is empty", row->name);
    switch (row->kind) {
    case FLAG: /* has no value */
        break;
    case LIST_OF_TEXT:
        return list_add((struct list *)(void *)at, value, err);
    case TEXT:
        twice = *(const char **)(void *)at != NULL;
        *(const char **)(void *)at = value;
        break;
    case NUMBER:
        twice = *(uint64_t *)(void *)at != 0;
        if (!parse_number(value, (uint64_t *)(void *)at, err).ok) {
            err_context(err, "--%s", row->name);
            return FAIL;
        }
        break;
    }
    if (twice)
        return fail(err, ERR_USAGE, "--%s is given twice", row->name);
    return OK;
}

/* The row of a name; of two, that of the verb. */
static const struct row *row_by_name(const char *name, size_t size, const struct verb *verb)
{
    const struct row *found = NULL;

    for (size_t i = 0; i < ROWS; i++)
        if (strlen(rows[i].name) == size && memcmp(rows[i].name, name, size) == 0 &&
            (found == NULL || (rows[i].verbs & verb->bit) != 0))
            found = &rows[i];
    return found;
}

static const struct row *row_by_letter(char letter)
{
    for (size_t i = 0; i < ROWS; i++)
        if (rows[i].letter == letter)
            return &rows[i];
    return NULL;
}

static const char *full_name(const struct verb *v, char out[32])
{
    snprintf(out, 32, "%s%s%s", v->group ? v->group : "", v->group ? " " : "", v->name);
    return out;
}

static struct result check_row(const struct row *row, const struct verb *verb, const char *given,
                               struct err *err)
{
    char name[32];

    if (row == NULL)
        (void)fail(err, ERR_USAGE, "unknown option '%s'", given);
    else if ((row->verbs & verb->bit) == 0)
        (void)fail(err, ERR_USAGE, "option --%s does not go with '%s'", row->name, verb->name);
    else
        return OK;
    err_hint(err, "'bulla %s --help' shows the options", full_name(verb, name));
    return FAIL;
}

/* struct args: what is left of the command line. */
struct args {
    char **at;
    int left;
};

static struct result next_value(struct args *args, const struct row *row, const char **value,
                                struct err *err)
{
    if (args->left == 0)
        return fail(err, ERR_USAGE, "--%s needs a value: %s", row->name, row->metavar);
    *value = *args->at++;
    args->left--;
    return OK;
}

static struct result parse_long(struct options *o, const struct verb *verb, const char *arg,
                                struct args *args, struct err *err)
{
    size_t size = strcspn(arg + 2, "=");
    const char *value = arg[2 + size] == '=' ? arg + 3 + size : NULL;
    const struct row *row = row_by_name(arg + 2, size, verb);

    if (!check_row(row, verb, arg, err).ok)
        return FAIL;
    if (row->kind == FLAG && value != NULL)
        return fail(err, ERR_USAGE, "--%s takes no value", row->name);
    if (row->kind != FLAG && value == NULL && !next_value(args, row, &value, err).ok)
        return FAIL;
    return store(o, row, value, err);
}

/* -k KEY, -kKEY, -qr, -qk KEY. */
static struct result parse_short(struct options *o, const struct verb *verb, const char *arg,
                                 struct args *args, struct err *err)
{
    for (const char *c = arg + 1; *c != '\0'; c++) {
        const struct row *row = row_by_letter(*c);
        const char *value = c + 1;
        if (!check_row(row, verb, arg, err).ok)
            return FAIL;
        if (row->kind == FLAG) {
            if (!store(o, row, NULL, err).ok)
                return FAIL;
            continue;
        }
        if (*value == '\0' && !next_value(args, row, &value, err).ok)
            return FAIL;
        return store(o, row, value, err);
    }
    return OK;
}

static struct result parse_arguments(struct options *o, const struct verb *verb, struct args *args,
                                     struct err *err)
{
    bool only_operands = false;

    while (args->left > 0) {
        const char *arg = *args->at++;
        args->left--;
        struct result r;
        if (only_operands || arg[0] != '-' || arg[1] == '\0')
            r = list_add(&o->operands, arg, err);
        else if (strcmp(arg, "--") == 0)
            only_operands = true, r = OK;
        else if (arg[1] == '-')
            r = parse_long(o, verb, arg, args, err);
        else
            r = parse_short(o, verb, arg, args, err);
        if (!r.ok)
            return FAIL;
    }
    if (o->help)
        return OK;
    if (o->operands.count < verb->least || o->operands.count > verb->most)
        return fail(err, ERR_USAGE, "'%s' takes %s", verb->name, verb->operands);
    return OK;
}

/* Whether a verb is one of the group, or with NULL of none. */
static bool is_in(const struct verb *v, const char *group)
{
    return group == NULL ? v->group == NULL : v->group != NULL && strcmp(v->group, group) == 0;
}

static bool is_group(const char *word)
{
    for (size_t i = 0; i < VERBS; i++)
        if (is_in(&verbs[i], word))
            return true;
    return false;
}

static struct result find_verb(const struct verb **verb, struct args *args, struct err *err)
{
    const char *group = args->left > 1 && is_group(*args->at) ? *args->at++ : NULL;
    const char *word = *args->at++;

    args->left -= group != NULL ? 2 : 1;
    for (size_t i = 0; i < VERBS; i++)
        if (is_in(&verbs[i], group) && strcmp(verbs[i].name, word) == 0) {
            *verb = &verbs[i];
            return OK;
        }
    const char *in = group != NULL ? group : is_group(word) ? word : "";
    if (is_group(word))
        (void)fail(err, ERR_USAGE, "'%s' needs a second word", word);
    else
        (void)fail(err, ERR_USAGE, "unknown verb '%s%s%s'", in, group ? " " : "", word);
    err_hint(err, "'bulla help%s%s' shows the verbs", in[0] ? " " : "", in);
    return FAIL;
}

static bool is_one_of(const char *word, const char *a, const char *b, const char *c)
{
    return strcmp(word, a) == 0 || strcmp(word, b) == 0 || strcmp(word, c) == 0;
}

struct result options_parse(struct options *o, const struct verb **verb, int argc, char **argv,
                            struct err *err)
{
    struct args args = {argv + 1, argc - 1};

    *verb = NULL;
    if (args.left == 0) {
        (void)fail(err, ERR_USAGE, "no verb");
        err_hint(err, "'bulla help' shows the verbs");
        return FAIL;
    }
    if (is_one_of(*args.at, "help", "--help", "-h")) {
        o->help = true;
        args.at++;
        args.left--;
        if (args.left == 0)
            return OK;
    }
    if (is_group(*args.at) &&
        (args.left == 1 ? o->help : is_one_of(args.at[1], "help", "--help", "-h"))) {
        o->help = true;
        o->group = *args.at;
        return OK;
    }
    if (!find_verb(verb, &args, err).ok)
        return FAIL;
    return o->help ? OK : parse_arguments(o, *verb, &args, err);
}

/* Prints text with each line after the first moved in. */
static void print_moved_in(const char *text, int columns)
{
    for (; *text != '\0'; text++) {
        putchar(*text);
        if (*text == '\n')
            printf("%*s", columns, "");
    }
    putchar('\n');
}

static void print_overview(const char *group)
{
    char name[32];

    if (group == NULL)
        printf("bulla " BULLA_VERSION
               ": seals backups before they leave the machine, opens them on restore\n\n"
               "usage: bulla VERB [options] [FILE...]\n\n");
    for (size_t i = 0; i < VERBS; i++)
        if (group == NULL || is_in(&verbs[i], group))
            printf("  %-18s%s\n", full_name(&verbs[i], name), verbs[i].summary);
    printf("\n'bulla VERB --help' shows a verb's options.\n");
    if (group == NULL)
        printf("\nexit status: 0 done; 1 failed; 2 usage; 3 part of a batch failed; 4 damaged or\n"
               "forged data; 5 none of the given keys opens it; 6 key store not reachable;\n"
               "7 refused by policy; 8 not supported by this bulla; 130 interrupted\n");
}

void options_help(const struct options *o, const struct verb *verb)
{
    if (verb == NULL) {
        print_overview(o->group);
        return;
    }
    char name[32];
    printf("usage: bulla %s [options] %s\n\n%s.\n\n%s\n", full_name(verb, name), verb->operands,
           verb->summary, verb->more);
    for (size_t i = 0; i < ROWS; i++) {
        if ((rows[i].verbs & verb->bit) == 0)
            continue;
        snprintf(name, sizeof name, "--%s%s%s", rows[i].name, rows[i].metavar ? " " : "",
                 rows[i].metavar ? rows[i].metavar : "");
        printf("  %c%c%c %-23s", rows[i].letter ? '-' : ' ', rows[i].letter ? rows[i].letter : ' ',
               rows[i].letter ? ',' : ' ', name);
        if (strlen(name) > 22)
            printf("\n%29s", "");
        print_moved_in(rows[i].help, 29);
    }
}

#include "cmd/option_rows.h"

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
#define LOOKS (OPENING | REWRAP | REENCRYPT | STATUS)
#define PROVES (OPENING | STATUS | DESTROY)
#define KEY_VERBS (NEW | LIST | ROTATE | CHANGE | DESTROY | CHECK)
#define OPENS_KEYS (FILES | RESTORE | REWRAP | REENCRYPT | NEW | ROTATE | PROTECT | CHECK | DESTROY)
#define ASKS_KEYS (FILES | RESTORE | REWRAP | REENCRYPT | CHECK | STATUS)
#define USES_TOKENS (OPENS_KEYS | LIST | STATUS | PUBLIC | DESTROY)
#define MAKES_SECRETS (ENCRYPT | REWRAP | REENCRYPT | NEW | PROTECT)

const struct verb option_verbs[] = {
    {ENCRYPT, NULL, "encrypt", "[FILE...]", 0, MANY, "seal files, or standard input",
     "FILE becomes FILE.bulla. Without FILE, or with -, standard input is sealed to\n"
     "standard output. The source stays as it is; what is sealed gets its permissions\n"
     "and times. As root, what is sealed stays root's: nobody else may write to it, and\n"
     "what another user's FILE becomes is for root alone.\n",
     verb_encrypt, USE_BESIDE, USE_CHANGE, true},
    {DECRYPT, NULL, "decrypt", "[FILE...]", 0, MANY, "open sealed files, or standard input",
     "FILE.bulla becomes FILE. Without FILE, or with -, standard input is opened to\n"
     "standard output. A file appears only when all of it was authentic; on a pipe the\n"
     "exit status says whether what came out is all, and the first of several files that\n"
     "fails ends it. Results are yours, with the times of the sealed files and their\n"
     "permissions less the umask; what another user's sealed file held is for you alone.\n",
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
     "the time does not depend on the size of the files. A run makes a new branch key for\n"
     "the files of which all keys are given. A run that was killed is just started again.\n"
     "Not a revocation: whoever had the old key and an old copy can still open that copy.\n",
     verb_rewrap, USE_REPLACE, USE_NOTHING, true},
    {REENCRYPT, NULL, "reencrypt", "[FILE...]", 0, MANY,
     "give sealed files a new data key and a new body",
     "What a leaked data key needs. Sealed to the keys of --to, or else to those given\n"
     "with -k. Name and context stay; the generation stays or is raised. The old file\n"
     "goes when the new one is durable and was read back.\n",
     verb_reencrypt, USE_REPLACE, USE_NOTHING, true},
    {STATUS, NULL, "status", "[FILE...]", 0, MANY, "show which keys sealed files depend on",
     "Counts the files for each key and version. With --needs, lists the files that would\n"
     "be lost with a key, and exits 0 only if every file was looked at and none would be; 7\n"
     "if some would be, 3 if some could not be looked at.\n",
     verb_status, USE_READ, USE_NOTHING, false},
    {NEW, "key", "new", "KEY", 1, 1, "make a master key",
     "KEY is PATH for a new keyring, or PATH#NAME for one more key in it. Keep a copy\n"
     "of the keyring in another place: what is sealed to its keys cannot be opened\n"
     "without it. 'pkcs11:token=LABEL;object=NAME' makes NAME-v0001 on a token.\n",
     verb_key_new, USE_NEW_KEY, USE_NOTHING, false},
    {LIST, "key", "list", "[KEY...]", 0, MANY, "show the keys of a keyring or a token",
     "Shows no key bytes. Without KEY, that of BULLA_KEY. 'pkcs11:' shows all tokens of a\n"
     "module, with a token's name its private keys too. Of several keyrings, says which is\n"
     "older than another with the same key, or was rotated apart from it, and exits 7 if\n"
     "one is.\n",
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
     "PATH#NAME:VERSION. Refuses while a run on this host seals to it, and with --check while\n"
     "a file there needs it, or could not be looked at. Copies of the keyring in other\n"
     "places still have it.\n",
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

const size_t option_verb_count = sizeof option_verbs / sizeof *option_verbs;

const struct row option_rows[] = {
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
    {"from-command", 0, "CMD", TEXT, offsetof(struct options, from_command), ENCRYPT,
     "seal what the shell command CMD prints; nothing appears\n"
     "unless CMD ends with status 0. Of a pipe in CMD, sh sees\n"
     "only the last program: \"bash -o pipefail -c '...'\" sees\n"
     "all. CMD's standard input is empty"},
    {"detach", 0, NULL, FLAG, offsetof(struct options, detach), ENCRYPT,
     "put the envelope into a file of its own, OUT.env"},
    {"recursive", 'r', NULL, FLAG, offsetof(struct options, recursive), BATCHES,
     "take all files below FILE that is a directory"},
    {"follow", 0, NULL, FLAG, offsetof(struct options, follow), LOOKS | DESTROY,
     "follow symbolic links below a directory; without it, one\n"
     "that leads elsewhere counts as not looked at"},
    {"one-file-system", 0, NULL, FLAG, offsetof(struct options, one_file_system), BATCHES | DESTROY,
     "stay out of directories on other file systems; those of\n"
     "a verb that looks for sealed files count as not looked\n"
     "at"},
    {"allow-empty", 0, NULL, FLAG, offsetof(struct options, allow_empty), PROVES,
     "accept a directory or LIST without any sealed file"},
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
    {"share-branch", 0, NULL, FLAG, offsetof(struct options, share_branch), REWRAP,
     "let --add add a key even if not all keys of a file are\n"
     "given: the added key can open all files of its branch"},
    {"preserve-times", 0, NULL, FLAG, offsetof(struct options, preserve_times), REWRAP,
     "keep the modification times of the files; a sync by size\n"
     "and time will not see that they changed"},
    {"sync", 0, "WHEN", TEXT, offsetof(struct options, sync), REWRAP,
     "each (the default) or none: whether each copy of an\n"
     "envelope is made durable before the next is touched;\n"
     "if not, a power cut may take both"},
    {"sync", 0, "WHEN", TEXT, offsetof(struct options, sync), ENCRYPT | DECRYPT,
     "each (the default): a result is durable before it takes\n"
     "its place; end: all are, before the run ends; none.\n"
     "What replaces a file is durable before it does"},
    {"offset", 0, "N", TEXT, offsetof(struct options, offset), DECRYPT,
     "open only what lies N bytes after the beginning, or with\n"
     "-N before the end; needs -o"},
    {"length", 0, "N", NUMBER, offsetof(struct options, length), DECRYPT,
     "open at most N bytes; needs -o"},
    {"needs", 0, "KEY", LIST_OF_TEXT, offsetof(struct options, needs), STATUS,
     "list the files that only this KEY or KEY:VERSION opens;\n"
     "if repeated, the files that only these keys open"},
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
     "refuse files that lack this context pair; may be\n"
     "repeated"},
    {"require-name", 0, "NAME", TEXT, offsetof(struct options, require_name), OPENING,
     "refuse files of another name"},
    {"min-generation", 0, "N", NUMBER, offsetof(struct options, min_generation), OPENING,
     "refuse files of an older generation, or of none"},
    {"remove-source", 0, NULL, FLAG, offsetof(struct options, remove_source), ENCRYPT | DECRYPT,
     "remove FILE after the result is durable and was read\n"
     "back and compared"},
    {"same-owner", 0, NULL, FLAG, offsetof(struct options, same_owner), ENCRYPT,
     "as root, give what is sealed the owner, the group and all\n"
     "permissions of FILE; its owner can delete it then"},
    {"same-owner", 0, NULL, FLAG, offsetof(struct options, same_owner), DECRYPT,
     "give results the owner (as root), the group and all\n"
     "permissions of the sealed files, which whoever can write\n"
     "to these has chosen"},
    {"allow-wider", 0, NULL, FLAG, offsetof(struct options, allow_wider), DECRYPT,
     "write results too where the file system lets more users\n"
     "read them than their permissions should"},
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

const size_t option_row_count = sizeof option_rows / sizeof *option_rows;

#include "cmd/shared_rows.h"

#include "cmd/progress.h"
#include "crypto/passphrase_kdf.h"
#include "libbulla/session.h"

const struct row rows_all[] = {
    {"quiet", 'q', NULL, FLAG, FIELD(quiet), "no warnings, no notes, no progress"},
    {"verbose", 'v', NULL, FLAG, FIELD(verbose), "tell what is done with which key, and why"},
    {"help", 'h', NULL, FLAG, FIELD(help), "show this"},
    {0},
};

const struct row rows_allow_empty[] = {
    {"allow-empty", 0, NULL, FLAG, FIELD(allow_empty),
     "accept a directory or LIST without any sealed file"},
    {0},
};

static const struct choice progress_choices[] = {
    {"auto", 0}, {"json", PROGRESS_JSON}, {"none", PROGRESS_NONE}, {NULL, 0}};

const struct row rows_batch[] = {
    {"recursive", 'r', NULL, FLAG, FIELD(recursive),
     "if FILE is a directory, take all files below it"},
    {"files-from", 0, "LIST", TEXT, FIELD(files_from),
     "take the names in LIST too, one a line; - is standard\n"
     "input",
     .use = USE_READ},
    {"null", '0', NULL, FLAG, FIELD(null), "zero bytes end the names in LIST, not line ends"},
    {"shard", 0, "I/N", TEXT, FIELD(shard),
     "take only the files of share I (1 to N) of N; which\n"
     "share a file is in depends on its name alone"},
    {"progress", 0, "HOW", CHOICE, FIELD(progress),
     "auto (the default: on a terminal), json or none", .choices = progress_choices},
    {0},
};

const struct row rows_envelope[] = {
    {"envelope", 0, "ENV", TEXT, FIELD(envelope), "the envelope is in a file of its own: ENV",
     .use = USE_READ},
    {0},
};

const struct row rows_follow[] = {
    {"follow", 0, NULL, FLAG, FIELD(follow),
     "follow symbolic links below a directory; without it, one\n"
     "that leads elsewhere counts as not looked at"},
    {0},
};

const struct row rows_force[] = {
    {"force", 0, NULL, FLAG, FIELD(force), "replace what exists, where that is safe"},
    {0},
};

const struct row rows_generation[] = {
    {"generation", 0, "N", NUMBER, FIELD(generation), "store the version of the backup, 1 or more"},
    {0},
};

const struct row rows_inventory[] = {
    {"inventory", 0, "CSV", TEXT, FIELD(inventory),
     "take the objects in a list of S3 Inventory, in CSV and\n"
     "unpacked, which is in the order of their names; - is\n"
     "standard input",
     .use = USE_READ},
    {0},
};

const struct row rows_jobs[] = {
    {"jobs", 'j', "N", NUMBER, FIELD(jobs),
     "work with N threads, on several files or parts of one\n"
     "at once (as many as there are CPUs, at most 16)",
     .most = THREADS_MAX},
    {0},
};

const struct row rows_json[] = {
    {"json", 0, NULL, FLAG, FIELD(json),
     "one line of JSON for each file or key on standard\n"
     "output"},
    {0},
};

const struct row rows_key[] = {
    {"key", 'k', "KEY", LIST_OF_TEXT, FIELD(keys),
     "a master key: PATH or file:PATH of a keyring or a\n"
     "public key file, PATH#NAME or PATH#NAME:VERSION in a\n"
     "keyring, fd:N or <(COMMAND) for a key file that is read\n"
     "from a descriptor, credential:NAME from systemd,\n"
     "passphrase:[HINT], another form that 'bulla help keys'\n"
     "lists, or a name in the config file; may be repeated.\n"
     "Without -k, BULLA_KEY names the key; without that, the\n"
     "config file does",
     .use = USE_KEY},
    {0},
};

const struct row rows_new_passphrase[] = {
    {"new-passphrase-fd", 0, "N", DESCRIPTOR, FIELD(new_passphrase_fd),
     "the same for a new passphrase, with\n"
     "BULLA_NEW_PASSPHRASE_FILE and bulla.new-passphrase"},
    {"new-passphrase-command", 0, "CMD", TEXT, FIELD(new_passphrase_command),
     "or from what a shell command prints"},
    {0},
};

const struct row rows_one_file_system[] = {
    {"one-file-system", 0, NULL, FLAG, FIELD(one_file_system),
     "do not enter other file systems; a verb that looks for\n"
     "sealed files counts their directories as not looked at"},
    {0},
};

const struct row rows_output[] = {
    {"output", 'o', "OUT", TEXT, FIELD(output),
     "write to OUT; to files in OUT if it is a directory;\n"
     "- is standard output",
     .use = USE_CHANGE},
    {0},
};

const struct row rows_passphrase[] = {
    {"passphrase-fd", 0, "N", DESCRIPTOR, FIELD(passphrase_fd),
     "read the passphrase from a descriptor; otherwise from\n"
     "the file in BULLA_PASSPHRASE_FILE, from the systemd\n"
     "credential bulla.passphrase, or the terminal"},
    {"passphrase-command", 0, "CMD", TEXT, FIELD(passphrase_command),
     "or from what a shell command prints"},
    {"max-kdf-mem", 0, "MIB", NUMBER, FIELD(max_kdf_mem),
     "let a passphrase cost this much memory (64)", .most = KDF_MEMORY_KIB_MAX / 1024,
     .unit = " MiB"},
    {0},
};

const struct row rows_require[] = {
    {"require-context", 0, "K=V", LIST_OF_TEXT, FIELD(require_context),
     "refuse files that lack this context pair; may be\n"
     "repeated"},
    {"require-name", 0, "NAME", TEXT, FIELD(require_name), "refuse files of another name"},
    {"min-generation", 0, "N", NUMBER, FIELD(min_generation),
     "refuse files of an older generation, or of none"},
    {0},
};

static const struct choice sync_choices[] = {
    {"each", SYNC_EACH}, {"end", SYNC_END}, {"none", SYNC_NONE}, {NULL, 0}};

const struct row rows_result[] = {
    {"sync", 0, "WHEN", CHOICE, FIELD(sync),
     "each (the default): a result is durable before it gets\n"
     "its name; end: all are durable when the run ends; none.\n"
     "A result that replaces a file is durable before it does",
     .choices = sync_choices},
    {"remove-source", 0, NULL, FLAG, FIELD(remove_source),
     "remove FILE after the result is durable and was read\n"
     "back and compared"},
    {0},
};

static const struct choice suite_choices[] = {
    {"aes", SUITE_AES}, {"chacha20", SUITE_CHACHA}, {NULL, 0}};

const struct row rows_suite[] = {
    {"suite", 0, "SUITE", CHOICE, FIELD(suite),
     "aes (the default) or chacha20, for machines without\n"
     "AES instructions",
     .choices = suite_choices},
    {0},
};

const struct row rows_to[] = {
    {"to", 0, "KEY", LIST_OF_TEXT, FIELD(to),
     "seal to the active version of this key and to no other\n"
     "key, except those of further --to",
     .use = USE_KEY},
    {0},
};

const struct row rows_pin[] = {
    {"pin-fd", 0, "N", DESCRIPTOR, FIELD(pin_fd),
     "read the PIN of a token whose URI has no pin-source\n"
     "from a descriptor; otherwise from the file in\n"
     "BULLA_PIN_FILE, from the systemd credential bulla.pin,\n"
     "or the terminal"},
    {"pin-command", 0, "CMD", TEXT, FIELD(pin_command), "or from what a shell command prints"},
    {0},
};

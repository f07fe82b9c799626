#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "cmd/config.h"
#include "cmd/key_alias.h"
#include "cmd/key_target.h"
#include "cmd/shared_rows.h"
#include "cmd/terminal.h"
#include "cmd/verbs.h"

/* The scripts that the shells run. They ask this program for the words, so that they know all its
 * options. Each line of an answer is a word, a tab and what the word means; the line ":files" means
 * that names of files fit too. */
static const struct script {
    const char *shell, *text;
} scripts[] = {
    {"bash",
     "# bash completion of bulla: source it, or put it into bash-completion's directory as 'bulla'\n"
     "_bulla() {\n"
     "    local line cur=${COMP_LINE:0:COMP_POINT} lead words\n"
     "    read -ra words <<<\"$cur\"\n"
     "    [[ $cur == *[[:space:]] ]] && words+=('')\n"
     "    cur=${words[-1]}\n"
     "    lead=${cur%\"${cur##*[:=]}\"}\n"
     "    COMPREPLY=()\n"
     "    while IFS= read -r line; do\n"
     "        if [[ $line == :files ]]; then\n"
     "            compopt -o filenames\n"
     "            mapfile -t -O ${#COMPREPLY[@]} COMPREPLY < <(compgen -f -- \"$cur\")\n"
     "        else\n"
     "            COMPREPLY+=(\"${line%%$'\\t'*}\")\n"
     "        fi\n"
     "    done < <(\"${words[0]}\" completion answer -- \"${words[@]:1}\" 2>/dev/null)\n"
     "    COMPREPLY=(\"${COMPREPLY[@]#\"$lead\"}\")\n"
     "    [[ ${#COMPREPLY[@]} == 1 && ${COMPREPLY[0]} == *[=:#] ]] && compopt -o nospace\n"
     "}\n"
     "complete -F _bulla bulla\n"},
    {"zsh",
     "#compdef bulla\n"
     "# zsh completion of bulla: source it after compinit, or put it into fpath as '_bulla'\n"
     "_bulla() {\n"
     "    local line files\n"
     "    local -a shown\n"
     "    for line in \"${(@f)$(\"${(Q)words[1]}\" completion answer -- \"${(@Q)words[2,CURRENT]}\" "
     "2>/dev/null)}\"; do\n"
     "        case $line in\n"
     "        :files) files=1 ;;\n"
     "        ?*) shown+=(\"${${line%%$'\\t'*}//:/\\\\:}:${line#*$'\\t'}\") ;;\n"
     "        esac\n"
     "    done\n"
     "    (( $#shown )) && _describe bulla shown\n"
     "    [[ -n $files ]] && _files\n"
     "}\n"
     "if [[ $zsh_eval_context[-1] == loadautofunc ]]; then\n"
     "    _bulla \"$@\"\n"
     "else\n"
     "    compdef _bulla bulla\n"
     "fi\n"},
    {"fish",
     "# fish completion of bulla: source it, or put it into a directory of $fish_complete_path\n"
     "function __bulla_answer\n"
     "    set -l words (commandline -opc) (commandline -ct)\n"
     "    for line in (command $words[1] completion answer -- $words[2..-1] 2>/dev/null)\n"
     "        if test \"$line\" = :files\n"
     "            __fish_complete_path (commandline -ct)\n"
     "        else\n"
     "            echo $line\n"
     "        end\n"
     "    end\n"
     "end\n"
     "complete -c bulla -f -a '(__bulla_answer)'\n"},
};

/* struct answer: what is being completed. */
struct answer {
    const char *begun;                /* the word, as far as it is typed */
    const char *lead;                 /* what stands before begun in the word: "--key=" */
    char *ring;                       /* "PATH#" or "PATH#NAME:" of the key */
    bool versions;                    /* of that name */
    char last[KEY_INFO_NAME_MAX + 1]; /* name that was offered: its versions are together */
};

static void offer(const struct answer *a, const char *before, const char *word, const char *means)
{
    char *all STRING_CLEANUP = NULL;

    if (asprintf(&all, "%s%s", before, word) < 0) {
        all = NULL;
        return;
    }
    if (strncmp(all, a->begun, strlen(a->begun)) == 0) {
        terminal_show(a->lead, strlen(a->lead));
        terminal_show(all, strlen(all));
        terminal_print("\t");
        for (const char *c = means; *c != '\0' && *c != ';'; c++)
            terminal_print("%c", *c == '\n' ? ' ' : *c);
        terminal_print("\n");
    }
}

static void offer_files(void)
{
    terminal_print(":files\n");
}

static void offer_configured(void *arg, const char *name)
{
    offer(arg, "", name, "a key of the configuration");
}

static void offer_of_ring(void *arg, const struct key_info *info)
{
    struct answer *a = arg;
    char number[16];

    snprintf(number, sizeof number, "%u", (unsigned)info->version);
    if (a->versions)
        offer(a, a->ring, number, key_state_name(info->state));
    else if (strcmp(a->last, info->name) != 0)
        offer(a, a->ring, info->name, info->kind);
    memcpy(a->last, info->name, sizeof a->last);
}

/* Names and versions of a keyring, which are not secret. Nothing is read from a descriptor: here it
 * would be the shell's. */
static void offer_ring(struct answer *a)
{
    const char *sharp = strrchr(a->begun, '#'), *colon = strrchr(sharp, ':');
    const char *end = colon != NULL ? colon : sharp;
    struct key_sink sink = {.row = offer_of_ring, .arg = a};
    struct session s SESSION_CLEANUP = {.env = {.credentials = key_alias_credentials()}};
    char *reference STRING_CLEANUP = NULL;
    const struct keystore *store;
    const char *rest;
    struct err ignored;

    a->ring = strndup(a->begun, (size_t)(end + 1 - a->begun));
    char *file STRING_CLEANUP = strndup(a->begun, (size_t)(end - a->begun));
    a->versions = colon != NULL;
    if (a->ring != NULL && file != NULL && key_alias_descriptor(file) < 0 &&
        session_open(&s, NULL, 0, &ignored).ok &&
        key_alias_resolve(file, &reference, &ignored).ok &&
        registry_find(&store, &rest, reference, &ignored).ok && store->file != NULL &&
        store->admin->list != NULL)
        (void)!store->admin->list(&s.env, rest, &sink, &ignored).ok;
    string_free(&a->ring);
}

/* How its references begin, with what they are. */
static void offer_schemes(void *arg, const struct keystore *store)
{
    const char *help = "";

    for (const struct keystore_scheme *s = store->schemes; s->prefix != NULL; s++) {
        help = s->help != NULL ? s->help : help;
        char *line STRING_CLEANUP = strndup(help, strcspn(help, ";:\n"));
        if (s->prefix[0] != '\0' && line != NULL)
            offer(arg, "", s->prefix, line);
    }
}

static void offer_keys(struct answer *a)
{
    if (strchr(a->begun, '#') != NULL) {
        offer_ring(a);
        return;
    }
    config_each(offer_configured, a);
    offer(a, "", "fd:", "a key that comes through a descriptor");
    offer(a, "", "credential:", "a systemd credential");
    registry_each(offer_schemes, a);
    offer_files();
}

static void offer_use(struct answer *a, enum use use)
{
    if (use == USE_KEY || use == USE_NEW_KEY)
        offer_keys(a);
    else if (use != USE_NOTHING)
        offer_files();
}

static void offer_value(struct answer *a, const struct row *row)
{
    for (const struct choice *c = row->choices; c != NULL && c->word != NULL; c++)
        offer(a, "", c->word, "");
    offer_use(a, row->use);
}

static void offer_options(const struct answer *a, const struct verb *verb)
{
    struct row_walk walk = {0};

    for (const struct row *row; (row = options_next(&walk, verb)) != NULL;)
        offer(a, "--", row->name, row->help);
}

/* The verbs of a group; without a group, the other verbs and the groups. */
static void offer_verbs(const struct answer *a, const char *group)
{
    const char *last = NULL;

    for (const struct verb *const *v = verbs; *v != NULL; v++) {
        const char *its = (*v)->group;
        if (options_is_in(*v, group))
            offer(a, "", (*v)->name, (*v)->summary);
        else if (group == NULL && (last == NULL || strcmp(last, its) != 0))
            offer(a, "", last = its, "more verbs");
    }
    if (group == NULL)
        offer(a, "", "help", "show the verbs, or the options of one");
}

static void answer(const char *const *words, size_t count)
{
    struct answer a = {.begun = count > 0 ? words[count - 1] : "", .lead = ""};
    size_t size = strcspn(a.begun, "=");
    struct options_state at;

    options_follow(&at, words, count > 0 ? count - 1 : 0);
    bool is_long = !at.only_operands && at.row == NULL && strncmp(a.begun, "--", 2) == 0;
    if (at.unknown)
        return;
    if (is_long && a.begun[size] == '=') {
        const struct row *row = options_row(at.verb, a.begun + 2, size - 2);
        char *lead STRING_CLEANUP = strndup(a.begun, size + 1);
        a.begun += size + 1;
        a.lead = lead != NULL ? lead : "";
        if (row != NULL && row->kind != FLAG)
            offer_value(&a, row);
    } else if (at.row != NULL)
        offer_value(&a, at.row);
    else if (at.verb == NULL)
        offer_verbs(&a, at.group);
    else if (!at.only_operands && a.begun[0] == '-')
        offer_options(&a, at.verb);
    else
        offer_use(&a, at.verb->operand);
}

static int completion(const struct options *o)
{
    const char *shell = o->operands.items[0];
    struct err err = {0};

    if (strcmp(shell, "answer") == 0) {
        answer(o->operands.items + 1, o->operands.count - 1);
        return ERR_NONE;
    }
    for (size_t i = 0; i < sizeof scripts / sizeof *scripts; i++)
        if (strcmp(scripts[i].shell, shell) == 0 && o->operands.count == 1) {
            terminal_print("%s", scripts[i].text);
            return ERR_NONE;
        }
    (void)fail(&err, ERR_USAGE, "'completion' takes bash, zsh or fish, not '%s'", shell);
    return terminal_error(&err);
}

const struct verb verb_completion = {
    .name = "completion",
    .operands = "SHELL",
    .least = 1,
    .most = ANY_NUMBER,
    .summary = "print the script by which a shell completes words",
    .more =
        "SHELL is bash, zsh or fish. 'source <(bulla completion bash)' in ~/.bashrc is enough.\n",
    .run = completion,
    .operand = USE_ANYWHERE,
    .rows = (const struct row *const[]){rows_all, NULL},
    .examples = "  source <(bulla completion bash)\n",
};

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "cmd/batch.h"
#include "cmd/named_place.h"
#include "cmd/object_rows.h"
#include "cmd/shared_rows.h"
#include "cmd/standard_streams.h"
#include "cmd/terminal.h"
#include "cmd/verbs.h"
#include "libbulla/open.h"

/* struct shown: an envelope and what is known of the file around it. */
struct shown {
    const struct sealed *sealed;
    const char *file;
    bool has_size; /* it is known */
    uint64_t size; /* of the plaintext, in bytes */
};

static const char *copy_state(const struct sealed *f, unsigned i)
{
    static const char *const names[] = {
        [COPY_GOOD] = "good",         [COPY_STALE] = "stale",
        [COPY_DAMAGED] = "damaged",   [COPY_UNSUPPORTED] = "unsupported",
        [COPY_DIFFERS] = "different",
    };

    return names[f->health.copy[i]];
}

/* The value of one header field of a slot as text; the caller frees. */
static char *field_text(const struct slot *slot, const struct slot_field *field)
{
    struct view v = slot_view(slot, field);
    char *out = malloc(TEXT_ESCAPED(v.size) + 16);

    if (out == NULL)
        return NULL;
    if (field->kind == SLOT_NUMBER)
        snprintf(out, 16, "%" PRIu32, slot_number(slot, field));
    else if (field->kind == SLOT_TEXT)
        text_escape(out, TEXT_ESCAPED(v.size), v.bytes, v.size);
    else
        text_hex(out, v.bytes, v.size);
    return out;
}

static void show_slot(const struct slot *slot, size_t number)
{
    terminal_print("  slot %zu       %s", number, slot->method->name);
    if (!slot_understood(slot))
        terminal_print(" (0x%04x), not understood by this bulla", slot->code);
    terminal_print("\n");
    for (const struct slot_field *const *f = slot->method->fields; *f != NULL; f++) {
        char *text STRING_CLEANUP = field_text(slot, *f);
        if (text == NULL)
            terminal_lost();
        else if (text[0] != '\0')
            terminal_print("    %-14s%s\n", (*f)->name, text);
    }
}

static void show_line(const char *what, const char *text)
{
    terminal_print("  %-13s", what);
    terminal_show(text, strlen(text));
    terminal_print("\n");
}

static void show_context(const struct context *context)
{
    for (size_t i = 0; i < context->count; i++) {
        terminal_print("  %-13s", i == 0 ? "context" : "");
        terminal_show(context->pairs[i].key, strlen(context->pairs[i].key));
        terminal_print("=");
        terminal_show(context->pairs[i].value, strlen(context->pairs[i].value));
        terminal_print("\n");
    }
}

/* A script gets the bytes alone. */
static void show_size(uint64_t size)
{
    char human[TERMINAL_SIZE_MAX];

    if (terminal_has_reader() && size >= 1024)
        terminal_print("  %-13s%s (%" PRIu64 " bytes) of plaintext\n", "size",
                       terminal_size(size, human), size);
    else
        terminal_print("  %-13s%" PRIu64 " bytes of plaintext\n", "size", size);
}

static void show(const struct shown *shown)
{
    const struct sealed *f = shown->sealed;
    const struct core *core = &f->envelope.core;
    char time[TEXT_TIME_SIZE], id[2 * BRANCH_ID_SIZE + 1];

    terminal_show(shown->file, strlen(shown->file));
    terminal_print(": sealed, format %d, envelope %s\n", FORMAT_VERSION,
                   f->separate ? "separate" : "in the file");
    show_line("sealed at", text_time(time, core->created));
    show_line("suite", suite_by_code(core->suite)->name);
    if (shown->has_size)
        show_size(shown->size);
    if (core->name[0] != '\0')
        show_line("name", core->name);
    if (core->generation != 0)
        terminal_print("  %-13s%" PRIu64 "\n", "generation", core->generation);
    show_context(&core->context);
    show_line("file id", text_hex(id, core->file_id, CORE_ID_SIZE));
    show_line("branch id", text_hex(id, f->envelope.branch_id, BRANCH_ID_SIZE));
    terminal_print("  %-13scopy A %s, copy B %s; sequence %" PRIu64 ", %zu bytes each\n",
                   "envelope", copy_state(f, 0), copy_state(f, 1), f->envelope.sequence,
                   envelope_size(&f->envelope) / 2);
    terminal_print("  %-13s%zu%s\n", "keys", f->envelope.slot_count,
                   f->envelope.slot_count == 1 ? ": without it nothing opens this file"
                                               : "; any one opens it");
    for (size_t i = 0; i < f->envelope.slot_count; i++)
        show_slot(&f->envelope.slots[i], i);
}

static json_t *slot_json(const struct slot *slot)
{
    json_t *json = json_pack("{s:s, s:i, s:b}", "method", slot->method->name, "code", slot->code,
                             "understood", slot_understood(slot));

    for (const struct slot_field *const *f = slot->method->fields; *f != NULL; f++) {
        char *text STRING_CLEANUP = field_text(slot, *f);
        struct view v = slot_view(slot, *f);
        char name[32];
        snprintf(name, sizeof name, "%s", (*f)->name);
        for (char *c = name; *c != '\0'; c++)
            if (*c == ' ')
                *c = '_';
        enum slot_kind kind = (*f)->kind;
        terminal_put(json, name,
                     kind == SLOT_NUMBER ? json_integer(slot_number(slot, *f))
                     : kind == SLOT_TEXT ? terminal_text(v.bytes, v.size)
                                         : json_string(text));
    }
    /* The tools of a token or of AWS can open it. */
    char wrap[2 * SLOT_WRAP_MAX + 1];
    terminal_put(json, "wrap", json_string(text_hex(wrap, slot->wrap, slot->wrap_size)));
    return json;
}

static void add_core(json_t *json, const struct core *core)
{
    char time[TEXT_TIME_SIZE], id[2 * CORE_ID_SIZE + 1];
    json_t *context = json_object();

    terminal_put(json, "created", json_string(text_time(time, core->created)));
    terminal_put(json, "suite", json_string(suite_by_code(core->suite)->name));
    terminal_put(json, "file_id", json_string(text_hex(id, core->file_id, CORE_ID_SIZE)));
    terminal_put(json, "name", core->name[0] != '\0' ? json_string(core->name) : json_null());
    terminal_put(json, "generation",
                 core->generation != 0 ? json_integer((json_int_t)core->generation) : json_null());
    for (size_t i = 0; i < core->context.count; i++)
        terminal_put(context, core->context.pairs[i].key,
                     json_string(core->context.pairs[i].value));
    terminal_put(json, "context", context);
}

static void add_all(json_t *json, const struct shown *shown)
{
    const struct sealed *f = shown->sealed;
    char id[2 * BRANCH_ID_SIZE + 1];
    json_t *slots = json_array();

    terminal_put(json, "format", json_integer(FORMAT_VERSION));
    terminal_put(json, "envelope", json_string(f->separate ? "separate" : "inside"));
    add_core(json, &f->envelope.core);
    terminal_put(json, "branch_id",
                 json_string(text_hex(id, f->envelope.branch_id, BRANCH_ID_SIZE)));
    terminal_put(json, "bytes",
                 shown->has_size ? json_integer((json_int_t)shown->size) : json_null());
    terminal_put(json, "sequence", json_integer((json_int_t)f->envelope.sequence));
    terminal_put(json, "region", json_integer((json_int_t)envelope_size(&f->envelope) / 2));
    terminal_put(json, "copies", json_pack("[s, s]", copy_state(f, 0), copy_state(f, 1)));
    for (size_t i = 0; i < f->envelope.slot_count; i++)
        terminal_append(slots, slot_json(&f->envelope.slots[i]));
    terminal_put(json, "slots", slots);
}

/* The size of the plaintext, from the size of the file; no key is needed for that. With an envelope
 * that lies elsewhere, nothing shows where the body begins: a damaged envelope of unknown size may
 * still be in front of it. Only an envelope beside the body is taken to be the only one, unless the
 * file has the remains of another. */
static bool plain_size(const struct sealed *f, bool named, bool remains, uint64_t *size)
{
    uint64_t body = (uint64_t)f->st.st_size, inside = envelope_size(&f->envelope);

    if (!S_ISREG(f->st.st_mode) || named || remains)
        return false;
    if (!f->separate)
        body = body > inside ? body - inside : 0;
    return cobblestone_plain_size(body, size);
}

static struct result each(void *arg, const struct item *item, json_t *json, struct err *err)
{
    const struct options *o = ((struct batch *)arg)->options;
    struct named_place envelope NAMED_PLACE_CLEANUP = {0};
    struct sealed f SEALED_CLEANUP = {0};
    const struct source in = standard_input();
    struct sealed_place from = {
        .body = item->source, .stream = &in, .object = item->object, .follow = item->follow};
    struct session no_keys = {.env.warn = terminal_warn};

    if (!standard_input_check(&from, err).ok ||
        !named_place_envelope(&envelope, &from, o, err).ok ||
        !sealed_open(&f, &no_keys, &from, err).ok)
        return FAIL;
    struct shown shown = {.sealed = &f, .file = item->name != NULL ? item->name : "standard input"};
    bool remains = sealed_remains(&f, &no_keys);
    shown.has_size = plain_size(&f, o->envelope != NULL, remains, &shown.size);
    if (o->json)
        add_all(json, &shown);
    else
        show(&shown);
    return OK;
}

static int inspect(const struct options *o)
{
    struct batch batch = {.options = o, .each = each, .done = "shown", .takes_objects = true};

    batch.arg = &batch;
    return batch_run(&batch);
}

const struct verb verb_inspect = {
    .name = "inspect",
    .operands = "[FILE...]",
    .most = ANY_NUMBER,
    .summary = "show the envelope; needs no key",
    .more = "What is shown was not authenticated: that takes a key, see 'bulla verify'.\n",
    .run = inspect,
    .operand = USE_READ,
    .rows = (const struct row *const[]){rows_envelope, rows_batch, rows_json, rows_one_file_system,
                                        rows_objects, rows_all, NULL},
    .examples = "  bulla inspect backup.tar.bulla\n"
                "  bulla inspect --json data.tar.bulla\n",
};

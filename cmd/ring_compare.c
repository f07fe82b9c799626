#include "cmd/ring_compare.h"

#include <stdlib.h>
#include <string.h>

#include "cmd/terminal.h"

/* struct aged: one version of a key in one ring. */
struct aged {
    size_t ring;
    char name[KEY_INFO_NAME_MAX + 1];
    char id[sizeof(((struct key_info *)0)->id)];
    char check[sizeof((struct key_info *)NULL)->check];
    uint32_t version, highest; /* that the ring knows of the key */
    enum key_state state;
};

/* How far a state is on the way that all versions go. Of two that are equally far, either may be
 * the later one. */
static const unsigned progress[] = {
    [KEY_ACTIVE] = 0,
    [KEY_RETIRED] = 1,
    [KEY_DISABLED] = 1,
    [KEY_DESTROYED] = 2,
};

struct result ring_compare_ring(struct ring_compare *a, const char *reference, struct err *err)
{
    char **grown = reallocarray(a->rings, a->ring_count + 1, sizeof *grown);

    if (grown == NULL)
        return fail_memory(err);
    a->rings = grown;
    a->rings[a->ring_count] = strdup(reference);
    if (a->rings[a->ring_count] == NULL)
        return fail_memory(err);
    a->ring_count++;
    return OK;
}

void ring_compare_add(struct ring_compare *a, const struct key_info *info)
{
    if (info->highest == 0)
        return;
    struct aged *grown = reallocarray(a->rows, a->count + 1, sizeof *grown);
    if (grown == NULL) {
        a->full = true;
        return;
    }
    a->rows = grown;
    struct aged *row = &a->rows[a->count++];
    *row = (struct aged){.ring = a->ring_count - 1,
                         .version = info->version,
                         .highest = info->highest,
                         .state = info->state};
    memcpy(row->name, info->name, strnlen(info->name, sizeof row->name - 1));
    memcpy(row->id, info->id, strnlen(info->id, sizeof row->id - 1));
    memcpy(row->check, info->check, sizeof row->check);
}

static int by_key_and_ring(const void *left, const void *right)
{
    const struct aged *a = left, *b = right;
    int order = strcmp(a->id, b->id);

    if (order != 0)
        return order;
    return a->ring != b->ring ? (a->ring < b->ring ? -1 : 1)
                              : (a->version > b->version) - (a->version < b->version);
}

static void tell_versions(const struct ring_compare *a, bool json, const struct aged *old,
                          const struct aged *new)
{
    struct err line;

    (void)fail(&line, ERR_POLICY,
               "'%s' is older than '%s': it has key '%s' up to version %u, not %u",
               a->rings[old->ring], a->rings[new->ring], old->name, old->highest, new->highest);
    (void)terminal_error(&line);
    if (json)
        terminal_json(json_pack(
            "{s:o, s:o, s:s, s:s, s:I, s:I}", "older", terminal_reference_text(a->rings[old->ring]),
            "newer", terminal_reference_text(a->rings[new->ring]), "name", old->name, "id", old->id,
            "version", (json_int_t)old->highest, "newer_version", (json_int_t) new->highest));
}

static void tell_states(const struct ring_compare *a, bool json, const struct aged *old,
                        const struct aged *new)
{
    bool older = progress[old->state] < progress[new->state];
    const char *one = key_state_name(old->state), *other = key_state_name(new->state);
    struct err line;

    (void)fail(&line, ERR_POLICY,
               older ? "'%s' is older than '%s': it has version %u of key '%s' as %s, not %s"
                     : "'%s' and '%s' differ: version %u of key '%s' is %s in the first and %s in "
                       "the second",
               a->rings[old->ring], a->rings[new->ring], old->version, old->name, one, other);
    (void)terminal_error(&line);
    if (json)
        terminal_json(json_pack("{s:o, s:o, s:s, s:s, s:I, s:s, s:s}", older ? "older" : "one",
                                terminal_reference_text(a->rings[old->ring]),
                                older ? "newer" : "other",
                                terminal_reference_text(a->rings[new->ring]), "name", old->name,
                                "id", old->id, "version", (json_int_t)old->version, "state", one,
                                older ? "newer_state" : "other_state", other));
}

static void tell_apart(const struct ring_compare *a, bool json, const struct aged *one,
                       const struct aged *other)
{
    struct err line;

    (void)fail(&line, ERR_POLICY,
               "'%s' and '%s' were rotated apart: version %u of key '%s' is another key in each",
               a->rings[one->ring], a->rings[other->ring], one->version, one->name);
    err_hint(&line, "what one seals to it the other cannot open: keep both, and move all files to "
                    "one of them");
    (void)terminal_error(&line);
    if (json)
        terminal_json(json_pack("{s:o, s:o, s:s, s:s, s:I, s:b}", "one",
                                terminal_reference_text(a->rings[one->ring]), "other",
                                terminal_reference_text(a->rings[other->ring]), "name", one->name,
                                "id", one->id, "version", (json_int_t)one->version, "same_key", 0));
}

/* struct group: the rows of one key. */
struct group {
    const struct aged *rows;
    size_t count;
};

static struct group group_at(const struct ring_compare *a, size_t first)
{
    size_t end = first + 1;

    while (end < a->count && strcmp(a->rows[end].id, a->rows[first].id) == 0)
        end++;
    return (struct group){a->rows + first, end - first};
}

static const struct aged *with_highest(const struct group *g)
{
    const struct aged *found = g->rows;

    for (size_t i = 1; i < g->count; i++)
        if (g->rows[i].highest > found->highest)
            found = &g->rows[i];
    return found;
}

/* The same version in the ring that has its latest state, or NULL. If neither of two states is
 * later, the row of the first ring finds that of the second. */
static const struct aged *with_later_state(const struct group *g, const struct aged *row)
{
    const struct aged *found = NULL;

    for (size_t i = 0; i < g->count; i++) {
        const struct aged *r = &g->rows[i];
        bool differs = progress[r->state] > progress[row->state] ||
                       (progress[r->state] == progress[row->state] && r->state != row->state &&
                        row->ring < r->ring);
        if (r->version == row->version && differs &&
            (found == NULL || progress[r->state] > progress[found->state]))
            found = r;
    }
    return found;
}

/* The same version in an earlier ring, where that has other key bytes for it; or NULL. */
static const struct aged *with_other_key(const struct group *g, const struct aged *row)
{
    for (size_t i = 0; i < g->count; i++) {
        const struct aged *r = &g->rows[i];
        if (r->ring < row->ring && r->version == row->version && r->check[0] != '\0' &&
            row->check[0] != '\0' && strcmp(r->check, row->check) != 0)
            return r;
    }
    return NULL;
}

/* If two rings have different keys for one version, neither is an older copy of the other. */
static bool tell_apart_all(const struct ring_compare *a, bool json, const struct group *g)
{
    bool any = false;

    for (size_t i = 0; i < g->count; i++) {
        const struct aged *other = with_other_key(g, &g->rows[i]);
        if (other != NULL)
            tell_apart(a, json, other, &g->rows[i]);
        any = any || other != NULL;
    }
    return any;
}

/* A ring that lacks versions is reported once, without the differences that follow from that. */
static bool tell_group(const struct ring_compare *a, bool json, const struct group *g)
{
    const struct aged *highest = with_highest(g), *later;
    bool any = false;

    for (size_t i = 0; i < g->count; i++) {
        const struct aged *row = &g->rows[i];
        bool lacks = row->highest < highest->highest;
        bool first = i == 0 || g->rows[i - 1].ring != row->ring;
        if (lacks && first)
            tell_versions(a, json, row, highest);
        else if (!lacks && (later = with_later_state(g, row)) != NULL)
            tell_states(a, json, row, later);
        else
            continue;
        any = true;
    }
    return any;
}

int ring_compare_tell(struct ring_compare *a, bool json)
{
    bool any = false;
    struct err err;

    if (a->full) {
        (void)fail_memory(&err);
        return terminal_error(&err);
    }
    if (a->ring_count < 2 || a->count == 0)
        return ERR_NONE;
    qsort(a->rows, a->count, sizeof *a->rows, by_key_and_ring);
    for (size_t i = 0; i < a->count;) {
        struct group g = group_at(a, i);
        any = tell_apart_all(a, json, &g) || any;
        any = tell_group(a, json, &g) || any;
        i += g.count;
    }
    return any ? ERR_POLICY : ERR_NONE;
}

void ring_compare_free(struct ring_compare *a)
{
    for (size_t i = 0; i < a->ring_count; i++)
        free(a->rings[i]);
    free(a->rings);
    free(a->rows);
    *a = (struct ring_compare){0};
}

#include "aws/credentials/chain.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "aws/credentials/metadata.h"
#include "aws/credentials/process.h"
#include "aws/sts.h"
#include "base/clock.h"
#include "base/secret_file.h"

/* As in botocore: fresh credentials are looked for from 15 minutes before the end, and needed from
 * 10 minutes before it. If they last less than half an hour, these points are when a half and a
 * third of their time is left: otherwise each call would fetch them again. */
#define ADVISORY 900
#define MANDATORY 600

#define ROLES_MAX 8         /* in one chain of source_profile */
#define WEB_TOKEN_MAX 20000 /* bytes; STS takes as many */

/* struct search: the profile for which credentials are looked for. */
struct search {
    const struct chain *chain;
    const char *profile;
    const struct search *from; /* whose source_profile this is */
    bool first;                /* the profile in use: the environment counts too */
};

/* A provider sets *found if it is the one that is configured, and only then *out. */
struct provider {
    struct result (*load)(const struct search *s, struct credentials *out, bool *found,
                          struct err *err);
    bool of_profile; /* serves a source_profile too */
};

static const char *value_of(const struct search *s, const char *key)
{
    return profile_get(&s->chain->aws->profiles, s->profile, key);
}

static const char *variable(const struct search *s, const char *name)
{
    return environment_get(&s->chain->aws->environment, name);
}

/* The older name of a session token goes first, as in botocore. */
static const char *first_of(const char *a, const char *b)
{
    return a != NULL ? a : b;
}

static struct result from_environment(const struct search *s, struct credentials *out, bool *found,
                                      struct err *err)
{
    struct credentials_text text = {
        variable(s, "AWS_ACCESS_KEY_ID"), variable(s, "AWS_SECRET_ACCESS_KEY"),
        first_of(variable(s, "AWS_SECURITY_TOKEN"), variable(s, "AWS_SESSION_TOKEN")),
        variable(s, "AWS_CREDENTIAL_EXPIRATION")};

    *found = text.access_key != NULL || text.secret_key != NULL;
    if (!*found)
        return OK;
    return credentials_make(out, &text, err, "the environment");
}

/* Both keys of a pair in one file. Half of one is found too, and refused: it is a mistake that the
 * next source must not hide. */
static struct result from_file(const struct search *s, const struct ini *file, const char *name,
                               struct credentials *out, bool *found, struct err *err)
{
    struct credentials_text text = {
        profile_get_in(file, s->profile, "aws_access_key_id"),
        profile_get_in(file, s->profile, "aws_secret_access_key"),
        first_of(profile_get_in(file, s->profile, "aws_security_token"),
                 profile_get_in(file, s->profile, "aws_session_token")),
        NULL,
    };

    *found = text.access_key != NULL || text.secret_key != NULL;
    if (!*found)
        return OK;
    return credentials_make(out, &text, err, "profile '%s' of the %s file", s->profile, name);
}

static struct result from_credentials_file(const struct search *s, struct credentials *out,
                                           bool *found, struct err *err)
{
    return from_file(s, &s->chain->aws->profiles.credentials, "credentials", out, found, err);
}

static struct result from_config_file(const struct search *s, struct credentials *out, bool *found,
                                      struct err *err)
{
    return from_file(s, &s->chain->aws->profiles.config, "config", out, found, err);
}

static struct result from_process(const struct search *s, struct credentials *out, bool *found,
                                  struct err *err)
{
    const char *command = value_of(s, "credential_process");
    char source[CREDENTIALS_SOURCE_MAX];

    *found = command != NULL;
    if (!*found)
        return OK;
    snprintf(source, sizeof source, "the credential_process of profile '%s'", s->profile);
    return process_credentials(s->chain->aws, command, source, out, err);
}

/* A value of the environment for the profile in use, else one of the profile. */
static const char *either(const struct search *s, const char *name, const char *key)
{
    const char *value = s->first ? variable(s, name) : NULL;

    return value != NULL ? value : value_of(s, key);
}

static struct result read_web_token(struct secret *token, const char *path, struct err *err)
{
    struct secret_file file = {
        .noun = "token file", .path = path, .max = WEB_TOKEN_MAX, .regular = true};

    if (!secret_file_line(&file, token, err).ok)
        return FAIL;
    return token->bytes[0] != '\0' ? OK : fail(err, ERR_USAGE, "token file '%s' is empty", path);
}

static struct result from_web_identity(const struct search *s, struct credentials *out, bool *found,
                                       struct err *err)
{
    const char *path = either(s, "AWS_WEB_IDENTITY_TOKEN_FILE", "web_identity_token_file");
    struct secret token SECRET_CLEANUP = {0};
    struct role role = {
        .arn = either(s, "AWS_ROLE_ARN", "role_arn"),
        .session_name = either(s, "AWS_ROLE_SESSION_NAME", "role_session_name"),
        .source = "web identity",
    };

    *found = path != NULL;
    if (!*found)
        return OK;
    if (role.arn == NULL)
        return fail(err, ERR_USAGE, "AWS_WEB_IDENTITY_TOKEN_FILE is there without AWS_ROLE_ARN");
    if (!read_web_token(&token, path, err).ok)
        return FAIL;
    role.web_token = (const char *)token.bytes;
    return sts_assume_role(s->chain->aws, s->chain->region, &role, out, err);
}

/* The names that say where credentials come from, or hold them. */
static const char *const deciding[] = {
    "aws_access_key_id", "aws_secret_access_key",   "role_arn",      "source_profile",
    "credential_source", "web_identity_token_file", "sso_session",   "sso_start_url",
    "sso_account_id",    "sso_role_name",           "login_session", "credential_process",
};

/* A name without a value is a mistake, perhaps of a template, and must not lead to the next source.
 */
static struct result refuse_empty(const struct search *s, struct credentials *out, bool *found,
                                  struct err *err)
{
    (void)out;
    *found = false;
    for (size_t i = 0; i < sizeof deciding / sizeof *deciding; i++)
        if (profile_is_empty(&s->chain->aws->profiles, s->profile, deciding[i]))
            return fail(err, ERR_USAGE, "profile '%s': '%s' has no value", s->profile, deciding[i]);
    return OK;
}

/* The AWS CLI knows how to get such credentials; we take what it got. */
static struct result leave_to_cli(const struct search *s, const char *how, struct err *err)
{
    (void)fail(err, ERR_USAGE, "profile '%s' %s, which bulla does not do itself", s->profile, how);
    return fail_hint(
        err,
        "make another profile with: credential_process = aws configure export-credentials "
        "--profile %s --format process",
        s->profile);
}

/* An account or a role makes it a profile of SSO whatever else it has, as for the AWS tools; a
 * session alone only where nothing else is there. */
static struct result from_sso(const struct search *s, struct credentials *out, bool *found,
                              struct err *err)
{
    bool has_role = value_of(s, "sso_account_id") != NULL || value_of(s, "sso_role_name") != NULL;
    bool has_session = value_of(s, "sso_session") != NULL || value_of(s, "sso_start_url") != NULL;
    bool has_other =
        value_of(s, "credential_process") != NULL || value_of(s, "aws_access_key_id") != NULL;

    (void)out;
    *found = has_role || (has_session && !has_other);
    return *found ? leave_to_cli(s, "signs on by SSO", err) : OK;
}

/* Of "aws login". */
static struct result from_login(const struct search *s, struct credentials *out, bool *found,
                                struct err *err)
{
    (void)out;
    *found = value_of(s, "login_session") != NULL;
    return *found ? leave_to_cli(s, "signs on by login_session", err) : OK;
}

/* botocore reads it, so it may be meant, and the machine's identity must not take its place. */
static struct result from_old_file(const struct search *s, struct credentials *out, bool *found,
                                   struct err *err)
{
    (void)out;
    *found = variable(s, "AWS_CREDENTIAL_FILE") != NULL;
    if (!*found)
        return OK;
    (void)fail(err, ERR_USAGE,
               "AWS_CREDENTIAL_FILE names a file of a kind that bulla does not read");
    return fail_hint(err, "AWS_SHARED_CREDENTIALS_FILE names one with profiles");
}

static struct result from_container(const struct search *s, struct credentials *out, bool *found,
                                    struct err *err)
{
    return container_credentials(s->chain->aws, out, found, err);
}

static struct result from_instance(const struct search *s, struct credentials *out, bool *found,
                                   struct err *err)
{
    return instance_credentials(s->chain->aws, out, found, err);
}

static struct result from_role(const struct search *s, struct credentials *out, bool *found,
                               struct err *err);

static const struct provider providers[] = {
    {from_environment, false}, {refuse_empty, true},    {from_role, true},
    {from_web_identity, true}, {from_sso, true},        {from_credentials_file, true},
    {from_login, true},        {from_process, true},    {from_config_file, true},
    {from_old_file, false},    {from_container, false}, {from_instance, false},
};

/* What credential_source may name. */
static const struct {
    const char *name;
    struct result (*load)(const struct search *s, struct credentials *out, bool *found,
                          struct err *err);
} named_sources[] = {{"Environment", from_environment},
                     {"EcsContainer", from_container},
                     {"Ec2InstanceMetadata", from_instance}};

static struct result search_all(const struct search *s, struct credentials *out, bool *found,
                                struct err *err)
{
    *found = false;
    for (size_t i = 0; i < sizeof providers / sizeof *providers && !*found; i++)
        if ((s->first || providers[i].of_profile) && !providers[i].load(s, out, found, err).ok)
            return FAIL;
    return OK;
}

static struct result from_named_source(const struct search *s, const char *name,
                                       struct credentials *out, struct err *err)
{
    for (size_t i = 0; i < sizeof named_sources / sizeof *named_sources; i++) {
        bool found;
        if (strcmp(named_sources[i].name, name) != 0)
            continue;
        if (!named_sources[i].load(s, out, &found, err).ok)
            return FAIL;
        return found
                   ? OK
                   : fail(err, ERR_POLICY, "profile '%s': credential_source %s has no credentials",
                          s->profile, name);
    }
    return fail(err, ERR_USAGE, "profile '%s': credential_source '%s' is not known", s->profile,
                name);
}

/* Follows source_profile. A profile that names itself means its own keys; any other loop is
 * refused. */
static struct result from_source_profile(const struct search *s, const char *name,
                                         struct credentials *out, struct err *err)
{
    struct search next = {.chain = s->chain, .profile = name, .from = s};
    unsigned depth = 0;
    bool found;

    if (!profile_exists(&s->chain->aws->profiles, name))
        return fail(err, ERR_USAGE, "profile '%s': there is no source_profile '%s'", s->profile,
                    name);
    if (strcmp(name, s->profile) == 0) {
        if (!from_credentials_file(&next, out, &found, err).ok ||
            (!found && !from_config_file(&next, out, &found, err).ok))
            return FAIL;
    } else {
        for (const struct search *before = s; before != NULL; before = before->from, depth++)
            if (strcmp(before->profile, name) == 0)
                return fail(err, ERR_USAGE, "profile '%s': source_profile leads back to itself",
                            name);
        if (depth > ROLES_MAX)
            return fail(err, ERR_USAGE,
                        "profile '%s': more than %d roles in one chain of source_profile",
                        s->chain->aws->profile, ROLES_MAX);
        if (!search_all(&next, out, &found, err).ok)
            return FAIL;
    }
    return found ? OK : fail(err, ERR_POLICY, "profile '%s' has no credentials", name);
}

static struct result role_source(const struct search *s, struct credentials *out, struct err *err)
{
    const char *profile = value_of(s, "source_profile"), *named = value_of(s, "credential_source");

    if ((profile == NULL) == (named == NULL))
        return fail(err, ERR_USAGE,
                    "profile '%s': role_arn needs either source_profile or credential_source",
                    s->profile);
    return profile != NULL ? from_source_profile(s, profile, out, err)
                           : from_named_source(s, named, out, err);
}

static struct result from_role(const struct search *s, struct credentials *out, bool *found,
                               struct err *err)
{
    struct credentials with CREDENTIALS_CLEANUP = {0};
    char source[CREDENTIALS_SOURCE_MAX];
    struct role role = {
        .arn = value_of(s, "role_arn"),
        .session_name = value_of(s, "role_session_name"),
        .external_id = value_of(s, "external_id"),
        .duration_seconds = value_of(s, "duration_seconds"),
        .source = source,
        .with = &with,
    };

    /* A source_profile that has keys of its own is used with them, as botocore does. */
    bool has_keys = s->from != NULL && (value_of(s, "aws_access_key_id") != NULL ||
                                        value_of(s, "aws_secret_access_key") != NULL);
    *found = role.arn != NULL && value_of(s, "web_identity_token_file") == NULL && !has_keys;
    if (!*found)
        return OK;
    if (value_of(s, "mfa_serial") != NULL)
        return leave_to_cli(s, "asks for MFA", err);
    if (!role_source(s, &with, err).ok)
        return FAIL;
    snprintf(source, sizeof source, "profile '%s', by %.100s", s->profile, with.source);
    return sts_assume_role(s->chain->aws, s->chain->region, &role, out, err);
}

static struct result find(const struct chain *chain, struct credentials *out, struct err *err)
{
    struct search s = {.chain = chain, .profile = chain->aws->profile, .first = true};
    bool found;

    if (!search_all(&s, out, &found, err).ok) {
        err_context(err, "AWS credentials");
        return FAIL;
    }
    if (found)
        return OK;
    (void)fail(err, ERR_POLICY, "there are no AWS credentials");
    return fail_hint(
        err,
        "looked for in the environment, in profile '%s', at the container's endpoint and "
        "the instance metadata service",
        chain->aws->profile);
}

/* Seconds that the credentials are still good for. */
static uint64_t left(const struct credentials *c)
{
    uint64_t now = clock_now();

    if (c->expires == EXPIRES_NEVER)
        return UINT64_MAX;
    return c->expires > now ? c->expires - now : 0;
}

/* Whether no more time is left than a limit, or than a part of their whole time. */
static bool runs_out(const struct chain *chain, uint64_t limit, unsigned part)
{
    uint64_t share = chain->lasts / part;

    return left(&chain->now) <= (share < limit ? share : limit);
}

static void keep(struct chain *chain, struct credentials *fresh)
{
    credentials_free(&chain->now);
    chain->now = *fresh;
    chain->lasts = left(fresh);
    *fresh = (struct credentials){0};
}

struct result chain_credentials(struct chain *chain, bool renew, const struct credentials **out,
                                struct err *err)
{
    struct credentials fresh CREDENTIALS_CLEANUP = {0};
    bool needed = renew || chain->now.access_key.bytes == NULL;
    struct err why = {0};

    if (needed || runs_out(chain, ADVISORY, 2)) {
        if (find(chain, &fresh, &why).ok) {
            keep(chain, &fresh);
        } else if (needed || runs_out(chain, MANDATORY, 3)) {
            *err = why;
            return FAIL;
        }
    }
    if (left(&chain->now) == 0)
        return fail(err, ERR_POLICY, "the credentials from %s have expired", chain->now.source);
    *out = &chain->now;
    return OK;
}

void chain_region(struct chain *chain, const char *region)
{
    const char *set = chain->aws->region[0] != '\0' ? chain->aws->region : region;

    if (chain->region[0] == '\0')
        memcpy(chain->region, set, strlen(set) + 1);
}

void chain_free(struct chain *chain)
{
    credentials_free(&chain->now);
}

static struct result give(void *arg, bool renew, const struct credentials **out, struct err *err)
{
    return chain_credentials(arg, renew, out, err);
}

struct caller chain_caller(struct chain *chain)
{
    return (struct caller){give, chain};
}

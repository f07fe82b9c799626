/* token: a token of a module: finding it, its session, its objects. All of it is for the
 * module's thread. Whatever a module returns is bounded and checked here. */
#ifndef BULLA_KEYSTORE_PKCS11_TOKEN_H
#define BULLA_KEYSTORE_PKCS11_TOKEN_H

#include "keystore/pkcs11/module.h"

#define TOKEN_OBJECTS_MAX (1 << 20)
#define TOKEN_VALUE_MAX 8192 /* bytes of an attribute; certificates are the longest */
#define MECHANISMS_MAX 1024

/* struct token: one that was found, with the one session in which all is done. */
struct token {
    struct token *next;
    struct module *module;
    CK_SLOT_ID slot;
    CK_TOKEN_INFO info;
    char label[SLOT_TOKEN_LABEL_MAX + 1], serial[SLOT_TOKEN_SERIAL_MAX + 1]; /* UTF-8, not padded */
    CK_SESSION_HANDLE session;
    bool open, writable, logged_in;
    CK_RV value_failed; /* why token_value could not read last, where that is not told of a value */
    CK_RV oaep_failed;  /* why it could not undo RSA-OAEP itself when it last tried */
    bool listed;        /* the mechanisms are known */
    CK_MECHANISM_TYPE mechanisms[MECHANISMS_MAX];
    CK_ULONG mechanism_count;
    struct secret pin; /* that it took, for keys that want it at each use; or {0} */
};

/* token_find gives the one token that a URI names: its session is open and can read what is public.
 * ERR_STORE if there is none, ERR_USAGE with the URIs that tell them apart if there are several. */
FALLIBLE token_find(struct token **out, struct module *module, const struct uri *uri,
                    struct err *err);

/* token_each calls each for every token that a URI names, in a session, until one fails. */
FALLIBLE token_each(struct module *module, const struct uri *uri,
                    struct result (*each)(void *arg, struct token *token, struct err *err),
                    void *arg, struct err *err);

/* token_look reads anew what a token says of itself. */
CK_RV token_look(struct token *token);

/* token_write makes the session one in which objects can be made. */
FALLIBLE token_write(struct token *token, struct err *err);

/* token_renew opens a new session in place of one in which something failed half-way, which answers
 * CKR_OPERATION_ACTIVE from then on. */
FALLIBLE token_renew(struct token *token, struct err *err);

/* token_reopen closes the session and opens another: the login, if there was one, is gone. */
FALLIBLE token_reopen(struct token *token, struct err *err);

/* token_broken fails with what a module answered half-way, in a new session. */
FALLIBLE token_broken(struct token *token, CK_RV rv, const char *what, struct err *err);

/* token_can is true if the token has a mechanism, with at least the given CKF_ flags. */
bool token_can(struct token *token, CK_MECHANISM_TYPE mechanism, CK_FLAGS flags);

/* struct objects: what a search found; {0} is empty and safe to free. */
struct objects {
    CK_OBJECT_HANDLE *list;
    size_t count;
};

#define OBJECTS_CLEANUP __attribute__((cleanup(objects_free)))

/* token_objects finds the objects that fit a template; ERR_STORE if there are more than
 * TOKEN_OBJECTS_MAX. The caller frees *found. */
FALLIBLE token_objects(struct token *token, CK_ATTRIBUTE *wanted, size_t count,
                       struct objects *found, struct err *err);
void objects_free(struct objects *found);

/* token_value reads an attribute of at most room bytes; false if there is none such. */
bool token_value(struct token *token, CK_OBJECT_HANDLE object, CK_ATTRIBUTE_TYPE type, void *out,
                 size_t room, size_t *size);

/* token_flag reads a CK_BBOOL; fallback where there is none. */
bool token_flag(struct token *token, CK_OBJECT_HANDLE object, CK_ATTRIBUTE_TYPE type,
                bool fallback);

/* token_text takes the padding off a text field of size bytes, with room for one more in out; one
 * that is not UTF-8 is as good as none. */
void token_text(char *out, const unsigned char *field, size_t size);

/* tokens_free closes the sessions of all tokens of a module, before that ends. */
void tokens_free(struct module *module);

#endif

/* toy: a key store of the test suite's own, to show what it takes to add one: its keys are made of
 * a word that the user says. */
#ifndef BULLA_TESTS_TOYSTORE_TOY_H
#define BULLA_TESTS_TOYSTORE_TOY_H

#include "keystore/keystore.h"

extern const struct keystore toy_store;

#endif

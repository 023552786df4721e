// SPDX-License-Identifier: MIT
// A PKCS#11 module for tests: passes every call on to the module that SPHERE_TEST_TOKEN names, and
// appends an s for each session and an l for each login to the file SPHERE_TEST_TOKEN_COUNTS.
#include <dlfcn.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef unsigned long Ulong;
typedef Ulong (*Call)(void);

// CK_FUNCTION_LIST of PKCS#11 2.40: a version and 68 functions.
enum { kFunctions = 68, kFinalize = 1, kOpenSession = 12, kLogin = 18 };
struct List {
  unsigned char version[2];
  Call calls[kFunctions];
};

static struct List* real;
static struct List ours;
// One letter more in the file, which outlives this library's being loaded anew.
static void count(char what) {
  FILE* out = fopen(getenv("SPHERE_TEST_TOKEN_COUNTS"), "a");
  if (out != NULL) {
    fputc(what, out);
    fclose(out);
  }
}

static Ulong open_session(Ulong slot, Ulong flags, void* application, void* notify,
                          Ulong* session) {
  count('s');
  return ((Ulong(*)(Ulong, Ulong, void*, void*, Ulong*))real->calls[kOpenSession])(
      slot, flags, application, notify, session);
}

static Ulong login(Ulong session, Ulong user, unsigned char* pin, Ulong length) {
  count('l');
  return ((Ulong(*)(Ulong, Ulong, unsigned char*, Ulong))real->calls[kLogin])(session, user, pin,
                                                                              length);
}

// The name is the standard's.
Ulong C_GetFunctionList(struct List** list) {
  void* library = dlopen(getenv("SPHERE_TEST_TOKEN"), RTLD_NOW);
  if (library == NULL) {
    return 5;  // CKR_GENERAL_ERROR
  }
  Ulong (*get)(struct List**) = NULL;
  *(void**)&get = dlsym(library, "C_GetFunctionList");
  const Ulong value = get(&real);
  if (value == 0) {
    memcpy(&ours, real, sizeof ours);
    ours.calls[kOpenSession] = (Call)open_session;
    ours.calls[kLogin] = (Call)login;
    *list = &ours;
  }
  return value;
}

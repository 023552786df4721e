/* SPDX-License-Identifier: MIT */

/*
 * Tools for Rust apps patch the name of this symbol in a copy of the library and refuse a library
 * without it. A weak reference, which nothing uses, is enough to have the name.
 */
#ifdef __arm__
extern int __aeabi_unwind_cpp_pr0(void) __attribute__((weak));

__attribute__((used)) static int (*const unwind_reference)(void) = __aeabi_unwind_cpp_pr0;
#else
typedef int sphere_no_unwind_reference; /* ISO C wants a declaration. */
#endif

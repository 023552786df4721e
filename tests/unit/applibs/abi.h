/* SPDX-License-Identifier: MIT */
#ifndef SPHERE_TESTS_ABI_H
#define SPHERE_TESTS_ABI_H

/* Compares sizes, offsets and enumerators at run time; prints each that differs to stdout. */
int sphere_abi_failures(void);

#endif

/* SPDX-License-Identifier: MIT */
#pragma once

#ifdef __cplusplus
extern "C" {
#endif

/* Files of the package, read-only, and the app's one mutable file. */

/*
 * The absolute path of a file of the package, from malloc: the caller frees it. The file need not
 * exist. `relativePath` counts from the package's root, does not begin with '/' or '.' and has no
 * "..". NULL with errno EFAULT (NULL), EINVAL (a path against these rules), ENOMEM.
 */
char* Storage_GetAbsolutePathInImagePackage(const char* relativePath);

/*
 * Opens a file of the package for reading. A descriptor, or -1 with errno as above, and
 *   ENOENT  no such file
 *   EISDIR  a directory
 *   EACCES  neither a file nor a directory
 */
int Storage_OpenFileInImagePackage(const char* relativePath);

/*
 * Opens the mutable file for reading and writing at offset 0 and creates it when there is none.
 * Its content survives restarts and updates of the app and is removed with it. Manifest:
 * "MutableStorage" with a SizeKB above 0; a write beyond that size is cut, the next one fails.
 * A descriptor, or -1 with errno EACCES (capability), EIO, EAGAIN, EMFILE.
 */
int Storage_OpenMutableFile(void);

/* Removes the mutable file. 0, or -1 with errno EACCES, EIO, EAGAIN, ENOENT (there is none). */
int Storage_DeleteMutableFile(void);

#ifdef __cplusplus
}
#endif

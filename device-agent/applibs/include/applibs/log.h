/* SPDX-License-Identifier: MIT */
#pragma once

#include <stdarg.h>

#ifdef __cplusplus
extern "C" {
#endif

/*
 * The app's log: what `sphere device app show-output` and a debugger print. No capability needed.
 *
 * The text goes out as it is, without a newline. Messages of different threads do not mix up to
 * 4096 bytes. The call never waits: when the reader is behind, whole messages are dropped, and a
 * later line of the log says how many.
 */

/*
 * Formats like printf. Returns 0, and leaves errno alone; or -1 with errno
 *   EFAULT  fmt is NULL
 *   EAGAIN  dropped, the reader is behind
 *   EILSEQ, EOVERFLOW, ENOMEM  as vsnprintf and malloc
 */
int Log_Debug(const char* fmt, ...);

/* Log_Debug for a list of arguments. */
int Log_DebugVarArgs(const char* fmt, va_list args);

#ifdef __cplusplus
}
#endif

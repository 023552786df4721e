/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Marks for functions that have a successor. A use of one is a compiler warning, unless the source
 * says, before its first applibs header, that it knows:
 *
 *   _AZSPHERE_USE_DEPRECATED_API   still works, will go
 *   _AZSPHERE_USE_OBSOLETE_API     belongs to old API sets, is not declared otherwise
 */
#ifdef _AZSPHERE_USE_DEPRECATED_API
#define _AZSPHERE_DEPRECATED_BY(x)
#else
#define _AZSPHERE_DEPRECATED_BY(x) __attribute__((deprecated("use " #x)))
#endif

#ifdef _AZSPHERE_USE_OBSOLETE_API
#define _AZSPHERE_OBSOLETED_BY(x)
#else
#define _AZSPHERE_OBSOLETED_BY(x) __attribute__((deprecated("obsolete, use " #x)))
#endif

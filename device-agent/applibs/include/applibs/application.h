/* SPDX-License-Identifier: MIT */
#pragma once

#include <stdbool.h>

#include "applibs_internal_api_traits.h"

#ifdef __cplusplus
extern "C" {
#endif

/* This app and its partners. */

/*
 * Connects to a real-time app. Manifest: "AllowedApplicationConnections" on both sides.
 *
 * `componentId` is the partner's id, 8-4-4-4-12 hexadecimal digits in either case. Returns a socket
 * that keeps message boundaries, 1 to 1040 bytes each; or -1 with errno
 *   EINVAL        NULL or no id
 *   EACCES        not listed on one of the sides
 *   ENOENT        no such app is installed
 *   ECONNREFUSED  its core does not run
 *   EBUSY         connected already
 *   EMFILE, EAGAIN
 */
int Application_Connect(const char* componentId);

#ifdef _AZSPHERE_USE_OBSOLETE_API
/* The name of Application_Connect in API sets up to 4. */
int Application_Socket(const char* componentId) _AZSPHERE_OBSOLETED_BY(Application_Connect);
#endif

/*
 * True when the app has a valid client certificate of its catalog. 0, or -1 with errno EFAULT,
 * EAGAIN.
 */
int Application_IsDeviceAuthReady(bool* outIsDeviceAuthReady);

#ifdef __cplusplus
}
#endif

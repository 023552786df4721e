/* SPDX-License-Identifier: MIT */
#ifndef SPHERE_BROKER_CLIENT_H
#define SPHERE_BROKER_CLIENT_H

#include <stddef.h>
#include <stdint.h>

#include "broker_protocol.h"
#include "frame.h"

/*
 * The process's one connection to the agent. It is the end of a socket pair that the process got as
 * descriptor SPHERE_BROKER_FD, moved above 32 before main(); where there is none, as in a unit
 * test on a PC, the environment variable SPHERE_APPLIBS_SOCKET names a SOCK_SEQPACKET socket.
 *
 * Calls of several threads go one after the other. A call without an answer within
 * SPHERE_BROKER_TIMEOUT_MS fails with EAGAIN; once the connection is lost every call does.
 */

#define SPHERE_BROKER_TIMEOUT_MS 10000

/* Makes `fd`, which it then owns, the connection, in place of an earlier one. */
void sphere_broker_adopt(int fd);

/* One request and its reply. 0, or -1 and errno. */
int sphere_broker_call(const struct sphere_call* call);

/*
 * A request that is answered by a descriptor of the given kind, which is entered into the table.
 * The descriptor, or -1 and errno; EPROTO when it is of another kind.
 */
int sphere_broker_open(uint16_t verb, const void* request, size_t request_length,
                       enum sphere_descriptor_kind kind);

#endif

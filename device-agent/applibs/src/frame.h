/* SPDX-License-Identifier: MIT */
#ifndef SPHERE_FRAME_H
#define SPHERE_FRAME_H

#include <stddef.h>
#include <stdint.h>

#include "broker_protocol.h"

/* One request and its reply over a message socket, as broker_protocol.h lays them out. */

struct sphere_call {
  uint16_t verb;
  const void* request; /* Payload of the request. */
  size_t request_length;
  void* reply; /* Payload of a reply with status 0. */
  size_t reply_length;
  int* descriptor; /* NULL: no descriptor may come. */
};

/*
 * Sends the request and waits for its reply. Replies to other ids, late ones, are discarded with
 * their descriptors. Continues after EINTR. `id` must differ from that of the previous calls on the
 * socket. Returns 0, or an errno number:
 *   the reply's status
 *   EAGAIN      no reply within `timeout_ms`, or the socket's queue is full
 *   EPROTO      the reply is malformed
 *   ECONNRESET  the other side is gone; the socket is of no more use
 */
int sphere_exchange(int socket, uint32_t id, const struct sphere_call* call, int timeout_ms);

/* Little-endian integers of payloads. */
void sphere_put_u32(uint8_t* to, uint32_t value);
uint32_t sphere_get_u32(const uint8_t* from);
uint64_t sphere_get_u64(const uint8_t* from);

#endif

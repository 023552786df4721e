/* SPDX-License-Identifier: MIT */
#include "frame.h"

#include <errno.h>
#include <poll.h>
#include <stdbool.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum {
  max_errno = 4095, /* The kernel's own limit for error numbers. */
  max_descriptors = 8
};

/* What one recvmsg() gave. The first descriptor is `descriptor`; more than one is an error. */
struct message {
  uint8_t bytes[SPHERE_FRAME_MAX];
  size_t length;
  bool is_truncated;
  int descriptor; /* -1: none. */
  int descriptor_count;
};

void sphere_put_u32(uint8_t* to, uint32_t value) {
  to[0] = (uint8_t)value;
  to[1] = (uint8_t)(value >> 8U);
  to[2] = (uint8_t)(value >> 16U);
  to[3] = (uint8_t)(value >> 24U);
}

uint32_t sphere_get_u32(const uint8_t* from) {
  return (uint32_t)from[0] | (uint32_t)from[1] << 8U | (uint32_t)from[2] << 16U |
         (uint32_t)from[3] << 24U;
}

uint64_t sphere_get_u64(const uint8_t* from) {
  return (uint64_t)sphere_get_u32(from) | (uint64_t)sphere_get_u32(from + 4) << 32U;
}

static uint16_t get_u16(const uint8_t* from) {
  return (uint16_t)((unsigned)from[0] | (unsigned)from[1] << 8U);
}

static int64_t now_ms(void) {
  struct timespec now;
  (void)clock_gettime(CLOCK_MONOTONIC, &now);
  return ((int64_t)now.tv_sec * 1000) + (now.tv_nsec / 1000000);
}

/* Waits for `events`. 0, EAGAIN at the deadline, or another errno number. */
static int wait_for(int socket, short events, int64_t deadline) {
  for (;;) {
    const int64_t left = deadline - now_ms();
    struct pollfd entry = {.fd = socket, .events = events};
    const int ready = poll(&entry, 1, left > 0 ? (int)left : 0);
    if (ready > 0) {
      return 0;
    }
    if (ready == 0) {
      return EAGAIN;
    }
    if (errno != EINTR) {
      return errno;
    }
  }
}

static int send_request(int socket, uint32_t id, const struct sphere_call* call, int64_t deadline) {
  uint8_t frame[SPHERE_FRAME_MAX];
  if (call->request_length > SPHERE_PAYLOAD_MAX) {
    return EMSGSIZE;
  }
  frame[0] = SPHERE_BROKER_VERSION;
  frame[1] = 0;
  frame[2] = (uint8_t)call->verb;
  frame[3] = (uint8_t)(call->verb >> 8U);
  sphere_put_u32(frame + 4, id);
  sphere_put_u32(frame + 8, 0);
  sphere_put_u32(frame + 12, (uint32_t)call->request_length);
  if (call->request_length > 0) {
    memcpy(frame + SPHERE_FRAME_HEADER, call->request, call->request_length);
  }
  for (;;) {
    if (send(socket, frame, SPHERE_FRAME_HEADER + call->request_length,
             MSG_NOSIGNAL | MSG_DONTWAIT) >= 0) {
      return 0;
    }
    if (errno == EAGAIN) {
      const int error = wait_for(socket, POLLOUT, deadline);
      if (error != 0) {
        return error;
      }
    } else if (errno != EINTR) {
      return errno == EBADF ? EBADF : ECONNRESET;
    }
  }
}

static void take_descriptors(struct msghdr* header, struct message* message) {
  for (struct cmsghdr* part = CMSG_FIRSTHDR(header); part != NULL;
       part = CMSG_NXTHDR(header, part)) {
    if (part->cmsg_level != SOL_SOCKET || part->cmsg_type != SCM_RIGHTS) {
      continue;
    }
    const size_t count = (part->cmsg_len - CMSG_LEN(0)) / sizeof(int);
    for (size_t i = 0; i < count; ++i) {
      int descriptor = -1;
      memcpy(&descriptor, CMSG_DATA(part) + (i * sizeof(int)), sizeof(descriptor));
      if (message->descriptor_count++ == 0) {
        message->descriptor = descriptor;
      } else {
        close(descriptor);
      }
    }
  }
}

static void drop_descriptor(struct message* message) {
  if (message->descriptor >= 0) {
    close(message->descriptor);
    message->descriptor = -1;
  }
}

static int receive(int socket, struct message* message, int64_t deadline) {
  union {
    struct cmsghdr align;
    char bytes[CMSG_SPACE(max_descriptors * sizeof(int))];
  } control;
  struct iovec piece = {.iov_base = message->bytes, .iov_len = sizeof(message->bytes)};
  for (;;) {
    const int error = wait_for(socket, POLLIN, deadline);
    if (error != 0) {
      return error;
    }
    struct msghdr header = {.msg_iov = &piece,
                            .msg_iovlen = 1,
                            .msg_control = control.bytes,
                            .msg_controllen = sizeof(control.bytes)};
    const ssize_t got = recvmsg(socket, &header, MSG_CMSG_CLOEXEC | MSG_DONTWAIT);
    if (got > 0) {
      message->length = (size_t)got;
      message->is_truncated = (header.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) != 0;
      message->descriptor = -1;
      message->descriptor_count = 0;
      take_descriptors(&header, message);
      return 0;
    }
    if (got == 0 || (errno != EINTR && errno != EAGAIN)) {
      return ECONNRESET;
    }
  }
}

/* The reply's status, or EPROTO. From here on the payload is what the verb says. */
static int check_reply(const struct message* message, const struct sphere_call* call) {
  const uint32_t length = sphere_get_u32(message->bytes + 12);
  const int32_t status = (int32_t)sphere_get_u32(message->bytes + 8);
  const int expected = status == 0 && call->descriptor != NULL ? 1 : 0;
  if (get_u16(message->bytes + 2) != call->verb || status < 0 || status > max_errno ||
      length != message->length - SPHERE_FRAME_HEADER || message->descriptor_count != expected) {
    return EPROTO;
  }
  if (status != 0) {
    return status;
  }
  return length == call->reply_length ? 0 : EPROTO;
}

int sphere_exchange(int socket, uint32_t id, const struct sphere_call* call, int timeout_ms) {
  const int64_t deadline = now_ms() + timeout_ms;
  struct message message;
  int error = send_request(socket, id, call, deadline);
  while (error == 0) {
    error = receive(socket, &message, deadline);
    if (error != 0) {
      break;
    }
    if (message.is_truncated || message.length < SPHERE_FRAME_HEADER ||
        get_u16(message.bytes) != SPHERE_BROKER_VERSION) {
      drop_descriptor(&message);
      return EPROTO;
    }
    if (sphere_get_u32(message.bytes + 4) != id) {
      drop_descriptor(&message);
      continue;
    }
    error = check_reply(&message, call);
    if (error != 0) {
      drop_descriptor(&message);
      return error;
    }
    if (call->reply_length > 0) {
      memcpy(call->reply, message.bytes + SPHERE_FRAME_HEADER, call->reply_length);
    }
    if (call->descriptor != NULL) {
      *call->descriptor = message.descriptor;
    }
    return 0;
  }
  return error;
}

/* SPDX-License-Identifier: MIT */
#include "broker_client.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "descriptor_table.h"

enum {
  lowest_broker_fd = 33 /* Programs expect the numbers from 3 up to be their own. */
};

static struct {
  pthread_mutex_t lock;
  int fd;          /* -1: none. */
  bool is_settled; /* No further attempt to find a connection. */
  uint32_t next_id;
} broker = {.lock = PTHREAD_MUTEX_INITIALIZER, .fd = -1, .next_id = 1};

static bool is_message_socket(int fd) {
  int domain = 0;
  int type = 0;
  socklen_t length = sizeof(domain);
  if (getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &length) != 0 || domain != AF_UNIX) {
    return false;
  }
  length = sizeof(type);
  return getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &length) == 0 && type == SOCK_SEQPACKET;
}

/* Before main(): no allocation, no message. errno stays, as a program may look at it first. */
__attribute__((constructor)) static void claim_inherited_socket(void) {
  const int error = errno;
  if (is_message_socket(SPHERE_BROKER_FD)) {
    const int moved = fcntl(SPHERE_BROKER_FD, F_DUPFD_CLOEXEC, lowest_broker_fd);
    if (moved >= 0) {
      close(SPHERE_BROKER_FD);
      broker.fd = moved;
      broker.is_settled = true;
    }
  }
  errno = error;
}

static void complain(const char* text) {
  // Without a broker there is nobody else to tell; a failure to write changes nothing.
  const ssize_t ignored = write(STDERR_FILENO, text, strlen(text));
  (void)ignored;
}

static int connect_path(const char* path) {
  struct sockaddr_un address = {.sun_family = AF_UNIX};
  if (strlen(path) >= sizeof(address.sun_path)) {
    return -1;
  }
  memcpy(address.sun_path, path, strlen(path) + 1);
  const int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
  if (fd >= 0 && connect(fd, (const struct sockaddr*)&address, sizeof(address)) != 0) {
    close(fd);
    return -1;
  }
  return fd;
}

/* The lock is held. */
static void settle(void) {
  broker.is_settled = true;
  // NOLINTNEXTLINE(concurrency-mt-unsafe): read once, under the lock; an app has no environment
  const char* path = getenv("SPHERE_APPLIBS_SOCKET");
  if (path == NULL) {
    complain(
        "applibs: no agent: descriptor 3 is no broker socket and SPHERE_APPLIBS_SOCKET is not "
        "set\n");
    return;
  }
  broker.fd = connect_path(path);
  if (broker.fd < 0) {
    complain("applibs: no agent: cannot connect to the socket of SPHERE_APPLIBS_SOCKET\n");
  }
}

void sphere_broker_adopt(int fd) {
  pthread_mutex_lock(&broker.lock);
  if (broker.fd >= 0) {
    close(broker.fd);
  }
  broker.fd = fd;
  broker.is_settled = true;
  pthread_mutex_unlock(&broker.lock);
}

/* The lock is held. */
static int call_locked(const struct sphere_call* call) {
  if (!broker.is_settled) {
    settle();
  }
  if (broker.fd < 0) {
    return EAGAIN;
  }
  const int error = sphere_exchange(broker.fd, broker.next_id++, call, SPHERE_BROKER_TIMEOUT_MS);
  if (error != ECONNRESET) {
    return error;
  }
  close(broker.fd);
  broker.fd = -1;
  return EAGAIN;
}

int sphere_broker_call(const struct sphere_call* call) {
  const int before = errno;
  pthread_mutex_lock(&broker.lock);
  const int error = call_locked(call);
  pthread_mutex_unlock(&broker.lock);
  errno = error != 0 ? error : before;
  return error != 0 ? -1 : 0;
}

int sphere_broker_open(uint16_t verb, const void* request, size_t request_length,
                       enum sphere_descriptor_kind kind) {
  uint8_t got = SPHERE_KIND_NONE;
  int descriptor = -1;
  const struct sphere_call call = {.verb = verb,
                                   .request = request,
                                   .request_length = request_length,
                                   .reply = &got,
                                   .reply_length = sizeof(got),
                                   .descriptor = &descriptor};
  if (sphere_broker_call(&call) != 0) {
    return -1;
  }
  if (got != (uint8_t)kind) {
    close(descriptor);
    errno = EPROTO;
    return -1;
  }
  return sphere_descriptor_add(descriptor, kind);
}

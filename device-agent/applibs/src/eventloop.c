/* SPDX-License-Identifier: MIT */
#include <applibs/eventloop.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

/*
 * One epoll instance, level-triggered, and an eventfd that wakes it for EventLoop_Stop. One event
 * is taken from the kernel at a time, so no event can be pending for a registration that a callback
 * removes. An event carries the number of its registration, never a pointer: a descriptor that was
 * duplicated and closed stays in the epoll set after its registration is gone.
 */

enum {
  all_events = EventLoop_Input | EventLoop_Output | EventLoop_Error,
  ns_per_ms = 1000000,
  stop_serial = 0 /* Event data of the eventfd; registrations count from 1. */
};

_Static_assert((unsigned)EventLoop_Input == (unsigned)EPOLLIN &&
                   (unsigned)EventLoop_Output == (unsigned)EPOLLOUT &&
                   (unsigned)EventLoop_Error == (unsigned)EPOLLERR,
               "a mask is handed to epoll as it is");

struct EventRegistration {
  EventRegistration* next;
  uint64_t serial;
  int fd;
  EventLoop_IoEvents mask;
  EventLoopIoCallback* callback;
  void* context;
};

struct EventLoop {
  int epoll;
  int stop;
  uint64_t last_serial;
  EventRegistration* first;
  bool is_running;
  bool is_closing;         /* Closed from inside a callback. */
  atomic_bool is_stopping; /* The one member that other threads write. */
};

static EventRegistration* find_serial(const EventLoop* el, uint64_t serial) {
  EventRegistration* at = el->first;
  while (at != NULL && at->serial != serial) {
    at = at->next;
  }
  return at;
}

static int add_to_epoll(int epoll, int operation, int fd, uint32_t mask, uint64_t serial) {
  struct epoll_event event = {.events = mask, .data.u64 = serial};
  return epoll_ctl(epoll, operation, fd, &event);
}

static void destroy(EventLoop* el) {
  while (el->first != NULL) {
    EventRegistration* gone = el->first;
    el->first = gone->next;
    free(gone);
  }
  close(el->epoll);
  close(el->stop);
  free(el);
}

EventLoop* EventLoop_Create(void) {
  EventLoop* el = calloc(1, sizeof(*el));
  if (el == NULL) {
    return NULL;
  }
  el->epoll = epoll_create1(EPOLL_CLOEXEC);
  el->stop = eventfd(0, EFD_CLOEXEC);
  if (el->epoll >= 0 && el->stop >= 0 &&
      add_to_epoll(el->epoll, EPOLL_CTL_ADD, el->stop, EPOLLIN, stop_serial) == 0) {
    return el;
  }
  const int error = errno;
  if (el->epoll >= 0) {
    close(el->epoll);
  }
  if (el->stop >= 0) {
    close(el->stop);
  }
  free(el);
  errno = error;
  return NULL;
}

void EventLoop_Close(EventLoop* el) {
  if (el == NULL) {
    return;
  }
  if (el->is_running) {
    el->is_closing = true;
    EventLoop_Stop(el);
    return;
  }
  destroy(el);
}

/*
 * Makes the epoll set anew, under its old number, from the registrations whose descriptors are
 * open. Needed after an event of a registration that is gone: only this removes its cause.
 */
static int rebuild(EventLoop* el) {
  const int fresh = epoll_create1(EPOLL_CLOEXEC);
  if (fresh < 0) {
    return -1;
  }
  int result = add_to_epoll(fresh, EPOLL_CTL_ADD, el->stop, EPOLLIN, stop_serial);
  for (EventRegistration* at = el->first; at != NULL; at = at->next) {
    if (add_to_epoll(fresh, EPOLL_CTL_ADD, at->fd, at->mask, at->serial) != 0 && errno != EBADF &&
        errno != EPERM && errno != EEXIST) {
      result = -1;
    }
  }
  if (result == 0 && dup3(fresh, el->epoll, O_CLOEXEC) < 0) {
    result = -1;
  }
  close(fresh);
  return result;
}

static int64_t now_ns(void) {
  struct timespec now;
  (void)clock_gettime(CLOCK_MONOTONIC, &now);
  return ((int64_t)now.tv_sec * 1000000000) + now.tv_nsec;
}

/* What the application sees of epoll's events. */
static EventLoop_IoEvents translate(uint32_t events, EventLoop_IoEvents mask) {
  EventLoop_IoEvents seen = events & (mask | EventLoop_Error);
  if ((events & EPOLLHUP) != 0) {
    seen |= EventLoop_Error | (mask & EventLoop_Input);
  }
  return seen;
}

/* Waits for one event. 1: a callback ran; 0: none did; -1: failed. */
static int handle_one(EventLoop* el, int timeout) {
  struct epoll_event event;
  const int ready = epoll_wait(el->epoll, &event, 1, timeout);
  if (ready <= 0) {
    return ready;
  }
  if (event.data.u64 == stop_serial) {
    return 0;  // EventLoop_Stop has set the flag before.
  }
  const EventRegistration* reg = find_serial(el, event.data.u64);
  if (reg == NULL) {
    return rebuild(el);
  }
  const EventLoop_IoEvents seen = translate(event.events, reg->mask);
  if (seen == EventLoop_None) {
    return 0;
  }
  reg->callback(el, reg->fd, seen, reg->context);  // May free `reg`.
  return 1;
}

/* Milliseconds until the deadline, rounded up, for epoll_wait; -1: forever. */
static int time_left(int duration, int64_t deadline) {
  if (duration <= 0) {
    return duration < 0 ? -1 : 0;
  }
  const int64_t left = deadline - now_ns();
  return left > 0 ? (int)((left + ns_per_ms - 1) / ns_per_ms) : 0;
}

static EventLoop_Run_Result run(EventLoop* el, int duration, bool process_one_event) {
  const int64_t deadline = duration > 0 ? now_ns() + ((int64_t)duration * ns_per_ms) : 0;
  EventLoop_Run_Result result = EventLoop_Run_FinishedEmpty;
  while (!atomic_load(&el->is_stopping)) {
    const int timeout = time_left(duration, deadline);
    const int handled = handle_one(el, timeout);
    if (handled < 0) {
      return EventLoop_Run_Failed;
    }
    if (handled > 0) {
      result = EventLoop_Run_Finished;
    }
    if (timeout == 0 || (handled > 0 && process_one_event)) {
      break;
    }
  }
  return result;
}

/* Takes the one wake-up that belongs to the flag; another thread may be about to write it. A stop
 * asked for until the flag is down is part of this one. */
static void acknowledge_stop(EventLoop* el) {
  uint64_t count = 0;
  while (read(el->stop, &count, sizeof(count)) < 0 && errno == EINTR) {
  }
  atomic_store(&el->is_stopping, false);
}

EventLoop_Run_Result EventLoop_Run(EventLoop* el, int duration_in_milliseconds,
                                   bool process_one_event) {
  if (el == NULL || el->is_running) {
    errno = el == NULL ? EFAULT : EBUSY;
    return EventLoop_Run_Failed;
  }
  el->is_running = true;
  const EventLoop_Run_Result result = run(el, duration_in_milliseconds, process_one_event);
  const int error = errno;
  if (atomic_load(&el->is_stopping)) {
    acknowledge_stop(el);
  }
  el->is_running = false;
  if (el->is_closing) {
    destroy(el);
  }
  errno = error;
  return result;
}

int EventLoop_GetWaitDescriptor(EventLoop* el) {
  if (el == NULL) {
    errno = EFAULT;
    return -1;
  }
  return el->epoll;
}

int EventLoop_Stop(EventLoop* el) {
  if (el == NULL) {
    errno = EFAULT;
    return -1;
  }
  const uint64_t one = 1;
  if (atomic_exchange(&el->is_stopping, true)) {
    return 0;
  }
  return write(el->stop, &one, sizeof(one)) < 0 ? -1 : 0;
}

EventRegistration* EventLoop_RegisterIo(EventLoop* el, int fd, EventLoop_IoEvents eventBitmask,
                                        EventLoopIoCallback* callback, void* context) {
  if (el == NULL || callback == NULL) {
    errno = EFAULT;
    return NULL;
  }
  if ((eventBitmask & ~(EventLoop_IoEvents)all_events) != 0) {
    errno = EINVAL;
    return NULL;
  }
  EventRegistration* reg = malloc(sizeof(*reg));
  if (reg == NULL) {
    return NULL;
  }
  *reg = (EventRegistration){.next = el->first,
                             .serial = el->last_serial + 1,
                             .fd = fd,
                             .mask = eventBitmask,
                             .callback = callback,
                             .context = context};
  if (add_to_epoll(el->epoll, EPOLL_CTL_ADD, fd, eventBitmask, reg->serial) != 0) {
    const int error = errno;
    free(reg);
    errno = error;
    return NULL;
  }
  el->last_serial = reg->serial;
  el->first = reg;
  return reg;
}

/* The newest registration of a number owns it in the epoll set; an older one, whose descriptor was
 * closed and whose number came back, does not. */
static bool owns_descriptor(const EventLoop* el, const EventRegistration* reg) {
  const EventRegistration* at = el->first;
  while (at != NULL && at->fd != reg->fd) {
    at = at->next;
  }
  return at == reg;
}

int EventLoop_ModifyIoEvents(EventLoop* el, EventRegistration* reg,
                             EventLoop_IoEvents eventBitmask) {
  if (el == NULL || reg == NULL) {
    errno = EFAULT;
    return -1;
  }
  if ((eventBitmask & ~(EventLoop_IoEvents)all_events) != 0) {
    errno = EINVAL;
    return -1;
  }
  if (!owns_descriptor(el, reg) ||
      add_to_epoll(el->epoll, EPOLL_CTL_MOD, reg->fd, eventBitmask, reg->serial) != 0) {
    errno = EBADF;
    return -1;
  }
  reg->mask = eventBitmask;
  return 0;
}

int EventLoop_UnregisterIo(EventLoop* el, EventRegistration* reg) {
  if (reg == NULL) {
    return 0;
  }
  if (el == NULL) {
    errno = EFAULT;
    return -1;
  }
  const bool was_open =
      owns_descriptor(el, reg) && epoll_ctl(el->epoll, EPOLL_CTL_DEL, reg->fd, NULL) == 0;
  EventRegistration** link = &el->first;
  while (*link != NULL && *link != reg) {
    link = &(*link)->next;
  }
  if (*link == reg) {
    *link = reg->next;
  }
  free(reg);
  if (!was_open) {
    errno = EBADF;
    return -1;
  }
  return 0;
}

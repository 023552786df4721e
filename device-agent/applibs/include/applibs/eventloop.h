/* SPDX-License-Identifier: MIT */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/*
 * Calls back when descriptors become ready. No capability needed. A loop belongs to one thread;
 * only EventLoop_Stop may be called from another one.
 *
 * Inside a callback any registration may be added, changed or removed, its own included; a removed
 * one is not called any more.
 */
typedef struct EventLoop EventLoop;
typedef struct EventRegistration EventRegistration;

/* What EventLoop_Run did. */
typedef int EventLoop_Run_Result;
enum {
  EventLoop_Run_Failed = -1,       /* errno says why. */
  EventLoop_Run_FinishedEmpty = 0, /* No event was handled. */
  EventLoop_Run_Finished = 1       /* At least one was. */
};

/* Set of events. Error is reported whether asked for or not, and a hang-up is an Error; it is also
 * Input where Input was asked for, so that a read can see the end of file. */
typedef uint32_t EventLoop_IoEvents;
enum {
  EventLoop_None = 0x00,
  EventLoop_Input = 0x01,
  EventLoop_Output = 0x04,
  EventLoop_Error = 0x08
};

/* `context` is that of the registration. */
typedef void EventLoopIoCallback(EventLoop* el, int fd, EventLoop_IoEvents events, void* context);

/* A new loop, or NULL with errno (EMFILE, ENFILE, ENOMEM). */
EventLoop* EventLoop_Create(void);

/* Frees the loop and all its registrations. The descriptors stay open. NULL is ignored. */
void EventLoop_Close(EventLoop* el);

/*
 * Handles events.
 *
 *   duration < 0   until stopped, or until one event when process_one_event
 *   duration = 0   at most one event that is ready now, whatever process_one_event says
 *   duration > 0   that long, or until stopped, or until one event when process_one_event
 *
 * EventLoop_Run_Failed with errno
 *   EFAULT  el is NULL
 *   EBUSY   called from inside a callback of the same loop
 *   EINTR   a signal handler ran; the call is not restarted
 */
EventLoop_Run_Result EventLoop_Run(EventLoop* el, int duration_in_milliseconds,
                                   bool process_one_event);

/* A descriptor that is readable when EventLoop_Run has work. The loop keeps it. -1 and EFAULT. */
int EventLoop_GetWaitDescriptor(EventLoop* el);

/*
 * Ends the running EventLoop_Run, or the next one when none runs. From a callback: no further event
 * is handled. From another thread: a few may be. Returns 0, or -1 and EFAULT.
 */
int EventLoop_Stop(EventLoop* el);

/*
 * Calls `callback` when one of the events holds for `fd`. A mask of EventLoop_None parks the
 * descriptor: only errors are reported. NULL with errno
 *   EFAULT  el or callback is NULL
 *   EINVAL  unknown bits
 *   EBADF   no such descriptor
 *   EEXIST  the descriptor is registered with this loop already
 *   EPERM   the kind of descriptor has no readiness (a regular file)
 *   ENOMEM
 */
EventRegistration* EventLoop_RegisterIo(EventLoop* el, int fd, EventLoop_IoEvents eventBitmask,
                                        EventLoopIoCallback* callback, void* context);

/* Sets another mask. 0, or -1 with EFAULT (NULL), EINVAL (unknown bits), EBADF (closed). */
int EventLoop_ModifyIoEvents(EventLoop* el, EventRegistration* reg,
                             EventLoop_IoEvents eventBitmask);

/*
 * Ends a registration and frees it. 0 also for a NULL reg. -1 with errno
 *   EFAULT  el is NULL and reg is not: nothing was freed
 *   EBADF   the descriptor was closed before; the registration is freed all the same
 */
int EventLoop_UnregisterIo(EventLoop* el, EventRegistration* reg);

#ifdef __cplusplus
}
#endif

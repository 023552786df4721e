// SPDX-License-Identifier: MIT
#pragma once

#include "device-agent/agent/debug/traced_app.h"
#include "sphere/core/descriptor.h"
#include "sphere/json/value.h"

namespace sphere::agent {

// A descriptor that becomes readable when a child has changed; blocks SIGCHLD.
[[nodiscard]] Descriptor watch_children();

// The part of an app's init that serves gdb, until the app has ended. Gives the message about its
// end: {"exit": code} or {"signal": number, "crash": ...}.
//
// `agent` is a SEQPACKET socket. The agent sends one byte with a descriptor: a client, one at a
// time. It is told {"client": false, "halted": bool} when that has left, and {"detached": true}
// when gdb has let the app go. When the agent closes the socket the app goes on without a debugger.
[[nodiscard]] json::Value run_app_debug(TracedApp& app, int agent, int changes);

}  // namespace sphere::agent

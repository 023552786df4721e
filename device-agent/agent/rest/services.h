// SPDX-License-Identifier: MIT
#pragma once

#include <atomic>
#include <chrono>
#include <functional>
#include <mutex>
#include <string>

#include "device-agent/agent/apps/manager.h"
#include "device-agent/agent/apps/store.h"
#include "device-agent/agent/board_link_client.h"
#include "device-agent/agent/board_state.h"
#include "device-agent/agent/event_log.h"
#include "device-agent/agent/loop.h"
#include "sphere/core/clock.h"

namespace sphere::agent {

// What the REST routes work on. Handlers run on the server's threads: what belongs to the loop
// (apps, store, events, broker) is reached through loop->call() and loop->await() only.
struct Services {
  Loop* loop = nullptr;
  const Clock* clock = nullptr;
  AppManager* apps = nullptr;
  AppStore* store = nullptr;
  EventLog* events = nullptr;
  BrokerService* broker = nullptr;
  const BoardState* state = nullptr;
  BoardLink* board = nullptr;
  BoardFacts facts = {};
  std::string device_id = {};
  std::chrono::nanoseconds started{0};  // Of clock->monotonic().
  // A restart begins: from now on this run answers nothing more, and ends in a short while.
  std::function<void()> begin_restart = {};
  std::function<void()> restart = {};  // The answer has left: ends at once.

  std::mutex change = {};             // One state-changing request at a time.
  std::atomic<bool> staging = false;  // One upload at a time.
  std::atomic<int> followers = 0;     // Open follow streams.
  std::atomic<bool> ending = false;   // Streams end, requests get no answer.
};

}  // namespace sphere::agent

// SPDX-License-Identifier: MIT
#pragma once

#include <chrono>

#include "device-agent/agent/broker/service.h"
#include "device-agent/agent/loop.h"
#include "sphere/core/clock.h"
#include "sphere/core/descriptor.h"

namespace sphere::agent {

// How often one app may ask: kPerSecond, with a burst of kBurst.
class RequestBudget {
 public:
  static constexpr double kPerSecond = 200;
  static constexpr double kBurst = 400;
  explicit RequestBudget(std::chrono::nanoseconds now) : filled_{now} {}
  [[nodiscard]] bool take(std::chrono::nanoseconds now);

 private:
  double tokens_ = kBurst;
  std::chrono::nanoseconds filled_;
};

// The agent's end of one app's socket. Every request is answered before the next is read, so the
// limit of 16 outstanding is the socket's own. Three malformed requests in a row close it. Belongs
// to the loop's thread; all that it is given must outlive it.
class BrokerSession {
 public:
  static constexpr int kMalformedLimit = 3;

  struct Parts {
    Loop* loop;
    const Clock* clock;
    BrokerService* service;
    EventLog* events;
  };
  BrokerSession(Parts parts, AppIdentity app, Descriptor socket);
  BrokerSession(const BrokerSession&) = delete;
  BrokerSession& operator=(const BrokerSession&) = delete;
  BrokerSession(BrokerSession&&) = delete;
  BrokerSession& operator=(BrokerSession&&) = delete;
  ~BrokerSession();

 private:
  void on_ready();
  [[nodiscard]] bool answer_one();
  [[nodiscard]] BrokerReply answer(const Frame& frame);
  void note_flood(std::chrono::nanoseconds now);
  void close();

  Parts parts_;
  AppIdentity app_;
  Descriptor socket_;
  RequestBudget budget_;
  int malformed_ = 0;
  std::chrono::nanoseconds flood_since_{0};  // 0: none.
  bool flood_told_ = false;
};

}  // namespace sphere::agent

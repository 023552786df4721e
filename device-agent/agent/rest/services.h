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
#include "device-agent/agent/logs/diagnostic_log.h"
#include "device-agent/agent/logs/telemetry_view.h"
#include "device-agent/agent/loop.h"
#include "device-agent/agent/network/certificates.h"
#include "device-agent/agent/network/interfaces.h"
#include "device-agent/agent/network/proxy.h"
#include "device-agent/agent/network/wifi.h"
#include "device-agent/agent/rest/rate_gate.h"
#include "device-agent/agent/state/capability_gate.h"
#include "sphere/core/clock.h"
#include "sphere/core/result.h"
#include "sphere/crypto/digest.h"
#include "sphere/crypto/key.h"
#include "sphere/json/value.h"

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
  BoardState* state = nullptr;
  BoardLink* board = nullptr;
  CapabilityGate* capabilities = nullptr;
  InterfaceStore* interfaces = nullptr;
  WifiStore* wifi = nullptr;
  ProxyStore* proxy = nullptr;
  CertificateStore* certificates = nullptr;
  DiagnosticLog* log = nullptr;
  TelemetryView* telemetry = nullptr;  // The loop's.
  // What the kernel's packet filter holds for the apps, in the shape of GET /net/firewall/rulesets.
  std::function<Result<json::Value>()> firewall = {};
  const crypto::PrivateKey* device_key = nullptr;  // Signs the identity challenge.
  crypto::Sha256Digest leaf_spki = {};             // Of the TLS certificate in use.
  BoardFacts facts = {};
  std::string device_id = {};
  std::chrono::nanoseconds started{0};  // Of clock->monotonic().
  // A restart begins: from now on this run answers nothing more, and ends in a short while.
  std::function<void()> begin_restart = {};
  std::function<void()> restart = {};  // The answer has left: ends at once.

  std::mutex change = {};                           // One state-changing request at a time.
  std::atomic<bool> staging = false;                // One upload at a time.
  std::atomic<int> followers = 0;                   // Open follow streams.
  std::atomic<bool> ending = false;                 // Streams end, requests get no answer.
  RateGate refusals{50, std::chrono::seconds{60}};  // Answers of 403.
  RateGate challenges{5, std::chrono::seconds{1}};  // Identity proofs.
};

// How long a handler may work.
inline constexpr std::chrono::seconds kHandlerLimit{30};
inline constexpr std::chrono::seconds kInstallLimit{120};

// Runs `start` on the loop and waits until it, or something it began, calls its argument. After
// `limit` kInternal: the work goes on, and what becomes of it can be read in the board's state.
[[nodiscard]] Answer<void> await_for(
    Services& services, std::chrono::milliseconds limit,
    const std::function<void(const AppManager::Done& done)>& start);

}  // namespace sphere::agent

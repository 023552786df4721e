// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "device-agent/agent/board_link_client.h"
#include "device-agent/agent/broker/authorize.h"
#include "device-agent/agent/broker/frame.h"
#include "device-agent/agent/broker/network_state.h"
#include "device-agent/agent/event_log.h"
#include "sphere/core/descriptor.h"
#include "sphere/core/guid.h"
#include "sphere/manifest/manifest.h"

namespace sphere::agent {

// Who asks: fixed when the app is started, never taken from a message.
struct AppIdentity {
  Guid component;
  std::string component_id, image_id;
  manifest::Capabilities capabilities;
};

struct BrokerReply {
  int status = 0;  // 0 or errno.
  std::vector<std::byte> payload = {};
  Descriptor descriptor = {};
};

// What apps may ask for, and what they get. Belongs to the loop's thread; everything it is given
// must outlive it.
class BrokerService {
 public:
  struct Parts {
    BoardLink* board;
    NetworkState* network;
    EventLog* events;
    std::filesystem::path storage;  // One folder an app below it.
    std::string os_version;
    std::function<bool(const Guid&)> is_installed;
    std::function<std::uint64_t(std::uint32_t attribute)> memory_kb;
  };
  explicit BrokerService(Parts parts) : parts_{std::move(parts)} {}

  // The answer to a well-formed frame. EPROTO: wrong version, verb or payload length.
  [[nodiscard]] BrokerReply answer(const AppIdentity& app, const Frame& request);

  // The folder of an app's mutable storage.
  [[nodiscard]] std::filesystem::path storage_folder(const std::string& component_id) const;

 private:
  [[nodiscard]] BrokerReply serve(const AppIdentity& app, const Frame& request,
                                  const Subject& subject);
  [[nodiscard]] BrokerReply serve_network(const Frame& request);
  [[nodiscard]] BrokerReply open_pin(const AppIdentity& app, const Frame& request);
  [[nodiscard]] BrokerReply open_file(const AppIdentity& app) const;
  [[nodiscard]] BrokerReply delete_file(const AppIdentity& app) const;
  [[nodiscard]] BrokerReply file_usage(const AppIdentity& app) const;
  [[nodiscard]] BrokerReply set_interface_state(const Frame& request);
  [[nodiscard]] NetworkInterface* named_interface(const Frame& request);

  Parts parts_;
};

// Bytes that the mutable storage of an app holds.
[[nodiscard]] std::uint64_t storage_bytes(const std::filesystem::path& folder);

}  // namespace sphere::agent

// SPDX-License-Identifier: MIT
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "device-agent/agent/refusal.h"
#include "device-agent/agent/state/document.h"
#include "sphere/core/clock.h"
#include "sphere/crypto/key.h"
#include "sphere/image/capability.h"

namespace sphere::agent {

// A capability in effect, for GET /sphere/v1/capability.
struct CapabilityInEffect {
  std::int64_t number = 0;
  std::string source = {};                    // installed, temporary, manufacturing
  std::optional<std::string> not_after = {};  // RFC 3339; nothing: no end.
  std::optional<std::int64_t> uses_left = {};
};

// Decides which capability files count on this board, and keeps the installed one with the counter
// and the uses that were seen. Any thread may call.
class CapabilityGate {
 public:
  static constexpr std::size_t kHeaderLimit = 4096;  // Characters of the request header.

  struct Parts {
    std::filesystem::path directory;  // <board>/capability
    std::array<std::byte, 64> device_id = {};
    const Clock* clock = nullptr;  // Must outlive the gate.
    std::function<std::vector<crypto::PublicKey>()> keys;
    std::function<std::string()> manufacturing_state;
  };
  explicit CapabilityGate(Parts parts);

  // What the header of one request permits, for that request only. A use is counted. Refusal:
  // kNotAuthorised, with the cause in its message.
  [[nodiscard]] Answer<image::Capability> open_temporary(std::string_view base64);

  // Whether the file could be installed. Refusals: kPackageUntrusted, kPackageInvalid,
  // kUnknownCapability.
  [[nodiscard]] Answer<image::Capability> check_installable(std::span<const std::byte> file) const;
  // Keeps it in place of the one that was there; it counts from the next start on. A file without
  // numbers removes it.
  [[nodiscard]] Answer<void> install(std::span<const std::byte> file);

  // Of the installed file, as it was when the agent started, while its time lasts.
  [[nodiscard]] std::optional<image::Capability> installed() const;

 private:
  [[nodiscard]] Answer<image::Capability> open(std::span<const std::byte> file) const;
  [[nodiscard]] Answer<void> check_bounds(const image::Capability& capability) const;
  [[nodiscard]] Answer<void> save_journal(std::uint64_t counter,
                                          const std::map<std::string, std::int64_t>& uses);

  Parts parts_;
  Document journal_;
  mutable std::mutex lock_;  // Guards what follows.
  std::optional<image::Capability> installed_;
  std::uint64_t counter_ = 0;
  std::map<std::string, std::int64_t> uses_;  // By file id.
};

// What stands for a file in logs: its id, or that it has none.
[[nodiscard]] std::string file_id_of(const image::Capability& capability);
// When its time ends, RFC 3339; nothing for a file without an end.
[[nodiscard]] std::optional<std::string> end_of(const image::Capability& capability);

}  // namespace sphere::agent

// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "sphere/core/result.h"
#include "sphere/image/trust.h"

namespace sphere::agent {

inline constexpr std::int64_t kAppDevelopment = 11;
inline constexpr std::int64_t kFieldServicing = 13;

// The files of the board's directory that the agent only reads. They are read anew on each call, so
// that a key added by hand counts at once.
class BoardState {
 public:
  explicit BoardState(std::filesystem::path directory) : directory_{std::move(directory)} {}

  [[nodiscard]] const std::filesystem::path& directory() const noexcept { return directory_; }
  // 128 hexadecimal digits: the public half of fuses/device-key.pem.
  [[nodiscard]] Result<std::string> device_id() const;
  // "Blank", "Module1Complete", "DeviceComplete"; "Unknown" when the fuse cannot be read.
  [[nodiscard]] std::string manufacturing_state() const;
  // Capabilities in effect: a board that is not DeviceComplete has appDevelopment from its maker,
  // unless fuses/capabilities lists others (numbers, one a line).
  [[nodiscard]] std::vector<std::int64_t> capabilities() const;
  [[nodiscard]] bool has_capability(std::int64_t number) const;

  // Keys of trust/production and trust/development; the public test key while
  // trust/public-test-key says "on". A file that holds no key is an error that names it.
  [[nodiscard]] Result<image::TrustStore> trust() const;
  [[nodiscard]] bool public_test_key_on() const;

  [[nodiscard]] Result<std::string> tls_chain() const;
  [[nodiscard]] Result<std::string> tls_key() const;

 private:
  [[nodiscard]] std::string word(std::string_view file) const;
  [[nodiscard]] Result<void> add_keys(std::string_view folder, image::Role role,
                                      image::TrustStore& trust) const;

  std::filesystem::path directory_;
};

}  // namespace sphere::agent

// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "device-agent/agent/state/trust_slots.h"
#include "sphere/core/result.h"
#include "sphere/crypto/key.h"
#include "sphere/image/trust.h"

namespace sphere::agent {

inline constexpr std::int64_t kAppDevelopment = 11;
inline constexpr std::int64_t kFieldServicing = 13;

// The files of the board's directory that make it this board. They are read anew on each call, so
// that a key added by hand counts at once; only the manufacturing state and the trust stores that
// come by image are ever written.
class BoardState {
 public:
  explicit BoardState(std::filesystem::path directory)
      : directory_{std::move(directory)}, trust_slots_{directory_ / "trust" / "store"} {}

  [[nodiscard]] const std::filesystem::path& directory() const noexcept { return directory_; }
  // 128 hexadecimal digits: the public half of fuses/device-key.pem.
  [[nodiscard]] Result<std::string> device_id() const;
  // "Blank", "Module1Complete", "DeviceComplete"; "Unknown" when the fuse cannot be read.
  [[nodiscard]] std::string manufacturing_state() const;
  // Moves the state forward; it is on stable storage when this returns. The state that it has
  // already is no change. Errors: invalid_argument (backward, or no state to move to), and those of
  // system_error().
  [[nodiscard]] Result<void> advance_manufacturing_state(std::string_view state);
  // Numbers of an installed capability file, which count beside the board's own. Called before
  // there are other threads.
  void set_installed(std::function<std::vector<std::int64_t>()> installed) {
    installed_ = std::move(installed);
  }
  // Capabilities in effect: those of an installed file, and the board's own: one that is not
  // DeviceComplete has appDevelopment from its maker, unless fuses/capabilities lists others
  // (numbers, one a line). Sorted.
  [[nodiscard]] std::vector<std::int64_t> capabilities() const;
  [[nodiscard]] bool has_capability(std::int64_t number) const;
  // Whether it is the board's own, whatever file is installed.
  [[nodiscard]] bool has_own_capability(std::int64_t number) const;

  // A note, on stable storage, that the board is about to leave development mode: when it really
  // did, leaves_development() is true until forget_leaving_development(), and the apps that only a
  // development key signed are to be erased.
  [[nodiscard]] Result<void> note_leaving_development();
  [[nodiscard]] bool leaves_development() const;
  void forget_leaving_development();

  // What apps may be signed with: the keys of the trust store that came by image; without one those
  // of trust/production and trust/development. Of both, development keys count while the board may
  // be developed on; then also the public test key, while trust/public-test-key says "on" and the
  // store does not revoke it. A file that holds no key, or the published one, is an error that
  // names it; so is a trust store that is damaged.
  [[nodiscard]] Result<image::TrustStore> trust() const;
  [[nodiscard]] bool public_test_key_on() const;
  // Whose capability files count: keys of the trust store that came by image, without one those of
  // trust/capability. What cannot be read is left out.
  [[nodiscard]] std::vector<crypto::PublicKey> capability_keys() const;
  // What says which trust store may be next: the store in force (the one before it when that one is
  // damaged) with all its roles, without one the keys of trust/trust-store beside those of trust().
  [[nodiscard]] Result<image::TrustStore> store_trust() const;
  [[nodiscard]] const TrustSlots& trust_slots() const noexcept { return trust_slots_; }
  [[nodiscard]] TrustSlots& trust_slots() noexcept { return trust_slots_; }

  [[nodiscard]] Result<std::string> tls_chain() const;
  [[nodiscard]] Result<std::string> tls_key() const;

 private:
  [[nodiscard]] std::string word(std::string_view file) const;
  [[nodiscard]] Result<void> add_keys(std::string_view folder, image::Role role,
                                      image::TrustStore& trust) const;

  [[nodiscard]] std::vector<std::int64_t> own_capabilities() const;
  [[nodiscard]] Result<image::TrustStore> factory_trust() const;
  [[nodiscard]] std::filesystem::path leaving_note() const;

  std::filesystem::path directory_;
  TrustSlots trust_slots_;
  std::function<std::vector<std::int64_t>()> installed_ = {};
};

}  // namespace sphere::agent

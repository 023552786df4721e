// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <tl/expected.hpp>

#include "sphere/core/result.h"
#include "sphere/crypto/digest.h"
#include "sphere/json/value.h"
#include "sphere/recovery/file_set.h"
#include "sphere/recovery/preflight.h"

namespace sphere::recovery {

// What a recovery set writes where, for protocols that have no manifest of their own. A file
// recovery.json in the set:
//
//   {
//     "protocol": "stm32",
//     "board": "acme-sensor-2",                     optional: --board must say the same
//     "usb": ["0483:df11"],                         optional: only these ids are such a board
//     "images": [
//       {"file": "boot.bin", "address": "0x08000000", "sha256": "9f86..."},
//       {"file": "system.img", "partition": "system", "role": "..."}
//     ],
//     "options": {"pageSize": 1024}                 the protocol's own
//   }
//
// Numbers may be text in hexadecimal. The file may be signed as image packages are: then metadata
// and a signature follow its text, and every image needs its `sha256`.
inline constexpr std::string_view kPlanFile = "recovery.json";
inline constexpr std::size_t kPlanLimit = std::size_t{64} * 1024;
inline constexpr std::size_t kPlanImages = 64;

struct PlanImage {
  std::string file = {};
  std::uint64_t size = 0;
  crypto::Sha256Digest sha256 = {};
  std::optional<std::uint64_t> address = {};
  std::string partition = {};
  std::string role = {};
};

struct UsbIds {
  std::uint16_t vendor = 0;
  std::uint16_t product = 0;
};

struct SetPlan {
  std::string protocol = {};
  std::string board = {};
  std::vector<UsbIds> usb = {};
  std::vector<PlanImage> images = {};
  json::Value options = {};
  std::string signatures = {};  // As CheckedSetV2 has it.
  bool signed_by_known_key = false;

  [[nodiscard]] std::uint64_t total_size() const;
};

// Reads the text of a plan; sizes and digests are left to check_set_plan(), but for a `sha256`
// that the text has (`hashed` counts those). Errors: corrupt, naming the member.
[[nodiscard]] Result<SetPlan> parse_set_plan(std::string_view text, std::size_t& hashed);

// Reads and checks the plan of a set: all images are there, with their digests; the signature, if
// it has one. Errors: not_found (recovery.image-missing); corrupt, unverified
// (recovery.image-refused).
[[nodiscard]] Result<SetPlan> check_set_plan(const FileSet& set, const TrustOf& trust);

// --- For protocols: what `options` has. Errors: corrupt (recovery.image-refused). ---

// That there are no others than these.
[[nodiscard]] Result<void> check_options(const SetPlan& plan,
                                         std::initializer_list<std::string_view> known);
[[nodiscard]] Result<std::optional<std::uint64_t>> number_option(const SetPlan& plan,
                                                                 std::string_view name,
                                                                 std::uint64_t largest);
[[nodiscard]] Result<std::optional<std::string>> text_option(const SetPlan& plan,
                                                             std::string_view name);
// The error of a plan that a protocol cannot use.
[[nodiscard]] tl::unexpected<Error> refuse_plan(std::string message);

}  // namespace sphere::recovery

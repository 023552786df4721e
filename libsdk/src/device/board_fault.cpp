// SPDX-License-Identifier: MIT
#include "libsdk/src/device/board_fault.h"

#include <algorithm>
#include <cstddef>
#include <filesystem>
#include <span>
#include <string>
#include <system_error>

#include <fmt/format.h>

#include "sphere/core/file.h"
#include "sphere/core/result.h"
#include "sphere/core/text.h"
#include "sphere/crypto/key_store.h"
#include "sphere/device/virtual_board.h"

namespace sphere::device {

namespace fs = std::filesystem;

namespace {

constexpr std::size_t kAddressLimit = 256;

fs::path faults_file(const fs::path& directory) { return directory / "recovery/faults"; }

Result<void> write_trust(const fs::path& directory, crypto::KeyStore& keys) {
  SPHERE_TRY(make_directories(directory, 0700));
  // A user without a key of his own has the developer's, with which sets are signed by default.
  SPHERE_TRY(keys.describe_or_create("developer", crypto::KeyUse::image));
  for (const auto& name : keys.names()) {
    const auto key = keys.describe(name);
    if (key && key->info.use == crypto::KeyUse::image) {
      SPHERE_TRY(write_file(directory / (name + ".pem"), key->public_key.pem(), {.mode = 0600}));
    }
  }
  return {};
}

}  // namespace

bool is_broken(const fs::path& directory) {
  std::error_code error;
  return fs::exists(faults_file(directory), error);
}

std::string recovery_port(const fs::path& directory) {
  const auto text = read_text_file(directory / "recovery/address", kAddressLimit);
  return text ? fmt::format("tcp:{}", trim(*text)) : std::string{};
}

Result<void> break_board(const fs::path& directory, std::span<const std::string> faults,
                         crypto::KeyStore& keys) {
  std::string text;
  for (const std::string& fault : faults) {
    if (std::ranges::find(kBoardFaults, fault) == kBoardFaults.end()) {
      return fail(Errc::invalid_argument,
                  fmt::format("a board cannot be broken by \"{}\"", escape_control(fault)),
                  {.reason = "usage.bad-value",
                   .value = escape_control(fault),
                   .next = "see the ways: sphere board inject-fault --help"});
    }
    text += fault + "\n";
  }
  SPHERE_TRY(write_trust(directory / "recovery/trust", keys));
  return write_file(faults_file(directory), text, {.mode = 0600});
}

}  // namespace sphere::device

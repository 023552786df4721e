// SPDX-License-Identifier: MIT
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "cli/output/reporter.h"
#include "sphere/core/clock.h"
#include "sphere/crypto/key_store.h"
#include "sphere/crypto/secret.h"
#include "sphere/device/direct_link.h"
#include "sphere/device/rest_client.h"
#include "sphere/device/virtual_board.h"

namespace sphere::cli {

// What a command may use; filled by main from the environment, the configuration files and the
// global options. Lives as long as the command runs.
// It is made once and never assigned, so it holds references.
// NOLINTBEGIN(cppcoreguidelines-avoid-const-or-ref-data-members): see above
struct Context {
  const Clock& clock;
  Reporter& reporter;
  // Keys of this user. Without a home directory `has_home` is false and nothing may be stored.
  crypto::KeyStore& keys;
  bool has_home = true;
  device::UserDirectories directories = {};
  std::filesystem::path sdk_directory = {};  // Empty: no SDK found.
  std::filesystem::path own_program = {};    // Path of this program.
  std::string device = {};         // --device, SPHERE_DEVICE or configuration; may be empty.
  device::LinkSettings link = {};  // Boards of the configuration.
  std::vector<std::uint16_t> allow_inbound = {};  // Ports of this PC that boards may reach.
  std::vector<std::string> trust = {};  // Files and directories of keys trusted beside own ones.
  std::string sign_key = "developer";   // Name of the default signing key.
  std::string token_module = {};        // PKCS#11 module of URIs that name none; may be empty.
  std::optional<std::chrono::seconds> time_limit = {};  // --timeout
  bool standard_output_is_terminal = false;
  // What --passphrase-fd gave: a descriptor can be read once only.
  std::optional<crypto::Secret> given_secret = {};
  // Tokens that refused a PIN in this run: another try could lock them.
  std::set<std::string> refused_tokens = {};
  // Set by SIGINT, SIGTERM and SIGHUP. Long loops and stream sinks look at it and return
  // Errc::cancelled; the program then dies by that signal.
  const std::atomic<bool>& interrupted;
  // The device's number for the error that is being returned, for "deviceError" of the json form.
  std::optional<device::DeviceError> device_error = {};
};
// NOLINTEND(cppcoreguidelines-avoid-const-or-ref-data-members)

}  // namespace sphere::cli

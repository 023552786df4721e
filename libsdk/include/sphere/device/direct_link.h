// SPDX-License-Identifier: MIT
#pragma once

#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "sphere/core/file.h"
#include "sphere/core/result.h"
#include "sphere/device/attached.h"
#include "sphere/http/client.h"
#include "sphere/slip/stack.h"
#include "sphere/transport/board_link.h"
#include "sphere/transport/byte_stream.h"
#include "sphere/transport/place.h"

namespace sphere::device {

// What the configuration says about boards beside those that are found (`link.*`).
struct LinkSettings {
  std::string usb;               // Connection path of an FT4232H to use whatever its product text.
  std::vector<std::string> tty;  // "/dev/ttyUSB2"
  std::vector<std::string> tcp;  // "host:port"
};

// Boards on USB, and the places of the configuration. Whether a board answers there is not tried.
// Errors: invalid_argument (a place of the configuration); as transport::list_usb().
[[nodiscard]] Result<std::vector<transport::Place>> find_link_places(const LinkSettings& settings);

// The device at `place`, which is trusted when the device-API CA in `ca_file` says so.
[[nodiscard]] AttachedDevice attached_at(transport::Place place,
                                         const std::filesystem::path& ca_file);

// Opens a place for this process alone: a lock below `locks` named after the connection path, held
// as long as the stream. Errors: busy (link.busy, with the holder); as transport::open().
[[nodiscard]] Result<std::unique_ptr<transport::ByteStream>> open_locked(
    const transport::Place& place, const std::filesystem::path& locks);

// A SLIP link of this process's own, for the length of one command: port 443 of the board as a
// socket in a private directory.
class DirectLink {
 public:
  // Errors: as open_locked().
  [[nodiscard]] static Result<std::unique_ptr<DirectLink>> open(const transport::Place& place,
                                                                const std::filesystem::path& locks);
  [[nodiscard]] std::filesystem::path socket() const { return directory_.path() / "443.sock"; }
  [[nodiscard]] transport::BoardLink& link() { return *link_; }

 private:
  DirectLink(TemporaryDirectory directory, std::unique_ptr<slip::Stack> stack)
      : directory_{std::move(directory)}, stack_{std::move(stack)} {}

  TemporaryDirectory directory_;
  std::unique_ptr<slip::Stack> stack_;
  std::unique_ptr<transport::BoardLink> link_;
};

// What a link knows about a failure; nothing when it knows no more.
using Explain = std::function<std::optional<Error>()>;

// A client whose errors say what the link knows: unplugged, silent, no SLIP, device API not
// running.
[[nodiscard]] std::unique_ptr<http::Client> explain_failures(std::unique_ptr<http::Client> client,
                                                             Explain explain);

}  // namespace sphere::device

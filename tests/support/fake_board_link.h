// SPDX-License-Identifier: MIT
#pragma once

#include <cerrno>
#include <map>
#include <string>
#include <string_view>
#include <sys/socket.h>
#include <utility>
#include <vector>

#include "device-agent/agent/board_link_client.h"
#include "sphere/core/descriptor.h"
#include "sphere/core/result.h"

namespace sphere::test {

// A board with pins 0 to 9; a pin is free again when the test says so.
class FakeBoardLink final : public agent::BoardLink {
 public:
  Result<agent::BoardFacts> info() override {
    return agent::BoardFacts{
        .board_id = "fake", .name = "bench", .pins = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9}};
  }

  agent::PinAnswer open_pin(const agent::PinRequest& request) override {
    requests.push_back(request);
    if (request.pin < 0 || request.pin > 9) {
      return {.status = ENODEV};
    }
    if (owners.contains(request.pin)) {
      return {.status = EBUSY};
    }
    owners[request.pin] = request.component_id;
    int ends[2] = {};  // NOLINT(modernize-avoid-c-arrays): what socketpair() takes
    if (::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) != 0) {
      return {.status = EIO};
    }
    kept.emplace_back(ends[0]);
    return {.status = 0, .kind = 1, .descriptor = Descriptor{ends[1]}};
  }

  Result<agent::VirtualAnswer> forward(std::string_view method, std::string_view path,
                                       std::string_view body) override {
    forwarded.push_back(std::string{method} + " " + std::string{path} + " " + std::string{body});
    if (path == "/lines") {
      int ends[2] = {};  // NOLINT(modernize-avoid-c-arrays): what socketpair() takes
      if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0) {
        return fail(Errc::io, "no socket");
      }
      const Descriptor writer{ends[0]};
      constexpr std::string_view kLine = "{\"pin\":8}\n";
      [[maybe_unused]] const auto sent = ::send(writer.get(), kLine.data(), kLine.size(), 0);
      return agent::VirtualAnswer{.status = 200, .body = {}, .stream = Descriptor{ends[1]}};
    }
    if (path == "/nothing") {
      return agent::VirtualAnswer{
          .status = 404, .body = json::Value{}.set("error", 15728642), .stream = {}};
    }
    return agent::VirtualAnswer{.status = 200, .body = json::Value{}.set("level", 1), .stream = {}};
  }

  std::vector<agent::PinRequest> requests;
  std::map<int, std::string> owners;
  std::vector<Descriptor> kept;
  std::vector<std::string> forwarded;
};

}  // namespace sphere::test

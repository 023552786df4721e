// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "sphere/core/descriptor.h"
#include "sphere/core/result.h"
#include "sphere/json/value.h"
#include "sphere/slip/stack.h"
#include "sphere/transport/place.h"

namespace sphere::device {

inline constexpr std::uint16_t kEnumerationPort = 48938;

// The process that holds boards for others (`sphere link serve`). In its runtime directory:
//
//   link.sock                  control: one JSON object a line, answered by one JSON object a line
//   boards/<path>/443.sock     a connection here is one to that TCP port of that board; also
//                              2342.sock and 2345.sock
//   locks/<path>.lock          held while the board is open
//
// Requests ("board" is a connection path):
//
//   {"op": "list"}                            {"boards": [...]}, with counters
//   {"op": "rescan"}                          {"count": N}
//   {"op": "forward", "board", "port", "local"}  127.0.0.1:local leads to the board's port while
//                                             the connection to link.sock is open; local 0: any.
//                                             {"local": N}
//   {"op": "trace", "board"}                  {"ok": true}, then a pcap stream of raw IP packets
//   {"op": "release", "board"}                {"ok": true}: the board is let go until the
//                                             connection to link.sock closes
//   {"op": "up", "interface"}                 {"interface", "address"}: the TUN interface
//   {"op": "down"}                            {"ok": true}
//   {"op": "end"}                             {"ok": true}: only of a service without an interface
//                                             that was started for one
//
// A refusal is {"error": {"code", "message", "value", "next"}}.
class LinkService {
 public:
  struct Config {
    std::filesystem::path runtime;
    // Places of boards; asked twice a second.
    std::function<Result<std::vector<transport::Place>>()> places;
    std::uint16_t http_port = kEnumerationPort;     // 0: no enumeration service.
    bool end_with_interface = false;                // The service was only started for `link up`.
    std::vector<std::uint16_t> allow_inbound = {};  // Ports of this PC that boards may reach.
    std::function<void(const std::string&)> say = {};  // One line for each event.
  };

  // Errors: busy (a service runs already; with its process), as system_error(). A taken HTTP port
  // is said and the service goes on without it. `stack` must outlive the service.
  [[nodiscard]] static Result<std::unique_ptr<LinkService>> start(slip::Stack& stack,
                                                                  Config config);
  LinkService(const LinkService&) = delete;
  LinkService& operator=(const LinkService&) = delete;
  LinkService(LinkService&&) = delete;
  LinkService& operator=(LinkService&&) = delete;
  ~LinkService();

  // Serves until `cancelled`, which is asked several times a second, or the interface that it was
  // started for goes.
  void run(const std::function<bool()>& cancelled);

 private:
  struct State;
  explicit LinkService(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

// An "error" or "failure" of the service's answers as the error it was.
[[nodiscard]] Error link_error_from(const json::Value& value);

// A connection to the service of this user.
class LinkClient {
 public:
  // Nothing when no service runs.
  [[nodiscard]] static std::optional<LinkClient> connect(const std::filesystem::path& runtime);

  // Sends a request and waits for its answer. Errors: those of the service; io, timeout.
  [[nodiscard]] Result<json::Value> ask(const json::Value& request);
  // What follows an answer (trace); blocks at most a second and returns "" then; nothing at the
  // end.
  [[nodiscard]] std::optional<std::string> read_more();

 private:
  explicit LinkClient(Descriptor socket) : socket_{std::move(socket)} {}
  Descriptor socket_;
  std::string rest_;
};

}  // namespace sphere::device

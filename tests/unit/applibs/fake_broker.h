// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>
#include <mutex>
#include <optional>
#include <queue>
#include <string>
#include <thread>
#include <vector>

#include "sphere/core/descriptor.h"

namespace sphere::test {

// A request as the broker side of the socket saw it.
struct Request {
  std::uint16_t version = 0;
  std::uint16_t verb = 0;
  std::uint32_t id = 0;
  std::uint32_t length = 0;  // As the header says.
  std::string payload = {};
};

// One answer. The defaults make a well-formed reply to the request; the other members spoil it.
struct Reply {
  std::int32_t status = 0;
  std::string payload = {};
  std::vector<int> descriptors = {};  // Sent along, and closed.
  std::uint16_t version = 1;
  std::optional<std::uint16_t> verb = {};    // Another verb than the request's.
  std::uint32_t id_offset = 0;               // Added to the request's id.
  std::optional<std::uint32_t> length = {};  // Another length than the payload's.
  std::optional<std::string> raw = {};       // Sent as it is, instead of a frame.
  bool is_followed = false;                  // The next reply answers the same request.
  bool is_silent = false;                    // No answer.
  bool is_hang_up = false;                   // Close the socket.
};

// The other end of an SOCK_SEQPACKET socket: answers requests, in order, with scripted replies. A
// request beyond the script is answered with EPROTO.
class FakeBroker {
 public:
  FakeBroker();
  FakeBroker(const FakeBroker&) = delete;
  FakeBroker& operator=(const FakeBroker&) = delete;
  FakeBroker(FakeBroker&&) = delete;
  FakeBroker& operator=(FakeBroker&&) = delete;
  ~FakeBroker();

  // The client's end; once.
  [[nodiscard]] int take_client();

  void answer(Reply reply);
  [[nodiscard]] std::vector<Request> requests();

 private:
  void serve();
  [[nodiscard]] std::queue<Reply> replies_to(const Request& request);

  Descriptor client_;
  Descriptor server_;
  std::mutex lock_;  // Of the two below, which serve() shares.
  std::queue<Reply> script_;
  std::vector<Request> requests_;
  std::thread thread_;
};

// A broker that is the process's connection while it lives.
class BrokerOfProcess : public FakeBroker {
 public:
  BrokerOfProcess();
};

// `value` in little-endian order.
[[nodiscard]] std::string u32(std::uint32_t value);

// A reply with a descriptor of the kind of enum sphere_descriptor_kind.
[[nodiscard]] Reply hand_over(int descriptor, std::uint8_t kind);

}  // namespace sphere::test

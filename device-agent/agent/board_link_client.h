// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <cstdint>
#include <mutex>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "device-agent/virtual-board/board_link.h"
#include "sphere/core/descriptor.h"
#include "sphere/core/result.h"
#include "sphere/json/value.h"

namespace sphere::agent {

// What the agent asks of the board it runs on.
struct BoardFacts {
  std::string board_id, name;
  std::vector<std::int64_t> pins;
};

struct PinRequest {
  std::int32_t pin = 0;
  bool output = false;
  std::uint8_t mode = 0;
  std::uint8_t value = 0;
  std::string component_id = {};
};

// A descriptor of the given kind, or the errno that stands against it.
struct PinAnswer {
  int status = 0;
  std::uint8_t kind = 0;
  Descriptor descriptor = {};
};

struct VirtualAnswer {
  int status = 0;
  json::Value body;
  Descriptor stream = {};  // Lines to read, when the answer is a stream.
};

class BoardLink {
 public:
  virtual ~BoardLink() = default;
  [[nodiscard]] virtual Result<BoardFacts> info() = 0;
  [[nodiscard]] virtual PinAnswer open_pin(const PinRequest& request) = 0;
  // `path` is below /sphere/v1/virtual, with its query; "" is the folder itself.
  [[nodiscard]] virtual Result<VirtualAnswer> forward(std::string_view method,
                                                      std::string_view path,
                                                      std::string_view body) = 0;
};

// The link of board_link.h. Any thread may ask; one question is under way at a time.
class SocketBoardLink final : public BoardLink {
 public:
  explicit SocketBoardLink(Descriptor socket) : socket_{std::move(socket)} {}
  // For poll(): it hangs up when the board's power is cut.
  [[nodiscard]] int descriptor() const noexcept { return socket_.get(); }

  [[nodiscard]] Result<BoardFacts> info() override;
  [[nodiscard]] PinAnswer open_pin(const PinRequest& request) override;
  [[nodiscard]] Result<VirtualAnswer> forward(std::string_view method, std::string_view path,
                                              std::string_view body) override;

 private:
  struct Reply {
    std::int32_t status = 0;
    std::vector<std::byte> payload;
    Descriptor descriptor;
  };
  [[nodiscard]] Result<Reply> ask(board_link::Verb verb, std::span<const std::byte> payload);

  std::mutex lock_;
  Descriptor socket_;
  std::uint32_t ids_ = 0;
};

}  // namespace sphere::agent

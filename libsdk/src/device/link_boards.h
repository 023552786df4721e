// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "libsdk/src/device/enumeration_http.h"
#include "sphere/core/result.h"
#include "sphere/json/value.h"
#include "sphere/slip/packet.h"
#include "sphere/slip/stack.h"
#include "sphere/transport/board_link.h"
#include "sphere/transport/place.h"

namespace sphere::device {

// The boards that a LinkService holds. A board stays known by its path once it was seen, with its
// address; its link opens again by itself. For one thread.
class LinkBoards {
 public:
  struct Board {
    transport::Place place;
    slip::Address address = 0;  // On this PC: 192.168.35.2 and up; 0 before it was there.
    std::unique_ptr<transport::BoardLink> link;
    bool was_open = false;
  };

  LinkBoards(slip::Stack& stack, std::filesystem::path runtime,
             std::function<void(const std::string&)> say)
      : stack_{&stack}, runtime_{std::move(runtime)}, say_{std::move(say)} {}

  // Begins with places that are new, and says what has come and gone.
  void update(const std::vector<transport::Place>& places);

  [[nodiscard]] Board* find(std::string_view path);
  [[nodiscard]] std::vector<EnumeratedBoard> open_boards() const;
  [[nodiscard]] json::Value describe() const;
  // Calls `visit` for each board with an address, and for each that comes later.
  void on_each(std::function<void(Board&)> visit);

 private:
  [[nodiscard]] Result<void> add(const transport::Place& place);
  void give_address(Board& board);
  [[nodiscard]] std::optional<slip::Address> free_address() const;
  [[nodiscard]] Result<void> expose(transport::BoardLink& link, const std::string& path);

  slip::Stack* stack_;
  std::filesystem::path runtime_;
  std::function<void(const std::string&)> say_;
  std::function<void(Board&)> visit_;
  std::map<std::string, Board> boards_;          // By connection path.
  std::map<std::string, std::string> refusals_;  // Said once.
};

}  // namespace sphere::device

// SPDX-License-Identifier: MIT
#pragma once

#include <array>
#include <chrono>
#include <cstddef>
#include <deque>
#include <functional>
#include <memory>
#include <poll.h>
#include <span>
#include <string>
#include <string_view>
#include <sys/socket.h>
#include <utility>
#include <vector>

#include "sphere/core/descriptor.h"
#include "sphere/slip/packet.h"
#include "sphere/slip/stack.h"

namespace sphere::test {

inline std::pair<Descriptor, Descriptor> socket_pair() {
  std::array<int, 2> ends = {-1, -1};
  ::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends.data());
  return {Descriptor{ends[0]}, Descriptor{ends[1]}};
}

// What can be read now; `ended` is set at the end of the stream.
inline std::string read_now(const Descriptor& socket, bool* ended = nullptr) {
  std::string text;
  std::array<char, 65536> piece = {};
  ssize_t count = 0;
  while ((count = ::recv(socket.get(), piece.data(), piece.size(), MSG_DONTWAIT)) > 0) {
    text.append(piece.data(), static_cast<std::size_t>(count));
  }
  if (ended != nullptr && count == 0) {
    *ended = true;
  }
  return text;
}

inline std::size_t write_now(const Descriptor& socket, std::string_view text) {
  const ssize_t count = ::send(socket.get(), text.data(), text.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
  return count < 0 ? 0 : static_cast<std::size_t>(count);
}

// A PC and a board, joined by a wire that holds at most `room` packets in each direction. A board
// is 192.168.35.2 for the PC; one process can have only one interface that listens there, so a
// second board may be another address whose packets the wire rewrites.
class Wire {
 public:
  explicit Wire(slip::Stack& stack, std::size_t room = 1000,
                std::chrono::milliseconds limit = std::chrono::seconds{5},
                slip::Address board = slip::kBoardAddress)
      : room_{room}, address_{board} {
    host_ = make(stack, slip::kHostAddress, slip::kBoardAddress, to_board_, limit);
    board_ = make(stack, board, slip::kHostAddress, to_host_, limit);
  }

  slip::Interface& host() { return *host_; }
  slip::Interface& board() { return *board_; }
  bool cut = false;  // Nothing arrives any more.

  // Lets packets and bytes pass until `done`, at most for `limit`. Returns whether it was done.
  bool run(const std::function<bool()>& done,
           std::chrono::milliseconds limit = std::chrono::seconds{10}) {
    const auto until = std::chrono::steady_clock::now() + limit;
    while (!done()) {
      if (std::chrono::steady_clock::now() > until) {
        return false;
      }
      host_->serve();
      board_->serve();
      if (!pass(to_board_, *board_) & !pass(to_host_, *host_)) {
        ::poll(nullptr, 0, 1);
      }
    }
    return true;
  }

 private:
  using Queue = std::deque<std::vector<std::byte>>;

  std::unique_ptr<slip::Interface> make(slip::Stack& stack, slip::Address own, slip::Address peer,
                                        Queue& queue, std::chrono::milliseconds limit) {
    return std::move(slip::Interface::create(
                         stack, {.own = own,
                                 .peer = peer,
                                 .output =
                                     [this, &queue](std::span<const std::byte> packet) {
                                       if (queue.size() >= room_) {
                                         return false;
                                       }
                                       queue.emplace_back(packet.begin(), packet.end());
                                       return true;
                                     },
                                 .wake = [] {},
                                 .connect_limit = limit}))
        .value();
  }

  bool pass(Queue& queue, slip::Interface& to) {
    bool passed = false;
    // Only what is there now: answers come in the next round.
    for (std::size_t left = queue.size(); left > 0; --left) {
      auto packet = std::move(queue.front());
      queue.pop_front();
      if (address_ != slip::kBoardAddress) {
        &queue == &to_host_ ? slip::rewrite_source(packet, slip::kBoardAddress)
                            : slip::rewrite_destination(packet, address_);
      }
      if (!cut) {
        to.input(packet);
        passed = true;
      }
    }
    if (passed) {
      host_->resume();
      board_->resume();
    }
    return passed;
  }

  std::size_t room_;
  slip::Address address_;
  Queue to_board_;
  Queue to_host_;
  std::unique_ptr<slip::Interface> host_;
  std::unique_ptr<slip::Interface> board_;
};

}  // namespace sphere::test

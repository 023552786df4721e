// SPDX-License-Identifier: MIT
#pragma once

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "sphere/core/descriptor.h"
#include "sphere/core/result.h"
#include "sphere/slip/codec.h"
#include "sphere/slip/packet.h"
#include "sphere/slip/stack.h"
#include "sphere/transport/byte_stream.h"

namespace sphere::transport {

enum class LinkState : std::uint8_t {
  open,     // Bytes can pass. Whether a board answers is another question.
  waiting,  // Gone or not there yet; opened again by itself.
  closed,   // Gone, and not opened again.
};
[[nodiscard]] std::string_view to_text(LinkState state);

// What has passed over a link, for status and diagnosis.
struct LinkReport {
  LinkState state = LinkState::waiting;
  std::optional<Error> failure = {};  // Why it is not open.
  std::uint64_t bytes_in = 0;
  std::uint64_t bytes_out = 0;
  slip::Decoder::Counters frames = {};
  slip::FilterCounters filter = {};
  slip::ConnectionCounters connections = {};
  LineStatus line = {};
  std::vector<std::byte> first_bytes = {};  // Up to 16, of this opening.
  std::uint64_t opened = 0;                 // How many times.
};

enum class Direction : std::uint8_t { to_board, from_board };

// One end of a board's SLIP link: byte stream, SLIP, ingress filter, TCP/IP stack, sockets. A
// thread of its own serves it until the destructor.
//
//   stream -> decoder -> filter -> take_packet, or the stack -> sockets
//
// Shared between the thread and callers, under one lock: the outgoing bytes, the report, what was
// set. Packets wait for at most 8 KiB ahead of the stream: a short request does not stand behind
// a long upload.
class BoardLink {
 public:
  struct Config {
    std::string name;  // For messages: the connection path.
    // Opens the stream; called again after `pause` while the link waits.
    std::function<Result<std::unique_ptr<ByteStream>>()> open;
    std::chrono::milliseconds pause{300};
    bool open_again = true;  // After a loss. A link that never opened stays waiting if this is set.
    slip::Address own = slip::kHostAddress;
    slip::Address peer = slip::kBoardAddress;
  };

  // Errors: those of `open` unless it may be opened again later; as slip::Interface::create().
  // `stack` must outlive the link.
  [[nodiscard]] static Result<std::unique_ptr<BoardLink>> start(slip::Stack& stack, Config config);
  BoardLink(const BoardLink&) = delete;
  BoardLink& operator=(const BoardLink&) = delete;
  BoardLink(BoardLink&&) = delete;
  BoardLink& operator=(BoardLink&&) = delete;
  ~BoardLink();

  // Each connection to `listener` becomes one to TCP port `port` of the peer.
  void forward(Descriptor listener, std::uint16_t port);
  // Ends that for the listener whose descriptor had this number; open connections stay.
  void stop_forward(int listener);
  // Each connection of the peer to our `port` is bridged to a socket that `target` gives, which
  // must not block; none resets it. Errors: busy.
  [[nodiscard]] Result<void> listen(std::uint16_t port, std::function<Descriptor()> target);

  // Sees each packet that passes, on the link's thread or a sender's.
  using Tap = std::function<void(Direction, std::span<const std::byte>)>;
  void set_tap(Tap tap);
  // Gets each packet from the peer that the filter passed; true keeps it from the stack.
  using Taker = std::function<bool(std::span<const std::byte>)>;
  void set_taker(Taker taker);
  // Sends an IPv4 packet. False when there is no room, or no board.
  bool send_packet(std::span<const std::byte> packet);

  // Closes the stream and opens it no more until resume().
  void pause();
  void resume();

  [[nodiscard]] LinkReport report() const;
  [[nodiscard]] bool is_open() const;
  [[nodiscard]] const std::string& name() const;

 private:
  struct State;
  explicit BoardLink(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

// A listening Unix stream socket of mode 0600; a socket file that is there is replaced. Errors:
// too_large (the path is longer than such names may be), as system_error().
[[nodiscard]] Result<Descriptor> listen_at(const std::filesystem::path& path);
// A listening TCP socket on 127.0.0.1; `port` 0 takes any. Errors: busy (link.busy).
[[nodiscard]] Result<Descriptor> listen_at_loopback(std::uint16_t port);

// Why a request over the link failed, if the link knows more than the request: it was unplugged,
// there was no answer at all, or no SLIP, or the board refuses connections. Else nothing.
[[nodiscard]] std::optional<Error> explain(const LinkReport& report, std::string_view name);

}  // namespace sphere::transport

// SPDX-License-Identifier: MIT
#include "sphere/transport/board_link.h"

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <poll.h>
#include <span>
#include <string>
#include <string_view>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <thread>
#include <unistd.h>
#include <utility>
#include <vector>

#include <tl/expected.hpp>

#include "sphere/core/descriptor.h"
#include "sphere/core/file.h"
#include "sphere/core/result.h"
#include "sphere/slip/codec.h"
#include "sphere/slip/packet.h"
#include "sphere/slip/stack.h"
#include "sphere/transport/byte_stream.h"

namespace sphere::transport {

namespace {

using Clock = std::chrono::steady_clock;

constexpr std::size_t kAhead = 8192;       // Bytes that wait for the stream.
constexpr std::size_t kReserve = 2048;     // Beside them, for packets without data.
constexpr std::size_t kSmallPacket = 128;  // Acknowledgements, requests to connect.
constexpr std::size_t kFirstBytes = 16;
constexpr std::chrono::milliseconds kTick{200};

struct Forward {
  Descriptor listener;
  std::uint16_t port;
};

}  // namespace

std::string_view to_text(LinkState state) {
  switch (state) {
    case LinkState::open:
      return "open";
    case LinkState::waiting:
      return "waiting";
    case LinkState::closed:
      break;
  }
  return "closed";
}

struct BoardLink::State {
  Config config;
  Descriptor wake;
  std::unique_ptr<slip::Interface> interface = {};

  // Of the thread alone.
  std::unique_ptr<ByteStream> stream = {};
  slip::Decoder decoder{};
  Clock::time_point next_open = {};
  std::vector<pollfd> polls = {};

  mutable std::mutex mutex = {};
  std::vector<std::byte> out = {};  // SLIP, for the stream.
  std::vector<Forward> forwards = {};
  LinkReport report = {};
  Tap tap = {};
  Taker taker = {};
  bool paused = false;

  std::atomic<bool> stopping = false;
  std::thread thread = {};

  void notify() const;
  bool queue(std::span<const std::byte> packet);
  void loop();
  void open_if_due();
  void close_stream(Error why);
  void prepare_polls();
  void read_stream();
  void take_frame(std::span<const std::byte> frame);
  void accept_all();
  void write_stream();
  void say_goodbye();
  void refresh_report();
};

void BoardLink::State::notify() const {
  const std::uint64_t one = 1;
  [[maybe_unused]] const ssize_t written = ::write(wake.get(), &one, sizeof(one));
}

bool BoardLink::State::queue(std::span<const std::byte> packet) {
  {
    const std::scoped_lock lock{mutex};
    if (report.state != LinkState::open) {
      return true;  // Lost, as on any wire without an end.
    }
    if (out.size() + packet.size() > kAhead + (packet.size() <= kSmallPacket ? kReserve : 0)) {
      return false;
    }
    slip::append_encoded(packet, out);
    if (tap) {
      tap(Direction::to_board, packet);
    }
  }
  notify();
  return true;
}

void BoardLink::State::open_if_due() {
  {
    const std::scoped_lock lock{mutex};
    if (stream || paused || report.state == LinkState::closed || Clock::now() < next_open) {
      return;
    }
  }
  auto opened = config.open();
  next_open = Clock::now() + config.pause;
  const std::scoped_lock lock{mutex};
  if (!opened) {
    report.failure = std::move(opened).error();
    return;
  }
  stream = *std::move(opened);
  decoder.reset();
  out.clear();
  report.state = LinkState::open;
  report.failure.reset();
  report.first_bytes.clear();
  ++report.opened;
}

void BoardLink::State::close_stream(Error why) {
  {
    const std::scoped_lock lock{mutex};
    stream.reset();
    out.clear();
    report.state = config.open_again ? LinkState::waiting : LinkState::closed;
    report.failure = std::move(why);
  }
  // The other ends see it now, not after a time-out.
  interface->abort_all();
  next_open = Clock::now() + config.pause;
}

// Callers beyond the limit wait in the listeners' queues.
void BoardLink::State::prepare_polls() {
  const bool room = interface->room() > 0;
  polls.clear();
  polls.push_back({.fd = wake.get(), .events = POLLIN, .revents = 0});
  {
    const std::scoped_lock lock{mutex};
    if (stream) {
      polls.push_back({.fd = stream->descriptor(),
                       .events = static_cast<short>(POLLIN | (out.empty() ? 0 : POLLOUT)),
                       .revents = 0});
    }
    for (const Forward& forward : forwards) {
      if (room) {
        polls.push_back({.fd = forward.listener.get(), .events = POLLIN, .revents = 0});
      }
    }
  }
  interface->add_poll(polls);
}

void BoardLink::State::take_frame(std::span<const std::byte> frame) {
  const auto reason = slip::check_packet(frame, {.source = config.peer, .destination = config.own});
  bool taken = false;
  {
    const std::scoped_lock lock{mutex};
    report.filter.count(reason);
    if (reason) {
      return;
    }
    if (tap) {
      tap(Direction::from_board, frame);
    }
    taken = taker && taker(frame);
  }
  if (!taken) {
    interface->input(frame);
  }
}

void BoardLink::State::read_stream() {
  if (!stream) {
    return;
  }
  std::array<std::byte, 16384> piece = {};
  auto count = stream->read(piece);
  if (!count) {
    close_stream(std::move(count).error());
    return;
  }
  const auto bytes = std::span{piece}.first(*count);
  {
    const std::scoped_lock lock{mutex};
    report.bytes_in += bytes.size();
    const auto missing = std::min(kFirstBytes - report.first_bytes.size(), bytes.size());
    report.first_bytes.insert(report.first_bytes.end(), bytes.begin(),
                              bytes.begin() + static_cast<std::ptrdiff_t>(missing));
  }
  decoder.decode(bytes, [this](std::span<const std::byte> frame) { take_frame(frame); });
}

void BoardLink::State::accept_all() {
  std::vector<std::pair<std::uint16_t, Descriptor>> accepted;
  const std::size_t room = interface->room();
  bool is_open = false;
  {
    const std::scoped_lock lock{mutex};
    is_open = report.state == LinkState::open;
    for (const Forward& forward : forwards) {
      Descriptor socket;
      if (accepted.size() < room) {
        socket.reset(
            ::accept4(forward.listener.get(), nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC));
      }
      if (socket) {
        accepted.emplace_back(forward.port, std::move(socket));
      }
    }
  }
  for (auto& [port, socket] : accepted) {
    if (is_open) {
      interface->connect(port, std::move(socket));
    }
  }
}

void BoardLink::State::write_stream() {
  Result<std::size_t> count = std::size_t{0};
  std::size_t left = 0;
  {
    const std::scoped_lock lock{mutex};
    if (!stream || out.empty()) {
      return;
    }
    count = stream->write(out);
    if (count) {
      report.bytes_out += *count;
      out.erase(out.begin(), out.begin() + static_cast<std::ptrdiff_t>(*count));
    }
    left = out.size();
  }
  if (!count) {
    close_stream(std::move(count).error());
  } else if (*count > 0 && left <= kAhead - slip::encoded_limit(slip::kMtu)) {
    interface->resume();
  }
}

// The resets of what was open: the board need not keep connections that nobody has any more.
void BoardLink::State::say_goodbye() {
  constexpr std::chrono::milliseconds kLimit{100};
  const auto until = Clock::now() + kLimit;
  while (stream && !out.empty() && Clock::now() < until) {
    const auto count = stream->write(out);
    if (!count) {
      return;
    }
    out.erase(out.begin(), out.begin() + static_cast<std::ptrdiff_t>(*count));
    if (*count == 0) {
      pollfd poll{.fd = stream->descriptor(), .events = POLLOUT, .revents = 0};
      ::poll(&poll, 1, static_cast<int>(kLimit.count()));
    }
  }
}

void BoardLink::State::refresh_report() {
  const std::scoped_lock lock{mutex};
  report.frames = decoder.counters();
  if (stream && stream->serial() != nullptr) {
    if (const auto status = stream->serial()->status()) {
      report.line = *status;
    }
  }
}

void BoardLink::State::loop() {
  while (!stopping) {
    open_if_due();
    prepare_polls();
    ::poll(polls.data(), polls.size(), static_cast<int>(kTick.count()));
    if ((polls.front().revents & POLLIN) != 0) {
      std::uint64_t times = 0;
      [[maybe_unused]] const ssize_t read = ::read(wake.get(), &times, sizeof(times));
    }
    bool close = false;
    {
      const std::scoped_lock lock{mutex};
      close = paused && stream;
    }
    if (close) {
      close_stream(Error{Errc::busy, "the board is held by another command",
                         Hint{.reason = "link.busy", .value = config.name}});
    }
    read_stream();
    accept_all();
    interface->serve();
    write_stream();
    refresh_report();
  }
}

BoardLink::BoardLink(std::unique_ptr<State> state) : state_{std::move(state)} {}

Result<std::unique_ptr<BoardLink>> BoardLink::start(slip::Stack& stack, Config config) {
  Descriptor wake{::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)};
  if (!wake) {
    return tl::make_unexpected(system_error("create", "event descriptor", errno));
  }
  auto state =
      std::unique_ptr<State>{new State{.config = std::move(config), .wake = std::move(wake)}};
  State* const raw = state.get();
  SPHERE_TRY_ASSIGN(
      state->interface,
      slip::Interface::create(
          stack, {.own = state->config.own,
                  .peer = state->config.peer,
                  .output = [raw](std::span<const std::byte> packet) { return raw->queue(packet); },
                  .wake = [raw] { raw->notify(); }}));
  state->open_if_due();
  if (!state->stream && !state->config.open_again) {
    return tl::make_unexpected(*std::move(state->report.failure));
  }
  state->thread = std::thread{[raw] { raw->loop(); }};
  // NOLINTNEXTLINE(*-owning-memory): private constructor
  return std::unique_ptr<BoardLink>{new BoardLink{std::move(state)}};
}

BoardLink::~BoardLink() {
  state_->stopping = true;
  state_->notify();
  state_->thread.join();
  state_->interface->abort_all();
  state_->say_goodbye();
  state_->interface.reset();  // Its last packets go through the rest of the state.
}

void BoardLink::forward(Descriptor listener, std::uint16_t port) {
  {
    const std::scoped_lock lock{state_->mutex};
    state_->forwards.push_back({.listener = std::move(listener), .port = port});
  }
  state_->notify();
}

void BoardLink::stop_forward(int listener) {
  const std::scoped_lock lock{state_->mutex};
  std::erase_if(state_->forwards,
                [listener](const Forward& forward) { return forward.listener.get() == listener; });
}

bool BoardLink::is_open() const {
  const std::scoped_lock lock{state_->mutex};
  return state_->report.state == LinkState::open;
}

Result<void> BoardLink::listen(std::uint16_t port, std::function<Descriptor()> target) {
  return state_->interface->listen(port, std::move(target));
}

void BoardLink::set_tap(Tap tap) {
  const std::scoped_lock lock{state_->mutex};
  state_->tap = std::move(tap);
}

void BoardLink::set_taker(Taker taker) {
  const std::scoped_lock lock{state_->mutex};
  state_->taker = std::move(taker);
}

bool BoardLink::send_packet(std::span<const std::byte> packet) { return state_->queue(packet); }

void BoardLink::pause() {
  {
    const std::scoped_lock lock{state_->mutex};
    state_->paused = true;
  }
  state_->notify();
}

void BoardLink::resume() {
  {
    const std::scoped_lock lock{state_->mutex};
    state_->paused = false;
  }
  state_->notify();
}

LinkReport BoardLink::report() const {
  // As of now: who saw its connection end asks at once, before the loop comes round.
  const auto connections = state_->interface->counters();
  const std::scoped_lock lock{state_->mutex};
  LinkReport report = state_->report;
  report.connections = connections;
  return report;
}

const std::string& BoardLink::name() const { return state_->config.name; }

}  // namespace sphere::transport

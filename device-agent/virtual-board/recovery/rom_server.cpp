// SPDX-License-Identifier: MIT
#include "device-agent/virtual-board/recovery/rom_server.h"

#include <algorithm>
#include <arpa/inet.h>
#include <array>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <deque>
#include <fcntl.h>
#include <memory>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <optional>
#include <poll.h>
#include <span>
#include <string>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <termios.h>
#include <tuple>
#include <unistd.h>
#include <utility>
#include <variant>
#include <vector>

#include <fmt/format.h>

#include "device-agent/virtual-board/recovery/device_side.h"
#include "device-agent/virtual-board/recovery/faults.h"
#include "device-agent/virtual-board/recovery/flash.h"
#include "device-agent/virtual-board/recovery/rom_boards.h"
#include "sphere/core/descriptor.h"
#include "sphere/core/encoding.h"
#include "sphere/core/file.h"
#include "sphere/crypto/key.h"
#include "sphere/image/trust.h"

namespace sphere::virtual_board {

namespace {

using namespace std::chrono_literals;
using recovery::Time;

constexpr std::size_t kKeyLimit = 64 * 1024;
constexpr std::size_t kReadSize = 4096;
constexpr Time kPtyLook = 20ms;  // How often a pty is asked whether somebody has opened it.

void print_line(const std::string& line) {
  static_cast<void>(std::fputs((line + "\n").c_str(), stdout));
  static_cast<void>(std::fflush(stdout));
}

Result<image::TrustStore> read_keys(const RomOptions& options) {
  image::TrustStore trust;
  for (const auto& file : options.keys) {
    SPHERE_TRY_ASSIGN(const auto pem, read_text_file(file, kKeyLimit));
    auto key = crypto::PublicKey::from_pem(pem);
    if (!key) {
      return tl::make_unexpected(std::move(key).error().while_doing(file.string()));
    }
    // The owner's key signs all of the board's software.
    for (const auto role :
         {image::Role::os, image::Role::trust_store, image::Role::development,
          image::Role::production, image::Role::board_configuration, image::Role::capability}) {
      trust.add({.key = *key, .thumbprints = {}, .role = role});
    }
  }
  return trust;
}

// --- Where hosts connect. ---

class Door {
 public:
  virtual ~Door() = default;
  [[nodiscard]] virtual std::string address() const = 0;
  // Waits for a host, or for `stop` to become readable: then nothing.
  [[nodiscard]] virtual Result<Descriptor> wait(int stop) = 0;
};

bool wait_readable(int descriptor, int stop, int milliseconds) {
  std::array<pollfd, 2> entries = {pollfd{.fd = descriptor, .events = POLLIN, .revents = 0},
                                   pollfd{.fd = stop, .events = POLLIN, .revents = 0}};
  std::ignore = ::poll(entries.data(), entries.size(), milliseconds);
  return entries[1].revents != 0;
}

class TcpDoor final : public Door {
 public:
  TcpDoor(Descriptor listener, std::uint16_t port) : listener_{std::move(listener)}, port_{port} {}

  static Result<std::unique_ptr<Door>> open(std::uint16_t port) {
    Descriptor listener{::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)};
    const int on = 1;
    std::ignore = ::setsockopt(listener.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    sockaddr_in address = {};
    address.sin_family = AF_INET;
    address.sin_port = htons(port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    auto* const generic = reinterpret_cast<sockaddr*>(&address);
    socklen_t size = sizeof address;
    if (::bind(listener.get(), generic, size) != 0 || ::listen(listener.get(), 1) != 0 ||
        ::getsockname(listener.get(), generic, &size) != 0) {
      return fail(Errc::busy, fmt::format("cannot listen on port {}", port),
                  {.reason = "link.busy", .next = "take another port, or 0"});
    }
    return std::make_unique<TcpDoor>(std::move(listener), ntohs(address.sin_port));
  }
  [[nodiscard]] std::string address() const override { return fmt::format("127.0.0.1:{}", port_); }
  [[nodiscard]] Result<Descriptor> wait(int stop) override {
    if (wait_readable(listener_.get(), stop, -1)) {
      return Descriptor{};
    }
    Descriptor host{::accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK)};
    if (!host) {
      return tl::make_unexpected(system_error("accept on", address(), errno));
    }
    const int on = 1;
    std::ignore = ::setsockopt(host.get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    return host;
  }

 private:
  Descriptor listener_;
  std::uint16_t port_;
};

class PtyDoor final : public Door {
 public:
  explicit PtyDoor(Descriptor master) : master_{std::move(master)} {}

  static Result<std::unique_ptr<Door>> open() {
    Descriptor master{::posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC | O_NONBLOCK)};
    if (!master || ::grantpt(master.get()) != 0 || ::unlockpt(master.get()) != 0) {
      return tl::make_unexpected(system_error("open", "/dev/ptmx", errno));
    }
    auto door = std::make_unique<PtyDoor>(std::move(master));
    // Raw from the start: what the ROM says before the host sets the line is data, too.
    const Descriptor slave{::open(door->address().c_str(), O_RDWR | O_NOCTTY | O_CLOEXEC)};
    termios settings = {};
    if (!slave || ::tcgetattr(slave.get(), &settings) != 0) {
      return tl::make_unexpected(system_error("open", door->address(), errno));
    }
    ::cfmakeraw(&settings);
    std::ignore = ::tcsetattr(slave.get(), TCSANOW, &settings);
    return door;
  }
  [[nodiscard]] std::string address() const override {
    std::array<char, 64> name = {};
    return ::ptsname_r(master_.get(), name.data(), name.size()) == 0 ? name.data() : "";
  }
  [[nodiscard]] Result<Descriptor> wait(int stop) override {
    while (true) {
      pollfd entry{.fd = master_.get(), .events = POLLOUT, .revents = 0};
      std::ignore = ::poll(&entry, 1, 0);
      if ((entry.revents & POLLHUP) == 0) {
        return Descriptor{::fcntl(master_.get(), F_DUPFD_CLOEXEC, 0)};
      }
      if (wait_readable(-1, stop, static_cast<int>(kPtyLook / 1ms))) {
        return Descriptor{};
      }
    }
  }

 private:
  Descriptor master_;
};

// --- One connection. ---

class Session {
 public:
  Session(const RomOptions& options, const Clock& clock, DeviceSide& board, WireFaults& faults,
          Descriptor host, int log)
      : options_{&options},
        clock_{&clock},
        board_{&board},
        faults_{&faults},
        host_{std::move(host)},
        log_{log},
        start_{clock.monotonic()} {}

  // True: the user wants the end of it all.
  bool run(int stop) {
    give(device::PowerOn{.recovery_strap = true});
    while (open_) {
      if (turn(stop)) {
        return true;
      }
    }
    give(device::PowerOn{.recovery_strap = false});
    return false;
  }
  [[nodiscard]] bool booted() const { return booted_; }

 private:
  struct Piece {
    Time due;
    std::vector<std::byte> bytes;
  };

  [[nodiscard]] Time now() const {
    return std::chrono::duration_cast<Time>(clock_->monotonic() - start_);
  }
  [[nodiscard]] Time wire_time(std::size_t bytes) const {
    constexpr std::uint64_t kBitsPerByte = 10;
    return options_->baud == 0
               ? Time{0}
               : Time{std::uint64_t{bytes} * kBitsPerByte * 1'000'000 / options_->baud};
  }
  void write_log(char direction, std::span<const std::byte> bytes) const {
    if (log_ >= 0) {
      const auto line = fmt::format("{:.6f} {} {}\n", std::chrono::duration<double>(now()).count(),
                                    direction, to_hex(bytes));
      std::ignore = write_all(log_, std::as_bytes(std::span{line}), options_->log);
    }
  }
  void give(const device::Input& input);
  void perform(const device::Action& action);
  void send(const std::vector<std::byte>& bytes);
  void read();
  void write();
  bool turn(int stop);
  [[nodiscard]] int wait_time() const;

  const RomOptions* options_;
  const Clock* clock_;
  DeviceSide* board_;
  WireFaults* faults_;
  Descriptor host_;
  int log_;
  std::chrono::nanoseconds start_;
  bool open_ = true;
  bool booted_ = false;
  std::optional<Time> deadline_;
  std::deque<Piece> in_;
  std::deque<Piece> out_;
  Time in_free_ = {};
  Time out_free_ = {};
};

void Session::give(const device::Input& input) {
  device::Actions actions;
  board_->take(input, now(), actions);
  for (const device::Action& action : actions) {
    perform(action);
  }
}

void Session::send(const std::vector<std::byte>& bytes) {
  write_log('<', bytes);
  auto passed = faults_->pass(WireSide::out, bytes);
  out_free_ = std::max(out_free_, now()) + wire_time(bytes.size()) + passed.delay;
  out_.push_back({.due = out_free_ + options_->turnaround, .bytes = std::move(passed.bytes)});
  open_ = open_ && !passed.unplug;
}

void Session::perform(const device::Action& action) {
  if (const auto* const what = std::get_if<device::Send>(&action)) {
    send(what->bytes);
  } else if (const auto* const arm = std::get_if<device::Arm>(&action)) {
    deadline_ = arm->deadline;
  } else if (std::holds_alternative<device::Disarm>(action)) {
    deadline_.reset();
  } else if (std::holds_alternative<device::Boot>(action)) {
    booted_ = true;
  }
}

void Session::read() {
  std::array<std::byte, kReadSize> buffer;
  const ssize_t count = ::read(host_.get(), buffer.data(), buffer.size());
  if (count < 0 && (errno == EAGAIN || errno == EINTR)) {
    return;
  }
  if (count <= 0) {
    open_ = false;
    return;
  }
  const auto bytes = std::span{buffer}.first(static_cast<std::size_t>(count));
  write_log('>', bytes);
  auto passed = faults_->pass(WireSide::in, bytes);
  in_free_ = std::max(in_free_, now()) + wire_time(bytes.size()) + passed.delay;
  in_.push_back({.due = in_free_, .bytes = std::move(passed.bytes)});
  open_ = open_ && !passed.unplug;
}

void Session::write() {
  while (open_ && !out_.empty() && out_.front().due <= now()) {
    auto& bytes = out_.front().bytes;
    const ssize_t count = ::write(host_.get(), bytes.data(), bytes.size());
    if (count < 0 && (errno == EAGAIN || errno == EINTR)) {
      return;
    }
    if (count < 0) {
      open_ = false;
      return;
    }
    bytes.erase(bytes.begin(), bytes.begin() + count);
    if (bytes.empty()) {
      out_.pop_front();
    }
  }
}

int Session::wait_time() const {
  Time wait = 1s;
  const auto consider = [&](Time when) { wait = std::min(wait, std::max(when - now(), Time{0})); };
  if (deadline_) {
    consider(*deadline_);
  }
  if (!in_.empty()) {
    consider(in_.front().due);
  }
  if (!out_.empty()) {
    consider(out_.front().due);
  }
  return static_cast<int>(std::chrono::ceil<std::chrono::milliseconds>(wait).count());
}

bool Session::turn(int stop) {
  write();
  const bool blocked = !out_.empty() && out_.front().due <= now();
  std::array<pollfd, 2> entries = {
      pollfd{.fd = host_.get(),
             .events = static_cast<short>(POLLIN | (blocked ? POLLOUT : 0)),
             .revents = 0},
      pollfd{.fd = stop, .events = POLLIN, .revents = 0}};
  std::ignore = ::poll(entries.data(), entries.size(), blocked ? 1000 : wait_time());
  if (entries[1].revents != 0) {
    return true;
  }
  if ((entries[0].revents & (POLLIN | POLLHUP | POLLERR)) != 0) {
    read();
  }
  while (!in_.empty() && in_.front().due <= now()) {
    const auto bytes = std::move(in_.front().bytes);
    in_.pop_front();
    give(device::Received{.bytes = bytes});
  }
  if (deadline_ && now() >= *deadline_) {
    deadline_.reset();
    give(device::TimerFired{});
  }
  return false;
}

Result<Descriptor> watch_signals() {
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGTERM);
  sigaddset(&signals, SIGINT);
  std::ignore = ::pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  std::ignore = ::signal(SIGPIPE, SIG_IGN);
  Descriptor watch{::signalfd(-1, &signals, SFD_CLOEXEC)};
  if (!watch) {
    return tl::make_unexpected(system_error("watch", "signals", errno));
  }
  return watch;
}

Result<void> load_flash(const RomOptions& options, Flash& flash) {
  if (options.flash.empty()) {
    return {};
  }
  const auto bytes = read_file(options.flash, flash.size());
  if (!bytes && bytes.error().code() == Errc::not_found) {
    return {};
  }
  SPHERE_TRY(bytes);
  flash.load(0, *bytes);
  return {};
}

}  // namespace

Result<RomEnd> run_rom(const RomOptions& options, const Clock& clock, const RomHooks& hooks) {
  const RomBoard* const kind = find_rom_board(options.protocol);
  if (kind == nullptr) {
    return fail(Errc::invalid_argument,
                fmt::format("'{}' is no protocol of a virtual board", options.protocol));
  }
  SPHERE_TRY_ASSIGN(auto trust, read_keys(options));
  SPHERE_TRY_ASSIGN(const auto made, kind->make(options, std::move(trust)));
  DeviceSide& board = *made;
  SPHERE_TRY(load_flash(options, board.flash()));
  Descriptor log;
  if (!options.log.empty()) {
    log.reset(::open(options.log.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644));
    if (!log) {
      return tl::make_unexpected(system_error("write", options.log, errno));
    }
  }
  SPHERE_TRY_ASSIGN(const auto stop, watch_signals());
  SPHERE_TRY_ASSIGN(const auto door, options.port ? TcpDoor::open(*options.port) : PtyDoor::open());
  hooks.ready(door->address());
  WireFaults faults{options.faults, options.seed};
  while (true) {
    SPHERE_TRY_ASSIGN(auto host, door->wait(stop.get()));
    if (!host) {
      return RomEnd{.complete = board.is_complete(), .stopped = true};
    }
    Session session{options, clock, board, faults, std::move(host), log.get()};
    const bool ended = session.run(stop.get());
    if (!options.flash.empty()) {
      SPHERE_TRY(write_file(options.flash, board.flash().bytes(), {.mode = 0644}));
    }
    const auto& counters = board.flash().counters();
    const bool complete = board.is_complete();
    hooks.report(fmt::format(
        R"({{"simulated":true,"complete":{},"booted":{},"sectorsErased":{},"bytesWritten":{}}})",
        complete, session.booted(), counters.sectors_erased, counters.bytes_programmed));
    if (ended || options.once || (hooks.until_complete && complete)) {
      return RomEnd{.complete = complete, .stopped = ended};
    }
  }
}

int rom_command(std::span<const char* const> arguments) {
  constexpr int kUsage = 2;
  const auto print_error = [](const Error& error) {
    fmt::print(stderr, "error: {}\nnext:  {}\n", error.message(), error.hint().next);
  };
  const auto options = parse_rom_options(arguments);
  if (!options) {
    print_error(options.error());
    return kUsage;
  }
  if (options->help) {
    fmt::print("{}", kRomUsage);
    return EXIT_SUCCESS;
  }
  const SystemClock clock;
  const auto end =
      run_rom(*options, clock,
              {.ready = [](const std::string& address) { print_line("ready " + address); },
               .report = print_line});
  if (!end) {
    print_error(end.error());
    return end.error().code() == Errc::invalid_argument ? kUsage : EXIT_FAILURE;
  }
  return end->complete ? EXIT_SUCCESS : EXIT_FAILURE;
}

}  // namespace sphere::virtual_board

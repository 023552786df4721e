// SPDX-License-Identifier: MIT
#include "device-agent/virtual-board/board.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <sys/types.h>
#include <unistd.h>
#include <utility>

#include <fmt/format.h>
#include <tl/expected.hpp>

#include "device-agent/virtual-board/agent_process.h"
#include "device-agent/virtual-board/board_directory.h"
#include "device-agent/virtual-board/board_link.h"
#include "device-agent/virtual-board/board_log.h"
#include "device-agent/virtual-board/event_loop.h"
#include "device-agent/virtual-board/frame.h"
#include "device-agent/virtual-board/gpio_bank.h"
#include "device-agent/virtual-board/options.h"
#include "device-agent/virtual-board/packet_socket.h"
#include "device-agent/virtual-board/peripherals.h"
#include "device-agent/virtual-board/pins.h"
#include "device-agent/virtual-board/rest_probe.h"
#include "device-agent/virtual-board/service_uart.h"
#include "sphere/core/clock.h"
#include "sphere/core/descriptor.h"
#include "sphere/core/file.h"
#include "sphere/core/guid.h"
#include "sphere/core/process.h"
#include "sphere/core/result.h"
#include "sphere/http/server.h"

namespace sphere::virtual_board {
namespace fs = std::filesystem;
namespace {

constexpr std::string_view kLocalAddress = "127.0.0.1";

fs::path rest_socket(const Options& options) { return options.runtime / "rest.sock"; }

Result<Descriptor> take_signals() {
  sigset_t signals;
  sigemptyset(&signals);
  for (const int signal : {SIGTERM, SIGINT, SIGCHLD}) {
    sigaddset(&signals, signal);
  }
  ::pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  std::signal(SIGPIPE, SIG_IGN);  // NOLINT(cert-err33-c): cannot fail for SIGPIPE
  Descriptor descriptor{::signalfd(-1, &signals, SFD_CLOEXEC | SFD_NONBLOCK)};
  if (!descriptor) {
    return tl::unexpected<Error>{system_error("create", "signal descriptor", errno)};
  }
  return descriptor;
}

// Where the libraries of apps are, also when they are not there: then an app that needs them says
// so when it is started. A program in <build>/bin finds <build>/sdk.
fs::path sdk_runtime(const Options& options) {
  const auto sdk =
      options.sdk.empty() ? own_program().parent_path().parent_path() / "sdk" : options.sdk;
  return sdk / "Runtime";
}

// Why sphered ended before it answered, in its own words.
std::string last_words(const BoardLog& log) {
  std::string_view line = log.last_output_line();
  constexpr std::string_view kPrefix = "sphered: ";
  if (line.starts_with(kPrefix)) {
    line.remove_prefix(kPrefix.size());
  }
  return line.empty() ? "it said nothing" : std::string{line};
}

}  // namespace

Result<Board::Sockets> Board::bind(const Options& options, const BoardFile& file) {
  Sockets sockets;
  SPHERE_TRY(make_directories(options.runtime, 0700));
  SPHERE_TRY_ASSIGN(sockets.unix_listener, http::listen_unix(rest_socket(options)));
  if (file.port != 0) {
    SPHERE_TRY_ASSIGN(sockets.tcp_listener,
                      http::listen_tcp(std::string{kLocalAddress}, file.port));
  }
  return sockets;
}

Result<Board::Parts> Board::prepare(const Options& options, const Clock& clock) {
  SPHERE_TRY_ASSIGN(auto file, read_board_file(options.directory));
  SPHERE_TRY_ASSIGN(const auto pins, gpio_lines(file.identity.board_id));
  SPHERE_TRY_ASSIGN(auto lock, lock_board(options.directory));
  SPHERE_TRY_ASSIGN(auto log, BoardLog::open(options.directory / "board.log", clock));
  SPHERE_TRY_ASSIGN(auto sockets, bind(options, file));
  SPHERE_TRY_ASSIGN(auto loop, EventLoop::create());
  SPHERE_TRY_ASSIGN(auto signals, take_signals());
  SPHERE_TRY(adopt_orphans());
  return Parts{.options = options,
               .file = std::move(file),
               .lock = std::move(lock),
               .log = std::move(log),
               .loop = std::move(loop),
               .sockets = std::move(sockets),
               .signals = std::move(signals),
               .bank = GpioBank{pins}};
}

Result<std::unique_ptr<Board>> Board::create(const Options& options, const Clock& clock) {
  SPHERE_TRY_ASSIGN(auto parts, prepare(options, clock));
  return std::unique_ptr<Board>{new Board{std::move(parts), clock}};  // NOLINT: private constructor
}

Board::Board(Parts parts, const Clock& clock)
    : clock_{&clock},
      parts_{std::move(parts)},
      board_clock_{clock},
      peripherals_{parts_.loop, board_clock_, parts_.file.identity, std::move(parts_.bank),
                   Guid::random().text()} {}

Board::~Board() {
  service_uart_.reset();
  agent_.reset();
  end_all_children();
  ::unlink(rest_socket(parts_.options).c_str());
}

Result<void> Board::run(const std::function<void()>& ready) {
  ready_ = ready;
  SPHERE_TRY(start());
  while (state_ != State::ended) {
    SPHERE_TRY(parts_.loop.wait(until_next(clock_->monotonic())));
    peripherals_.advance();
    on_time(clock_->monotonic());
  }
  if (failure_) {
    return tl::unexpected<Error>{*std::move(failure_)};
  }
  return {};
}

Result<void> Board::start() {
  parts_.log.say(fmt::format("board {} is simulated ({}: GPIO lines only; no radio, no bus)",
                             parts_.file.identity.name, parts_.file.identity.board_id));
  parts_.log.say(
      "apps of other processors are emulated by qemu-user; W^X inside emulated apps is not "
      "enforced");
  SPHERE_TRY_ASSIGN(signal_watch_, parts_.loop.watch(parts_.signals.get(), EPOLLIN,
                                                     [this](std::uint32_t) { on_signal(); }));
  SPHERE_TRY_ASSIGN(service_uart_,
                    ServiceUart::start(parts_.file.service_uart, parts_.options.runtime));
  parts_.log.say(fmt::format("service UART: SLIP at {}", service_uart_->place()));
  start_by_ = clock_->monotonic() + kStartLimit;
  return attach();
}

// Starts sphered and connects it.
Result<void> Board::attach() {
  SPHERE_TRY_ASSIGN(auto agent, start_agent({.program = own_program().parent_path() / "sphered",
                                             .directory = parts_.options.directory,
                                             .runtime = parts_.options.runtime,
                                             .sdk_runtime = sdk_runtime(parts_.options),
                                             .unix_listener = parts_.sockets.unix_listener.get(),
                                             .tcp_listener = parts_.sockets.tcp_listener.get()}));
  SPHERE_TRY_ASSIGN(output_watch_,
                    parts_.loop.watch(agent.output.get(), EPOLLIN,
                                      [this, output = agent.output.get()](std::uint32_t) {
                                        read_output(output, Amount::some);
                                      }));
  auto link = std::move(agent.link);
  agent_.emplace(std::move(agent));
  return serve_link(std::move(link));
}

Result<void> Board::serve_link(Descriptor link) {
  auto opened = PacketSocket::open(
      parts_.loop, std::move(link),
      [this](const Frame& request) {
        on_link_request(request);
        return peripherals_.serve(request);
      },
      [this] {
        // sphered ends, or is not worth listening to any more: without power it ends soon.
        link_.reset();
        kill_at_ = clock_->monotonic() + kPowerOffLimit;
      });
  if (!opened) {
    return tl::unexpected<Error>{std::move(opened).error()};
  }
  link_.emplace(*std::move(opened));
  return {};
}

// The first question shows that sphered runs; whether it serves shows the probe.
void Board::on_link_request(const Frame& request) {
  if (state_ != State::starting || probe_ || !request.valid) {
    return;
  }
  auto probe = RestProbe::start(parts_.loop, rest_socket(parts_.options), [this] {
    probe_.reset();
    if (state_ == State::starting) {
      state_ = State::running;
      start_by_.reset();
      parts_.log.say("ready");
      ready_();
    }
  });
  if (probe) {
    probe_.emplace(*std::move(probe));
  } else {
    end_with(std::move(probe).error());
  }
}

void Board::read_output(int output, Amount amount) {
  std::array<char, 16384> buffer = {};
  ssize_t count = ::read(output, buffer.data(), buffer.size());
  while (count > 0) {
    parts_.log.add_output({buffer.data(), static_cast<std::size_t>(count)});
    if (amount == Amount::some) {
      return;
    }
    count = ::read(output, buffer.data(), buffer.size());
  }
  if (count == 0) {
    output_watch_.reset();
  }
}

void Board::on_signal() {
  signalfd_siginfo info = {};
  while (::read(parts_.signals.get(), &info, sizeof info) == sizeof info) {
    if (info.ssi_signo == SIGCHLD) {
      on_children();
    } else {
      power_off(info.ssi_signo == SIGTERM ? "SIGTERM" : "SIGINT");
    }
  }
}

void Board::on_children() {
  if (agent_) {
    if (const auto status = agent_->process.poll()) {
      read_output_after_end(agent_->output.get());
      on_agent_end(*status);
    }
  }
  while (reap_orphan(agent_ ? agent_->process.pid() : 0)) {
  }
}

// What it left behind may hold pins and write to the log: first that ends, then the next run
// begins.
void Board::read_output_after_end(int output) {
  end_all_children();
  read_output(output, Amount::all);
  parts_.log.end_output();
  output_watch_.reset();
}

void Board::on_agent_end(const ExitStatus& status) {
  link_.reset();
  probe_.reset();
  agent_.reset();
  peripherals_.release_all();
  kill_at_.reset();
  if (state_ == State::powering_off) {
    state_ = State::ended;
  } else if (state_ == State::starting) {
    end_with(
        Error{Errc::unavailable,
              fmt::format("sphered ended with {}: {}", describe(status), last_words(parts_.log)),
              {.reason = "link.no-answer", .next = "read board.log"}});
  } else if (status.signal == 0 && status.code == board_link::kExitRestart) {
    parts_.log.say("sphered restarts");
    start_at_ = clock_->monotonic();
  } else {
    const auto delay = restarts_.crashed(clock_->monotonic());
    parts_.log.say(fmt::format("sphered crashed with {}; it starts again in {} s", describe(status),
                               delay.count()));
    start_at_ = clock_->monotonic() + delay;
  }
}

void Board::start_again() {
  start_at_.reset();
  if (auto attached = attach(); !attached) {
    end_with(std::move(attached).error());
  }
}

void Board::on_time(Time now) {
  if (start_at_ && now >= *start_at_ && state_ == State::running) {
    start_again();
  }
  if (kill_at_ && now >= *kill_at_ && agent_) {
    parts_.log.say("sphered does not end: SIGKILL");
    agent_->process.kill(SIGKILL);
    kill_at_.reset();
  }
  if (start_by_ && now >= *start_by_) {
    start_by_.reset();
    end_with(Error{Errc::timeout,
                   fmt::format("sphered did not answer within {} s", kStartLimit.count()),
                   {.reason = "link.no-answer", .next = "read board.log"}});
  }
}

void Board::power_off(std::string_view cause) {
  if (state_ == State::powering_off || state_ == State::ended) {
    return;
  }
  parts_.log.say(fmt::format("power off ({})", cause));
  state_ = agent_ ? State::powering_off : State::ended;
  start_at_.reset();
  start_by_.reset();
  kill_at_ = clock_->monotonic() + kPowerOffLimit;
  peripherals_.end_streams("power off");
  link_.reset();
}

void Board::end_with(Error error) {
  parts_.log.say(error.message());
  failure_ = std::move(error);
  state_ = State::ended;
}

std::optional<Board::Time> Board::until_next(Time now) const {
  std::optional<Time> left = peripherals_.until_due();
  for (const auto& point : {start_by_, start_at_, kill_at_}) {
    if (point) {
      const auto rest = std::max(*point - now, Time{0});
      left = std::min(left.value_or(rest), rest);
    }
  }
  return left;
}

}  // namespace sphere::virtual_board

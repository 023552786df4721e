// SPDX-License-Identifier: MIT
#include "device-agent/virtual-board/service_uart.h"

#include <array>
#include <cerrno>
#include <charconv>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <fcntl.h>
#include <filesystem>
#include <functional>
#include <memory>
#include <poll.h>
#include <span>
#include <string>
#include <string_view>
#include <sys/socket.h>
#include <sys/un.h>
#include <system_error>
#include <termios.h>
#include <unistd.h>
#include <utility>

#include <fmt/format.h>
#include <tl/expected.hpp>

#include "device-agent/virtual-board/uart_line.h"
#include "sphere/core/descriptor.h"
#include "sphere/core/file.h"
#include "sphere/core/result.h"
#include "sphere/slip/packet.h"
#include "sphere/slip/stack.h"
#include "sphere/transport/board_link.h"
#include "sphere/transport/byte_stream.h"

namespace sphere::virtual_board {

namespace fs = std::filesystem;

namespace {

constexpr std::chrono::milliseconds kAcceptWait{200};

// Ports of the board and the sockets of sphered behind them.
struct Port {
  std::uint16_t number;
  std::string_view socket;
};
constexpr std::array kPorts = {Port{.number = 443, .socket = "rest.sock"},
                               Port{.number = 2342, .socket = "2342.sock"},
                               Port{.number = 2345, .socket = "2345.sock"}};

// None where nobody listens.
Descriptor connect_to(const fs::path& path) {
  sockaddr_un address = {};
  address.sun_family = AF_UNIX;
  const std::string text = path.string();
  if (text.size() >= sizeof(address.sun_path)) {
    return {};
  }
  std::memcpy(static_cast<char*>(address.sun_path), text.data(), text.size());
  Descriptor socket{::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0)};
  // NOLINTNEXTLINE(*-reinterpret-cast): the interface of sockets
  if (::connect(socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof(address)) != 0) {
    return {};
  }
  return socket;
}

// A stream through a modelled line, which it owns.
class LineStream final : public transport::ByteStream {
 public:
  LineStream(std::unique_ptr<UartLine> line, std::string name)
      : line_{std::move(line)},
        stream_{transport::make_descriptor_stream(line_->take_near().release(), std::move(name))} {}

  [[nodiscard]] int descriptor() const override { return stream_->descriptor(); }
  [[nodiscard]] Result<std::size_t> read(std::span<std::byte> bytes) override {
    return stream_->read(bytes);
  }
  [[nodiscard]] Result<std::size_t> write(std::span<const std::byte> bytes) override {
    return stream_->write(bytes);
  }

 private:
  std::unique_ptr<UartLine> line_;
  std::unique_ptr<transport::ByteStream> stream_;
};

Result<std::unique_ptr<transport::ByteStream>> through_line(Descriptor far,
                                                            const ServiceUartPlan& plan) {
  ::fcntl(far.get(), F_SETFL, ::fcntl(far.get(), F_GETFL) | O_NONBLOCK);
  SPHERE_TRY_ASSIGN(auto line, UartLine::start(std::move(far), plan.baud, plan.faults));
  return std::make_unique<LineStream>(std::move(line), "service UART");
}

struct Terminal {
  Descriptor master;
  Descriptor slave;
  std::string name;
};

Result<Terminal> make_terminal() {
  const auto failed = [] {
    return tl::make_unexpected(system_error("create", "pseudo-terminal", errno));
  };
  Terminal terminal{
      .master = Descriptor{::posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC)}, .slave = {}, .name = {}};
  std::array<char, 64> name = {};
  if (!terminal.master || ::grantpt(terminal.master.get()) != 0 ||
      ::unlockpt(terminal.master.get()) != 0 ||
      ::ptsname_r(terminal.master.get(), name.data(), name.size()) != 0) {
    return failed();
  }
  terminal.name = name.data();
  terminal.slave.reset(::open(name.data(), O_RDWR | O_NOCTTY | O_CLOEXEC));
  termios state = {};
  if (!terminal.slave || ::tcgetattr(terminal.slave.get(), &state) != 0) {
    return failed();
  }
  ::cfmakeraw(&state);  // Nothing is echoed before somebody opens it.
  ::tcsetattr(terminal.slave.get(), TCSANOW, &state);
  return terminal;
}

}  // namespace

Result<ServiceUartPlan> parse_service_uart(std::string_view text) {
  constexpr std::string_view kTcp = "tcp:";
  ServiceUartPlan plan;
  if (text.empty()) {
    return plan;
  }
  if (text == "pty") {
    plan.kind = ServiceUartPlan::Kind::pty;
    return plan;
  }
  if (text.starts_with(kTcp)) {
    const std::string_view digits = text.substr(kTcp.size());
    const auto [end, error] =
        std::from_chars(digits.data(), digits.data() + digits.size(), plan.port);
    if (error == std::errc{} && end == digits.data() + digits.size() && plan.port != 0) {
      plan.kind = ServiceUartPlan::Kind::tcp;
      return plan;
    }
  }
  return fail(
      Errc::invalid_argument, fmt::format("{} is no service UART", text),
      {.reason = "usage.bad-value", .value = std::string{text}, .next = "write pty or tcp:PORT"});
}

Result<std::unique_ptr<ServiceUart>> ServiceUart::start(const ServiceUartPlan& plan,
                                                        const fs::path& runtime) {
  // NOLINTNEXTLINE(*-owning-memory): private constructor
  std::unique_ptr<ServiceUart> uart{new ServiceUart};
  uart->runtime_ = runtime;
  SPHERE_TRY_ASSIGN(uart->stack_, slip::Stack::create());
  SPHERE_TRY(plan.kind == ServiceUartPlan::Kind::pty ? uart->open_pty(plan)
                                                     : uart->open_listener(plan));
  for (const Port& port : kPorts) {
    SPHERE_TRY(uart->link_->listen(
        port.number, [socket = runtime / port.socket] { return connect_to(socket); }));
  }
  return uart;
}

ServiceUart::~ServiceUart() {
  link_.reset();
  if (!name_.empty()) {
    ::unlink(name_.c_str());
  }
}

Result<void> ServiceUart::start_link(transport::BoardLink::Config config) {
  config.name = "service UART";
  config.pause = {};  // The next user may be waiting already.
  config.own = slip::kBoardAddress;
  config.peer = slip::kHostAddress;
  SPHERE_TRY_ASSIGN(link_, transport::BoardLink::start(*stack_, std::move(config)));
  return {};
}

Result<void> ServiceUart::open_pty(const ServiceUartPlan& plan) {
  SPHERE_TRY_ASSIGN(auto terminal, make_terminal());
  slave_ = std::move(terminal.slave);
  place_ = "pty " + terminal.name;
  name_ = runtime_ / "service.tty";
  std::error_code error;
  fs::remove(name_, error);
  fs::create_symlink(terminal.name, name_, error);
  if (error) {
    return tl::make_unexpected(system_error("create", name_, error.value()));
  }
  auto master = std::make_shared<Descriptor>(std::move(terminal.master));  // With the closure only.
  return start_link({.name = {}, .open = [plan, master] {
                       return through_line(Descriptor{::dup(master->get())}, plan);
                     }});
}

Result<void> ServiceUart::open_listener(const ServiceUartPlan& plan) {
  Descriptor listening;
  if (plan.kind == ServiceUartPlan::Kind::tcp) {
    SPHERE_TRY_ASSIGN(listening, transport::listen_at_loopback(plan.port));
    place_ = fmt::format("TCP port {}", plan.port);
  } else {
    name_ = runtime_ / "service.sock";
    SPHERE_TRY_ASSIGN(listening, transport::listen_at(name_));
    place_ = name_.string();
  }
  auto listener = std::make_shared<Descriptor>(std::move(listening));  // With the closure only.
  return start_link(
      {.name = {}, .open = [plan, listener]() -> Result<std::unique_ptr<transport::ByteStream>> {
         pollfd poll{.fd = listener->get(), .events = POLLIN, .revents = 0};
         ::poll(&poll, 1, static_cast<int>(kAcceptWait.count()));
         Descriptor accepted{::accept4(listener->get(), nullptr, nullptr, SOCK_CLOEXEC)};
         if (!accepted) {
           return fail(Errc::unavailable, "nobody is connected to the service UART");
         }
         constexpr int kBuffer = 4096;
         ::setsockopt(accepted.get(), SOL_SOCKET, SO_RCVBUF, &kBuffer, sizeof(kBuffer));
         return through_line(std::move(accepted), plan);
       }});
}

}  // namespace sphere::virtual_board

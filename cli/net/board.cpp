// SPDX-License-Identifier: MIT
#include <array>
#include <charconv>
#include <chrono>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "cli/commands/command.h"
#include "cli/context.h"
#include "cli/net/commands.h"
#include "cli/net/connection.h"
#include "cli/output/output.h"
#include "sphere/core/result.h"
#include "sphere/core/text.h"
#include "sphere/device/virtual_board.h"
#include "sphere/json/value.h"

namespace sphere::cli {
namespace {

constexpr std::chrono::seconds kStartLimit{60};
constexpr std::chrono::seconds kStopLimit{10};

constexpr std::array kColumns = {Column{.key = "name", .heading = "Name"},
                                 Column{.key = "profile", .heading = "Profile"},
                                 Column{.key = "state", .heading = "State"},
                                 Column{.key = "deviceId", .heading = "Device ID"},
                                 Column{.key = "connectionPath", .heading = "Connection path"},
                                 Column{.key = "pid", .heading = "Process"},
                                 Column{.key = "boardId", .heading = "Board"},
                                 Column{.key = "port", .heading = "Port"},
                                 Column{.key = "serviceUart", .heading = "Service UART"}};

std::vector<Column> columns() { return {kColumns.begin(), kColumns.end()}; }

// Where the board's SLIP link can be reached: the place of a pty is known while the board runs.
json::Value service_uart_of(const device::BoardStatus& board) {
  if (board.config.service_uart == "pty") {
    return board.state == device::BoardState::stopped
               ? json::Value{"pty"}
               : json::Value{(board.rest_socket.parent_path() / "service.tty").string()};
  }
  return board.config.service_uart.empty() ? json::Value{} : json::Value{board.config.service_uart};
}

json::Value to_json(const device::BoardStatus& board) {
  const auto number_or_null = [](std::int64_t number) {
    return number == 0 ? json::Value{} : json::Value{number};
  };
  return json::Value{}
      .set("name", board.config.name)
      .set("profile", to_text(board.config.profile))
      .set("state", to_text(board.state))
      .set("deviceId", board.device_id)
      .set("connectionPath", "vb-" + board.config.name)
      .set("pid", number_or_null(board.pid))
      .set("boardId", board.config.board_id)
      .set("port", number_or_null(board.config.port))
      .set("serviceUart", service_uart_of(board))
      .set("broken", board.broken)
      .set("recoveryPort",
           board.recovery_port.empty() ? json::Value{} : json::Value{board.recovery_port});
}

Output describe(const device::BoardStatus& board, std::string text = {}) {
  return {.data = to_json(board), .columns = columns(), .text = std::move(text)};
}

Result<std::uint16_t> read_port(const Arguments& arguments) {
  const auto text = arguments.value("port");
  std::uint16_t port = 0;
  if (text) {
    const auto [end, ec] =
        std::from_chars(std::to_address(text->cbegin()), std::to_address(text->cend()), port);
    if (ec != std::errc{} || end != std::to_address(text->cend()) || port == 0) {
      return fail(Errc::invalid_argument, fmt::format("--port {} is not a TCP port", *text),
                  {.reason = "usage.bad-value", .value = *text, .next = "use 1024 to 65535"});
    }
  }
  return port;
}

// The options of the service UART, checked here so that a board with a wrong one is never made.
Result<void> read_service_uart(device::BoardConfig& config, const Arguments& arguments) {
  config.service_uart = arguments.value("service-uart").value_or("");
  config.service_faults = arguments.value("service-faults").value_or("");
  const auto baud = arguments.value("service-baud");
  if (baud) {
    const auto [end, ec] = std::from_chars(std::to_address(baud->cbegin()),
                                           std::to_address(baud->cend()), config.service_baud);
    if (ec != std::errc{} || end != std::to_address(baud->cend()) || config.service_baud < 300) {
      return fail(Errc::invalid_argument, fmt::format("--service-baud {} is no baud rate", *baud),
                  {.reason = "usage.bad-value", .value = *baud, .next = "use 300 or more"});
    }
  }
  return device::check_service_uart(config);
}

Result<Output> create(Context& context, const Arguments& arguments) {
  SPHERE_TRY_ASSIGN(auto boards, open_boards(context));
  device::BoardConfig config{.name = arguments.positional(0)};
  SPHERE_TRY_ASSIGN(config.port, read_port(arguments));
  SPHERE_TRY(read_service_uart(config, arguments));
  config.board_id = arguments.value("board").value_or(config.board_id);
  SPHERE_TRY_ASSIGN(config.profile, device::parse_board_profile(
                                        arguments.value("profile").value_or("development")));
  SPHERE_TRY_ASSIGN(const auto board, boards.create(config));
  return describe(board,
                  fmt::format("Created board {0} (device {1}...). Start it: sphere board start {0}",
                              board.config.name, board.device_id.substr(0, 16)));
}

Result<Output> list(Context& context, const Arguments& /*arguments*/) {
  SPHERE_TRY_ASSIGN(const auto boards, open_boards(context));
  SPHERE_TRY_ASSIGN(const auto all, boards.list());
  Output output{.data = json::Array{}, .columns = columns()};
  for (const device::BoardStatus& board : all) {
    output.data.push(to_json(board));
  }
  return output;
}

Result<Output> show(Context& context, const Arguments& arguments) {
  SPHERE_TRY_ASSIGN(const auto boards, open_boards(context));
  SPHERE_TRY_ASSIGN(const auto board, boards.show(arguments.positional(0)));
  return describe(board);
}

Result<device::BoardStatus> start_board(Context& context, device::VirtualBoards& boards,
                                        const std::string& name) {
  const auto limit = context.time_limit.value_or(kStartLimit);
  context.reporter.step(fmt::format("Starting board {}, up to {} s", name, limit.count()));
  return boards.start(name, limit, [&context] { return context.interrupted.load(); });
}

std::string started_text(const device::BoardStatus& board, std::string_view runs) {
  if (board.state != device::BoardState::recovery) {
    return fmt::format("Board {0} {1} (connection path vb-{0}).", board.config.name, runs);
  }
  return fmt::format(
      "Board {} is broken (simulated) and waits in its recovery loader.\nBring it back: sphere "
      "device recover --images SET --port {} --no-wait-boot\nThe set is for board {}, signed with "
      "a key of yours: sphere image-package pack-recovery",
      board.config.name, board.recovery_port, board.config.board_id);
}

Result<Output> start(Context& context, const Arguments& arguments) {
  SPHERE_TRY_ASSIGN(auto boards, open_boards(context));
  SPHERE_TRY_ASSIGN(const auto board, start_board(context, boards, arguments.positional(0)));
  return describe(board, started_text(board, "runs"));
}

Result<Output> stop(Context& context, const Arguments& arguments) {
  SPHERE_TRY_ASSIGN(auto boards, open_boards(context));
  SPHERE_TRY_ASSIGN(const auto board,
                    boards.stop(arguments.positional(0), context.time_limit.value_or(kStopLimit)));
  return describe(board, fmt::format("Board {} is stopped.", board.config.name));
}

Result<Output> restart(Context& context, const Arguments& arguments) {
  SPHERE_TRY_ASSIGN(auto boards, open_boards(context));
  const std::string name = arguments.positional(0);
  SPHERE_TRY(boards.stop(name, kStopLimit));
  SPHERE_TRY_ASSIGN(const auto board, start_board(context, boards, name));
  return describe(board, started_text(board, "runs again"));
}

Result<Output> inject_fault(Context& context, const Arguments& arguments) {
  SPHERE_TRY_ASSIGN(auto boards, open_boards(context));
  const std::string name = arguments.positional(0);
  SPHERE_TRY_ASSIGN(const auto board, boards.inject_fault(name, arguments.list("fault"),
                                                          context.time_limit.value_or(kStopLimit)));
  return describe(board, fmt::format("Board {0} is broken ({1}; simulated) and switched off. From "
                                     "now on it waits in its recovery loader: sphere board start "
                                     "{0}",
                                     name, join(arguments.list("fault"), ", ")));
}

Result<Output> remove(Context& context, const Arguments& arguments) {
  SPHERE_TRY_ASSIGN(auto boards, open_boards(context));
  const std::string name = arguments.positional(0);
  SPHERE_TRY(boards.remove(name));
  Output output{.text = fmt::format("Deleted board {}.", name)};
  output.data.set("name", name).set("deleted", true);
  return output;
}

constexpr std::array kCommands = {
    NetCommand{.path = "board create", .run = create},
    NetCommand{.path = "board list", .run = list},
    NetCommand{.path = "board show", .run = show},
    NetCommand{.path = "board start", .run = start},
    NetCommand{.path = "board stop", .run = stop},
    NetCommand{.path = "board restart", .run = restart},
    NetCommand{.path = "board inject-fault", .run = inject_fault},
    NetCommand{.path = "board delete", .run = remove},
};

}  // namespace

std::span<const NetCommand> board_net_commands() { return kCommands; }

}  // namespace sphere::cli

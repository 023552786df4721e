// SPDX-License-Identifier: MIT
#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <chrono>
#include <csignal>
#include <cstddef>
#include <cstdint>
#include <fcntl.h>
#include <filesystem>
#include <memory>
#include <netinet/in.h>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <sys/socket.h>
#include <system_error>
#include <thread>
#include <utility>
#include <vector>

#include <fmt/format.h>
#include <tl/expected.hpp>

#include "cli/commands/command.h"
#include "cli/context.h"
#include "cli/net/commands.h"
#include "cli/net/connection.h"
#include "cli/output/output.h"
#include "sphere/core/descriptor.h"
#include "sphere/core/file.h"
#include "sphere/core/process.h"
#include "sphere/core/result.h"
#include "sphere/core/text.h"
#include "sphere/device/direct_link.h"
#include "sphere/device/link_service.h"
#include "sphere/device/virtual_board.h"
#include "sphere/json/value.h"
#include "sphere/slip/stack.h"
#include "sphere/transport/board_link.h"
#include "sphere/transport/place.h"
#include "sphere/transport/usb.h"

namespace sphere::cli {
namespace {

constexpr std::chrono::milliseconds kPause{50};
constexpr std::chrono::seconds kServiceStart{5};

// Boards on USB, of the configuration, and running virtual boards.
Result<std::vector<transport::Place>> all_places(Context& context) {
  SPHERE_TRY_ASSIGN(auto places, device::find_link_places(context.link));
  const auto boards = open_boards(context);
  if (!boards) {
    return places;
  }
  const auto all = boards->list();
  if (!all) {
    return places;
  }
  for (const device::BoardStatus& board : *all) {
    // A board whose service UART comes out elsewhere is found there.
    if (board.state == device::BoardState::running && board.config.service_uart.empty()) {
      places.push_back({.kind = transport::PlaceKind::virtual_board,
                        .target = (board.rest_socket.parent_path() / "service.sock").string(),
                        .name = board.config.name});
    }
  }
  return places;
}

// The process that holds the lock of a path; "" when none does.
std::string holder_of(const Context& context, const std::string& path) {
  constexpr std::size_t kLongestPid = 32;
  const auto file = context.directories.runtime / "locks" / (path + ".lock");
  const auto lock = FileLock::try_acquire(file);
  if (lock || lock.error().code() != Errc::busy) {
    return {};
  }
  const auto text = read_text_file(file, kLongestPid);
  return text ? std::string{trim(*text)} : "?";
}

std::vector<Column> list_columns() {
  return {{.key = "connectionPath", .heading = "Connection path"},
          {.key = "kind", .heading = "Kind"},
          {.key = "serial", .heading = "Serial"},
          {.key = "state", .heading = "State"},
          {.key = "holder", .heading = "Holder"}};
}

// "attached", "no permission", "other device" or "held".
std::string state_of(const transport::Place& place, const std::vector<transport::UsbDevice>& usb,
                     const std::string& holder) {
  const auto device = std::ranges::find(usb, place.target, &transport::UsbDevice::location);
  if (place.kind == transport::PlaceKind::usb && device != usb.end() &&
      device->access == transport::UsbAccess::denied) {
    return "no permission";
  }
  std::error_code ignored;
  if (place.kind == transport::PlaceKind::tty && !std::filesystem::exists(place.target, ignored)) {
    return "absent";
  }
  return holder.empty() ? "attached" : "held";
}

Result<Output> list(Context& context, const Arguments& /*arguments*/) {
  SPHERE_TRY_ASSIGN(const auto places, all_places(context));
  SPHERE_TRY_ASSIGN(const auto usb, transport::list_usb());
  Output output{.data = json::Array{}, .columns = list_columns()};
  for (const transport::Place& place : places) {
    const std::string path = transport::connection_path(place);
    const std::string holder = holder_of(context, path);
    const auto device = std::ranges::find(usb, place.target, &transport::UsbDevice::location);
    const bool has_serial = place.kind == transport::PlaceKind::usb && device != usb.end();
    output.data.push(json::Value{}
                         .set("connectionPath", path)
                         .set("kind", transport::to_text(place.kind))
                         .set("serial", has_serial ? json::Value{device->serial} : json::Value{})
                         .set("state", state_of(place, usb, holder))
                         .set("holder", holder.empty()
                                            ? json::Value{}
                                            : json::Value{fmt::format("process {}", holder)}));
  }
  return output;
}

Result<std::uint16_t> port_of(const Arguments& arguments, std::string_view option,
                              std::uint16_t least) {
  const std::string text = arguments.value(option).value_or("");
  std::uint16_t port = 0;
  const auto [end, error] =
      std::from_chars(std::to_address(text.cbegin()), std::to_address(text.cend()), port);
  if (text.empty() || error != std::errc{} || end != std::to_address(text.cend()) || port < least) {
    return fail(Errc::invalid_argument, fmt::format("--{} {} is not a TCP port", option, text),
                {.reason = "usage.bad-value",
                 .value = text,
                 .next = fmt::format("use {} to 65535", least)});
  }
  return port;
}

Result<void> need_runtime(const Context& context) {
  if (context.directories.runtime.empty()) {
    return fail(Errc::permission, "there is no directory for the sockets of link serve",
                {.reason = "local.permission",
                 .value = "XDG_RUNTIME_DIR and HOME are not set",
                 .next = "set XDG_RUNTIME_DIR"});
  }
  return {};
}

// One line for each event, until Ctrl-C.
Result<void> serve_until_end(Context& context, std::uint16_t port, bool until_down,
                             const Output::RowSink& sink) {
  SPHERE_TRY_ASSIGN(const auto stack, slip::Stack::create());
  bool read = true;
  const auto say = [&](const std::string& text) {
    read = read && sink(json::Value{}.set("event", text));
  };
  SPHERE_TRY_ASSIGN(
      const auto service,
      device::LinkService::start(*stack, {.runtime = context.directories.runtime,
                                          .places = [&context] { return all_places(context); },
                                          .http_port = port,
                                          .end_with_interface = until_down,
                                          .allow_inbound = context.allow_inbound,
                                          .say = say}));
  say(port == 0 ? "serving boards"
                : fmt::format("serving boards; enumeration at http://localhost:{}; their addresses "
                              "are names for --device until sphere link up makes the interface",
                              port));
  service->run([&] { return context.interrupted.load() || !read; });
  return {};
}

Result<Output> serve(Context& context, const Arguments& arguments) {
  SPHERE_TRY(need_runtime(context));
  SPHERE_TRY_ASSIGN(std::uint16_t port, port_of(arguments, "port", 1));
  if (arguments.has("no-http")) {
    port = 0;
  }
  Output output{.columns = {{.key = "event", .heading = "Event"}}};
  output.text_of = [](const json::Value& row) { return row.string_at("event").value_or(""); };
  output.stream = [&context, port,
                   until_down = arguments.has("until-down")](const Output::RowSink& sink) {
    return serve_until_end(context, port, until_down, sink);
  };
  return output;
}

Error no_service() {
  return Error{Errc::unavailable, "no sphere link serve runs",
               Hint{.reason = "link.no-board", .value = {}, .next = "start it: sphere link serve"}};
}

Result<json::Value> ask_service(Context& context, const json::Value& request) {
  auto client = device::LinkClient::connect(context.directories.runtime);
  if (!client) {
    return tl::make_unexpected(no_service());
  }
  return client->ask(request);
}

Result<Output> status(Context& context, const Arguments& /*arguments*/) {
  SPHERE_TRY_ASSIGN(const json::Value answer,
                    ask_service(context, json::Value{}.set("op", "list")));
  Output output{.data = json::Array{},
                .columns = {{.key = "connectionPath", .heading = "Connection path"},
                            {.key = "kind", .heading = "Kind"},
                            {.key = "ipAddress", .heading = "IP address"},
                            {.key = "state", .heading = "State"},
                            {.key = "bytesIn", .heading = "Bytes in"},
                            {.key = "bytesOut", .heading = "Bytes out"},
                            {.key = "failure", .heading = "Failure"}}};
  const json::Value* const boards = answer.find("boards");
  for (const json::Value& board : boards == nullptr ? json::Array{} : boards->items()) {
    const json::Value* const counters = board.find("counters");
    const json::Value* const failure = board.find("failure");
    json::Value row = board;
    row.set("bytesIn", counters == nullptr ? 0 : counters->integer_at("bytesIn").value_or(0));
    row.set("bytesOut", counters == nullptr ? 0 : counters->integer_at("bytesOut").value_or(0));
    row.set("failure", failure == nullptr || failure->is_null()
                           ? json::Value{}
                           : json::Value{failure->string_at("message").value_or("")});
    output.data.push(std::move(row));
  }
  return output;
}

// Starts a service that ends with `link down`, and waits until it takes requests.
Result<device::LinkClient> start_service(Context& context) {
  const Descriptor nowhere{::open("/dev/null", O_RDWR | O_CLOEXEC)};
  SPHERE_TRY_ASSIGN(const auto child,
                    ChildProcess::start({.program = context.own_program,
                                         .arguments = {"link", "serve", "--until-down"},
                                         .directory = "/",
                                         .standard_input = nowhere.get(),
                                         .standard_output = nowhere.get(),
                                         .standard_error = nowhere.get(),
                                         .new_session = true}));
  const auto until = std::chrono::steady_clock::now() + kServiceStart;
  while (std::chrono::steady_clock::now() < until && !context.interrupted) {
    if (auto client = device::LinkClient::connect(context.directories.runtime)) {
      return *std::move(client);
    }
    std::this_thread::sleep_for(kPause);
  }
  child.kill(SIGTERM);
  return tl::make_unexpected(no_service());
}

Result<Output> up(Context& context, const Arguments& arguments) {
  SPHERE_TRY(need_runtime(context));
  auto client = device::LinkClient::connect(context.directories.runtime);
  const bool ours = !client;
  if (ours) {
    SPHERE_TRY_ASSIGN(client, start_service(context));
  }
  const std::string name = arguments.value("interface").value_or("sl0");
  auto answer = client->ask(json::Value{}.set("op", "up").set("interface", name));
  if (!answer) {
    if (ours) {
      static_cast<void>(client->ask(json::Value{}.set("op", "end")));
    }
    return tl::make_unexpected(std::move(answer).error());
  }
  Output output{.data = *std::move(answer)};
  output.text = fmt::format(
      "Interface {} is up with 192.168.35.1; the first board is 192.168.35.2. Take it away: sphere "
      "link down",
      name);
  return output;
}

Result<Output> down(Context& context, const Arguments& /*arguments*/) {
  Output output{.text = "The interface is down."};
  output.data.set("interface", nullptr);
  if (device::LinkClient::connect(context.directories.runtime)) {
    SPHERE_TRY(ask_service(context, json::Value{}.set("op", "down")));
  }
  return output;  // Without a service there is none.
}

void wait_for_interrupt(const Context& context) {
  while (!context.interrupted) {
    std::this_thread::sleep_for(kPause);
  }
}

Result<void> announce(const Output::RowSink& sink, std::uint16_t local, std::uint16_t remote,
                      const std::string& path) {
  static_cast<void>(sink(json::Value{}
                             .set("local", std::int64_t{local})
                             .set("remote", std::int64_t{remote})
                             .set("connectionPath", path)));
  return {};
}

// With the link of another process, or one of our own.
Result<void> forward_until_end(Context& context, std::uint16_t local, std::uint16_t remote,
                               const Output::RowSink& sink) {
  SPHERE_TRY_ASSIGN(const auto place, place_of_device(context));
  const std::string path = transport::connection_path(place);
  if (auto client = device::LinkClient::connect(context.directories.runtime)) {
    SPHERE_TRY_ASSIGN(const auto answer, client->ask(json::Value{}
                                                         .set("op", "forward")
                                                         .set("board", path)
                                                         .set("port", std::int64_t{remote})
                                                         .set("local", std::int64_t{local})));
    SPHERE_TRY(announce(sink, static_cast<std::uint16_t>(answer.integer_at("local").value_or(0)),
                        remote, path));
    wait_for_interrupt(context);
    return {};
  }
  SPHERE_TRY_ASSIGN(const auto link, open_link(context, place));
  SPHERE_TRY_ASSIGN(auto listener, transport::listen_at_loopback(local));
  sockaddr_in address = {};
  socklen_t size = sizeof(address);
  // NOLINTNEXTLINE(*-reinterpret-cast): the interface of sockets
  ::getsockname(listener.get(), reinterpret_cast<sockaddr*>(&address), &size);
  link->link().forward(std::move(listener), remote);
  SPHERE_TRY(announce(sink, ntohs(address.sin_port), remote, path));
  wait_for_interrupt(context);
  return {};
}

Result<Output> forward(Context& context, const Arguments& arguments) {
  SPHERE_TRY_ASSIGN(const std::uint16_t local, port_of(arguments, "local", 0));
  SPHERE_TRY_ASSIGN(const std::uint16_t remote, port_of(arguments, "remote", 1));
  Output output{.columns = {{.key = "local", .heading = "Local"},
                            {.key = "remote", .heading = "Remote"},
                            {.key = "connectionPath", .heading = "Connection path"}}};
  output.text_of = [](const json::Value& row) {
    return fmt::format("127.0.0.1:{} leads to port {} of {} until Ctrl-C",
                       row.integer_at("local").value_or(0), row.integer_at("remote").value_or(0),
                       row.string_at("connectionPath").value_or(""));
  };
  output.stream = [&context, local, remote](const Output::RowSink& sink) {
    return forward_until_end(context, local, remote, sink);
  };
  return output;
}

Result<Output> trace(Context& context, const Arguments& arguments) {
  const std::filesystem::path file = arguments.value("output-file").value_or("");
  SPHERE_TRY_ASSIGN(const auto place, place_of_device(context));
  auto client = device::LinkClient::connect(context.directories.runtime);
  if (!client) {
    return tl::make_unexpected(no_service());
  }
  SPHERE_TRY(client->ask(
      json::Value{}.set("op", "trace").set("board", transport::connection_path(place))));
  const Descriptor out{::open(file.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644)};
  if (!out) {
    return tl::make_unexpected(system_error("write", file, errno));
  }
  context.reporter.step("Recording until Ctrl-C");
  std::size_t bytes = 0;
  while (!context.interrupted) {
    const auto piece = client->read_more();
    if (!piece) {
      break;
    }
    SPHERE_TRY(write_all(out.get(), std::as_bytes(std::span{*piece}), file));
    bytes += piece->size();
    context.reporter.bytes(bytes, 0);
  }
  Output output{.text = fmt::format("Wrote {} bytes to {}.", bytes, file.string())};
  output.data.set("file", file.string()).set("bytes", static_cast<std::uint64_t>(bytes));
  return output;
}

constexpr std::array kCommands = {
    NetCommand{.path = "link list", .run = list},
    NetCommand{.path = "link serve", .run = serve},
    NetCommand{.path = "link status", .run = status},
    NetCommand{.path = "link up", .run = up},
    NetCommand{.path = "link down", .run = down},
    NetCommand{.path = "link forward", .run = forward},
    NetCommand{.path = "link trace", .run = trace},
};

}  // namespace

std::span<const NetCommand> link_net_commands() { return kCommands; }

}  // namespace sphere::cli

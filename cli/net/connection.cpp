// SPDX-License-Identifier: MIT
#include "cli/net/connection.h"

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <system_error>
#include <thread>
#include <utility>
#include <vector>

#include <fmt/format.h>
#include <tl/expected.hpp>

#include "cli/context.h"
#include "cli/net/session_capability.h"
#include "sphere/core/encoding.h"
#include "sphere/core/file.h"
#include "sphere/core/result.h"
#include "sphere/core/text.h"
#include "sphere/device/attached.h"
#include "sphere/device/direct_link.h"
#include "sphere/device/identified_client.h"
#include "sphere/device/link_service.h"
#include "sphere/device/rest_client.h"
#include "sphere/device/virtual_board.h"
#include "sphere/http/client.h"
#include "sphere/json/value.h"
#include "sphere/transport/board_link.h"
#include "sphere/transport/place.h"

namespace sphere::cli {

namespace {

// What `sphere link serve` knows about the board at `path`; nothing when none runs or knows it.
std::optional<json::Value> ask_board(const Context& context, const std::string& path) {
  auto client = device::LinkClient::connect(context.directories.runtime);
  if (!client) {
    return std::nullopt;
  }
  const auto answer = client->ask(json::Value{}.set("op", "list"));
  const json::Value* const boards = answer ? answer->find("boards") : nullptr;
  for (const json::Value& board : boards == nullptr ? json::Array{} : boards->items()) {
    if (board.string_at("connectionPath") == path) {
      return board;
    }
  }
  return std::nullopt;
}

std::optional<std::string> served_socket(const Context& context, const std::string& path) {
  const auto board = ask_board(context, path);
  return board ? board->string_at("socket") : std::nullopt;
}

// Where a service runs, its addresses are the boards'.
void use_served_addresses(const Context& context, std::vector<device::AttachedDevice>& attached) {
  auto client = device::LinkClient::connect(context.directories.runtime);
  const auto answer = client ? client->ask(json::Value{}.set("op", "list")) : json::Value{};
  const json::Value* const boards = answer ? answer->find("boards") : nullptr;
  if (boards != nullptr) {
    std::ranges::for_each(attached, [](device::AttachedDevice& one) { one.ip_address.clear(); });
  }
  for (const json::Value& board : boards == nullptr ? json::Array{} : boards->items()) {
    const auto path = board.string_at("connectionPath").value_or("");
    const auto found = std::ranges::find(attached, path, &device::AttachedDevice::connection_path);
    if (found != attached.end()) {
      found->ip_address = board.string_at("ipAddress").value_or("");
    }
  }
}

std::optional<Error> ask_why(const Context& context, const std::string& path) {
  const auto board = ask_board(context, path);
  const json::Value* const failure = board ? board->find("failure") : nullptr;
  return failure == nullptr || failure->is_null()
             ? std::nullopt
             : std::optional{device::link_error_from(*failure)};
}

Result<std::unique_ptr<DeviceSession>> open_session(Context& context,
                                                    device::AttachedDevice device) {
  std::unique_ptr<device::DirectLink> link;
  device::Explain explain;
  if (device.place) {
    if (const auto served = served_socket(context, device.connection_path)) {
      device.endpoint.unix_socket = *served;
      explain = [&context, path = device.connection_path] { return ask_why(context, path); };
    } else {
      SPHERE_TRY_ASSIGN(link, open_link(context, *device.place));
      device.endpoint.unix_socket = link->socket();
      explain = [&board = link->link()] {
        return transport::explain(board.report(), board.name());
      };
    }
  }
  SPHERE_TRY_ASSIGN(
      auto client,
      device::make_identified_client(
          device.endpoint, {.device_id = device.device_id,
                            .memory = context.has_home ? context.directories.state / "known-devices"
                                                       : std::filesystem::path{},
                            .place = device.connection_path}));
  if (explain) {
    client = device::explain_failures(std::move(client), std::move(explain));
  }
  auto session =
      std::make_unique<DeviceSession>(DeviceSession{.device = std::move(device),
                                                    .link = std::move(link),
                                                    .rest = device::RestClient{std::move(client)}});
  if (context.has_home) {
    constexpr std::size_t kLargest = 3072;  // 4096 characters of base64.
    if (const auto file = read_file(applied_capability(context, session->device), kLargest)) {
      context.reporter.verbose("sending the applied capability file with each call");
      session->rest.set_capability(to_base64(*file));
    }
  }
  session->rest.set_cancelled([&context] { return context.interrupted.load(); });
  return session;
}

Error not_running(const std::string& name) {
  return {Errc::unavailable,
          fmt::format("the virtual board {} does not run", name),
          {.reason = "link.no-board",
           .value = "vb-" + name,
           .next = "start it: sphere board start " + name}};
}

// Says more than "nobody of that name" where a board of that name exists but does not run.
Error explain_missing(const std::vector<device::BoardStatus>& boards, std::string_view wanted,
                      Error error) {
  if (error.code() != Errc::not_found || boards.empty()) {
    return error;
  }
  if (wanted.empty()) {
    return std::move(error).with_hint(
        {.reason = "link.no-board",
         .value = "looked for running virtual boards, USB 0403:6011, configured links",
         .next = "start one: sphere board start " + boards.front().config.name});
  }
  const std::string id = to_lower(wanted);
  const auto found = std::ranges::find_if(boards, [&](const device::BoardStatus& board) {
    return board.config.name == wanted || "vb-" + board.config.name == wanted ||
           board.device_id == id;
  });
  return found == boards.end() ? error : not_running(found->config.name);
}

// A board whose recovery loader runs has no REST API.
Result<void> check_not_in_recovery(const device::BoardStatus& board) {
  if (board.state != device::BoardState::recovery) {
    return {};
  }
  return fail(
      Errc::unavailable,
      fmt::format("the virtual board {} waits in its recovery loader", board.config.name),
      {.reason = "link.in-recovery",
       .value = board.recovery_port,
       .next = "bring it back: sphere device recover --images SET --port " + board.recovery_port});
}

}  // namespace

Result<std::unique_ptr<device::DirectLink>> open_link(Context& context,
                                                      const transport::Place& place) {
  constexpr std::chrono::milliseconds kPause{50};
  const auto until =
      std::chrono::steady_clock::now() + context.time_limit.value_or(std::chrono::seconds{30});
  bool told = false;
  while (true) {
    auto link = device::DirectLink::open(place, context.directories.runtime / "locks");
    if (link || link.error().code() != Errc::busy || context.interrupted ||
        std::chrono::steady_clock::now() > until) {
      return link;
    }
    if (!std::exchange(told, true)) {
      context.reporter.step(fmt::format("Waiting: {}", link.error().message()));
    }
    std::this_thread::sleep_for(kPause);
  }
}

Result<device::VirtualBoards> open_boards(Context& context) {
  if (!context.has_home || context.directories.state.empty()) {
    return fail(Errc::permission, "there is no home directory to keep virtual boards in",
                {.reason = "local.permission",
                 .value = "HOME is not set",
                 .next = "set HOME, or XDG_DATA_HOME and XDG_STATE_HOME"});
  }
  return device::VirtualBoards{context.directories, context.keys, context.sdk_directory};
}

Result<std::vector<device::AttachedDevice>> attached_devices(Context& context) {
  std::vector<device::AttachedDevice> attached;
  if (const auto boards = open_boards(context)) {
    SPHERE_TRY_ASSIGN(attached, device::list_attached(*boards));
  }
  SPHERE_TRY_ASSIGN(auto places, device::find_link_places(context.link));
  const auto is_known = [&](const transport::Place& place) {
    return std::ranges::any_of(places, [&](const transport::Place& known) {
      return transport::connection_path(known) == transport::connection_path(place);
    });
  };
  if (auto named = transport::parse_connection_path(context.device); named && !is_known(*named)) {
    places.push_back(*std::move(named));
  }
  for (transport::Place& place : places) {
    // The agent's authority is the one that made the boards of this user.
    attached.push_back(
        device::attached_at(std::move(place), context.directories.data / "device-api-ca.pem"));
  }
  use_served_addresses(context, attached);
  return attached;
}

Result<std::unique_ptr<DeviceSession>> connect_device(Context& context) {
  std::vector<device::BoardStatus> all;
  if (const auto boards = open_boards(context)) {
    SPHERE_TRY_ASSIGN(all, boards->list());
  }
  SPHERE_TRY_ASSIGN(const auto attached, attached_devices(context));
  auto chosen = device::choose(attached, context.device);
  if (!chosen) {
    return tl::make_unexpected(explain_missing(all, context.device, std::move(chosen).error()));
  }
  for (const device::BoardStatus& board : all) {
    if (chosen->is_virtual && board.config.name == chosen->name) {
      SPHERE_TRY(check_not_in_recovery(board));
    }
  }
  context.reporter.verbose(fmt::format("device {} at {}", chosen->connection_path,
                                       chosen->endpoint.unix_socket.string()));
  return open_session(context, *std::move(chosen));
}

Result<transport::Place> place_of_device(Context& context) {
  SPHERE_TRY_ASSIGN(auto attached, attached_devices(context));
  SPHERE_TRY_ASSIGN(const auto chosen, device::choose(attached, context.device));
  if (chosen.place) {
    return *chosen.place;
  }
  const auto socket = chosen.endpoint.unix_socket.parent_path() / "service.sock";
  std::error_code ignored;
  if (!std::filesystem::exists(socket, ignored)) {
    return fail(Errc::unsupported,
                fmt::format("the service UART of {} comes out elsewhere", chosen.connection_path),
                {.reason = "link.no-board",
                 .value = chosen.connection_path,
                 .next = "name that place: sphere board show " + chosen.name});
  }
  return transport::Place{
      .kind = transport::PlaceKind::virtual_board, .target = socket.string(), .name = chosen.name};
}

Result<std::unique_ptr<DeviceSession>> connect_board(Context& context, std::string_view name) {
  SPHERE_TRY_ASSIGN(const auto boards, open_boards(context));
  SPHERE_TRY_ASSIGN(const auto board, boards.show(name));
  if (board.state == device::BoardState::stopped) {
    return tl::make_unexpected(not_running(board.config.name));
  }
  SPHERE_TRY(check_not_in_recovery(board));
  return open_session(context, {.device_id = board.device_id,
                                .ip_address = {},
                                .connection_path = "vb-" + board.config.name,
                                .name = board.config.name,
                                .state = std::string{to_text(board.state)},
                                .is_virtual = true,
                                .endpoint = device::endpoint_of(board)});
}

}  // namespace sphere::cli

// SPDX-License-Identifier: MIT
#include "device-agent/virtual-board/requests.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "device-agent/virtual-board/gpio_bank.h"
#include "sphere/core/reader.h"
#include "sphere/core/result.h"
#include "sphere/core/text.h"
#include "sphere/device_api/bodies.h"
#include "sphere/device_api/error_code.h"
#include "sphere/json/value.h"

namespace sphere::virtual_board {
namespace {

using device_api::ErrorCode;

std::string_view as_text(std::span<const std::byte> bytes) {
  // NOLINTNEXTLINE(cppcoreguidelines-pro-type-reinterpret-cast): bytes are read as characters
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

template <typename Number>
std::optional<Number> parse_number(std::string_view text) {
  Number number = 0;
  const std::span<const char> digits{text};
  const char* const end = std::to_address(digits.end());
  const auto [stop, error] = std::from_chars(digits.data(), end, number);
  const bool canonical = text.size() == 1 || !text.starts_with('0');
  return error == std::errc{} && stop == end && canonical ? std::optional{number} : std::nullopt;
}

VirtualAnswer refuse(int status, ErrorCode code, std::string message, std::string next) {
  return {.status = status,
          .body = device_api::to_json(device_api::ErrorBody{.error = code,
                                                            .message = std::move(message),
                                                            .next = std::move(next),
                                                            .name = device_api::error_name(code)})};
}

VirtualAnswer bad_request(std::string message, std::string next) {
  return refuse(400, device_api::kJsonInvalid, std::move(message), std::move(next));
}

constexpr std::array<std::pair<std::string_view, Drive>, 5> kDrives = {
    {{"none", Drive::none},
     {"low", Drive::low},
     {"high", Drive::high},
     {"pull-down", Drive::pull_down},
     {"pull-up", Drive::pull_up}}};

std::string_view to_text(Drive drive) {
  const auto* const row =
      std::ranges::find_if(kDrives, [&](const auto& entry) { return entry.second == drive; });
  return row->first;
}

std::string_view to_text(Direction direction) {
  switch (direction) {
    case Direction::in:
      return "in";
    case Direction::out:
      return "out";
    case Direction::unused:
      break;
  }
  return "unused";
}

json::Value state_of(const Line& line) {
  auto value = device_api::to_json({.direction = std::string{to_text(line.direction)},
                                    .level = line.level,
                                    .used_by = line.owner});
  value.set("drive", to_text(line.drive)).set("edges", line.edges);
  return value;
}

// What a handler works on.
struct Call {
  const BoardIdentity* board;
  GpioBank* bank;
  const VirtualRequest* request;
  std::vector<std::string> path;  // The parts between slashes.
  std::string query;
  std::int64_t now_us;
  int pin = 0;  // Of a route with {pin}: a line of the bank.
};

VirtualAnswer show_board(Call& call) {
  std::vector<device_api::VirtualPeripheral> peripherals;
  for (const auto& [pin, line] : call.bank->lines()) {
    peripherals.push_back(
        {.name = fmt::format("gpio{}", pin), .kind = "gpio", .pins = {pin}, .used_by = line.owner});
  }
  json::Value body;
  body.set("boardId", call.board->board_id)
      .set("clock", json::Value{}.set("rate", 1).set("paused", false).set("nowUs", call.now_us));
  // Its to_json() makes the list or an object that holds it; the route's answer is an object.
  const auto list = device_api::to_json(peripherals);
  const auto* const inner = list.find("peripherals");
  body.set("peripherals", inner != nullptr ? *inner : list);
  return {.body = std::move(body)};
}

VirtualAnswer show_line(Call& call) { return {.body = state_of(*call.bank->find(call.pin))}; }

// The body as an object with no other members than `allowed`; or the refusal.
struct Body {
  json::Value value;
  std::optional<VirtualAnswer> refusal;
};

Body read_body(const Call& call, std::span<const std::string_view> allowed) {
  auto parsed = json::parse(call.request->body);
  if (!parsed) {
    return {.value = {},
            .refusal = bad_request("the body is not JSON: " + parsed.error().message(),
                                   "send a JSON object")};
  }
  if (parsed->kind() != json::Kind::object) {
    return {.value = {},
            .refusal = bad_request("the body is not a JSON object", "send a JSON object")};
  }
  for (const auto& member : parsed->members()) {
    if (std::ranges::find(allowed, member.key) == allowed.end()) {
      return {.value = {},
              .refusal = bad_request(fmt::format("unknown member {} in the body",
                                                 cut_utf8(escape_control(member.key), 64)),
                                     fmt::format("use {}", fmt::join(allowed, ", ")))};
    }
  }
  return {.value = *std::move(parsed), .refusal = std::nullopt};
}

std::optional<int> level_in(const json::Value& body) {
  const auto level = body.integer_at("level");
  return level == 0 || level == 1 ? std::optional{static_cast<int>(*level)} : std::nullopt;
}

// What PUT asks for: {"level": 0 or 1} or {"drive": word}.
std::optional<Drive> drive_in(const json::Value& body) {
  if (body.members().size() != 1) {
    return std::nullopt;
  }
  if (const auto level = level_in(body)) {
    return *level == 0 ? Drive::low : Drive::high;
  }
  const auto word = body.string_at("drive");
  const auto* const row =
      std::ranges::find_if(kDrives, [&](const auto& entry) { return entry.first == word; });
  return row != kDrives.end() ? std::optional{row->second} : std::nullopt;
}

VirtualAnswer after_driving(const Call& call, int error) {
  const auto* const line = call.bank->find(call.pin);
  if (error == EBUSY) {
    const auto by = line->owner.empty() ? std::string{"the chip"} : "app " + line->owner;
    return refuse(409, device_api::kGpioInUse,
                  fmt::format("GPIO {} is an output that {} drives", call.pin, by),
                  "drive a pin that is an input");
  }
  return {.body = state_of(*line)};
}

VirtualAnswer drive_line(Call& call) {
  constexpr std::array<std::string_view, 2> kMembers = {"level", "drive"};
  const auto body = read_body(call, kMembers);
  if (body.refusal) {
    return *body.refusal;
  }
  const auto drive = drive_in(body.value);
  if (!drive) {
    return bad_request("level is not 0 or 1, or drive is not a known word",
                       R"(send {"level": 0}, {"level": 1} or {"drive": "none"})");
  }
  return after_driving(call, call.bank->drive(call.pin, *drive, call.now_us));
}

VirtualAnswer pulse_line(Call& call) {
  constexpr std::array<std::string_view, 2> kMembers = {"level", "microseconds"};
  const auto body = read_body(call, kMembers);
  if (body.refusal) {
    return *body.refusal;
  }
  const auto level = level_in(body.value);
  if (!level) {
    return bad_request("level is not 0 or 1", R"(send {"level": 0, "microseconds": 100000})");
  }
  const auto length = body.value.integer_at("microseconds");
  if (!length || *length < 1 || *length > GpioBank::kLongestPulse) {
    return bad_request(fmt::format("microseconds is not from 1 to {}", GpioBank::kLongestPulse),
                       R"(send {"level": 0, "microseconds": 100000})");
  }
  return after_driving(call, call.bank->pulse(call.pin, *level, *length, call.now_us));
}

VirtualAnswer stream_edges(Call& call) {
  EdgeStream stream;
  std::optional<std::uint64_t> after;
  for (const auto& part : split(call.query, '&')) {
    const auto equals = part.find('=');
    const auto key = part.substr(0, equals);
    const auto value = equals == std::string::npos ? std::string{} : part.substr(equals + 1);
    if (key == "follow") {
      if (value != "true" && value != "false") {
        return bad_request("follow is not true or false", "use ?follow=true");
      }
      stream.follow = value == "true";
    } else if (key == "after") {
      after = parse_number<std::uint64_t>(value);
      if (!after) {
        return bad_request("after is not a sequence number", "use ?after=0 for all stored edges");
      }
    }
  }
  // A follower sees what happens from now on, a one-time reader what has happened, unless it says
  // where to begin.
  const auto newest = call.bank->trace().next_seq() - 1;
  stream.after_seq = std::min(after.value_or(stream.follow ? newest : 0), newest);
  return {.stream = stream};
}

struct Route {
  std::string_view method;
  std::string_view path;  // {pin} stands for a number.
  VirtualAnswer (*handle)(Call&);
};

constexpr std::array kRoutes = {
    Route{.method = "GET", .path = "", .handle = &show_board},
    Route{.method = "GET", .path = "gpio", .handle = &stream_edges},
    Route{.method = "GET", .path = "gpio/{pin}", .handle = &show_line},
    Route{.method = "PUT", .path = "gpio/{pin}", .handle = &drive_line},
    Route{.method = "POST", .path = "gpio/{pin}/pulse", .handle = &pulse_line},
};

bool matches(std::string_view pattern, const std::vector<std::string>& path) {
  const auto parts = split(pattern, '/');
  return std::ranges::equal(parts, path, [](const auto& part, const auto& text) {
    return part == "{pin}" ? !text.empty() : part == text;
  });
}

VirtualAnswer dispatch(const Route& route, Call& call) {
  if (route.path.find("{pin}") != std::string_view::npos) {
    const auto pin = parse_number<int>(call.path.at(1));
    if (!pin || call.bank->find(*pin) == nullptr) {
      return refuse(404, device_api::kNotFound,
                    fmt::format("{} has no GPIO {}", call.board->board_id,
                                cut_utf8(escape_control(call.path.at(1)), 32)),
                    "list the pins: sphere board peripheral list");
    }
    call.pin = *pin;
  }
  return route.handle(call);
}

}  // namespace

Result<VirtualRequest> parse_virtual_request(std::span<const std::byte> payload) {
  SPHERE_TRY_ASSIGN(const auto value, json::parse(as_text(payload)));
  const auto method = value.string_at("method");
  const auto path = value.string_at("path");
  const auto body = value.string_at("body");
  if (!method || !path || !body) {
    return fail(Errc::corrupt, "a virtual request lacks method, path or body");
  }
  return VirtualRequest{.method = *method, .path = *path, .body = *body};
}

VirtualAnswer answer_virtual(const BoardIdentity& board, GpioBank& bank,
                             const VirtualRequest& request, std::int64_t now_us) {
  bank.advance(now_us);
  std::string_view path = request.path;
  const auto question = path.find('?');
  const auto query =
      question == std::string_view::npos ? std::string_view{} : path.substr(question + 1);
  path = path.substr(0, question);
  if (path.starts_with('/')) {
    path.remove_prefix(1);
  }
  Call call{.board = &board,
            .bank = &bank,
            .request = &request,
            .path = split(path, '/'),
            .query = std::string{query},
            .now_us = now_us};
  bool known = false;
  for (const auto& route : kRoutes) {
    if (matches(route.path, call.path)) {
      known = true;
      if (route.method == request.method) {
        return dispatch(route, call);
      }
    }
  }
  if (known) {
    return refuse(405, device_api::kMethodNotAllowed,
                  fmt::format("method {} is not for this resource",
                              cut_utf8(escape_control(request.method), 16)),
                  "see the routes of /sphere/v1/virtual");
  }
  return refuse(404, device_api::kNotFound,
                fmt::format("this board simulates no {}", cut_utf8(escape_control(path), 64)),
                "list what there is: GET /sphere/v1/virtual");
}

VirtualAnswer refuse_request(const Error& error) {
  return bad_request("the request is not valid: " + error.message(), "send UTF-8 in path and body");
}

VirtualAnswer refuse_follower(std::size_t limit) {
  return refuse(409, device_api::kBusy, fmt::format("{} others follow the edges already", limit),
                "end one of them");
}

int parse_open_gpio(std::span<const std::byte> payload, OpenLine& line) {
  constexpr std::size_t kOwnerLimit = 64;
  Reader reader{payload};
  const auto pin = reader.little_endian<std::uint32_t>();
  const auto direction = reader.little_endian<std::uint8_t>();
  const auto mode = reader.little_endian<std::uint8_t>();
  const auto value = reader.little_endian<std::uint8_t>();
  if (!pin || !direction || !mode || !value || reader.left() > kOwnerLimit) {
    return EPROTO;
  }
  const auto owner = as_text(reader.bytes(reader.left()).value_or(std::span<const std::byte>{}));
  if (owner.empty() || escape_control(owner) != owner) {
    return EPROTO;
  }
  if (*direction > 1 || *mode > 2 || *value > 1) {
    return EINVAL;
  }
  line = {.pin = static_cast<int>(*pin),
          .direction = *direction == 1 ? Direction::out : Direction::in,
          .mode = static_cast<OutputMode>(*mode),
          .value = *value,
          .owner = std::string{owner}};
  return 0;
}

json::Value info_of(const BoardIdentity& board, const GpioBank& bank) {
  json::Value pins{json::Array{}};
  for (const auto& [pin, line] : bank.lines()) {
    pins.push(pin);
  }
  return json::Value{}
      .set("boardId", board.board_id)
      .set("name", board.name)
      .set("pins", std::move(pins))
      .set("trustPublicTestKey", board.trust_public_test_key);
}

}  // namespace sphere::virtual_board

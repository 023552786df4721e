// SPDX-License-Identifier: MIT
#include "libsdk/src/device/enumeration_http.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "sphere/core/text.h"
#include "sphere/json/value.h"

namespace sphere::device {

namespace {

struct Head {
  std::string_view method;
  std::string_view target;
  bool http_1_0 = false;
  std::string host;
  bool has_host = false;
  bool has_origin = false;
  bool wants_close = false;
  bool wants_keep_alive = false;
  std::size_t body = 0;
  bool bad = false;
};

bool take_request_line(Head& head, std::string_view line) {
  const auto first = line.find(' ');
  const auto second = first == std::string_view::npos ? first : line.find(' ', first + 1);
  if (second == std::string_view::npos) {
    return false;
  }
  head.method = line.substr(0, first);
  head.target = line.substr(first + 1, second - first - 1);
  const std::string_view version = line.substr(second + 1);
  head.http_1_0 = version == "HTTP/1.0";
  return (head.http_1_0 || version == "HTTP/1.1") && head.target.starts_with('/');
}

bool take_header(Head& head, std::string_view line) {
  const auto colon = line.find(':');
  if (colon == std::string_view::npos || colon == 0) {
    return false;
  }
  const std::string name = to_lower(line.substr(0, colon));
  const std::string_view value = trim(line.substr(colon + 1));
  if (name == "host") {
    head.bad = std::exchange(head.has_host, true);
    head.host = to_lower(value);
  } else if (name == "origin") {
    head.has_origin = true;
  } else if (name == "connection") {
    head.wants_close = to_lower(value) == "close";
    head.wants_keep_alive = to_lower(value) == "keep-alive";
  } else if (name == "content-length") {
    const auto [end, error] = std::from_chars(value.data(), value.data() + value.size(), head.body);
    head.bad = error != std::errc{} || end != value.data() + value.size() ||
               head.body > kEnumerationRequestLimit;
  } else if (name == "transfer-encoding") {
    head.bad = true;  // No client of this service sends it.
  }
  return !head.bad;
}

std::optional<Head> parse_head(std::string_view text) {
  Head head;
  bool first = true;
  while (!text.empty()) {
    const auto end = text.find("\r\n");
    const std::string_view line = text.substr(0, end);
    text.remove_prefix(end == std::string_view::npos ? text.size() : end + 2);
    const bool good =
        std::exchange(first, false) ? take_request_line(head, line) : take_header(head, line);
    if (!good) {
      return std::nullopt;
    }
  }
  return head;
}

bool is_loopback(std::string_view host, std::uint16_t port) {
  constexpr std::array<std::string_view, 3> kNames = {"localhost", "127.0.0.1", "[::1]"};
  const std::string with_port = ":" + std::to_string(port);
  return std::ranges::any_of(kNames, [&](std::string_view name) {
    return host.starts_with(name) &&
           (host.size() == name.size() || host.substr(name.size()) == with_port);
  });
}

std::string response(int status, std::string_view body, bool close) {
  const std::string_view text = status == 200   ? "OK"
                                : status == 400 ? "Bad Request"
                                : status == 403 ? "Forbidden"
                                                : "Not Found";
  return fmt::format(
      "HTTP/1.1 {} {}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n"
      "REST-API-Version: 1.0.0\r\nConnection: {}\r\n\r\n{}",
      status, text, body.size(), close ? "close" : "keep-alive", body);
}

std::string boards_json(const std::vector<EnumeratedBoard>& boards) {
  json::Value list{json::Array{}};
  for (const EnumeratedBoard& board : boards) {
    list.push(json::Value{}
                  .set("IpAddress", board.ip_address)
                  .set("DeviceConnectionPath", board.connection_path));
  }
  return json::to_compact(list);
}

std::string answer_to(const Head& head, const EnumerationActions& actions, bool close) {
  if (head.has_origin || !is_loopback(head.host, actions.port)) {
    return response(403, "{}", close);
  }
  const std::string_view path = head.target.substr(0, head.target.find('?'));
  if (head.method == "GET" && path == "/api/service/devices") {
    return response(200, boards_json(actions.boards()), close);
  }
  if (head.method == "PUT" && path == "/api/service/devices/rescan") {
    return response(200, std::to_string(actions.rescan()), close);
  }
  return response(404, "{}", close);
}

}  // namespace

EnumerationStep answer_enumeration(std::string_view received, const EnumerationActions& actions) {
  const auto bad = [&] {
    return EnumerationStep{
        .taken = received.size(), .answer = response(400, "{}", true), .close = true};
  };
  const auto end = received.find("\r\n\r\n");
  if (end == std::string_view::npos) {
    return received.size() > kEnumerationRequestLimit ? bad() : EnumerationStep{};
  }
  const auto head = parse_head(received.substr(0, end));
  if (!head) {
    return bad();
  }
  const std::size_t length = end + 4;
  if (received.size() - length < head->body) {
    return {};
  }
  const bool close = head->wants_close || (head->http_1_0 && !head->wants_keep_alive);
  return {.taken = length + head->body, .answer = answer_to(*head, actions, close), .close = close};
}

}  // namespace sphere::device

// SPDX-License-Identifier: MIT
#include "sphere/transport/place.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <system_error>

#include <fmt/format.h>

#include "sphere/core/result.h"
#include "sphere/core/text.h"
#include "sphere/transport/byte_stream.h"
#include "sphere/transport/usb.h"

namespace sphere::transport {

namespace {

constexpr std::string_view kDevices = "/dev/";

Result<std::unique_ptr<ByteStream>> open_service_usb(const std::string& target) {
  return open_ftdi(target, FtdiPort::service, kServiceLine);
}
Result<std::unique_ptr<ByteStream>> open_service_tty(const std::string& target) {
  return open_tty(target, kServiceLine);
}
Result<std::unique_ptr<ByteStream>> open_service_tcp(const std::string& target) {
  return open_tcp(target);
}

// One row for each way to a board.
struct Kind {
  PlaceKind kind;
  std::string_view name;
  Result<std::unique_ptr<ByteStream>> (*open)(const std::string& target);
};
constexpr std::array kKinds = {
    Kind{.kind = PlaceKind::usb, .name = "usb", .open = open_service_usb},
    Kind{.kind = PlaceKind::tty, .name = "tty", .open = open_service_tty},
    Kind{.kind = PlaceKind::tcp, .name = "tcp", .open = open_service_tcp},
    Kind{.kind = PlaceKind::virtual_board, .name = "virtual", .open = open_unix},
};

const Kind& row_of(PlaceKind kind) { return *std::ranges::find(kKinds, kind, &Kind::kind); }

// "1-2.4.3" as 1243, or 1-2-4-13.
std::string usb_path(std::string_view target) {
  std::string with_dashes{target};
  std::ranges::replace(with_dashes, '.', '-');
  const auto numbers = split(with_dashes, '-');
  const bool digits =
      std::ranges::all_of(numbers, [](const std::string& number) { return number.size() == 1; });
  return digits ? join(numbers, "") : with_dashes;
}

std::string file_name_form(std::string text) {
  std::ranges::replace(text, '/', '-');
  return text;
}

bool is_port(std::string_view text) {
  std::uint16_t port = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), port);
  return error == std::errc{} && end == text.data() + text.size() && port != 0;
}

}  // namespace

std::string_view to_text(PlaceKind kind) { return row_of(kind).name; }

std::string connection_path(const Place& place) {
  switch (place.kind) {
    case PlaceKind::usb:
      return usb_path(place.target);
    case PlaceKind::tty: {
      const std::string_view target{place.target};
      return "tty-" + file_name_form(std::string{target.starts_with(kDevices)
                                                     ? target.substr(kDevices.size())
                                                     : target.substr(target.starts_with('/'))});
    }
    case PlaceKind::virtual_board:
      return "vb-" + place.name;
    case PlaceKind::tcp:
      break;
  }
  const auto colon = place.target.rfind(':');
  return fmt::format("tcp-{}-{}", place.target.substr(0, colon), place.target.substr(colon + 1));
}

std::optional<Place> parse_connection_path(std::string_view path) {
  if (path.starts_with("tcp-")) {
    path.remove_prefix(4);
    const auto dash = path.rfind('-');
    if (dash == std::string_view::npos || dash == 0 || !is_port(path.substr(dash + 1))) {
      return std::nullopt;
    }
    return Place{.kind = PlaceKind::tcp,
                 .target = fmt::format("{}:{}", path.substr(0, dash), path.substr(dash + 1))};
  }
  if (!path.starts_with("tty-") || path.size() == 4 || path.find('/') != std::string_view::npos) {
    return std::nullopt;
  }
  path.remove_prefix(4);
  std::string target = std::string{kDevices} + std::string{path};
  std::error_code ignored;
  if (!std::filesystem::exists(target, ignored)) {
    std::string nested = target;
    std::ranges::replace(nested, '-', '/');
    if (std::filesystem::exists(nested, ignored)) {
      target = nested;
    }
  }
  return Place{.kind = PlaceKind::tty, .target = std::move(target)};
}

Result<Place> parse_tcp_target(std::string_view text) {
  const auto colon = text.rfind(':');
  if (colon == std::string_view::npos || colon == 0 || !is_port(text.substr(colon + 1))) {
    return fail(Errc::invalid_argument, fmt::format("{} names no TCP port", escape_control(text)),
                {.reason = "usage.bad-value",
                 .value = escape_control(text),
                 .next = "write HOST:PORT, such as localhost:5000"});
  }
  return Place{.kind = PlaceKind::tcp, .target = std::string{text}};
}

Result<std::unique_ptr<ByteStream>> open(const Place& place) {
  return row_of(place.kind).open(place.target);
}

}  // namespace sphere::transport

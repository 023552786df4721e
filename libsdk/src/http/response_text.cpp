// SPDX-License-Identifier: MIT
#include "libsdk/src/http/response_text.h"

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <ctime>
#include <string>
#include <string_view>

#include <fmt/format.h>

#include "sphere/core/text.h"
#include "sphere/http/message.h"

namespace sphere::http {

namespace {

constexpr std::array<std::string_view, 7> kDays{"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
constexpr std::array<std::string_view, 12> kMonths{"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                                   "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};

constexpr std::string_view kTokenMarks = "!#$%&'*+-.^_`|~";

bool is_token(std::string_view name) {
  return !name.empty() && std::ranges::all_of(name, [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           kTokenMarks.find(c) != std::string_view::npos;
  });
}

// Headers the server writes itself.
bool is_reserved(std::string_view name) {
  const std::string lower = to_lower(name);
  return lower == "content-length" || lower == "transfer-encoding" || lower == "connection" ||
         lower == "date";
}

void add_header(std::string& text, std::string_view name, std::string_view value) {
  if (!is_token(name) || is_reserved(name)) {
    return;
  }
  text.append(name).append(": ");
  for (const char c : value) {
    const auto byte = static_cast<unsigned char>(c);
    text.push_back(byte < 0x20 || byte == 0x7F ? ' ' : c);
  }
  text.append("\r\n");
}

}  // namespace

std::string http_date(std::int64_t unix_seconds) {
  const auto seconds = static_cast<std::time_t>(unix_seconds);
  std::tm parts = {};
  if (::gmtime_r(&seconds, &parts) == nullptr) {
    return "Thu, 01 Jan 1970 00:00:00 GMT";
  }
  return fmt::format("{}, {:02} {} {:04} {:02}:{:02}:{:02} GMT",
                     kDays.at(static_cast<std::size_t>(parts.tm_wday)), parts.tm_mday,
                     kMonths.at(static_cast<std::size_t>(parts.tm_mon)), parts.tm_year + 1900,
                     parts.tm_hour, parts.tm_min, parts.tm_sec);
}

std::string to_text(const ResponseHead& head) {
  std::string text = fmt::format("HTTP/1.1 {} {}\r\n", head.status, head.reason);
  const Headers none;
  const Headers& own = head.own == nullptr ? none : *head.own;
  for (const auto& [name, value] : head.common == nullptr ? none : *head.common) {
    if (!find_header(own, name)) {
      add_header(text, name, value);
    }
  }
  for (const auto& [name, value] : own) {
    add_header(text, name, value);
  }
  text += "Date: " + head.date + "\r\n";
  text += head.content_length ? fmt::format("Content-Length: {}\r\n", *head.content_length)
                              : std::string{"Transfer-Encoding: chunked\r\n"};
  text += head.close ? "Connection: close\r\n\r\n" : "Connection: keep-alive\r\n\r\n";
  return text;
}

std::string to_chunk(std::string_view piece) {
  std::string text = fmt::format("{:x}\r\n", piece.size());
  text.append(piece);
  text.append("\r\n");
  return text;
}

}  // namespace sphere::http

// SPDX-License-Identifier: MIT
#include "device-agent/agent/rest/target.h"

#include <algorithm>
#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "sphere/core/encoding.h"
#include "sphere/core/text.h"

namespace sphere::agent {
namespace {

std::optional<std::string> decode(std::string_view text) {
  std::string decoded;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '%') {
      decoded.push_back(text[i]);
      continue;
    }
    const auto byte = from_hex(text.substr(i + 1, 2));
    if (!byte || byte->size() != 1) {
      return std::nullopt;
    }
    const auto character = static_cast<char>(byte->front());
    if (character == '\0' || character == '/') {
      return std::nullopt;
    }
    decoded.push_back(character);
    i += 2;
  }
  return is_valid_utf8(decoded) ? std::optional{std::move(decoded)} : std::nullopt;
}

bool is_plain_path(std::string_view path) {
  if (path == "/") {
    return true;
  }
  if (!path.starts_with('/') || path.ends_with('/')) {
    return false;
  }
  return std::ranges::none_of(split(path.substr(1), '/'), [](const auto& segment) {
    return segment.empty() || segment == "." || segment == "..";
  });
}

}  // namespace

std::optional<std::string> Target::value(std::string_view name) const {
  for (const auto& [key, text] : values) {
    if (key == name) {
      return text;
    }
  }
  return std::nullopt;
}

std::optional<Target> parse_target(std::string_view text) {
  const auto question = text.find('?');
  auto path = decode(text.substr(0, question));
  if (!path || !is_plain_path(*path)) {
    return std::nullopt;
  }
  Target target{.path = *std::move(path)};
  if (question == std::string_view::npos) {
    return target;
  }
  target.query = text.substr(question + 1);
  for (const auto& pair : split(target.query, '&')) {
    const auto equals = pair.find('=');
    auto key = decode(pair.substr(0, equals));
    auto value = decode(equals == std::string::npos ? "" : pair.substr(equals + 1));
    if (key && value) {  // Unknown and damaged query parts are ignored.
      target.values.emplace_back(*std::move(key), *std::move(value));
    }
  }
  return target;
}

}  // namespace sphere::agent

// SPDX-License-Identifier: MIT
#include <array>
#include <charconv>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

#include <fmt/format.h>
#include <tl/expected.hpp>

#include "sphere/core/encoding.h"
#include "sphere/core/result.h"
#include "sphere/core/text.h"
#include "sphere/crypto/pkcs11.h"

namespace sphere::crypto {
namespace {

constexpr std::string_view kScheme = "pkcs11:";
constexpr std::size_t kMaxUri = 4096;

tl::unexpected<Error> bad_uri(std::string_view what, std::string value) {
  return fail(
      Errc::invalid_argument, fmt::format("this is no PKCS#11 URI: {}", what),
      {.reason = "usage.bad-value",
       .value = escape_control(value),
       .next = "write it as 'pkcs11:token=LABEL;object=KEY?module-path=/usr/lib/module.so'"});
}

// Resolves %XX. Nothing when one is cut short.
std::optional<std::string> unescaped(std::string_view text) {
  std::string result;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '%') {
      result += text[i];
      continue;
    }
    const auto byte = from_hex(text.substr(i + 1, 2));
    if (!byte || byte->size() != 1) {
      return std::nullopt;
    }
    result += std::to_integer<char>(byte->front());
    i += 2;
  }
  return result;
}

struct TextAttribute {
  std::string_view name;
  std::string TokenUri::* member;
};
constexpr std::array<TextAttribute, 5> kPathTexts = {{{"token", &TokenUri::token},
                                                      {"serial", &TokenUri::serial},
                                                      {"manufacturer", &TokenUri::manufacturer},
                                                      {"model", &TokenUri::model},
                                                      {"object", &TokenUri::object}}};
constexpr std::array<TextAttribute, 2> kQueryTexts = {
    {{"module-path", &TokenUri::module_path}, {"pin-source", &TokenUri::pin_source}}};

bool set_text(std::span<const TextAttribute> attributes, std::string_view name, std::string value,
              TokenUri& uri) {
  for (const auto& attribute : attributes) {
    if (attribute.name == name) {
      uri.*attribute.member = std::move(value);
      return true;
    }
  }
  return false;
}

Result<void> set_slot(const std::string& value, TokenUri& uri) {
  std::uint64_t slot = 0;
  const auto [end, error] = std::from_chars(value.data(), value.data() + value.size(), slot);
  if (error != std::errc{} || end != value.data() + value.size()) {
    return bad_uri("slot-id is no number", value);
  }
  uri.slot = slot;
  return {};
}

Result<void> set_path(std::string_view name, std::string value, TokenUri& uri) {
  if (set_text(kPathTexts, name, value, uri)) {
    return {};
  }
  if (name == "id") {
    const auto bytes = std::as_bytes(std::span{value});
    uri.id.assign(bytes.begin(), bytes.end());
    return {};
  }
  if (name == "slot-id") {
    return set_slot(value, uri);
  }
  if (name == "type" && value == "private") {
    return {};
  }
  return bad_uri(fmt::format("the attribute {} is not known here", escape_control(name)),
                 std::string{name});
}

Result<void> set_query(std::string_view name, std::string value, TokenUri& uri) {
  if (name == "pin-value") {
    return bad_uri("pin-value would show the PIN to everyone; use pin-source", "pin-value");
  }
  if (set_text(kQueryTexts, name, std::move(value), uri)) {
    return {};
  }
  return bad_uri(fmt::format("the attribute {} is not known here", escape_control(name)),
                 std::string{name});
}

using Set = Result<void> (*)(std::string_view name, std::string value, TokenUri& uri);

Result<void> read_attributes(std::string_view text, char separator, Set set, TokenUri& uri) {
  std::vector<std::string> seen;
  for (const auto& part : split(text, separator)) {
    if (part.empty()) {
      continue;
    }
    const auto equals = part.find('=');
    auto value = equals == std::string::npos ? std::nullopt
                                             : unescaped(std::string_view{part}.substr(equals + 1));
    if (!value || value->empty()) {
      return bad_uri("an attribute is not NAME=VALUE", part);
    }
    const auto name = part.substr(0, equals);
    for (const auto& other : seen) {
      if (other == name) {
        return bad_uri("an attribute stands twice", name);
      }
    }
    seen.push_back(name);
    SPHERE_TRY(set(name, *std::move(value), uri));
  }
  return {};
}

}  // namespace

bool is_token_uri(std::string_view text) { return text.starts_with(kScheme); }

Result<TokenUri> parse_token_uri(std::string_view text) {
  if (!is_token_uri(text) || text.size() > kMaxUri) {
    return bad_uri("it does not begin with pkcs11: or is too long",
                   std::string{text.substr(0, 64)});
  }
  text.remove_prefix(kScheme.size());
  const auto question = text.find('?');
  TokenUri uri;
  SPHERE_TRY(read_attributes(text.substr(0, question), ';', set_path, uri));
  if (question != std::string_view::npos) {
    SPHERE_TRY(read_attributes(text.substr(question + 1), '&', set_query, uri));
  }
  return uri;
}

}  // namespace sphere::crypto

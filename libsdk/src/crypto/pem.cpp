// SPDX-License-Identifier: MIT
#include "libsdk/src/crypto/pem.h"

#include <algorithm>
#include <cstddef>
#include <iterator>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>

#include <fmt/format.h>
#include <openssl/crypto.h>

#include "sphere/core/encoding.h"
#include "sphere/crypto/secret.h"

namespace sphere::crypto {
namespace {

constexpr std::string_view kBegin = "-----BEGIN ";
constexpr std::string_view kEnd = "-----END ";
constexpr std::string_view kDashes = "-----";

std::optional<Secret> decode(std::string_view body) {
  std::string base64;
  base64.reserve(body.size());  // One allocation, so that one wipe covers every copy.
  std::copy_if(body.begin(), body.end(), std::back_inserter(base64),
               [](char c) { return c != '\n' && c != '\r' && c != ' ' && c != '\t'; });
  auto bytes = from_base64(base64);
  OPENSSL_cleanse(base64.data(), base64.size());
  if (!bytes) {
    return std::nullopt;
  }
  return Secret{*std::move(bytes)};
}

}  // namespace

std::optional<PemBlock> next_pem_block(std::string_view text) {
  const auto begin = text.find(kBegin);
  if (begin == std::string_view::npos) {
    return std::nullopt;
  }
  const auto label_at = begin + kBegin.size();
  const auto label_end = text.find(kDashes, label_at);
  if (label_end == std::string_view::npos) {
    return std::nullopt;
  }
  const auto label = text.substr(label_at, label_end - label_at);
  const auto body_at = label_end + kDashes.size();
  const auto end = text.find(kEnd, body_at);
  if (end == std::string_view::npos) {
    return std::nullopt;
  }
  auto rest = text.substr(end + kEnd.size());
  if (!rest.starts_with(label) || !rest.substr(label.size()).starts_with(kDashes)) {
    return std::nullopt;
  }
  rest.remove_prefix(label.size() + kDashes.size());
  const auto body = text.substr(body_at, end - body_at);
  const auto whole = text.substr(begin, text.size() - rest.size() - begin);
  PemBlock block{.label = label,
                 .text = whole,
                 .encrypted = body.find("ENCRYPTED") != std::string_view::npos,
                 .der = std::nullopt,
                 .rest = rest};
  if (!block.encrypted) {
    block.der = decode(body);
  }
  return block;
}

std::string to_pem(std::string_view label, std::span<const std::byte> der) {
  constexpr std::size_t kLine = 64;  // RFC 7468, section 2
  std::string text = fmt::format("{}{}{}\n", kBegin, label, kDashes);
  const auto base64 = to_base64(der);
  for (std::size_t at = 0; at < base64.size(); at += kLine) {
    text += std::string_view{base64}.substr(at, kLine);
    text += '\n';
  }
  return text + fmt::format("{}{}{}\n", kEnd, label, kDashes);
}

}  // namespace sphere::crypto

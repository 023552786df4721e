// SPDX-License-Identifier: MIT
#include "libsdk/src/crypto/key_file.h"

#include <algorithm>
#include <charconv>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>

#include <fmt/format.h>
#include <tl/expected.hpp>

#include "sphere/core/encoding.h"
#include "sphere/core/file.h"
#include "sphere/core/result.h"
#include "sphere/core/text.h"
#include "sphere/crypto/certificate.h"
#include "sphere/crypto/digest.h"
#include "sphere/crypto/encrypted_key.h"
#include "sphere/crypto/key.h"
#include "sphere/crypto/key_store.h"

namespace sphere::crypto {
namespace fs = std::filesystem;
namespace {

constexpr std::string_view kUseLine = "Sphere-Key-Use: ";
constexpr std::string_view kTokenLine = "Sphere-Key-Token: ";
constexpr std::string_view kThumbprintLine = "Sphere-Key-Thumbprint: ";
constexpr std::string_view kCreatedLine = "Sphere-Key-Created: ";

// The value of a line among those before the first PEM block.
std::optional<std::string_view> header(std::string_view text, std::string_view name) {
  while (!text.empty() && !text.starts_with("-----")) {
    const auto end = text.find('\n');
    const auto line = text.substr(0, end);
    if (line.starts_with(name)) {
      return trim(line.substr(name.size()));
    }
    text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
  }
  return std::nullopt;
}

Result<KeyUse> use_in(std::string_view text, const fs::path& path) {
  if (const auto line = header(text, kUseLine)) {
    if (auto use = parse_key_use(*line)) {
      return use;
    }
  }
  return fail(Errc::corrupt,
              fmt::format("the key file {} does not say what the key is for", path.string()),
              {.reason = "key.refused",
               .value = path.string(),
               .next = fmt::format("its first line must be \"{}image\"", kUseLine)});
}

std::int64_t created_in(std::string_view text) {
  std::int64_t seconds = 0;
  const std::string line{header(text, kCreatedLine).value_or("")};
  const auto* const end = std::to_address(line.end());
  const auto read = std::from_chars(line.data(), end, seconds);
  return read.ec == std::errc{} && read.ptr == end && seconds >= 0 ? seconds : 0;
}

// A hint for readers of packages; of the key itself when the file says nothing usable.
Sha1Digest thumbprint_in(std::string_view text, const PublicKey& key) {
  auto thumbprint = sha1(key.spki());
  const auto bytes = from_hex(header(text, kThumbprintLine).value_or(""));
  if (bytes && bytes->size() == thumbprint.size()) {
    std::ranges::copy(*bytes, thumbprint.begin());
  }
  return thumbprint;
}

Error named(Error error, const fs::path& path) {
  return std::move(error).while_doing(path.string());
}

}  // namespace

Result<KeyDescription> read_key_file(std::string_view text, std::string_view name,
                                     const fs::path& path) {
  SPHERE_TRY_ASSIGN(const auto use, use_in(text, path));
  const auto token = header(text, kTokenLine);
  auto certificate = Certificate::from_pem(text);
  auto key = certificate ? Result<PublicKey>{certificate->public_key()} : PublicKey::from_pem(text);
  if (!token && !certificate) {
    return tl::make_unexpected(named(std::move(certificate).error(), path));
  }
  if (!key) {
    return tl::make_unexpected(named(std::move(key).error(), path));
  }
  KeyInfo info{.name = std::string{name},
               .use = use,
               .id = key->id(),
               .thumbprint = certificate ? certificate->thumbprint() : thumbprint_in(text, *key),
               .created = certificate ? certificate->not_before() : created_in(text),
               .location = path,
               .encrypted = is_encrypted_key(text),
               .token_uri = std::string{token.value_or("")}};
  KeyDescription result{.info = std::move(info), .public_key = *std::move(key)};
  if (certificate) {
    result.certificate = *std::move(certificate);
  }
  return result;
}

Result<void> write_key_file(const KeyDescription& key, std::string_view key_block) {
  const auto& info = key.info;
  SPHERE_TRY(make_directories(info.location.parent_path(), 0700));
  SPHERE_TRY_ASSIGN(auto file, AtomicFile::create(info.location, {.mode = 0600, .replace = false}));
  auto head = fmt::format("{}{}\n", kUseLine, to_text(info.use));
  if (!info.token_uri.empty()) {
    head += fmt::format("{}{}\n", kTokenLine, info.token_uri);
    head += fmt::format("{}{}\n", kThumbprintLine, to_hex(info.thumbprint));
    head += fmt::format("{}{}\n", kCreatedLine, info.created);
  }
  SPHERE_TRY(file.write(std::as_bytes(std::span{head})));
  SPHERE_TRY(file.write(std::as_bytes(std::span{key_block})));
  const auto rest = key.certificate ? key.certificate->pem() : key.public_key.pem();
  SPHERE_TRY(file.write(std::as_bytes(std::span{rest})));
  return file.commit();
}

}  // namespace sphere::crypto

// SPDX-License-Identifier: MIT
#include "sphere/crypto/cose.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <memory>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include <tl/expected.hpp>

#include "sphere/core/result.h"
#include "sphere/core/text.h"
#include "sphere/crypto/digest.h"
#include "sphere/crypto/key.h"

namespace sphere::crypto {
namespace {

constexpr std::uint64_t kSign1Tag = 18;  // RFC 9052 section 2.
constexpr std::int64_t kEs256 = -7;      // RFC 9053 section 2.1.
constexpr std::uint64_t kAlgorithm = 1;  // RFC 9052 section 3.1.
constexpr std::uint64_t kContentType = 3;
constexpr std::uint64_t kKeyId = 4;
// Heads of one byte hold a number up to 23; 24 to 27 say that 1, 2, 4 or 8 bytes follow.
constexpr unsigned kInline = 24;
constexpr unsigned kLargestHead = 27;

std::vector<std::byte> to_be_signed(std::span<const std::byte> header,
                                    std::span<const std::byte> payload) {
  return CborWriter{}
      .array(4)
      .text("Signature1")
      .byte_string(header)
      .byte_string({})
      .byte_string(payload)
      .data();
}

tl::unexpected<Error> malformed(std::string_view what) {
  return fail(Errc::corrupt, "malformed signed statement: " + std::string{what},
              {.reason = "device.error", .value = std::string{what}});
}

}  // namespace

CborWriter& CborWriter::head(unsigned major, std::uint64_t value) {
  const auto put = [this, major](unsigned low) {
    bytes_.push_back(static_cast<std::byte>(major << 5U | low));
  };
  if (value < kInline) {
    put(static_cast<unsigned>(value));
    return *this;
  }
  unsigned size_log = 0;
  while (size_log < 3 && value >> (8U << size_log) != 0) {
    ++size_log;
  }
  put(kInline + size_log);
  for (unsigned bits = 8U << size_log; bits > 0; bits -= 8) {
    bytes_.push_back(static_cast<std::byte>(value >> (bits - 8) & 0xFFU));
  }
  return *this;
}

CborWriter& CborWriter::negative_integer(std::int64_t value) {
  return head(1, static_cast<std::uint64_t>(-1 - value));
}

CborWriter& CborWriter::byte_string(std::span<const std::byte> bytes) {
  head(2, bytes.size());
  bytes_.insert(bytes_.end(), bytes.begin(), bytes.end());
  return *this;
}

CborWriter& CborWriter::text(std::string_view text) {
  head(3, text.size());
  const auto bytes = std::as_bytes(std::span{text});
  bytes_.insert(bytes_.end(), bytes.begin(), bytes.end());
  return *this;
}

std::optional<std::uint64_t> CborReader::head(unsigned major) {
  if (failed_ || rest_.empty() || std::to_integer<unsigned>(rest_.front()) >> 5U != major) {
    return refuse();
  }
  const unsigned low = std::to_integer<unsigned>(rest_.front()) & 31U;
  rest_ = rest_.subspan(1);
  if (low < kInline) {
    return low;
  }
  const std::size_t size = low <= kLargestHead ? std::size_t{1} << (low - kInline) : 0;
  if (size == 0 || rest_.size() < size) {
    return refuse();
  }
  std::uint64_t value = 0;
  for (const auto byte : rest_.first(size)) {
    value = value << 8U | std::to_integer<std::uint64_t>(byte);
  }
  rest_ = rest_.subspan(size);
  const bool shortest = size == 1 ? value >= kInline : value >> (4 * size) != 0;
  return shortest ? std::optional{value} : refuse();
}

std::optional<std::int64_t> CborReader::negative_integer() {
  const auto value = head(1);
  if (!value || *value > static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max())) {
    return refuse();
  }
  return -1 - static_cast<std::int64_t>(*value);
}

std::optional<std::span<const std::byte>> CborReader::string(unsigned major) {
  const auto size = head(major);
  if (!size || *size > rest_.size()) {
    return refuse();
  }
  const auto taken = rest_.first(static_cast<std::size_t>(*size));
  rest_ = rest_.subspan(taken.size());
  return taken;
}

std::optional<std::string_view> CborReader::text() {
  const auto bytes = string(3);
  if (!bytes) {
    return std::nullopt;
  }
  // NOLINTNEXTLINE(cppcoreguidelines-pro-type-reinterpret-cast): bytes of a text.
  const std::string_view text{reinterpret_cast<const char*>(bytes->data()), bytes->size()};
  return is_valid_utf8(text) ? std::optional{text} : refuse();
}

Result<std::vector<std::byte>> cose_sign1(std::string_view content_type,
                                          std::span<const std::byte> key_id,
                                          std::span<const std::byte> payload,
                                          const PrivateKey& key) {
  const auto header = CborWriter{}
                          .map(3)
                          .unsigned_integer(kAlgorithm)
                          .negative_integer(kEs256)
                          .unsigned_integer(kContentType)
                          .text(content_type)
                          .unsigned_integer(kKeyId)
                          .byte_string(key_id)
                          .data();
  SPHERE_TRY_ASSIGN(const auto signature, key.sign(sha256(to_be_signed(header, payload))));
  return CborWriter{}
      .tag(kSign1Tag)
      .array(4)
      .byte_string(header)
      .map(0)
      .byte_string(payload)
      .byte_string(signature)
      .data();
}

Result<CoseSign1> cose_open(std::span<const std::byte> bytes, std::string_view content_type,
                            const PublicKey& key) {
  CborReader reader{bytes};
  const bool begun = reader.tag() == kSign1Tag && reader.array() == 4;
  const auto header = reader.byte_string();
  const bool unprotected_empty = reader.map() == 0;
  const auto payload = reader.byte_string();
  const auto signature = reader.byte_string();
  if (!begun || !header || !unprotected_empty || !payload || !signature || !reader.at_end()) {
    return malformed("not a COSE_Sign1");
  }
  CborReader fields{*header};
  const bool algorithm = fields.map() == 3 && fields.unsigned_integer() == kAlgorithm &&
                         fields.negative_integer() == kEs256;
  const bool type = fields.unsigned_integer() == kContentType && fields.text() == content_type;
  const bool has_id = fields.unsigned_integer() == kKeyId;
  const auto key_id = fields.byte_string();
  if (!algorithm || !has_id || !key_id || !fields.at_end() || signature->size() != kSignatureSize) {
    return malformed("protected header");
  }
  if (!type) {
    return malformed("content type");
  }
  SPHERE_TRY(
      key.verify(sha256(to_be_signed(*header, *payload)), signature->first<kSignatureSize>()));
  return CoseSign1{.key_id = *key_id, .payload = *payload};
}

}  // namespace sphere::crypto

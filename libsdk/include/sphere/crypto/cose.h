// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "sphere/core/result.h"
#include "sphere/crypto/key.h"

// Signed structures: deterministic CBOR (RFC 8949 4.2.1) in a COSE_Sign1 (RFC 9052), tag 18, ES256.
//
//   18([ bstr{1: -7, 3: content type, 4: key id}, {}, bstr payload, bstr r | s ])
//
// The protected map holds exactly these three keys; the unprotected map is empty; the payload is
// attached; external data is empty. The content type keeps one kind of statement from being taken
// for another.
namespace sphere::crypto {

// Writes deterministic CBOR. The caller orders the keys of a map by their encoded bytes.
class CborWriter {
 public:
  CborWriter& unsigned_integer(std::uint64_t value) { return head(0, value); }
  CborWriter& negative_integer(std::int64_t value);  // value < 0
  CborWriter& byte_string(std::span<const std::byte> bytes);
  CborWriter& text(std::string_view text);
  CborWriter& array(std::size_t count) { return head(4, count); }
  CborWriter& map(std::size_t count) { return head(5, count); }
  CborWriter& tag(std::uint64_t number) { return head(6, number); }
  [[nodiscard]] const std::vector<std::byte>& data() const noexcept { return bytes_; }

 private:
  CborWriter& head(unsigned major, std::uint64_t value);
  std::vector<std::byte> bytes_;
};

// Takes deterministic CBOR items off the front of untrusted bytes. Each call gives nothing, and all
// later ones do, too, when the next item is of another kind, cut off, or not in its shortest form.
// The bytes must outlive every span taken from them.
class CborReader {
 public:
  explicit CborReader(std::span<const std::byte> bytes) : rest_{bytes} {}
  [[nodiscard]] std::optional<std::uint64_t> unsigned_integer() { return head(0); }
  [[nodiscard]] std::optional<std::int64_t> negative_integer();
  [[nodiscard]] std::optional<std::span<const std::byte>> byte_string() { return string(2); }
  [[nodiscard]] std::optional<std::string_view> text();  // Valid UTF-8.
  [[nodiscard]] std::optional<std::uint64_t> array() { return head(4); }
  [[nodiscard]] std::optional<std::uint64_t> map() { return head(5); }
  [[nodiscard]] std::optional<std::uint64_t> tag() { return head(6); }
  [[nodiscard]] bool at_end() const noexcept { return !failed_ && rest_.empty(); }

 private:
  [[nodiscard]] std::optional<std::uint64_t> head(unsigned major);
  [[nodiscard]] std::optional<std::span<const std::byte>> string(unsigned major);
  std::nullopt_t refuse() {
    failed_ = true;
    return std::nullopt;
  }
  std::span<const std::byte> rest_;
  bool failed_ = false;
};

// The COSE_Sign1 of `payload` by `key`, which readers find by `key_id`.
[[nodiscard]] Result<std::vector<std::byte>> cose_sign1(std::string_view content_type,
                                                        std::span<const std::byte> key_id,
                                                        std::span<const std::byte> payload,
                                                        const PrivateKey& key);

struct CoseSign1 {  // Spans point into the bytes that were read.
  std::span<const std::byte> key_id;
  std::span<const std::byte> payload;
};

// Reads a COSE_Sign1 of this content type and checks its signature with `key`. Still to be checked
// by the caller: the key id, and the payload. Errors: corrupt (form, or another content type),
// unverified.
[[nodiscard]] Result<CoseSign1> cose_open(std::span<const std::byte> bytes,
                                          std::string_view content_type, const PublicKey& key);

}  // namespace sphere::crypto

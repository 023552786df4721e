// SPDX-License-Identifier: MIT
#pragma once

#include <array>
#include <cstddef>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "sphere/core/result.h"
#include "sphere/crypto/digest.h"

namespace sphere::crypto {

struct HashBackend;  // A row of libsdk/src/crypto/hash/table.cpp.
class EvpSha256;
struct HashLane;

inline constexpr std::size_t kLeafBlockSize = 4096;
using LeafSalt = std::array<std::byte, 32>;

// A message that arrives in pieces, for HashEngine::hash_streams().
class MessageStream {
 public:
  MessageStream() = default;
  MessageStream(const MessageStream&) = delete;
  MessageStream& operator=(const MessageStream&) = delete;
  MessageStream(MessageStream&&) = delete;
  MessageStream& operator=(MessageStream&&) = delete;
  virtual ~MessageStream() = default;

  // The next piece; empty at the end. Every piece but the last holds a multiple of 64 bytes, and
  // is valid until the next call. After an error or the end there is no further call.
  [[nodiscard]] virtual Result<std::span<const std::byte>> next() = 0;
};

// SHA-256 of many messages at once, at the speed of this machine's vector units.
//
// For PUBLIC bytes only (images, blocks, downloads). Keys, signatures, MACs and everything secret
// stay with OpenSSL: the kernels below are checked for equality with it, not for what their timing
// or their registers tell.
//
// An engine is a choice among the back-ends of libsdk/src/crypto/hash/table.cpp: those that the
// processor and the operating system support and whose self-test passes. Each call takes the widest
// one that enough messages are at hand for. Constant after creation: any number of threads may use
// one engine.
class HashEngine {
 public:
  // An empty `forced` lets the engine choose. A name forces that one back-end for everything (tests
  // and benchmarks); an unknown or unsupported name gives invalid_argument with the usable ones.
  [[nodiscard]] static Result<HashEngine> create(std::string_view forced = {});
  // The same with the value of SPHERE_HASH_BACKEND.
  [[nodiscard]] static Result<HashEngine> from_environment();
  // The same over other rows than the built-in table, in order of preference; for tests.
  [[nodiscard]] static Result<HashEngine> from_rows(std::span<const HashBackend> rows,
                                                    std::string_view forced = {});

  HashEngine(HashEngine&& other) noexcept;
  HashEngine& operator=(HashEngine&& other) noexcept;
  HashEngine(const HashEngine&) = delete;
  HashEngine& operator=(const HashEngine&) = delete;
  ~HashEngine();

  // The back-end for many blocks: "avx512x16".
  [[nodiscard]] std::string_view name() const;
  // Back-ends left out because their self-test failed, one sentence each; for the program to show.
  [[nodiscard]] const std::vector<std::string>& warnings() const noexcept { return warnings_; }

  // digests[i] = SHA-256(salt | blocks[4096 * i .. 4096 * i + 4095]). `blocks` holds exactly
  // digests.size() blocks; another size is a bug.
  void hash_leaves(const LeafSalt& salt, std::span<const std::byte> blocks,
                   std::span<Sha256Digest> digests) const;

  // digests[i] = SHA-256(messages[i]); both of one size. Lengths may differ. Messages of similar
  // length beside each other keep all lanes filled.
  void hash_messages(std::span<const std::span<const std::byte>> messages,
                     std::span<Sha256Digest> digests) const;

  // The SHA-256 of each stream, in order, or the error that its next() gave; one failed stream does
  // not stop the others. At most 16 streams are read side by side, begun in order.
  [[nodiscard]] std::vector<Result<Sha256Digest>> hash_streams(
      std::span<MessageStream* const> streams) const;

 private:
  friend class ResumableSha256;
  HashEngine();
  void add(const HashBackend& row);
  [[nodiscard]] const HashBackend& choose(std::size_t messages) const;
  [[nodiscard]] const HashBackend& choose_kernel(std::size_t lanes) const;
  void compress(std::span<HashLane* const> lanes, std::size_t blocks) const;

  std::vector<const HashBackend*> rows_;  // Usable ones, in order of preference.
  std::vector<std::string> warnings_;
  std::unique_ptr<EvpSha256> evp_;
};

}  // namespace sphere::crypto

// SPDX-License-Identifier: MIT
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <span>
#include <utility>

#include "sphere/crypto/block_hash.h"
#include "sphere/crypto/resumable_sha256.h"

// A state that is resumed is one that save() writes, and hashing goes on from it.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const auto engine = sphere::crypto::HashEngine::create();
  const auto input = std::as_bytes(std::span{data, size});
  if (auto hash = sphere::crypto::ResumableSha256::resume(*engine, input)) {
    if (!std::ranges::equal(hash->save(), input)) {
      std::abort();
    }
    static_cast<void>(hash->update(input).finish());
  }
  return 0;
}

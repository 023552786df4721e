// SPDX-License-Identifier: MIT
// The record that lies beside a package whose signing in place did not come to its end.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <span>
#include <vector>

#include "libsdk/src/image/tail_record.h"
#include "sphere/core/result.h"
#include "sphere/crypto/digest.h"

namespace {

namespace image = sphere::image;

void require(bool condition) {
  if (!condition) {
    std::abort();
  }
}

void check(std::span<const std::byte> bytes) {
  const auto record = image::read_tail_record(bytes);
  if (!record) {
    const auto code = record.error().code();
    require(code == sphere::Errc::corrupt || code == sphere::Errc::unsupported);
    return;
  }
  require(!record->before.empty() && record->before.size() <= image::kMaxTail);
  require(record->before.size() == record->after.size());
  require(record->offset <= record->file_size &&
          record->file_size - record->offset == record->before.size());
  require(std::ranges::equal(image::write_tail_record(*record), bytes));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto bytes = std::as_bytes(std::span{data, size});
  check(bytes);
  // With the checksum made right, so that what it guards is read, too.
  constexpr auto kDigest = sizeof(sphere::crypto::Sha256Digest);
  if (size >= kDigest) {
    const auto content = bytes.first(size - kDigest);
    std::vector<std::byte> good{content.begin(), content.end()};
    const auto digest = sphere::crypto::sha256(content);
    good.insert(good.end(), digest.begin(), digest.end());
    check(good);
  }
  return 0;
}

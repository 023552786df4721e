// SPDX-License-Identifier: MIT
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <span>

#include "libsdk/src/recovery/zip.h"

namespace {

void require(bool condition) {
  if (!condition) {
    std::abort();
  }
}

}  // namespace

// A zip archive. No entry gives more bytes than the directory says.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace sphere;
  const auto archive = std::as_bytes(std::span{data, size});
  const recovery::ReadAt read = [&](std::uint64_t offset,
                                    std::span<std::byte> bytes) -> Result<void> {
    require(offset <= archive.size() && bytes.size() <= archive.size() - offset);
    std::ranges::copy(archive.subspan(static_cast<std::size_t>(offset), bytes.size()),
                      bytes.begin());
    return {};
  };
  constexpr std::size_t kEntries = 16;
  const auto entries = recovery::read_zip_directory(read, archive.size(), kEntries);
  if (!entries) {
    return 0;
  }
  require(entries->size() <= kEntries);
  for (const auto& entry : *entries) {
    std::uint64_t total = 0;
    const auto done = recovery::extract_zip_entry(
        read, archive.size(), entry, [&](std::span<const std::byte> bytes) -> Result<void> {
          total += bytes.size();
          require(total <= entry.size);
          return total > (std::uint64_t{1} << 20U) ? Result<void>{fail(Errc::too_large, "enough")}
                                                   : Result<void>{};
        });
    require(!done || total == entry.size);
  }
  return 0;
}

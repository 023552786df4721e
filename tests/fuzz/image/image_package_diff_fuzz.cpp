// SPDX-License-Identifier: MIT
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <span>

#include "sphere/image/block_io.h"
#include "sphere/image/metadata.h"
#include "sphere/image/package.h"
#include "sphere/image/package_diff.h"

namespace {

using namespace sphere::image;  // NOLINT(google-build-using-namespace): the module under test.
using Bytes = std::span<const std::byte>;

void require(bool condition) {
  if (!condition) {
    std::abort();
  }
}

sphere::Result<Package> open(Bytes bytes) {
  return open_package(std::make_shared<MemoryBlocks>(bytes), bytes.size());
}

}  // namespace

// Two bytes with the length of the first package, then both packages. They have no difference
// exactly if their bytes are equal but for the signature.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  auto input = std::as_bytes(std::span{data, size});
  if (size < 2) {
    return 0;
  }
  const auto length =
      std::to_integer<std::size_t>(input[0]) | (std::to_integer<std::size_t>(input[1]) << 8U);
  input = input.subspan(2);
  const auto before = input.first(std::min(length, input.size()));
  const auto after = input.subspan(before.size());
  const auto first = open(before);
  const auto second = open(after);
  if (!first || !second) {
    return 0;
  }
  const auto forth = diff_packages(*first, *second);
  const auto back = diff_packages(*second, *first);
  if (first->kind == PackageKind::package_v2 || second->kind == PackageKind::package_v2) {
    return 0;  // The body is compared block by block, so a damaged one is an error.
  }
  require(forth && back);
  const bool are_equal = std::ranges::equal(before.first(before.size() - kSignatureSize),
                                            after.first(after.size() - kSignatureSize));
  require(forth->differences.empty() == are_equal);
  require(forth->differences.size() == back->differences.size());
  require(forth->same_signature ==
          std::ranges::equal(before.last(kSignatureSize), after.last(kSignatureSize)));
  return 0;
}

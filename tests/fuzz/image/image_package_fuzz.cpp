// SPDX-License-Identifier: MIT
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <span>
#include <vector>

#include "sphere/image/executable_check.h"
#include "sphere/image/package.h"
#include "sphere/image/trust.h"

namespace {

void require(bool condition) {
  if (!condition) {
    std::abort();
  }
}

}  // namespace

// Nothing that the fuzzer makes is signed by a key of the store.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto package = sphere::image::parse_package(std::as_bytes(std::span{data, size}));
  if (!package) {
    require(!package.error().hint().reason.empty());
    return 0;
  }
  sphere::image::TrustStore trust;
  trust.add({.key = sphere::image::public_test_key(),
             .thumbprints = {sphere::image::public_test_thumbprint()}});
  require(!sphere::image::verify(*package, trust));
  for (const auto& file : package->files.files) {
    static_cast<void>(sphere::image::check_executable(package->files, {.entry_point = file.path}));
  }
  return 0;
}

// SPDX-License-Identifier: MIT
// A package v2 of any bytes is opened, its body read through the proof, and each block checked.
#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>

#include "sphere/core/thread_pool.h"
#include "sphere/crypto/block_hash.h"
#include "sphere/image/block_io.h"
#include "sphere/image/package.h"
#include "sphere/image/package_v2.h"
#include "sphere/image/receive_v2.h"
#include "sphere/image/trust.h"
#include "sphere/image/verify_v2.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const auto engine = sphere::crypto::HashEngine::create("evp");
  static sphere::ThreadPool pool{1};
  const auto bytes = std::as_bytes(std::span{data, size});
  auto package = sphere::image::open_container(std::make_shared<sphere::image::MemoryBlocks>(bytes),
                                               bytes.size());
  if (!package || package->layout == nullptr || !engine) {
    return 0;
  }
  if (const auto body = sphere::image::open_body(*package)) {
    std::array<std::byte, 5000> buffer = {};
    [[maybe_unused]] const auto read = (*body)->read(0, buffer);
  }
  [[maybe_unused]] const auto opened = sphere::image::open_files(*package);
  [[maybe_unused]] const auto checked =
      sphere::image::check_body_v2(*package, {.engine = &*engine, .pool = &pool});
  [[maybe_unused]] const auto verified = sphere::image::verify(*package, {});
  return 0;
}

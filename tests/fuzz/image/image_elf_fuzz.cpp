// SPDX-License-Identifier: MIT
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <span>

#include "sphere/image/asxipfs.h"
#include "sphere/image/block_io.h"
#include "sphere/image/executable_check.h"

// Reading stays inside the bytes, and a file that cannot be read is a finding.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using sphere::image::ProgramKind;
  const auto program = std::as_bytes(std::span{data, size});
  sphere::image::FileSystem files;
  files.body = std::make_shared<sphere::image::MemoryBlocks>(program);
  files.body_size = size;
  files.files.push_back({.path = "app", .executable = true, .offset = 0, .size = size});
  const bool is_elf = sphere::image::read_elf(program).has_value();
  for (const auto kind : {ProgramKind::high_level, ProgramKind::real_time}) {
    const auto findings =
        sphere::image::check_executable(files, {.entry_point = "app", .kind = kind});
    if (!is_elf && findings.empty()) {
      std::abort();
    }
  }
  return 0;
}

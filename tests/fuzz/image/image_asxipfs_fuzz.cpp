// SPDX-License-Identifier: MIT
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <map>
#include <span>
#include <string>
#include <vector>

#include "libsdk/src/image/crc32.h"
#include "sphere/image/asxipfs.h"

namespace {

void require(bool condition) {
  if (!condition) {
    std::abort();
  }
}

// A CRC that is right, so that mutations get behind it.
void set_crc(std::vector<std::byte>& body) {
  constexpr std::size_t kCrcOffset = 32;
  if (body.size() < kCrcOffset + 4) {
    return;
  }
  for (std::size_t i = 0; i < 4; ++i) {
    body[kCrcOffset + i] = std::byte{0};
  }
  const auto crc = sphere::image::Crc32{}.update(body).value();
  for (std::size_t i = 0; i < 4; ++i) {
    body[kCrcOffset + i] = static_cast<std::byte>(crc >> (8 * i));
  }
}

}  // namespace

// The input is the front of a body, which is filled up to whole pages. What is accepted is written
// and read again with the same files.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto bytes = std::as_bytes(std::span{data, size});
  std::vector<std::byte> body{bytes.begin(), bytes.end()};
  body.resize((size + sphere::image::kPageSize - 1) / sphere::image::kPageSize *
              sphere::image::kPageSize);
  set_crc(body);
  const auto system = sphere::image::read_asxipfs(body);
  if (!system) {
    return 0;
  }
  std::map<std::string, sphere::image::FileSource> files;
  for (const auto& file : system->files) {
    const auto content = sphere::image::read_file_content(*system, file);
    require(content.has_value() && content->bytes().size() == file.size);
    const auto bytes_of_file = content->bytes();
    files.emplace(file.path,
                  sphere::image::FileSource{.content = {bytes_of_file.begin(), bytes_of_file.end()},
                                            .executable = file.executable});
  }
  require(files.size() == system->files.size());
  const auto written = sphere::image::write_asxipfs(files);
  require(written.has_value());
  const auto again = sphere::image::read_asxipfs(*written);
  require(again.has_value() && again->files.size() == files.size());
  return 0;
}

// SPDX-License-Identifier: MIT
#include <algorithm>
#include <cassert>
#include <cstddef>
#include <cstdint>
#include <new>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <fmt/format.h>
#include <lzma.h>

#include "libsdk/src/image/failure.h"
#include "sphere/core/reader.h"
#include "sphere/core/result.h"
#include "sphere/core/text.h"
#include "sphere/image/compression.h"

namespace sphere::image {
namespace {

using Bytes = std::span<const std::byte>;

constexpr std::size_t kFirstBuffer = std::size_t{64} * 1024;
constexpr std::size_t kPadding = 4;
constexpr std::uint64_t kUnknownSize = UINT64_MAX;
// Beside the dictionary, which is limited by our own check: probability tables and state.
constexpr std::uint64_t kDecoderMemory = std::uint64_t{16} << 20U;
constexpr std::uint8_t kMaxParameters = (((4 * 5) + 4) * 9) + 8;
constexpr std::string_view kPart = "compressed image";

// An lzma_stream that is freed with its scope.
class Stream {
 public:
  Stream() = default;
  Stream(const Stream&) = delete;
  Stream& operator=(const Stream&) = delete;
  Stream(Stream&&) = delete;
  Stream& operator=(Stream&&) = delete;
  ~Stream() { ::lzma_end(&stream_); }

  [[nodiscard]] lzma_stream* get() noexcept { return &stream_; }
  lzma_stream* operator->() noexcept { return &stream_; }

  void set_input(Bytes input) {
    // NOLINTNEXTLINE(cppcoreguidelines-pro-type-reinterpret-cast): liblzma's type of bytes.
    stream_.next_in = reinterpret_cast<const std::uint8_t*>(input.data());
    stream_.avail_in = input.size();
  }
  // Runs until `output` is full, the input is used up, or the data ends.
  lzma_ret run(std::span<std::byte> output) {
    // NOLINTNEXTLINE(cppcoreguidelines-pro-type-reinterpret-cast): liblzma's type of bytes.
    stream_.next_out = reinterpret_cast<std::uint8_t*>(output.data());
    stream_.avail_out = output.size();
    auto result = LZMA_OK;
    while (result == LZMA_OK && stream_.avail_out != 0) {
      result = ::lzma_code(&stream_, LZMA_FINISH);
    }
    if (result == LZMA_MEM_ERROR) {
      throw std::bad_alloc{};
    }
    return result;
  }

 private:
  lzma_stream stream_ = LZMA_STREAM_INIT;
};

Result<void> check_header(Bytes area, std::size_t size) {
  Reader reader{area};
  const auto parameters = reader.little_endian<std::uint8_t>();
  const auto dictionary = reader.little_endian<std::uint32_t>();
  const auto decoded = reader.little_endian<std::uint64_t>();
  if (!parameters || !dictionary || !decoded) {
    return corrupt(kPart, 0, fmt::format("{} bytes are too short", area.size()),
                   std::to_string(area.size()));
  }
  if (*parameters > kMaxParameters) {
    return corrupt(kPart, 0, "LZMA has no such parameters", fmt::format("{:#04x}", *parameters));
  }
  if (*dictionary > kLzmaMaxDictionary) {
    return too_large(
        fmt::format("the compressed image needs a dictionary of {} bytes; at most {} are allowed",
                    with_thousands(*dictionary), with_thousands(kLzmaMaxDictionary)),
        std::to_string(*dictionary));
  }
  if (*decoded != kUnknownSize && *decoded != size) {
    return corrupt(kPart, 5, fmt::format("it decodes to {} bytes, not to {}", *decoded, size),
                   std::to_string(*decoded));
  }
  return {};
}

// Decodes up to one byte more than `size`; the buffer doubles as bytes come out.
lzma_ret decode_up_to(Stream& stream, std::size_t size, std::vector<std::byte>& bytes) {
  const auto most = size + 1;
  auto result = LZMA_OK;
  std::size_t done = 0;
  while (result == LZMA_OK && done < most) {
    bytes.resize(std::min(most, std::max(kFirstBuffer, 2 * done)));
    result = stream.run(std::span{bytes}.subspan(done));
    done = bytes.size() - stream->avail_out;
  }
  bytes.resize(done);
  return result;
}

Result<void> check_end(Bytes area, std::size_t rest) {
  if (area.size() % kPadding != 0) {
    return corrupt(kPart, area.size(), "its length is no multiple of 4",
                   std::to_string(area.size()));
  }
  if (rest >= kPadding) {
    return corrupt(kPart, area.size() - rest, fmt::format("{} bytes follow its end", rest),
                   std::to_string(rest));
  }
  const auto padding = area.last(rest);
  const auto wrong = std::ranges::find_if(padding, [](std::byte b) { return b != std::byte{0}; });
  if (wrong != padding.end()) {
    return corrupt(kPart, area.size() - static_cast<std::size_t>(padding.end() - wrong),
                   "the padding is not zero",
                   fmt::format("{:#04x}", std::to_integer<unsigned>(*wrong)));
  }
  return {};
}

}  // namespace

Result<std::vector<std::byte>> decode_lzma(Bytes area, std::size_t size) {
  SPHERE_TRY(check_header(area, size));
  Stream stream;
  if (::lzma_alone_decoder(stream.get(), kDecoderMemory) != LZMA_OK) {
    throw std::bad_alloc{};  // The only way to fail here.
  }
  stream.set_input(area);
  std::vector<std::byte> bytes;
  const auto result = decode_up_to(stream, size, bytes);
  const auto read = area.size() - stream->avail_in;
  if (bytes.size() > size) {
    return corrupt(kPart, read, fmt::format("it decodes to more than {} bytes", size),
                   std::to_string(size));
  }
  if (result == LZMA_BUF_ERROR || (result == LZMA_STREAM_END && bytes.size() < size)) {
    return corrupt(kPart, read, fmt::format("it ends after {} of {} bytes", bytes.size(), size),
                   std::to_string(bytes.size()));
  }
  if (result != LZMA_STREAM_END) {
    return corrupt(kPart, read, "the data is damaged");
  }
  SPHERE_TRY(check_end(area, stream->avail_in));
  return bytes;
}

std::vector<std::byte> encode_lzma(Bytes data) {
  lzma_options_lzma options = {};
  ::lzma_lzma_preset(&options, LZMA_PRESET_DEFAULT | LZMA_PRESET_EXTREME);
  options.dict_size = kLzmaDictionary;
  options.lc = 0;
  options.lp = 0;
  options.pb = 2;
  Stream stream;
  if (::lzma_alone_encoder(stream.get(), &options) != LZMA_OK) {
    throw std::bad_alloc{};  // The options are constant and right.
  }
  stream.set_input(data);
  std::vector<std::byte> area;
  auto result = LZMA_OK;
  std::size_t done = 0;
  while (result == LZMA_OK) {
    area.resize(done + std::max(kFirstBuffer, data.size() / 4));
    result = stream.run(std::span{area}.subspan(done));
    done = area.size() - stream->avail_out;
  }
  assert(result == LZMA_STREAM_END);
  area.resize(done + ((kPadding - (done % kPadding)) % kPadding));
  return area;
}

}  // namespace sphere::image

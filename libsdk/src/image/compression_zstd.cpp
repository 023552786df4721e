// SPDX-License-Identifier: MIT
#include <cassert>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <new>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <fmt/format.h>
#include <zstd.h>

#include "libsdk/src/image/failure.h"
#include "sphere/core/reader.h"
#include "sphere/core/result.h"
#include "sphere/image/compression.h"

namespace sphere::image {
namespace {

using Bytes = std::span<const std::byte>;

constexpr std::string_view kPart = "compressed chunk";
constexpr unsigned kSingleSegment = 1U << 5U;
constexpr unsigned kReserved = 1U << 3U;
constexpr unsigned kChecksum = 1U << 2U;
constexpr unsigned kDictionaryId = 3;

struct FreeEncoder {
  void operator()(ZSTD_CCtx* context) const noexcept { ::ZSTD_freeCCtx(context); }
};
struct FreeDecoder {
  void operator()(ZSTD_DCtx* context) const noexcept { ::ZSTD_freeDCtx(context); }
};

void set(ZSTD_CCtx* context, ZSTD_cParameter parameter, int value) {
  [[maybe_unused]] const auto result = ::ZSTD_CCtx_setParameter(context, parameter, value);
  assert(::ZSTD_isError(result) == 0U);
}

// The size field of a single segment; `width` is the number in bits 6 and 7.
std::optional<std::uint64_t> read_size(Reader& reader, unsigned width) {
  switch (width) {
    case 0:
      return reader.little_endian<std::uint8_t>();
    case 1: {
      const auto size = reader.little_endian<std::uint16_t>();
      return size ? std::optional<std::uint64_t>{*size + 256U} : std::nullopt;
    }
    case 2:
      return reader.little_endian<std::uint32_t>();
    default:
      return reader.little_endian<std::uint64_t>();
  }
}

Result<void> check_header(Bytes frame, std::size_t size) {
  Reader reader{frame};
  const auto magic = reader.little_endian<std::uint32_t>();
  const auto descriptor = reader.little_endian<std::uint8_t>();
  if (!magic || !descriptor) {
    return corrupt(kPart, 0, fmt::format("{} bytes are too short", frame.size()),
                   std::to_string(frame.size()));
  }
  if (*magic != ZSTD_MAGICNUMBER) {
    return corrupt(kPart, 0, "it is no zstd frame", fmt::format("{:#010x}", *magic));
  }
  const unsigned bits = *descriptor;
  if ((bits & kSingleSegment) == 0 || (bits & (kReserved | kChecksum | kDictionaryId)) != 0) {
    return corrupt(kPart, 4, "the frame is no plain single segment", fmt::format("{:#04x}", bits));
  }
  const auto decoded = read_size(reader, bits >> 6U);
  if (!decoded || *decoded != size) {
    return corrupt(kPart, 5,
                   fmt::format("it decodes to {} bytes, not to {}", decoded.value_or(0), size),
                   std::to_string(decoded.value_or(0)));
  }
  return {};
}

}  // namespace

struct ZstdEncoder::State {
  std::unique_ptr<ZSTD_CCtx, FreeEncoder> context{::ZSTD_createCCtx()};
  std::vector<std::byte> frame = {};
};

ZstdEncoder::ZstdEncoder(int level) : state_{std::make_unique<State>()} {
  auto* context = state_->context.get();
  if (context == nullptr) {
    throw std::bad_alloc{};
  }
  set(context, ZSTD_c_compressionLevel, level);
  // Wide enough for every chunk, which makes each frame a single segment.
  set(context, ZSTD_c_windowLog, 18);
  set(context, ZSTD_c_contentSizeFlag, 1);
  set(context, ZSTD_c_checksumFlag, 0);
  set(context, ZSTD_c_dictIDFlag, 0);
}
ZstdEncoder::ZstdEncoder(ZstdEncoder&&) noexcept = default;
ZstdEncoder& ZstdEncoder::operator=(ZstdEncoder&&) noexcept = default;
ZstdEncoder::~ZstdEncoder() = default;

Bytes ZstdEncoder::encode(Bytes chunk) {
  assert(!chunk.empty() && chunk.size() <= kZstdMaxChunk);
  auto& frame = state_->frame;
  frame.resize(::ZSTD_compressBound(chunk.size()));
  const auto size = ::ZSTD_compress2(state_->context.get(), frame.data(), frame.size(),
                                     chunk.data(), chunk.size());
  if (::ZSTD_isError(size) != 0U) {
    throw std::bad_alloc{};  // The buffer is large enough: nothing else can fail.
  }
  frame.resize(size);
  return frame;
}

struct ZstdDecoder::State {
  std::unique_ptr<ZSTD_DCtx, FreeDecoder> context{::ZSTD_createDCtx()};
};

ZstdDecoder::ZstdDecoder() : state_{std::make_unique<State>()} {
  if (!state_->context) {
    throw std::bad_alloc{};
  }
}
ZstdDecoder::ZstdDecoder(ZstdDecoder&&) noexcept = default;
ZstdDecoder& ZstdDecoder::operator=(ZstdDecoder&&) noexcept = default;
ZstdDecoder::~ZstdDecoder() = default;

Result<void> ZstdDecoder::decode(Bytes frame, std::span<std::byte> chunk) {
  assert(!chunk.empty() && chunk.size() <= kZstdMaxChunk);
  SPHERE_TRY(check_header(frame, chunk.size()));
  // From here on the frame asks for no memory beyond the chunk. zstd itself would go on with
  // another frame that follows.
  const auto end = ::ZSTD_findFrameCompressedSize(frame.data(), frame.size());
  if (::ZSTD_isError(end) != 0U) {
    return corrupt(kPart, 0, "the frame is damaged", ::ZSTD_getErrorName(end));
  }
  if (end != frame.size()) {
    return corrupt(kPart, end, fmt::format("{} bytes follow the frame", frame.size() - end),
                   std::to_string(frame.size() - end));
  }
  const auto decoded = ::ZSTD_decompressDCtx(state_->context.get(), chunk.data(), chunk.size(),
                                             frame.data(), frame.size());
  if (::ZSTD_isError(decoded) != 0U) {
    return corrupt(kPart, 0, "the frame is damaged", ::ZSTD_getErrorName(decoded));
  }
  if (decoded != chunk.size()) {
    return corrupt(kPart, 0,
                   fmt::format("it decodes to {} bytes, not to {}", decoded, chunk.size()),
                   std::to_string(decoded));
  }
  return {};
}

}  // namespace sphere::image

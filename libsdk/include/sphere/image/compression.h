// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "sphere/core/result.h"

// The two codecs of image packages: LZMA of production packages v1, zstd chunks of package v2.
namespace sphere::image {

// An area that holds one image compressed with LZMA, in the form called LZMA-alone:
//
//   0   1  parameters: (pb * 5 + lp) * 9 + lc; written: 0x5A, lc 0, lp 0, pb 2
//   1   4  dictionary size, little-endian; written: 4096
//   5   8  decoded size, or all ones for "unknown"; written: unknown
//   13     range-coded data with an end marker
//   end    0 to 3 zero bytes, up to a multiple of 4
//
// A reader takes any parameters that LZMA allows and a dictionary of at most kLzmaMaxDictionary.
// The end marker is required when the decoded size is unknown, else it may be there. The memory
// needed to decode is the dictionary, some 30 KiB, and the result.
inline constexpr std::uint32_t kLzmaDictionary = 4096;
inline constexpr std::uint32_t kLzmaMaxDictionary = std::uint32_t{1} << 20U;

// Decodes the whole area to exactly `size` bytes. Decoding ends at the first byte beyond, and the
// result grows with what was decoded, so that neither a false `size` nor endless data costs memory.
//
// Errors: corrupt (package.corrupt): wrong parameters, a decoded size in the header that is not
// `size`, damaged data, more or fewer than `size` bytes, no end marker, an area whose length is no
// multiple of 4, more than 3 bytes after the data or one that is not zero. too_large: a dictionary
// above kLzmaMaxDictionary.
[[nodiscard]] Result<std::vector<std::byte>> decode_lzma(std::span<const std::byte> area,
                                                         std::size_t size);

// The area for `data`, padded. The same data gives the same bytes with the same liblzma.
[[nodiscard]] std::vector<std::byte> encode_lzma(std::span<const std::byte> data);

// A chunk of package v2: one zstd frame that decodes to at most kZstdMaxChunk bytes.
//
//   0  4  magic FD2FB528, little-endian
//   4  1  bits 6-7 width of the size field, 5 single segment = 1, 4 any, 3 = 0,
//         2 checksum = 0, 0-1 dictionary id = 0
//   5     decoded size: 1 byte, 2 bytes (plus 256), 4 or 8 bytes, little-endian
//   ...   blocks
//
// A single segment needs no window beyond its decoded size.
inline constexpr std::size_t kZstdMaxChunk = std::size_t{256} * 1024;
inline constexpr int kZstdLevel = 12;

// Makes chunks. Holds buffers that are used again; one encoder for each thread.
class ZstdEncoder {
 public:
  // `level` is zstd's, 1 to 22.
  explicit ZstdEncoder(int level = kZstdLevel);
  ZstdEncoder(ZstdEncoder&&) noexcept;
  ZstdEncoder& operator=(ZstdEncoder&&) noexcept;
  ZstdEncoder(const ZstdEncoder&) = delete;
  ZstdEncoder& operator=(const ZstdEncoder&) = delete;
  ~ZstdEncoder();

  // The frame for `chunk` of 1 to kZstdMaxChunk bytes; another length is a bug. May be longer than
  // the chunk, which is then better stored as it is. Valid until the next call.
  [[nodiscard]] std::span<const std::byte> encode(std::span<const std::byte> chunk);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

// Reads chunks. Holds buffers that are used again; one decoder for each thread.
class ZstdDecoder {
 public:
  ZstdDecoder();
  ZstdDecoder(ZstdDecoder&&) noexcept;
  ZstdDecoder& operator=(ZstdDecoder&&) noexcept;
  ZstdDecoder(const ZstdDecoder&) = delete;
  ZstdDecoder& operator=(const ZstdDecoder&) = delete;
  ~ZstdDecoder();

  // Decodes `frame` to exactly the bytes of `chunk`, 1 to kZstdMaxChunk; another length is a bug.
  // Whether these are the right bytes is for the caller to check. After an error `chunk` holds
  // anything.
  //
  // Errors: corrupt (package.corrupt): no zstd frame, a skippable frame, not a single segment, no
  // decoded size or another than that of `chunk`, a dictionary id, a checksum, damaged blocks,
  // bytes after the frame.
  [[nodiscard]] Result<void> decode(std::span<const std::byte> frame, std::span<std::byte> chunk);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace sphere::image

// SPDX-License-Identifier: MIT
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <iterator>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <fmt/format.h>
#include <tl/expected.hpp>

#include "sphere/core/encoding.h"
#include "sphere/core/reader.h"
#include "sphere/core/result.h"
#include "sphere/image/executable_check.h"

namespace sphere::image {
namespace {

using Bytes = std::span<const std::byte>;

// Numbers of the System V ABI and of its ARM supplement.
constexpr std::size_t kIdentSize = 16;
constexpr std::uint8_t kClass32 = 1;
constexpr std::uint8_t kClass64 = 2;
constexpr std::uint8_t kLittleEndian = 1;
constexpr std::uint32_t kLoad = 1;
constexpr std::uint32_t kDynamic = 2;
constexpr std::uint32_t kInterpreter = 3;
constexpr std::uint32_t kNote = 4;
constexpr std::uint32_t kGnuStack = 0x6474E551;
constexpr std::uint32_t kFlagExecute = 1;
constexpr std::uint32_t kFlagWrite = 2;
constexpr std::uint32_t kFlagRead = 4;
constexpr std::uint32_t kBuildIdNote = 3;
constexpr std::size_t kLongestBuildId = 64;
constexpr std::uint64_t kTagNeeded = 1;
constexpr std::uint64_t kTagStringTable = 5;
constexpr std::uint64_t kTagTextRelocations = 22;
constexpr std::uint64_t kTagFlags = 30;
constexpr std::uint64_t kDynamicTextRelocations = 4;

constexpr std::uint32_t kVersion = 1;
constexpr std::size_t kHeaderSize32 = 52;
constexpr std::size_t kHeaderSize64 = 64;
constexpr std::size_t kEntrySize32 = 32;  // Of a program header.
constexpr std::size_t kEntrySize64 = 56;

constexpr std::size_t kMaxHeaders = 128;
constexpr std::size_t kMaxLibraries = 256;
constexpr std::size_t kMaxText = 255;  // Interpreter path or soname.

tl::unexpected<Error> broken(std::string_view what, std::size_t offset) {
  return fail(Errc::corrupt,
              fmt::format("the ELF file's {} at offset {} is malformed", what, offset),
              {.reason = "package.executable", .value = std::to_string(offset)});
}

struct ProgramHeader {
  std::uint32_t type = 0;
  std::uint32_t flags = 0;
  ElfSegment segment;
};

struct Header {
  ElfInfo info;
  std::uint64_t table_offset = 0;
  std::size_t entry_size = 0;
  std::size_t entry_count = 0;
};

// For bytes whose number has been checked: one that is missing would be our own bug.
template <typename Int>
Int take(Reader& reader) {
  return reader.little_endian<Int>().value_or(Int{0});
}

// An address, offset or size: four bytes in a 32-bit file, eight in a 64-bit one.
std::uint64_t take_word(Reader& reader, bool is_64_bit) {
  return is_64_bit ? take<std::uint64_t>(reader) : take<std::uint32_t>(reader);
}

Result<bool> read_ident(Bytes file) {
  constexpr std::string_view kMagic =
      "\x7F"
      "ELF";
  const auto magic = std::as_bytes(std::span{kMagic});
  if (file.size() < kIdentSize || !std::ranges::equal(file.first(magic.size()), magic)) {
    return fail(Errc::corrupt, "it is not an ELF file", {.reason = "package.executable"});
  }
  const auto file_class = std::to_integer<std::uint8_t>(file[4]);
  if ((file_class != kClass32 && file_class != kClass64) ||
      std::to_integer<std::uint8_t>(file[5]) != kLittleEndian) {
    return fail(Errc::unsupported, "only little-endian ELF files of 32 or 64 bits are supported",
                {.reason = "package.executable"});
  }
  return file_class == kClass64;
}

Result<Header> read_header(Bytes file) {
  Header header;
  SPHERE_TRY_ASSIGN(header.info.is_64_bit, read_ident(file));
  const bool wide = header.info.is_64_bit;
  if (file.size() < (wide ? kHeaderSize64 : kHeaderSize32)) {
    return broken("header", 0);
  }
  Reader reader{file.subspan(kIdentSize)};
  header.info.type = take<std::uint16_t>(reader);
  header.info.machine = take<std::uint16_t>(reader);
  if (take<std::uint32_t>(reader) != kVersion) {
    return broken("version", kIdentSize + 4);
  }
  header.info.entry = take_word(reader, wide);
  header.table_offset = take_word(reader, wide);
  static_cast<void>(take_word(reader, wide));  // Section headers.
  header.info.flags = take<std::uint32_t>(reader);
  static_cast<void>(take<std::uint16_t>(reader));  // Size of this header.
  header.entry_size = take<std::uint16_t>(reader);
  header.entry_count = take<std::uint16_t>(reader);
  const std::size_t least = wide ? kEntrySize64 : kEntrySize32;
  if (header.entry_count > 0 && header.entry_size < least) {
    return broken("program header size", 0);
  }
  if (header.entry_count > kMaxHeaders) {
    return fail(Errc::too_large,
                fmt::format("the ELF file has {} program headers; at most {} are allowed",
                            header.entry_count, kMaxHeaders),
                {.reason = "package.executable"});
  }
  return header;
}

// `entry` has at least the size of a program header.
ProgramHeader read_program_header(Bytes entry, bool wide) {
  Reader reader{entry};
  ProgramHeader header;
  header.type = take<std::uint32_t>(reader);
  if (wide) {
    header.flags = take<std::uint32_t>(reader);
  }
  auto& segment = header.segment;
  segment.file_offset = take_word(reader, wide);
  segment.address = take_word(reader, wide);
  static_cast<void>(take_word(reader, wide));  // Physical address.
  segment.file_size = take_word(reader, wide);
  segment.memory_size = take_word(reader, wide);
  if (!wide) {
    header.flags = take<std::uint32_t>(reader);
  }
  segment.readable = (header.flags & kFlagRead) != 0;
  segment.writable = (header.flags & kFlagWrite) != 0;
  segment.executable = (header.flags & kFlagExecute) != 0;
  return header;
}

// The bytes of the file that a segment holds, or nothing when they do not lie in it.
std::optional<Bytes> content_of(Bytes file, const ElfSegment& segment) {
  if (segment.file_offset > file.size() || segment.file_size > file.size() - segment.file_offset) {
    return std::nullopt;
  }
  return file.subspan(static_cast<std::size_t>(segment.file_offset),
                      static_cast<std::size_t>(segment.file_size));
}

// A text that ends with NUL at the front of `bytes`.
std::optional<std::string> read_text(Bytes bytes) {
  const auto part = bytes.first(std::min(bytes.size(), kMaxText + 1));
  const auto end = std::ranges::find(part, std::byte{0});
  if (end == part.end() || end == part.begin()) {
    return std::nullopt;
  }
  std::string text;
  std::transform(part.begin(), end, std::back_inserter(text),
                 [](std::byte byte) { return std::to_integer<char>(byte); });
  return text;
}

// The build id among the notes of a segment; empty when there is none, or the notes are no notes:
// nothing depends on them.
std::string build_id_in(Bytes notes) {
  constexpr std::string_view kOwner{"GNU\0", 4};
  const auto rounded = [](std::uint32_t size) {
    return (std::size_t{size} + 3U) & ~std::size_t{3};
  };
  Reader reader{notes};
  while (reader.left() > 0) {  // Each turn takes 12 bytes at least.
    const auto name_size = reader.little_endian<std::uint32_t>();
    const auto size = reader.little_endian<std::uint32_t>();
    const auto type = reader.little_endian<std::uint32_t>();
    if (!name_size || !size || !type) {
      return {};
    }
    const auto name = reader.bytes(rounded(*name_size));
    const auto content = reader.bytes(rounded(*size));
    if (!name || !content) {
      return {};
    }
    if (*type == kBuildIdNote && *size <= kLongestBuildId &&
        std::ranges::equal(*name, std::as_bytes(std::span{kOwner}))) {
      return to_hex(content->first(*size));
    }
  }
  return {};
}

class ElfReader {
 public:
  ElfReader(Bytes file, Header header) : file_{file}, header_{std::move(header)} {}

  Result<ElfInfo> read() && {
    for (std::size_t i = 0; i < header_.entry_count; ++i) {
      SPHERE_TRY(read_entry(i));
    }
    SPHERE_TRY(read_dynamic());
    return std::move(header_.info);
  }

 private:
  Result<void> read_entry(std::size_t index) {
    const auto at = header_.table_offset + (index * header_.entry_size);
    if (at < header_.table_offset || at > file_.size() || header_.entry_size > file_.size() - at) {
      return broken("program header", static_cast<std::size_t>(header_.table_offset));
    }
    const auto offset = static_cast<std::size_t>(at);
    const auto header =
        read_program_header(file_.subspan(offset, header_.entry_size), header_.info.is_64_bit);
    const auto content = content_of(file_, header.segment);
    if (!content) {
      return broken("segment", offset);
    }
    return keep(header, *content, offset);
  }

  Result<void> keep(const ProgramHeader& header, Bytes content, std::size_t offset) {
    if (header.type == kLoad) {
      if (header.segment.file_size > header.segment.memory_size) {
        return broken("segment", offset);
      }
      header_.info.segments.push_back(header.segment);
    } else if (header.type == kDynamic) {
      dynamic_ = content;
    } else if (header.type == kGnuStack) {
      header_.info.executable_stack = header.segment.executable;
    } else if (header.type == kInterpreter) {
      auto text = read_text(content);
      if (!text) {
        return broken("interpreter", offset);
      }
      header_.info.interpreter = *std::move(text);
    } else if (header.type == kNote && header_.info.build_id.empty()) {
      header_.info.build_id = build_id_in(content);
    }
    return {};
  }

  // The bytes of the file from `address` to the end of its segment.
  [[nodiscard]] std::optional<Bytes> at_address(std::uint64_t address) const {
    for (const auto& segment : header_.info.segments) {
      if (address >= segment.address && address - segment.address < segment.file_size) {
        const auto content = content_of(file_, segment);
        return content ? std::optional{content->subspan(
                             static_cast<std::size_t>(address - segment.address))}
                       : std::nullopt;
      }
    }
    return std::nullopt;
  }

  Result<void> read_dynamic() {
    const std::size_t entry_size = header_.info.is_64_bit ? 16 : 8;
    std::vector<std::uint64_t> names;
    std::optional<std::uint64_t> strings;
    Reader reader{dynamic_};
    while (reader.left() >= entry_size) {
      const auto tag = take_word(reader, header_.info.is_64_bit);
      const auto value = take_word(reader, header_.info.is_64_bit);
      if (tag == 0) {
        return read_names(names, strings);
      }
      if (tag == kTagNeeded) {
        names.push_back(value);
      } else if (tag == kTagStringTable) {
        strings = value;
      }
      header_.info.text_relocations = header_.info.text_relocations || tag == kTagTextRelocations ||
                                      (tag == kTagFlags && (value & kDynamicTextRelocations) != 0);
      if (names.size() > kMaxLibraries) {
        return fail(Errc::too_large,
                    fmt::format("the ELF file needs more than {} libraries", kMaxLibraries),
                    {.reason = "package.executable"});
      }
    }
    if (!dynamic_.empty()) {
      return broken("dynamic section", 0);  // It has no end.
    }
    return {};
  }

  Result<void> read_names(const std::vector<std::uint64_t>& names,
                          std::optional<std::uint64_t> strings) {
    if (names.empty()) {
      return {};
    }
    const auto table = strings ? at_address(*strings) : std::nullopt;
    if (!table) {
      return broken("string table", 0);
    }
    for (const auto name : names) {
      auto text = name < table->size() ? read_text(table->subspan(static_cast<std::size_t>(name)))
                                       : std::nullopt;
      if (!text) {
        return broken("name of a library", static_cast<std::size_t>(name));
      }
      header_.info.needed.push_back(*std::move(text));
    }
    return {};
  }

  Bytes file_;
  Header header_;
  Bytes dynamic_;
};

}  // namespace

Result<ElfInfo> read_elf(Bytes file) {
  SPHERE_TRY_ASSIGN(auto header, read_header(file));
  return ElfReader{file, std::move(header)}.read();
}

}  // namespace sphere::image

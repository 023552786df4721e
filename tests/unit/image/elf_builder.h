// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "sphere/core/writer.h"

namespace sphere::test {

// Describes an ELF file that holds headers and a string table and no code.
struct ElfFile {
  bool is_64_bit = false;
  std::uint16_t type = 3;
  std::uint16_t machine = 40;
  std::uint32_t flags = 0x05000400;  // EABI 5, hard-float.
  std::string interpreter = "/lib/ld-musl-armhf.so.1";
  std::vector<std::string> needed = {"libapplibs.so.0", "libc.so.1", "libgcc_s.so.1"};
  std::uint32_t segment_flags = 5;               // R E
  std::optional<std::uint32_t> stack_flags = 6;  // RW
  std::uint64_t address = 0;
  bool text_relocations = false;
  // Further empty LOAD segments: address, size.
  std::vector<std::pair<std::uint64_t, std::uint64_t>> memory = {};
};

class ElfBuilder {
 public:
  explicit ElfBuilder(const ElfFile& file) : file_{&file} {}

  std::vector<std::byte> build() {
    std::string strings(1, '\0');
    std::vector<std::pair<std::uint64_t, std::uint64_t>> dynamic;
    for (const auto& name : file_->needed) {
      dynamic.emplace_back(1, strings.size());
      strings += name + '\0';
    }
    const auto interpreter = file_->interpreter + '\0';
    const std::size_t headers = (file_->is_64_bit ? 64 : 52) + header_size() * header_count();
    const auto interpreter_at = headers;
    const auto strings_at = interpreter_at + interpreter.size();
    const auto dynamic_at = strings_at + strings.size();
    dynamic.emplace_back(5, file_->address + strings_at);
    if (file_->text_relocations) {
      dynamic.emplace_back(30, 4);
    }
    dynamic.emplace_back(0, 0);
    const auto dynamic_size = dynamic.size() * (file_->is_64_bit ? 16 : 8);
    const auto end = dynamic_at + dynamic_size;

    write_header();
    write_program_header(1, file_->segment_flags, 0, end, end);
    for (const auto& [address, size] : file_->memory) {
      write_segment(address, size);
    }
    if (!file_->interpreter.empty()) {
      write_program_header(3, 4, interpreter_at, interpreter.size(), interpreter.size());
    }
    if (!file_->needed.empty() || file_->text_relocations) {
      write_program_header(2, 6, dynamic_at, dynamic_size, dynamic_size);
    }
    if (file_->stack_flags) {
      write_program_header(0x6474E551, *file_->stack_flags, 0, 0, 0);
    }
    writer_.text(interpreter).text(strings);
    for (const auto& [tag, value] : dynamic) {
      word(tag);
      word(value);
    }
    return std::move(writer_).take();
  }

 private:
  [[nodiscard]] std::size_t header_size() const { return file_->is_64_bit ? 56 : 32; }
  [[nodiscard]] std::size_t header_count() const {
    return 1 + file_->memory.size() + (file_->interpreter.empty() ? 0 : 1) +
           (file_->needed.empty() && !file_->text_relocations ? 0 : 1) +
           (file_->stack_flags ? 1 : 0);
  }

  void word(std::uint64_t value) {
    if (file_->is_64_bit) {
      writer_.little_endian(value);
    } else {
      writer_.little_endian(static_cast<std::uint32_t>(value));
    }
  }

  void write_header() {
    writer_
        .text(
            "\x7F"
            "ELF")
        .little_endian(static_cast<std::uint8_t>(file_->is_64_bit ? 2 : 1))
        .little_endian(std::uint8_t{1})
        .little_endian(std::uint8_t{1})
        .zeros(9)
        .little_endian(file_->type)
        .little_endian(file_->machine)
        .little_endian(std::uint32_t{1});
    word(file_->address);
    word(file_->is_64_bit ? 64 : 52);
    word(0);
    writer_.little_endian(file_->flags)
        .little_endian(static_cast<std::uint16_t>(file_->is_64_bit ? 64 : 52))
        .little_endian(static_cast<std::uint16_t>(header_size()))
        .little_endian(static_cast<std::uint16_t>(header_count()))
        .zeros(6);
  }

  void write_segment(std::uint64_t address, std::uint64_t size) {
    writer_.little_endian(std::uint32_t{1});
    if (file_->is_64_bit) {
      writer_.little_endian(std::uint32_t{6});
    }
    word(0);
    word(address);
    word(address);
    word(0);
    word(size);
    if (!file_->is_64_bit) {
      writer_.little_endian(std::uint32_t{6});
    }
    word(4);
  }

  void write_program_header(std::uint32_t type, std::uint32_t flags, std::uint64_t offset,
                            std::uint64_t file_size, std::uint64_t memory_size) {
    writer_.little_endian(type);
    if (file_->is_64_bit) {
      writer_.little_endian(flags);
    }
    word(offset);
    word(file_->address + offset);
    word(file_->address + offset);
    word(file_size);
    word(memory_size);
    if (!file_->is_64_bit) {
      writer_.little_endian(flags);
    }
    word(4);
  }

  const ElfFile* file_;
  Writer writer_;
};

inline std::vector<std::byte> build_elf(const ElfFile& file) { return ElfBuilder{file}.build(); }

}  // namespace sphere::test

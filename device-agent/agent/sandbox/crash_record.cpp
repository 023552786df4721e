// SPDX-License-Identifier: MIT
#include "device-agent/agent/sandbox/crash_record.h"

#include <charconv>
#include <cstddef>
#include <cstdint>
#include <elf.h>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include <fmt/format.h>

#include "sphere/core/encoding.h"
#include "sphere/core/reader.h"
#include "sphere/core/text.h"
#include "sphere/json/value.h"

namespace sphere::agent {
namespace {

constexpr std::size_t kMostHeaders = 128;
constexpr std::size_t kMostNoteBytes = 4096;

std::string hexadecimal(std::uint64_t value) { return fmt::format("{:#x}", value); }

std::optional<std::uint64_t> parse_hexadecimal(std::string_view text) {
  std::uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value, 16);
  return error == std::errc{} && end == text.data() + text.size() ? std::optional{value}
                                                                  : std::nullopt;
}

json::Value to_json(const CodePlace& place) {
  return json::Value{}
      .set("address", hexadecimal(place.address))
      .set("module", place.module)
      .set("offset", hexadecimal(place.offset));
}

std::uint64_t hexadecimal_at(const json::Value& value, std::string_view name) {
  const auto text = value.string_at(name).value_or("");
  return parse_hexadecimal(text.starts_with("0x") ? std::string_view{text}.substr(2) : text)
      .value_or(0);
}

CodePlace place_at(const json::Value& value, std::string_view name) {
  const auto* place = value.find(name);
  if (place == nullptr) {
    return {};
  }
  return {.address = hexadecimal_at(*place, "address"),
          .module = place->string_at("module").value_or(""),
          .offset = hexadecimal_at(*place, "offset")};
}

// The descriptor of the note "GNU" of type NT_GNU_BUILD_ID.
std::string build_id_in(std::span<const std::byte> notes) {
  Reader reader{notes};
  while (true) {  // Each turn takes 12 bytes at least.
    const auto name_bytes = reader.little_endian<std::uint32_t>();
    const auto content_bytes = reader.little_endian<std::uint32_t>();
    const auto type = reader.little_endian<std::uint32_t>();
    if (!name_bytes || !content_bytes || !type) {
      return {};
    }
    const auto name = reader.bytes((std::size_t{*name_bytes} + 3) & ~std::size_t{3});
    const auto content = reader.bytes((std::size_t{*content_bytes} + 3) & ~std::size_t{3});
    if (!name || !content) {
      return {};
    }
    if (*type == NT_GNU_BUILD_ID && *name_bytes == 4 && (*name)[0] == std::byte{'G'} &&
        (*name)[1] == std::byte{'N'} && (*name)[2] == std::byte{'U'} && *content_bytes <= 64) {
      return to_hex(content->first(*content_bytes));
    }
  }
  return {};
}

std::uint64_t number_at(std::span<const std::byte> elf, std::size_t offset, std::size_t size) {
  if (offset > elf.size() || size > elf.size() - offset) {
    return 0;
  }
  std::uint64_t value = 0;
  for (std::size_t i = size; i-- > 0;) {
    value = value << 8U | std::to_integer<std::uint64_t>(elf[offset + i]);
  }
  return value;
}

}  // namespace

json::Value to_json(const CrashRecord& record) {
  return json::Value{}
      .set("signal", record.signal)
      .set("code", record.code)
      .set("error", record.error)
      .set("faultAddress", hexadecimal(record.fault_address))
      .set("stack", hexadecimal(record.stack))
      .set("programCounter", to_json(record.program_counter))
      .set("returnAddress", to_json(record.return_address))
      .set("thread", record.thread);
}

std::optional<CrashRecord> crash_from_json(const json::Value& value) {
  const auto signal = value.integer_at("signal");
  if (!signal) {
    return std::nullopt;
  }
  return CrashRecord{.signal = static_cast<int>(*signal),
                     .code = static_cast<int>(value.integer_at("code").value_or(0)),
                     .error = static_cast<int>(value.integer_at("error").value_or(0)),
                     .fault_address = hexadecimal_at(value, "faultAddress"),
                     .stack = hexadecimal_at(value, "stack"),
                     .program_counter = place_at(value, "programCounter"),
                     .return_address = place_at(value, "returnAddress"),
                     .thread = value.string_at("thread").value_or("")};
}

json::Value crash_fields(const CrashRecord& record, std::string_view build_id) {
  auto fields = json::Value{}
                    .set("pc", hexadecimal(record.program_counter.address))
                    .set("lr", hexadecimal(record.return_address.address))
                    .set("sp", hexadecimal(record.stack))
                    .set("signo", record.signal)
                    .set("errno", record.error)
                    .set("code", record.code)
                    .set("fault_address", hexadecimal(record.fault_address))
                    .set("thread", record.thread);
  if (!record.program_counter.module.empty()) {
    fields.set("pc_module", record.program_counter.module)
        .set("pc_offset", hexadecimal(record.program_counter.offset));
  }
  if (!record.return_address.module.empty()) {
    fields.set("lr_module", record.return_address.module)
        .set("lr_offset", hexadecimal(record.return_address.offset));
  }
  if (!build_id.empty()) {
    fields.set("build_id", build_id);
  }
  return fields;
}

CodePlace place_of(std::uint64_t address, std::string_view maps) {
  for (const auto& line : split(maps, '\n')) {
    // 7f12a000-7f12b000 r-xp 00001000 00:2f 5   /path
    const auto dash = line.find('-');
    const auto space = line.find(' ');
    if (dash == std::string::npos || space == std::string::npos || dash > space ||
        line.size() < space + 15) {
      continue;
    }
    const auto start = parse_hexadecimal(std::string_view{line}.substr(0, dash));
    const auto end = parse_hexadecimal(std::string_view{line}.substr(dash + 1, space - dash - 1));
    if (!start || !end || address < *start || address >= *end || line[space + 3] != 'x') {
      continue;
    }
    const auto rest = std::string_view{line}.substr(space + 6);
    const auto offset = parse_hexadecimal(rest.substr(0, rest.find(' ')));
    const auto path = line.find('/');
    return {.address = address,
            .module = path == std::string::npos ? std::string{} : line.substr(path),
            .offset = address - *start + offset.value_or(0)};
  }
  return {};
}

std::string build_id_of(std::span<const std::byte> elf) {
  const bool wide = number_at(elf, EI_CLASS, 1) == ELFCLASS64;
  const auto headers = number_at(elf, wide ? 32 : 28, wide ? 8 : 4);
  const auto entry_bytes = number_at(elf, wide ? 54 : 42, 2);
  const auto count = number_at(elf, wide ? 56 : 44, 2);
  for (std::size_t i = 0; i < count && i < kMostHeaders && headers < elf.size(); ++i) {
    const auto header = headers + i * entry_bytes;
    if (number_at(elf, header, 4) != PT_NOTE) {
      continue;
    }
    const auto offset = number_at(elf, header + (wide ? 8 : 4), wide ? 8 : 4);
    const auto size = number_at(elf, header + (wide ? 32 : 16), wide ? 8 : 4);
    if (offset > elf.size() || size > elf.size() - offset || size > kMostNoteBytes) {
      continue;
    }
    if (auto id = build_id_in(elf.subspan(offset, size)); !id.empty()) {
      return id;
    }
  }
  return {};
}

}  // namespace sphere::agent

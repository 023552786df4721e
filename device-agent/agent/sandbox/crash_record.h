// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "sphere/json/value.h"

namespace sphere::agent {

// Where an app was when a signal ended it. Addresses are those of the process; `module` and
// `offset` say the same in a file, wherever it was mapped.
struct CodePlace {
  std::uint64_t address = 0;
  std::string module = {};  // Path inside the sandbox; empty: no file.
  std::uint64_t offset = 0;
};

struct CrashRecord {
  int signal = 0;
  int code = 0;   // si_code
  int error = 0;  // si_errno
  std::uint64_t fault_address = 0;
  std::uint64_t stack = 0;
  CodePlace program_counter;
  // The return address: the link register, or what the stack says on a machine without one; 0 when
  // it leads to no code.
  CodePlace return_address;
  std::string thread;
};

[[nodiscard]] json::Value to_json(const CrashRecord& record);
[[nodiscard]] std::optional<CrashRecord> crash_from_json(const json::Value& value);

// The fields of the event AppCrash. `build_id` is that of the app's program, or empty.
[[nodiscard]] json::Value crash_fields(const CrashRecord& record, std::string_view build_id);

// The mapping that holds `address`, from the text of /proc/PID/maps. `executable` only: others give
// no module, and an address of 0.
[[nodiscard]] CodePlace place_of(std::uint64_t address, std::string_view maps);

// Hexadecimal digits of the GNU build id in the notes of an ELF file; empty without one.
[[nodiscard]] std::string build_id_of(std::span<const std::byte> elf);

}  // namespace sphere::agent

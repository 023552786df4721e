// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "sphere/core/result.h"
#include "sphere/image/asxipfs.h"

namespace sphere::image {

// Machines of an ELF file (e_machine).
inline constexpr std::uint16_t kMachineArm = 40;
// NOLINTNEXTLINE(readability-identifier-naming): x86-64 is its name.
inline constexpr std::uint16_t kMachineX86_64 = 62;
inline constexpr std::uint16_t kMachineAarch64 = 183;

// "ARM", "x86-64", "AArch64", or "machine 8".
[[nodiscard]] std::string machine_text(std::uint16_t machine);

// Types of an ELF file (e_type).
inline constexpr std::uint16_t kElfExecutable = 2;
inline constexpr std::uint16_t kElfShared = 3;  // Also a position-independent program.

struct ElfSegment {  // A PT_LOAD program header.
  std::uint64_t address = 0;
  std::uint64_t memory_size = 0;
  std::uint64_t file_offset = 0;
  std::uint64_t file_size = 0;
  bool readable = false, writable = false, executable = false;
};

// What the headers of an ELF file say.
struct ElfInfo {
  bool is_64_bit = false;
  std::uint16_t type = 0;
  std::uint16_t machine = 0;
  std::uint32_t flags = 0;  // e_flags; machine-specific.
  std::uint64_t entry = 0;
  std::string interpreter = {};          // PT_INTERP; empty: none.
  std::vector<std::string> needed = {};  // DT_NEEDED, in file order.
  std::vector<ElfSegment> segments = {};
  bool executable_stack = false;  // PT_GNU_STACK asks for one.
  bool text_relocations = false;  // DT_TEXTREL or DF_TEXTREL.
  std::string build_id = {};      // Hexadecimal digits of the GNU note; empty: none.
};

// Reads the headers, dynamic section included, of a little-endian ELF file, with every offset
// checked against `file`. Section headers, symbols and code are not looked at.
//
// Errors (package.executable): corrupt when it is no ELF file or a header lies outside of it;
// unsupported for big-endian files and unknown classes; too_large for more than 128 program headers
// or 256 libraries.
[[nodiscard]] Result<ElfInfo> read_elf(std::span<const std::byte> file);

// Where a program runs.
enum class ProgramKind : std::uint8_t { high_level, real_time };

enum class FindingSeverity : std::uint8_t { error, warning };

struct ExecutableFinding {
  FindingSeverity severity = FindingSeverity::error;
  std::string rule = {};  // Stable: "entry-point-missing".
  std::string message = {};
  std::string next = {};
};

struct ExecutableRequest {
  std::string entry_point = {};  // Path in the package; a leading '/' is ignored.
  ProgramKind kind = ProgramKind::high_level;
  // Sonames a high-level app finds on the device; empty: those of libsdk's own list.
  std::vector<std::string> platform_libraries = {};
  std::size_t package_bytes = 0;  // 0: not known.
};

// Looks for what would keep a program from starting on a board, so that it is found on the PC and
// not as a device error. Rules; errors first:
//
//   entry-point-missing    the entry point is no file of the package, or is not executable
//   not-elf                it is no ELF file that read_elf() takes
//   wrong-class            not 32 bits for ARM, 64 bits for x86-64 and AArch64
//   wrong-machine          neither ARM, x86-64 nor AArch64 (real-time: not ARM)
//   wrong-type             high-level: not position-independent; real-time: not ET_EXEC
//   wrong-interpreter      high-level: not the musl loader of its machine; real-time: any
//   wrong-float-abi        high-level ARM with the soft-float ABI
//   missing-library        warning: a NEEDED name is neither a platform library nor a file of the
//                          package (real-time: any NEEDED name)
//   executable-stack, writable-code, text-relocations    warnings
//   outside-memory, overlapping-segments                 warnings, real-time
//   package-size           warning: more than 1 MiB, the room of an original board
//
// Says nothing about what the code does.
[[nodiscard]] std::vector<ExecutableFinding> check_executable(const FileSystem& files,
                                                              const ExecutableRequest& request);

// The machine of an entry point, for a receiver that must refuse a program for another CPU. Errors:
// not_found (no such file), and those of read_elf().
[[nodiscard]] Result<std::uint16_t> entry_point_machine(const FileSystem& files,
                                                        std::string_view entry_point);

}  // namespace sphere::image

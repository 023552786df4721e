// SPDX-License-Identifier: MIT
#include "sphere/image/executable_check.h"

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "sphere/core/result.h"
#include "sphere/core/text.h"
#include "sphere/image/asxipfs.h"

namespace sphere::image {
namespace {

constexpr std::uint32_t kArmSoftFloat = 0x200;  // EF_ARM_ABI_FLOAT_SOFT in e_flags.
constexpr std::size_t kBoardRoom = 1'048'576;   // What an original board has for all apps.

struct Machine {
  std::uint16_t number;
  std::string_view name;
  bool is_64_bit;
  std::string_view interpreter;
};

constexpr std::array<Machine, 3> kMachines = {{
    {.number = kMachineArm,
     .name = "ARM",
     .is_64_bit = false,
     .interpreter = "/lib/ld-musl-armhf.so.1"},
    {.number = kMachineX86_64,
     .name = "x86-64",
     .is_64_bit = true,
     .interpreter = "/lib/ld-musl-x86_64.so.1"},
    {.number = kMachineAarch64,
     .name = "AArch64",
     .is_64_bit = true,
     .interpreter = "/lib/ld-musl-aarch64.so.1"},
}};

// What the device's own sysroot offers to apps.
constexpr std::array<std::string_view, 8> kPlatformLibraries = {
    "libapplibs.so.0", "libc.so.1",        "libc.so",        "libgcc_s.so.1",
    "libcurl.so.4",    "libtlsutils.so.0", "libmalloc.so.0", "libazureiot.so.1"};

struct Memory {
  std::uint64_t begin;
  std::uint64_t end;
};

// A real-time core of the MT3620: TCM, SYSRAM, flash executed in place.
constexpr std::array<Memory, 3> kCoreMemories = {
    {{.begin = 0x0010'0000, .end = 0x0010'0000 + (192 * 1024)},
     {.begin = 0x2200'0000, .end = 0x2200'0000 + (64 * 1024)},
     {.begin = 0x1000'0000, .end = 0x1000'0000 + (1024 * 1024)}}};

const Machine* find_machine(std::uint16_t number) {
  const auto* found = std::ranges::find(kMachines, number, &Machine::number);
  return found == kMachines.end() ? nullptr : found;
}

Result<ElfInfo> read_program(const FileSystem& files, const FileEntry& file) {
  SPHERE_TRY_ASSIGN(const auto content, read_file_content(files, file));
  return read_elf(content.bytes());
}

class Checker {
 public:
  Checker(const FileSystem& files, const ExecutableRequest& request)
      : files_{&files}, request_{&request} {}

  std::vector<ExecutableFinding> run() && {
    if (const auto* file = files_->find(request_->entry_point); file == nullptr) {
      error("entry-point-missing",
            fmt::format("the entry point {} is no file of the package", request_->entry_point),
            "correct EntryPoint in app_manifest.json, or put the program into the package");
    } else if (!file->executable) {
      error("entry-point-missing",
            fmt::format("the entry point {} is not marked as executable", request_->entry_point),
            "pack it again");
    } else {
      check_program(*file);
    }
    if (request_->package_bytes > kBoardRoom) {
      warn("package-size",
           fmt::format("the package has {} bytes; an original board takes {} for all apps",
                       with_thousands(request_->package_bytes), with_thousands(kBoardRoom)),
           "strip the program: -DCMAKE_BUILD_TYPE=Release");
    }
    return std::move(findings_);
  }

 private:
  void error(std::string rule, std::string message, std::string next) {
    add(FindingSeverity::error, std::move(rule), std::move(message), std::move(next));
  }
  void warn(std::string rule, std::string message, std::string next) {
    add(FindingSeverity::warning, std::move(rule), std::move(message), std::move(next));
  }

  void add(FindingSeverity severity, std::string rule, std::string message, std::string next) {
    findings_.push_back({.severity = severity,
                         .rule = std::move(rule),
                         .message = std::move(message),
                         .next = std::move(next)});
  }

  void check_program(const FileEntry& file) {
    const auto elf = read_program(*files_, file);
    if (!elf) {
      error("not-elf",
            fmt::format("the entry point {} is no program for a board: {}", request_->entry_point,
                        elf.error().message()),
            "build it with the toolchain of the SDK");
      return;
    }
    if (request_->kind == ProgramKind::high_level) {
      check_high_level(*elf);
    } else {
      check_real_time(*elf);
    }
    check_hardening(*elf);
  }

  void check_class(const ElfInfo& elf, const Machine& machine) {
    if (elf.is_64_bit != machine.is_64_bit) {
      error("wrong-class",
            fmt::format("{} is a {}-bit program, but {} needs {} bits", request_->entry_point,
                        elf.is_64_bit ? 64 : 32, machine.name, machine.is_64_bit ? 64 : 32),
            "build it with the toolchain of the SDK");
    }
  }

  void wrong_machine(const ElfInfo& elf, std::string_view wanted) {
    error("wrong-machine",
          fmt::format("{} is a program for {}, not for {}", request_->entry_point,
                      machine_text(elf.machine), wanted),
          "build it with the toolchain of the SDK");
  }

  void check_high_level(const ElfInfo& elf) {
    const auto* machine = find_machine(elf.machine);
    if (machine == nullptr) {
      wrong_machine(elf, "ARM, x86-64 or AArch64");
      return;
    }
    check_class(elf, *machine);
    if (elf.type != kElfShared) {
      error("wrong-type",
            fmt::format("{} is not a position-independent program", request_->entry_point),
            "compile with -fPIE and link with -pie");
    }
    if (elf.interpreter != machine->interpreter) {
      error("wrong-interpreter",
            fmt::format("{} wants the loader {}; the board has {}", request_->entry_point,
                        elf.interpreter.empty() ? "none" : escape_control(elf.interpreter),
                        machine->interpreter),
            "build it with the toolchain of the SDK, not with that of the PC");
    }
    if (elf.machine == kMachineArm && (elf.flags & kArmSoftFloat) != 0) {
      error("wrong-float-abi",
            fmt::format("{} uses the soft-float ABI; the board's is hard-float",
                        request_->entry_point),
            "compile with -mfloat-abi=hard");
    }
    check_libraries(elf);
  }

  [[nodiscard]] bool is_on_platform(const std::string& library) const {
    const auto& given = request_->platform_libraries;
    // musl's loader answers for every name of the C library.
    return library.starts_with("libc.") || std::ranges::find(given, library) != given.end() ||
           (given.empty() &&
            std::ranges::find(kPlatformLibraries, library) != kPlatformLibraries.end());
  }

  [[nodiscard]] bool is_in_package(const std::string& library) const {
    return std::ranges::any_of(files_->files, [&](const FileEntry& file) {
      return file.path == library || file.path.ends_with("/" + library);
    });
  }

  void check_libraries(const ElfInfo& elf) {
    for (const auto& library : elf.needed) {
      if (!is_on_platform(library) && !is_in_package(library)) {
        warn("missing-library",
             fmt::format("{} needs {}, which is neither in the API set nor in the package",
                         request_->entry_point, escape_control(library)),
             "link it statically, or add it to the package directory");
      }
    }
  }

  void check_real_time(const ElfInfo& elf) {
    if (elf.machine != kMachineArm) {
      wrong_machine(elf, "a real-time core (ARM)");
      return;
    }
    check_class(elf, kMachines[0]);
    if (elf.type != kElfExecutable) {
      error("wrong-type",
            fmt::format("{} is not a program at fixed addresses", request_->entry_point),
            "link it without -pie and with the linker script of the core");
    }
    if (!elf.interpreter.empty()) {
      error("wrong-interpreter",
            fmt::format("{} wants the loader {}; a real-time core has none", request_->entry_point,
                        escape_control(elf.interpreter)),
            "link it statically; is ApplicationType right?");
    }
    for (const auto& library : elf.needed) {
      warn("missing-library",
           fmt::format("{} needs {}; a real-time core has no libraries", request_->entry_point,
                       escape_control(library)),
           "link it statically");
    }
    check_memory(elf);
  }

  void check_memory(const ElfInfo& elf) {
    auto segments = elf.segments;
    std::erase_if(segments, [](const ElfSegment& segment) { return segment.memory_size == 0; });
    std::ranges::sort(segments, {}, &ElfSegment::address);
    std::uint64_t end = 0;
    for (const auto& segment : segments) {
      const bool inside = std::ranges::any_of(kCoreMemories, [&](const Memory& memory) {
        return segment.address >= memory.begin && segment.address < memory.end &&
               segment.memory_size <= memory.end - segment.address;
      });
      if (!inside) {
        warn("outside-memory",
             fmt::format("{} bytes of {} at {:#010x} lie outside the memories of a core",
                         segment.memory_size, request_->entry_point, segment.address),
             "check the linker script");
      }
      if (segment.address < end) {
        warn("overlapping-segments",
             fmt::format("two segments of {} overlap at {:#010x}", request_->entry_point,
                         segment.address),
             "check the linker script");
      }
      end = inside ? segment.address + segment.memory_size : end;
    }
  }

  void check_hardening(const ElfInfo& elf) {
    if (elf.executable_stack) {
      warn("executable-stack", fmt::format("{} wants an executable stack", request_->entry_point),
           "link with -z noexecstack");
    }
    // A real-time program in TCM may be one segment with all rights: there is no memory protection.
    const bool has_writable_code = std::ranges::any_of(elf.segments, [](const ElfSegment& segment) {
      return segment.writable && segment.executable;
    });
    if (has_writable_code && request_->kind == ProgramKind::high_level) {
      warn("writable-code",
           fmt::format("{} has a segment that is writable and executable", request_->entry_point),
           "link with -z separate-code");
    }
    if (elf.text_relocations) {
      warn("text-relocations", fmt::format("{} has text relocations", request_->entry_point),
           "compile everything in it with -fPIC or -fPIE");
    }
  }

  const FileSystem* files_;
  const ExecutableRequest* request_;
  std::vector<ExecutableFinding> findings_;
};

}  // namespace

std::string machine_text(std::uint16_t machine) {
  const auto* found = find_machine(machine);
  return found == nullptr ? fmt::format("machine {}", machine) : std::string{found->name};
}

std::vector<ExecutableFinding> check_executable(const FileSystem& files,
                                                const ExecutableRequest& request) {
  return Checker{files, request}.run();
}

Result<std::uint16_t> entry_point_machine(const FileSystem& files, std::string_view entry_point) {
  const auto* file = files.find(entry_point);
  if (file == nullptr) {
    return fail(
        Errc::not_found,
        fmt::format("the entry point {} is no file of the package", escape_control(entry_point)),
        {.reason = "package.executable", .value = escape_control(entry_point)});
  }
  SPHERE_TRY_ASSIGN(const auto elf, read_program(files, *file));
  return elf.machine;
}

}  // namespace sphere::image

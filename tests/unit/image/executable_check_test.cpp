// SPDX-License-Identifier: MIT
#include "sphere/image/executable_check.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <catch2/catch.hpp>

#include "sphere/core/file.h"
#include "sphere/core/result.h"
#include "sphere/image/asxipfs.h"
#include "tests/unit/image/elf_builder.h"
#include "tests/unit/image/golden.h"

using sphere::Errc;
using sphere::image::check_executable;
using sphere::image::ExecutableFinding;
using sphere::image::ExecutableRequest;
using sphere::image::FileSystem;
using sphere::image::FindingSeverity;
using sphere::image::ProgramKind;
using sphere::image::read_elf;
using sphere::test::build_elf;
using sphere::test::Bytes;
using sphere::test::ElfFile;

namespace {

// A file system in memory.
struct Image {
  explicit Image(const std::map<std::string, sphere::image::FileSource>& content)
      : body{*sphere::image::write_asxipfs(content)}, files{*sphere::image::read_asxipfs(body)} {}
  Bytes body;
  FileSystem files;
};

// "error wrong-machine; warning executable-stack"
std::string rules(const std::vector<ExecutableFinding>& findings) {
  std::string text;
  for (const auto& finding : findings) {
    CHECK_FALSE(finding.message.empty());
    CHECK_FALSE(finding.next.empty());
    text += text.empty() ? "" : "; ";
    text += finding.severity == FindingSeverity::error ? "error " : "warning ";
    text += finding.rule;
  }
  return text;
}

std::string check(const Bytes& program, ProgramKind kind = ProgramKind::high_level,
                  const std::vector<std::string>& libraries = {}) {
  const Image image{{{"bin/app", {.content = program, .executable = true}},
                     {"lib/libmine.so", {.content = program}}}};
  return rules(check_executable(
      image.files, {.entry_point = "/bin/app", .kind = kind, .platform_libraries = libraries}));
}

ElfFile real_time() {
  return {.type = 2,
          .flags = 0x05000200,
          .interpreter = "",
          .needed = {},
          .segment_flags = 7,
          .stack_flags = std::nullopt,
          .address = 0x00100000};
}

}  // namespace

TEST_CASE("read_elf gives what the headers say", "[image]") {
  const auto is_64_bit = GENERATE(false, true);
  const auto elf = read_elf(build_elf({.is_64_bit = is_64_bit, .address = 0x10000}));

  REQUIRE(elf);
  CHECK(elf->is_64_bit == is_64_bit);
  CHECK(elf->type == 3);
  CHECK(elf->machine == sphere::image::kMachineArm);
  CHECK(elf->flags == 0x05000400);
  CHECK(elf->entry == 0x10000);
  CHECK(elf->interpreter == "/lib/ld-musl-armhf.so.1");
  CHECK(elf->needed == std::vector<std::string>{"libapplibs.so.0", "libc.so.1", "libgcc_s.so.1"});
  REQUIRE(elf->segments.size() == 1);
  CHECK(elf->segments[0].executable);
  CHECK_FALSE(elf->segments[0].writable);
  CHECK_FALSE(elf->executable_stack);
  CHECK_FALSE(elf->text_relocations);
}

TEST_CASE("read_elf reads the program of this test", "[image]") {
  const auto self = sphere::read_file("/proc/self/exe", std::size_t{1} << 28U);
  REQUIRE(self);
  const auto elf = read_elf(*self);
  REQUIRE(elf);
  CHECK(std::ranges::any_of(elf->needed,
                            [](const std::string& name) { return name.starts_with("libc.so"); }));
  CHECK(elf->interpreter.starts_with("/lib"));
}

TEST_CASE("an ELF file truncated anywhere is refused or says the same", "[image]") {
  const auto is_64_bit = GENERATE(false, true);
  const auto file = build_elf({.is_64_bit = is_64_bit});
  for (std::size_t size = 0; size < file.size(); ++size) {
    INFO(size);
    CHECK_FALSE(read_elf(std::span{file}.first(size)));
  }
}

TEST_CASE("every flipped bit of an ELF file is read or refused within its bounds", "[image]") {
  const auto file = build_elf({.is_64_bit = true, .text_relocations = true});
  std::size_t refused = 0;
  for (std::size_t bit = 0; bit < file.size() * 8; ++bit) {
    auto damaged = file;
    damaged[bit / 8] ^= static_cast<std::byte>(1U << (bit % 8));
    const auto elf = read_elf(damaged);
    refused += elf ? 0 : 1;
  }
  CHECK(refused > 100);
}

TEST_CASE("read_elf refuses what it does not know", "[image]") {
  auto file = build_elf({});
  CHECK(read_elf(sphere::test::to_bytes("#!/bin/sh\nexit 0\n")).error().code() == Errc::corrupt);
  CHECK(read_elf(sphere::test::patched(file, 5, "\x02")).error().code() == Errc::unsupported);
  CHECK(read_elf(sphere::test::patched(file, 4, "\x03")).error().code() == Errc::unsupported);
  CHECK(read_elf(sphere::test::patched(file, 20, "\x02")).error().code() == Errc::corrupt);
  CHECK(read_elf(sphere::test::patched(file, 44, "\x81")).error().code() == Errc::too_large);
  const ElfFile many{.needed = std::vector<std::string>(257, "liba.so")};
  CHECK(read_elf(build_elf(many)).error().code() == Errc::too_large);
  const ElfFile long_name{.needed = {std::string(256, 'a')}};
  CHECK(read_elf(build_elf(long_name)).error().code() == Errc::corrupt);
}

TEST_CASE("programs that a board can start have no findings", "[image]") {
  CHECK(check(build_elf({})).empty());
  CHECK(check(build_elf({.is_64_bit = true,
                         .machine = 62,
                         .flags = 0,
                         .interpreter = "/lib/ld-musl-x86_64.so.1"}))
            .empty());
  CHECK(check(build_elf({.is_64_bit = true,
                         .machine = 183,
                         .flags = 0,
                         .interpreter = "/lib/ld-musl-aarch64.so.1"}))
            .empty());
  CHECK(check(build_elf(real_time()), ProgramKind::real_time).empty());
}

TEST_CASE("check_executable names what keeps a program from starting", "[image]") {
  struct Case {
    ElfFile file;
    std::string expected;
  };
  const auto test = GENERATE(values<Case>({
      {{.machine = 8}, "error wrong-machine"},
      {{.is_64_bit = true}, "error wrong-class"},
      {{.type = 2}, "error wrong-type"},
      {{.interpreter = "/lib/ld-linux-armhf.so.3"}, "error wrong-interpreter"},
      {{.interpreter = ""}, "error wrong-interpreter"},
      {{.flags = 0x05000200}, "error wrong-float-abi"},
      {{.needed = {"libmine.so", "libother.so", "libc.musl.so"}}, "warning missing-library"},
      {{.segment_flags = 7}, "warning writable-code"},
      {{.stack_flags = 7}, "warning executable-stack"},
      {{.text_relocations = true}, "warning text-relocations"},
  }));
  CHECK(check(build_elf(test.file)) == test.expected);
}

TEST_CASE("check_executable knows a real-time core", "[image]") {
  const auto check_core = [](const ElfFile& file) {
    return check(build_elf(file), ProgramKind::real_time);
  };
  auto file = real_time();
  SECTION("another machine") {
    file.machine = 62;
    CHECK(check_core(file) == "error wrong-machine");
  }
  SECTION("a high-level program") {
    CHECK(check_core({}) ==
          "error wrong-type; error wrong-interpreter; warning missing-library; warning "
          "missing-library; warning missing-library; warning outside-memory");
  }
  SECTION("memory") {
    file.memory = {{0x2200F000, 0x2000}, {0x10000000, 0x100000}, {0x30000000, 4}};
    CHECK(check_core(file) == "warning outside-memory; warning outside-memory");
  }
  SECTION("memory that wraps around") {
    file.memory = {{0xFFFFFFF0, 0xFFFFFFFF}};
    CHECK(check_core(file) == "warning outside-memory");
  }
  SECTION("overlap") {
    file.memory = {{0x00100010, 4}};
    CHECK(check_core(file) == "warning overlapping-segments");
  }
}

TEST_CASE("the libraries of a sysroot replace the known ones", "[image]") {
  const auto program = build_elf({.needed = {"libcurl.so.4", "libnew.so.1"}});
  CHECK(check(program) == "warning missing-library");
  CHECK(check(program, ProgramKind::high_level, {"libcurl.so.4", "libnew.so.1"}).empty());
  CHECK(check(program, ProgramKind::high_level, {"libnew.so.1"}) == "warning missing-library");
}

TEST_CASE("a missing, plain or foreign entry point is an error", "[image]") {
  const auto script = sphere::test::to_bytes("#!/bin/sh\n");
  const Image image{
      {{"app", {.content = script, .executable = true}}, {"data", {.content = script}}}};
  const auto& files = image.files;

  CHECK(rules(check_executable(files, {.entry_point = "bin/app"})) == "error entry-point-missing");
  CHECK(rules(check_executable(files, {.entry_point = "/data"})) == "error entry-point-missing");
  CHECK(rules(check_executable(files, {.entry_point = "/app", .package_bytes = 1'048'577})) ==
        "error not-elf; warning package-size");
  CHECK(sphere::image::entry_point_machine(files, "bin/app").error().code() == Errc::not_found);
  CHECK(sphere::image::entry_point_machine(files, "app").error().code() == Errc::corrupt);
}

TEST_CASE("entry_point_machine tells the CPU", "[image]") {
  const auto program = build_elf({.is_64_bit = true, .machine = 62});
  const Image image{{{"app", {.content = program, .executable = true}}}};
  const auto& files = image.files;
  CHECK(sphere::image::entry_point_machine(files, "/app") == 62);
  CHECK(sphere::image::machine_text(62) == "x86-64");
  CHECK(sphere::image::machine_text(8) == "machine 8");
}

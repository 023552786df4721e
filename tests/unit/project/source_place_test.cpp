// SPDX-License-Identifier: MIT
#include "sphere/project/source_place.h"

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <string>

#include <catch2/catch.hpp>

#include "sphere/core/file.h"
#include "sphere/core/process.h"
#include "sphere/image/executable_check.h"
#include "tests/support/skip.h"

namespace {

namespace fs = std::filesystem;
using sphere::Errc;
using sphere::project::find_source;
using sphere::project::newest_sysroot;

// A program of this machine with its symbols. `wanted` stands in line 2.
struct Program {
  sphere::TemporaryDirectory directory = sphere::TemporaryDirectory::create("place").value();
  fs::path file = directory.path() / "app.out";
  bool built = false;

  Program() {
    const auto source = directory.path() / "app.c";
    std::ofstream{source} << "/* */\nint wanted(int value) { return value * 3; }\n"
                             "int main(void) { return wanted(2); }\n";
    const auto run = sphere::run_captured(
        {.program = "cc",
         .arguments = {"-g", "-O0", "-Wl,--build-id", "-o", file.string(), source.string()}},
        std::chrono::seconds{30});
    built = run && run->status.success();
  }

  // Offset in the file of a function, as a crash record has it.
  [[nodiscard]] std::uint64_t offset_of(const std::string& symbol) const {
    const auto run = sphere::run_captured({.program = "nm", .arguments = {file.string()}},
                                          std::chrono::seconds{10})
                         .value();
    const auto at = run.output.find(" T " + symbol + "\n");
    const auto begin = run.output.rfind('\n', at);
    const auto address =
        std::stoull(run.output.substr(begin == std::string::npos ? 0 : begin + 1, at), nullptr, 16);
    for (const auto& segment : elf().segments) {
      if (segment.executable) {
        return address - segment.address + segment.file_offset;
      }
    }
    return 0;
  }

  [[nodiscard]] sphere::image::ElfInfo elf() const {
    constexpr std::size_t kLargest = 1U << 20U;
    return sphere::image::read_elf(sphere::read_file(file, kLargest).value()).value();
  }
};

bool has_addr2line() {
  return sphere::run_captured({.program = "addr2line", .arguments = {"--version"}},
                              std::chrono::seconds{10})
      .has_value();
}

}  // namespace

TEST_CASE("a place in a program's file is a line of its sources", "[project]") {
  const Program program;
  SKIP_UNLESS(program.built && has_addr2line(), "cc and addr2line: packages gcc and binutils");
  const auto build_id = program.elf().build_id;
  CHECK(build_id.size() == 40);
  const auto place = find_source(
      {.program = program.file, .build_id = build_id, .offset = program.offset_of("wanted")});
  REQUIRE(place);
  CHECK(place->function == "wanted");
  CHECK(fs::path{place->file}.filename() == "app.c");
  CHECK(place->line == "2");
  CHECK(to_text(*place) == "wanted (app.c:2)");
}

TEST_CASE("what is no place is told apart", "[project]") {
  const Program program;
  SKIP_UNLESS(program.built, "cc: package gcc");
  CHECK(find_source({.program = program.file, .build_id = "ab", .offset = 4096}).error().code() ==
        Errc::unverified);
  CHECK(find_source({.program = program.file, .offset = 1ULL << 40U}).error().code() ==
        Errc::not_found);
  CHECK(find_source({.program = program.directory.path() / "none"}).error().code() ==
        Errc::not_found);
  CHECK(find_source({.program = program.directory.path() / "app.c"}).error().code() ==
        Errc::corrupt);
}

TEST_CASE("only what is known of a place is written", "[project]") {
  using sphere::project::to_text;
  CHECK(to_text({}).empty());
  CHECK(to_text({.function = "f"}) == "f");
  CHECK(to_text({.function = {}, .file = "/a/b.c", .line = "7"}) == "b.c:7");
  CHECK(to_text({.function = "f", .file = "/a/b.c"}) == "f (b.c)");
}

TEST_CASE("the newest sysroot is the highest number", "[project]") {
  const auto directory = sphere::TemporaryDirectory::create("sdk").value();
  CHECK(newest_sysroot(directory.path()).empty());
  for (const auto* const name : {"9", "15", "5+Beta2004", "99x"}) {
    fs::create_directories(directory.path() / "Sysroots" / name);
  }
  CHECK(newest_sysroot(directory.path()).filename() == "15");
}

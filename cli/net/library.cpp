// SPDX-License-Identifier: MIT
#include "cli/net/library.h"

#include <algorithm>
#include <dlfcn.h>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>
#include <system_error>

#include <fmt/format.h>

#include "cli/commands/command.h"
#include "cli/context.h"
#include "sphere/core/result.h"

namespace sphere::cli {
namespace {

constexpr std::string_view kFile = "libsphere_net.so";
constexpr std::string_view kNext = "install the package sphere again, as a whole";

Result<const NetTable*> open_table(const std::filesystem::path& file) {
  void* const library = ::dlopen(file.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (library == nullptr) {
    return fail(
        Errc::not_found, fmt::format("cannot load {}: {}", kFile, ::dlerror()),
        {.reason = "local.tool-missing", .value = file.string(), .next = std::string{kNext}});
  }
  using Entry = const NetTable* (*)();
  // POSIX gives functions as data pointers.
  const auto entry = reinterpret_cast<Entry>(  // NOLINT(*-reinterpret-cast): see above
      ::dlsym(library, kNetEntry));
  const NetTable* const table = entry == nullptr ? nullptr : entry();
  if (table == nullptr || std::string_view{table->version} != kNetVersion ||
      table->context_size != sizeof(Context)) {
    return fail(
        Errc::corrupt,
        fmt::format("{} is of version {}, this program of {}", kFile,
                    table == nullptr ? "?" : table->version, kNetVersion),
        {.reason = "local.tool-missing", .value = file.string(), .next = std::string{kNext}});
  }
  return table;
}

}  // namespace

Result<Run> load_net_command(const std::filesystem::path& program, std::string_view path) {
  const auto directory = program.parent_path();
  auto file = directory / kFile;
  std::error_code ignored;
  if (!std::filesystem::exists(file, ignored)) {
    const auto other = directory.parent_path() / "lib" / "sphere" / kFile;
    if (!std::filesystem::exists(other, ignored)) {
      return fail(
          Errc::not_found, fmt::format("sphere {} needs {}, which is not installed", path, kFile),
          {.reason = "local.tool-missing", .value = file.string(), .next = std::string{kNext}});
    }
    file = other;
  }
  SPHERE_TRY_ASSIGN(const NetTable* const table, open_table(file));
  const std::span commands{table->commands, table->count};
  const auto found = std::ranges::find(commands, path, &NetCommand::path);
  if (found == commands.end()) {
    return fail(Errc::unsupported, fmt::format("{} lacks sphere {}", kFile, path),
                {.reason = "internal.bug", .value = file.string(), .next = std::string{kNext}});
  }
  return found->run;
}

}  // namespace sphere::cli

// SPDX-License-Identifier: MIT
#include "libsdk/src/device/runtime_directory.h"

#include <cerrno>
#include <cstddef>
#include <cstdlib>
#include <filesystem>
#include <string>
#include <string_view>
#include <sys/stat.h>
#include <unistd.h>
#include <utility>

#include <tl/expected.hpp>

#include "sphere/core/file.h"
#include "sphere/core/result.h"
#include "sphere/core/text.h"

namespace sphere::device {

namespace fs = std::filesystem;

namespace {

// sun_path has 108 bytes; the agent puts sockets with names of up to 48 bytes below this directory.
constexpr std::size_t kLongest = 108 - 48;
constexpr std::string_view kShortPrefix = "/tmp/sphere-";

fs::path record_of(const fs::path& board) { return board / "runtime-directory"; }

bool is_short(const fs::path& directory) { return directory.native().size() < kLongest; }

// Nobody but this user may have a hand in the directory.
Result<void> check_owner(const fs::path& directory) {
  struct stat status = {};
  if (::lstat(directory.c_str(), &status) != 0) {
    return tl::make_unexpected(system_error("look at", directory, errno));
  }
  if (!S_ISDIR(status.st_mode) || status.st_uid != ::geteuid() ||
      (status.st_mode & (S_IRWXG | S_IRWXO)) != 0) {
    return fail(Errc::permission, directory.string() + " is not a directory of this user alone",
                {.reason = "local.permission",
                 .value = directory.string(),
                 .next = "remove it, or set XDG_RUNTIME_DIR to a directory of your own"});
  }
  return {};
}

Result<fs::path> make_short_directory(const fs::path& board) {
  std::string name = std::string{kShortPrefix} + "XXXXXX";
  if (::mkdtemp(name.data()) == nullptr) {
    return tl::make_unexpected(system_error("make", name, errno));
  }
  if (auto recorded = write_file(record_of(board), name + "\n", {.mode = 0600}); !recorded) {
    ::rmdir(name.c_str());
    return tl::make_unexpected(std::move(recorded).error());
  }
  return fs::path{name};
}

}  // namespace

fs::path find_runtime_directory(const fs::path& runtime, const fs::path& board,
                                std::string_view name) {
  fs::path usual = runtime / "boards" / name;
  if (!runtime.empty() && is_short(usual)) {
    return usual;
  }
  const auto recorded = read_text_file(record_of(board), 4096);
  const std::string_view text = recorded ? trim(*recorded) : std::string_view{};
  // The directory is removed with the board: nothing but one of ours may be named.
  const bool ours = text.starts_with(kShortPrefix) &&
                    text.find('/', kShortPrefix.size()) == std::string_view::npos;
  return ours && is_short(text) ? fs::path{text} : fs::path{};
}

Result<fs::path> make_runtime_directory(const fs::path& runtime, const fs::path& board,
                                        std::string_view name) {
  fs::path found = find_runtime_directory(runtime, board, name);
  if (!runtime.empty() && found == runtime / "boards" / name) {
    SPHERE_TRY(make_directories(found, 0700));
    SPHERE_TRY(check_owner(found));
    return found;
  }
  if (!found.empty() && check_owner(found)) {
    return found;
  }
  return make_short_directory(board);
}

}  // namespace sphere::device

// SPDX-License-Identifier: MIT
#include "libsdk/src/image/package_directory.h"

#include <algorithm>
#include <cstddef>
#include <filesystem>
#include <map>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>

#include <fmt/format.h>
#include <tl/expected.hpp>

#include "libsdk/src/image/failure.h"
#include "sphere/core/file.h"
#include "sphere/core/result.h"
#include "sphere/image/asxipfs.h"

namespace sphere::image {
namespace fs = std::filesystem;
namespace {

constexpr std::string_view kManifest = "app_manifest.json";

tl::unexpected<Error> refused(const fs::path& path, std::string_view why, std::string_view next) {
  return fail(
      Errc::invalid_argument, fmt::format("{} {}", path.string(), why),
      {.reason = "local.file-unreadable", .value = path.string(), .next = std::string{next}});
}

bool is_below(const fs::path& path, const fs::path& root) {
  const auto [end, rest] = std::ranges::mismatch(root, path);
  return end == root.end();
}

class DirectoryReader {
 public:
  explicit DirectoryReader(fs::path root) : root_{std::move(root)} {}

  // Adds what lies in `directory`; `prefix` is its path in the package, "" or with '/' at the end.
  // NOLINTNEXTLINE(misc-no-recursion): at most kMaxDepth directories deep.
  Result<void> read(const fs::path& directory, const std::string& prefix, std::size_t depth) {
    if (depth > kMaxDepth) {
      return too_large(
          fmt::format("{} is more than {} directories deep", directory.string(), kMaxDepth),
          directory.string());
    }
    std::error_code error;
    for (fs::directory_iterator entry{directory, error}, end; !error && entry != end;
         entry.increment(error)) {
      SPHERE_TRY(add(*entry, prefix, depth));
    }
    if (error) {
      return tl::make_unexpected(system_error("read", directory, error.value()));
    }
    return {};
  }

  std::map<std::string, FileSource> take() && { return std::move(files_); }

 private:
  // NOLINTNEXTLINE(misc-no-recursion): at most kMaxDepth directories deep.
  Result<void> add(const fs::directory_entry& entry, const std::string& prefix, std::size_t depth) {
    const auto name = entry.path().filename().string();
    if (prefix.empty() && name == kManifest) {
      return {};
    }
    std::error_code error;
    if (entry.is_symlink(error)) {
      SPHERE_TRY(check_link(entry.path()));
    }
    const auto status = entry.status(error);
    if (error) {
      return tl::make_unexpected(system_error("read", entry.path(), error.value()));
    }
    if (fs::is_directory(status)) {
      return read(entry.path(), prefix + name + "/", depth + 1);
    }
    if (!fs::is_regular_file(status)) {
      return refused(entry.path(), "is neither a file nor a directory", "remove it");
    }
    return add_file(entry.path(), prefix + name);
  }

  [[nodiscard]] Result<void> check_link(const fs::path& link) const {
    std::error_code error;
    const auto target = fs::canonical(link, error);
    if (error) {
      return refused(link, "is a symbolic link to nothing", "remove it");
    }
    if (!is_below(target, root_)) {
      return refused(link, "is a symbolic link that leaves the package directory",
                     "copy the file instead");
    }
    return {};
  }

  Result<void> add_file(const fs::path& path, std::string name) {
    if (files_.size() >= kMaxInodes) {
      return too_large(fmt::format("more than {} files", kMaxInodes));
    }
    auto content = read_file(path, kMaxFileBytes);
    if (!content && content.error().code() == Errc::too_large) {
      return too_large(fmt::format("{} is larger than {} bytes, the limit of a file in a package",
                                   path.string(), kMaxFileBytes),
                       path.string());
    }
    if (!content) {
      return tl::make_unexpected(std::move(content).error());
    }
    total_ += content->size();
    if (total_ > kMaxBodyBytes) {
      return too_large(fmt::format("the files have more than {} bytes", kMaxBodyBytes));
    }
    files_.emplace(std::move(name), FileSource{.content = *std::move(content)});
    return {};
  }

  fs::path root_;
  std::map<std::string, FileSource> files_;
  std::size_t total_ = 0;
};

}  // namespace

Result<std::map<std::string, FileSource>> read_package_directory(const fs::path& directory) {
  std::error_code error;
  const auto root = fs::canonical(directory, error);
  if (error) {
    return tl::make_unexpected(system_error("read", directory, error.value()));
  }
  if (!fs::is_directory(root, error)) {
    return refused(directory, "is not a directory",
                   "name the directory that holds the app's files");
  }
  DirectoryReader reader{root};
  SPHERE_TRY(reader.read(directory, {}, 0));
  return std::move(reader).take();
}

}  // namespace sphere::image

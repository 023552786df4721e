// SPDX-License-Identifier: MIT
#include <algorithm>
#include <cstddef>
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

#include <fmt/format.h>
#include <tl/expected.hpp>

#include "libsdk/src/hardware/resolve.h"
#include "sphere/core/file.h"
#include "sphere/core/result.h"
#include "sphere/core/text.h"
#include "sphere/hardware/definition.h"

namespace sphere::hardware {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kReason = "package.hardware-definition";

std::optional<fs::path> find_in(const fs::path& name, const std::vector<fs::path>& directories) {
  for (const auto& directory : directories) {
    std::error_code ignored;
    auto candidate = directory / name;
    if (fs::exists(candidate, ignored)) {
      return candidate;
    }
  }
  return std::nullopt;
}

std::string listed(const std::vector<fs::path>& directories) {
  std::vector<std::string> names;
  names.reserve(directories.size());
  for (const auto& directory : directories) {
    names.push_back(directory.empty() ? "." : directory.string());
  }
  return names.empty() ? "no folder" : join(names, ", ");
}

tl::unexpected<Error> not_found(const std::string& what, const std::string& name,
                                const std::vector<fs::path>& directories) {
  return fail(
      Errc::not_found, fmt::format("{}: looked in {}", what, listed(directories)),
      {.reason = kReason,
       .value = escape_control(name),
       .next = "give the folder that has it with --hardware-definitions or TARGET_DIRECTORY"});
}

// Files reached from `from` by imports, in the order of their distance.
std::vector<std::size_t> reachable(std::size_t from,
                                   const std::vector<std::vector<std::size_t>>& imports) {
  std::vector<std::size_t> order = {from};
  for (std::size_t i = 0; i < order.size(); ++i) {
    for (const auto next : imports[order[i]]) {
      if (std::ranges::find(order, next) == order.end()) {
        order.push_back(next);
      }
    }
  }
  return order;
}

}  // namespace

// Reads a file and what it imports, each file once.
class Loader {
 public:
  explicit Loader(std::vector<fs::path> directories) : directories_{std::move(directories)} {}

  // NOLINTNEXTLINE(misc-no-recursion): limited to kMaxImportDepth.
  Result<std::size_t> read(const fs::path& path) {
    std::error_code ignored;
    const auto canonical = fs::weakly_canonical(path, ignored).string();
    const auto known = known_.find(canonical);
    if (known != known_.end()) {
      const auto on_way = std::ranges::find(way_, known->second);
      return on_way == way_.end() ? Result<std::size_t>{known->second} : cycle(on_way);
    }
    if (files_.size() == kMaxDefinitionFiles || way_.size() == kMaxImportDepth) {
      return fail(Errc::too_large,
                  fmt::format("{}: more than {} files, or imports nested deeper than {}",
                              path.string(), kMaxDefinitionFiles, kMaxImportDepth),
                  {.reason = kReason, .value = path.string()});
    }
    SPHERE_TRY_ASSIGN(auto definition, read_one(path));
    peripherals_ += definition.peripherals.size();
    if (peripherals_ > kMaxPeripherals) {
      return fail(Errc::too_large,
                  fmt::format("{}: with its imports more than {} peripherals", path.string(),
                              kMaxPeripherals),
                  {.reason = kReason, .value = path.string()});
    }
    const std::size_t index = files_.size();
    known_.emplace(canonical, index);
    files_.push_back(std::move(definition));
    imports_.emplace_back();
    way_.push_back(index);
    SPHERE_TRY(read_imports(index));
    way_.pop_back();
    return index;
  }

  [[nodiscard]] DefinitionSet finish() && {
    DefinitionSet set;
    set.directories_ = directories_;
    // The set has its files nearest first; indexes change with the order.
    const auto order = reachable(0, imports_);
    std::vector<std::size_t> place(order.size());
    for (std::size_t i = 0; i < order.size(); ++i) {
      place[order[i]] = i;
      set.files_.push_back(std::move(files_[order[i]]));
    }
    for (const auto from : order) {
      auto visible = reachable(from, imports_);
      for (auto& index : visible) {
        index = place[index];
      }
      set.visible_.push_back(std::move(visible));
    }
    set.warnings_ = differing_names(set.files_);
    return set;
  }

  [[nodiscard]] static Result<void> check(const DefinitionSet& set) {
    for (std::size_t file = 0; file < set.files_.size(); ++file) {
      for (const auto& peripheral : set.files_[file].peripherals) {
        SPHERE_TRY(follow(set.files_, set.visible_, file, peripheral));
      }
    }
    return {};
  }

 private:
  static Result<Definition> read_one(const fs::path& path) {
    auto text = read_text_file(path, kMaxDefinitionBytes);
    if (!text) {
      auto error = std::move(text).error();
      return tl::make_unexpected(std::move(error).while_doing("reading a hardware definition"));
    }
    return read_definition(*text, path);
  }

  // NOLINTNEXTLINE(misc-no-recursion): see read().
  Result<void> read_imports(std::size_t index) {
    const auto imports = files_[index].imports;  // A copy: files_ grows.
    const auto path = files_[index].path;
    for (auto name : imports) {
      std::ranges::replace(name, '\\', '/');
      std::vector<fs::path> folders = {path.parent_path()};
      folders.insert(folders.end(), directories_.begin(), directories_.end());
      const auto found = find_in(name, folders);
      if (!found) {
        return not_found(fmt::format("{} imports \"{}\", which is not there", path.string(),
                                     escape_control(name)),
                         name, folders);
      }
      SPHERE_TRY_ASSIGN(const auto imported, read(*found));
      imports_[index].push_back(imported);
    }
    return {};
  }

  [[nodiscard]] tl::unexpected<Error> cycle(std::vector<std::size_t>::const_iterator first) const {
    std::vector<std::string> chain;
    for (auto at = first; at != way_.end(); ++at) {
      chain.push_back(files_[*at].path.string());
    }
    chain.push_back(chain.front());
    return fail(Errc::invalid_argument,
                fmt::format("hardware definitions import each other: {}", join(chain, " -> ")),
                {.reason = kReason, .value = chain.front(), .next = "remove one of the imports"});
  }

  std::vector<fs::path> directories_;
  std::vector<Definition> files_;
  std::vector<std::vector<std::size_t>> imports_;  // By file, indexes of files_.
  std::map<std::string, std::size_t> known_;       // Canonical path to index.
  std::size_t peripherals_ = 0;
  std::vector<std::size_t> way_;  // From the root to the file being read.
};

Result<DefinitionSet> DefinitionSet::load(const fs::path& file_name,
                                          const std::vector<fs::path>& directories) {
  // An absolute name replaces the folder in front of it.
  const auto path =
      file_name.is_absolute() ? find_in(file_name, {fs::path{}}) : find_in(file_name, directories);
  if (!path) {
    return not_found(
        fmt::format("there is no hardware definition \"{}\"", escape_control(file_name.string())),
        file_name.string(),
        file_name.is_absolute() ? std::vector<fs::path>{file_name.parent_path()} : directories);
  }
  Loader loader{directories};
  SPHERE_TRY(loader.read(*path));
  auto set = std::move(loader).finish();
  SPHERE_TRY(Loader::check(set));
  return set;
}

Result<std::string> DefinitionSet::manifest_value(std::string_view key,
                                                  std::string_view name) const {
  const auto found = find_visible(files_, visible_[0], name);
  if (!found) {
    return unknown_name(files_, directories_, name);
  }
  if (found->peripheral->type != key) {
    return fail(Errc::invalid_argument,
                fmt::format(R"("${}" is of type {} and stands under "{}")", name,
                            found->peripheral->type, escape_control(key)),
                {.reason = kReason,
                 .value = fmt::format("${}", name),
                 .next = fmt::format("move it to \"{}\", or name a peripheral of type {}",
                                     found->peripheral->type, escape_control(key))});
  }
  SPHERE_TRY_ASSIGN(const auto* const raw,
                    follow(files_, visible_, found->file, *found->peripheral));
  if (raw->manifest_value.empty()) {
    return fail(Errc::invalid_argument,
                fmt::format("\"${}\" has no manifest value: it exists for C code only", name),
                {.reason = kReason,
                 .value = fmt::format("${}", name),
                 .next = "name the controller instead of its channel or chip select"});
  }
  return raw->manifest_value;
}

}  // namespace sphere::hardware

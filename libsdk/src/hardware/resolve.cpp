// SPDX-License-Identifier: MIT
#include "libsdk/src/hardware/resolve.h"

#include <algorithm>
#include <cstddef>
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <fmt/format.h>
#include <tl/expected.hpp>

#include "sphere/core/result.h"
#include "sphere/core/text.h"
#include "sphere/hardware/definition.h"

namespace sphere::hardware {
namespace {

constexpr std::string_view kReason = "package.hardware-definition";

// "NAME (file.json:12)"
std::string place_of(const Definition& file, const Peripheral& peripheral) {
  return fmt::format("{} ({}:{})", peripheral.name, file.path.string(), peripheral.line);
}

tl::unexpected<Error> broken(const std::string& what, const std::vector<std::string>& chain,
                             const std::string& name) {
  return fail(Errc::invalid_argument, fmt::format("{}: {}", what, join(chain, " -> ")),
              {.reason = kReason, .value = name, .next = "correct the \"Mapping\""});
}

bool same_values(const Peripheral& a, const Peripheral& b) {
  return a.type == b.type && a.mapping == b.mapping && a.header_value == b.header_value &&
         a.manifest_value == b.manifest_value;
}

}  // namespace

std::optional<Found> find_visible(const std::vector<Definition>& files,
                                  const std::vector<std::size_t>& visible, std::string_view name) {
  for (const auto file : visible) {
    const auto& peripherals = files[file].peripherals;
    const auto found = std::ranges::find_if(
        peripherals, [&](const Peripheral& entry) { return entry.name == name; });
    if (found != peripherals.end()) {
      return Found{.file = file, .peripheral = &*found};
    }
  }
  return std::nullopt;
}

Result<const Peripheral*> follow(const std::vector<Definition>& files, const Visible& visible,
                                 std::size_t file, const Peripheral& peripheral) {
  std::vector<std::string> chain = {place_of(files[file], peripheral)};
  std::vector<const Peripheral*> seen = {&peripheral};
  const Peripheral* at = &peripheral;
  while (!at->mapping.empty()) {
    const auto next = find_visible(files, visible[file], at->mapping);
    if (!next) {
      chain.push_back(at->mapping);
      return broken(fmt::format("mapping to \"{}\", which is not defined", at->mapping), chain,
                    at->mapping);
    }
    file = next->file;
    chain.push_back(place_of(files[file], *next->peripheral));
    if (std::ranges::find(seen, next->peripheral) != seen.end()) {
      return broken("mappings in a circle", chain, peripheral.name);
    }
    if (next->peripheral->type != at->type) {
      return broken(
          fmt::format("mapping from type {} to type {}", at->type, next->peripheral->type), chain,
          peripheral.name);
    }
    if (seen.size() > kMaxMappings) {
      return broken(fmt::format("more than {} mappings in a row", kMaxMappings), chain,
                    peripheral.name);
    }
    at = next->peripheral;
    seen.push_back(at);
  }
  return at;
}

std::vector<std::string> differing_names(const std::vector<Definition>& files) {
  std::vector<std::string> warnings;
  std::map<std::string_view, Found> nearest_of;
  for (std::size_t file = 0; file < files.size(); ++file) {
    for (const auto& peripheral : files[file].peripherals) {
      const auto [known, added] =
          nearest_of.emplace(peripheral.name, Found{.file = file, .peripheral = &peripheral});
      const auto& nearer = known->second;
      if (!added && !same_values(*nearer.peripheral, peripheral)) {
        warnings.push_back(fmt::format("{} is used, not {}",
                                       place_of(files[nearer.file], *nearer.peripheral),
                                       place_of(files[file], peripheral)));
      }
    }
  }
  return warnings;
}

tl::unexpected<Error> unknown_name(const std::vector<Definition>& files,
                                   const std::vector<std::filesystem::path>& directories,
                                   std::string_view name) {
  constexpr std::size_t kMostBytes = 128;  // Longer ones are near nothing.
  std::vector<std::string> names;
  std::vector<std::string> read;
  for (const auto& file : files) {
    read.push_back(file.path.string());
    for (const auto& peripheral : file.peripherals) {
      names.push_back(peripheral.name);
    }
  }
  std::vector<std::string> folders;
  folders.reserve(directories.size());
  for (const auto& directory : directories) {
    folders.push_back(directory.string());
  }
  std::string next = "see the names in " + read.front();
  if (name.size() <= kMostBytes) {
    const auto near = nearest(name, names, 3, std::max<std::size_t>(2, name.size() / 4));
    next = near.empty() ? next : "did you mean " + join(near, ", ") + "?";
  }
  const auto shown = escape_control(cut_utf8(name, kMostBytes));
  return fail(Errc::not_found,
              fmt::format("no hardware definition has \"${}\": read {}; search path {}", shown,
                          join(read, ", "), folders.empty() ? "empty" : join(folders, ", ")),
              {.reason = kReason, .value = "$" + shown, .next = std::move(next)});
}

}  // namespace sphere::hardware

// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <tl/expected.hpp>

#include "sphere/core/result.h"
#include "sphere/hardware/definition.h"

namespace sphere::hardware {

using Visible = std::vector<std::vector<std::size_t>>;  // DefinitionSet::visible_

struct Found {
  std::size_t file;
  const Peripheral* peripheral;
};

// The nearest peripheral of that name among the files of `visible`.
[[nodiscard]] std::optional<Found> find_visible(const std::vector<Definition>& files,
                                                const std::vector<std::size_t>& visible,
                                                std::string_view name);

// Follows the mapping of `peripheral`, which stands in `file`, to the peripheral with raw values.
// Error: invalid_argument with the chain for an unknown name, a cycle, or a change of type.
[[nodiscard]] Result<const Peripheral*> follow(const std::vector<Definition>& files,
                                               const Visible& visible, std::size_t file,
                                               const Peripheral& peripheral);

// A warning for each name that a nearer file defines otherwise. `files`: nearest first.
[[nodiscard]] std::vector<std::string> differing_names(const std::vector<Definition>& files);

// The error for a "$NAME" that no file has.
[[nodiscard]] tl::unexpected<Error> unknown_name(
    const std::vector<Definition>& files, const std::vector<std::filesystem::path>& directories,
    std::string_view name);

}  // namespace sphere::hardware

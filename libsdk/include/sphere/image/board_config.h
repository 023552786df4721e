// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "sphere/core/guid.h"
#include "sphere/core/result.h"
#include "sphere/crypto/signer.h"
#include "sphere/image/pack.h"

namespace sphere::image {

// Which extra hardware a board has, by the name of a preset that its system knows.
struct BoardConfiguration {
  std::string preset;
  std::string description = {};  // One sentence for people.
};

// Reads the body of a board configuration: a flattened device tree (big-endian, 40 to 65,536 bytes,
// not padded) with one node:
//
//   / { azconfig {
//     version = <1>;      4 bytes
//     preset = "...";     UTF-8 without control characters, NUL at the end; at least 1 byte
//     desc = "...";       the same, may be empty
//   }; };
//
// The whole tree is checked. Other nodes and properties are left alone. Still to be checked by the
// caller: that a board-configuration key signed the package, that the board knows the preset.
//
// Errors: corrupt: the tree, a property that is missing or has another form. unsupported: another
// version of the tree or of the configuration. too_large: size or depth of the tree.
[[nodiscard]] Result<BoardConfiguration> read_board_configuration(std::span<const std::byte> body);

// The body for `configuration`, whose texts are as read_board_configuration() wants them; anything
// else is a bug.
[[nodiscard]] std::vector<std::byte> write_board_configuration(
    const BoardConfiguration& configuration);

// A configuration that boards know.
struct BoardPreset {
  std::string_view name;
  std::string_view component_id;  // A GUID; the same for every package of the preset.
  std::string_view description;
};
[[nodiscard]] std::span<const BoardPreset> board_presets();

// Error: invalid_argument (usage.bad-value), with the known ones.
[[nodiscard]] Result<BoardPreset> find_board_preset(std::string_view name);

struct BoardConfigurationRequest {
  std::string preset;
  std::optional<Guid> image_id = {};  // Absent: derived with reproducible, else random.
  std::uint64_t build_time = 0;
  bool reproducible = false;
};

// The package of a preset, signed by `signer`. Errors: those of find_board_preset() and of the
// signer.
[[nodiscard]] Result<Packed> pack_board_configuration(const BoardConfigurationRequest& request,
                                                      const crypto::Signer& signer);

}  // namespace sphere::image

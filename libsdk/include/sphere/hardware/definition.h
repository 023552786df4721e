// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "sphere/core/result.h"

namespace sphere::hardware {

struct Peripheral {
  std::string name;
  std::string type;  // Gpio, Uart, I2cMaster, SpiMaster, Pwm, Adc, int.
  std::string comment;
  std::string mapping;         // Another peripheral, or empty for raw values.
  std::string header_value;    // C text, "(8)".
  std::string manifest_value;  // JSON text: `8` or `"ISU0"`; empty for int.
};

// One hardware definition file as written.
struct Definition {
  std::filesystem::path path;
  std::string name;                     // Description.Name
  std::vector<std::string> header_top;  // MainCoreHeaderFileTopContent
  std::vector<std::string> imports;     // Path texts as written.
  std::vector<Peripheral> peripherals;
};

// Where "$NAME" is looked up: a definition with everything it imports.
class DefinitionSet {
 public:
  // Loads `file_name`, found in the first of `directories` that has it (or itself, when absolute),
  // and its imports: beside the importing file, then in `directories` in order. Errors:
  // not_found, corrupt, invalid_argument (package.hardware-definition): an import cycle or unknown
  // mapping with its chain, a duplicate name, a type clash.
  [[nodiscard]] static Result<DefinitionSet> load(
      const std::filesystem::path& file_name,
      const std::vector<std::filesystem::path>& directories);

  // The manifest value (JSON text) of `name`, which must have type `key`. Errors: not_found with
  // the search path and near names; invalid_argument (type).
  [[nodiscard]] Result<std::string> manifest_value(std::string_view key,
                                                   std::string_view name) const;

  [[nodiscard]] const std::vector<Definition>& files() const noexcept {
    return files_;
  }  // [0]: root.
  [[nodiscard]] const std::vector<std::string>& warnings() const noexcept { return warnings_; }

 private:
  std::vector<Definition> files_;
  std::vector<std::string> warnings_;
  std::vector<std::filesystem::path> directories_;
};

// Reads one file without its imports. Errors: as above.
[[nodiscard]] Result<Definition> read_definition(std::string_view text,
                                                 const std::filesystem::path& path);

}  // namespace sphere::hardware

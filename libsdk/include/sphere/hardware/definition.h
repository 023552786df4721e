// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
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
  std::size_t line = 0;        // Where it stands in its file.
};

// Limits of one file and of a file with its imports.
inline constexpr std::size_t kMaxDefinitionBytes = std::size_t{1024} * 1024;
inline constexpr std::size_t kMaxDefinitionFiles = 64;
inline constexpr std::size_t kMaxImportDepth = 16;
inline constexpr std::size_t kMaxPeripherals = 4096;  // In all files together.
inline constexpr std::size_t kMaxMappings = 16;       // In a row, from a name to its value.

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
  // and its imports: beside the importing file, then in `directories` in order. The caller puts the
  // SDK's HardwareDefinitions folder last. Every mapping of every file is followed here. Errors,
  // all with reason package.hardware-definition: not_found, corrupt, too_large; invalid_argument:
  // an import cycle or unknown mapping with its chain, a duplicate name, a type clash.
  [[nodiscard]] static Result<DefinitionSet> load(
      const std::filesystem::path& file_name,
      const std::vector<std::filesystem::path>& directories);

  // The manifest value (JSON text) of `name`, which must have type `key`. Where two files have a
  // name, the one reached by fewer imports counts. Errors: not_found with the search path and near
  // names; invalid_argument: another type, or a name for C code only.
  [[nodiscard]] Result<std::string> manifest_value(std::string_view key,
                                                   std::string_view name) const;

  [[nodiscard]] const std::vector<Definition>& files() const noexcept {
    return files_;
  }  // [0]: root.
  // Names that differ between two files.
  [[nodiscard]] const std::vector<std::string>& warnings() const noexcept { return warnings_; }

 private:
  friend class Loader;
  std::vector<Definition> files_;  // Nearest first.
  // For each file the indexes of itself and of what it sees, nearest first.
  std::vector<std::vector<std::size_t>> visible_;
  std::vector<std::string> warnings_;
  std::vector<std::filesystem::path> directories_;
};

// Reads one file without its imports; `path` is for messages and the header. Errors: corrupt,
// too_large, invalid_argument (a duplicate name), with reason package.hardware-definition.
[[nodiscard]] Result<Definition> read_definition(std::string_view text,
                                                 const std::filesystem::path& path);

}  // namespace sphere::hardware

// SPDX-License-Identifier: MIT
#include <algorithm>
#include <array>
#include <cstddef>
#include <filesystem>
#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <fmt/format.h>
#include <tl/expected.hpp>

#include "sphere/core/result.h"
#include "sphere/core/text.h"
#include "sphere/hardware/definition.h"
#include "sphere/json/value.h"

namespace sphere::hardware {
namespace {

constexpr std::string_view kReason = "package.hardware-definition";
constexpr std::string_view kFileType = "Azure Sphere Hardware Definition";
constexpr std::array<std::string_view, 7> kTypes = {"Gpio", "Uart", "I2cMaster", "SpiMaster",
                                                    "Pwm",  "Adc",  "int"};
constexpr std::size_t kMaxNameBytes = 128;

bool is_identifier(std::string_view name) {
  const auto is_letter = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
  };
  return !name.empty() && name.size() <= kMaxNameBytes && is_letter(name[0]) &&
         std::ranges::all_of(name, [&](char c) { return is_letter(c) || (c >= '0' && c <= '9'); });
}

// A line of a C file: nothing in it may end the line or the comment it stands in.
bool is_line(std::string_view text) {
  return std::ranges::none_of(text,
                              [](char c) {
                                return (static_cast<unsigned char>(c) < 0x20 && c != '\t') ||
                                       c == '\x7f';
                              }) &&
         !text.ends_with('\\');
}

std::string shown(std::string_view text) {
  return fmt::format("\"{}\"", escape_control(cut_utf8(text, 64)));
}

// Reads the members of one file; errors name file, line and column.
class FileReader {
 public:
  FileReader(std::string_view text, const std::filesystem::path& path) : text_{text} {
    definition_.path = path;
  }

  Result<Definition> read() {
    const auto root = json::parse(text_, {.bytes = kMaxDefinitionBytes});
    if (!root) {
      const auto place = json::place_of(root.error());
      if (place) {
        return fault(*place, root.error().message());
      }
      return fail(root.error().code(),
                  fmt::format("{}: {}", definition_.path.string(), root.error().message()),
                  {.reason = kReason, .value = definition_.path.string()});
    }
    SPHERE_TRY(metadata(*root));
    SPHERE_TRY(description(*root));
    SPHERE_TRY(imports(*root));
    SPHERE_TRY(peripherals(*root));
    return std::move(definition_);
  }

 private:
  [[nodiscard]] tl::unexpected<Error> fault(const json::Source& place, const std::string& what,
                                            Errc code = Errc::corrupt) const {
    const auto where = fmt::format("{}:{}:{}", definition_.path.string(), place.line, place.column);
    return fail(code, fmt::format("{}: {}", where, what),
                {.reason = kReason, .value = where, .next = "correct the hardware definition"});
  }

  // The member of an object, of the wanted kind.
  [[nodiscard]] Result<const json::Value*> member(const json::Value& object, std::string_view key,
                                                  json::Kind kind, std::string_view form) const {
    const auto* const value = object.find(key);
    if (value == nullptr) {
      return fault(object.source(), fmt::format("\"{}\" is missing", key));
    }
    if (value->kind() != kind) {
      return fault(value->source(), fmt::format("\"{}\" is not {}", key, form));
    }
    return value;
  }

  [[nodiscard]] Result<std::string> string_member(const json::Value& object,
                                                  std::string_view key) const {
    SPHERE_TRY_ASSIGN(const auto* const value, member(object, key, json::Kind::string, "a string"));
    return *value->string();
  }

  [[nodiscard]] Result<void> metadata(const json::Value& root) const {
    if (root.kind() != json::Kind::object) {
      return fault(root.source(), "a hardware definition is a JSON object");
    }
    SPHERE_TRY_ASSIGN(const auto* const metadata,
                      member(root, "Metadata", json::Kind::object, "an object"));
    SPHERE_TRY_ASSIGN(const auto type, string_member(*metadata, "Type"));
    if (type != kFileType) {
      return fault(metadata->find("Type")->source(),
                   fmt::format("the file's type is {}, not \"{}\"", shown(type), kFileType));
    }
    SPHERE_TRY_ASSIGN(const auto* const version,
                      member(*metadata, "Version", json::Kind::number, "a number"));
    if (version->integer() != 1) {
      return fault(version->source(),
                   fmt::format("version {} is not known, only 1", version->number_text()));
    }
    return {};
  }

  Result<void> description(const json::Value& root) {
    SPHERE_TRY_ASSIGN(const auto* const description,
                      member(root, "Description", json::Kind::object, "an object"));
    SPHERE_TRY_ASSIGN(definition_.name, string_member(*description, "Name"));
    if (description->find("MainCoreHeaderFileTopContent") == nullptr) {
      return {};
    }
    SPHERE_TRY_ASSIGN(const auto* const lines, member(*description, "MainCoreHeaderFileTopContent",
                                                      json::Kind::array, "a list"));
    for (const auto& line : lines->items()) {
      if (line.string() == nullptr || !is_line(*line.string())) {
        return fault(line.source(), "a line of the header is not a string of one line");
      }
      definition_.header_top.push_back(*line.string());
    }
    return {};
  }

  Result<void> imports(const json::Value& root) {
    if (root.find("Imports") == nullptr) {
      return {};
    }
    SPHERE_TRY_ASSIGN(const auto* const list, member(root, "Imports", json::Kind::array, "a list"));
    for (const auto& item : list->items()) {
      if (item.kind() != json::Kind::object) {
        return fault(item.source(), "an import is not an object with a \"Path\"");
      }
      SPHERE_TRY_ASSIGN(const auto* const path,
                        member(item, "Path", json::Kind::string, "a string"));
      const auto& text = *path->string();
      if (!is_line(text) || text.empty() || text.find('"') != std::string::npos) {
        return fault(path->source(), fmt::format("{} is no path of a file", shown(text)));
      }
      definition_.imports.push_back(text);
    }
    if (definition_.imports.size() > kMaxDefinitionFiles) {
      return fault(list->source(), fmt::format("more than {} imports", kMaxDefinitionFiles),
                   Errc::too_large);
    }
    return {};
  }

  Result<void> peripherals(const json::Value& root) {
    SPHERE_TRY_ASSIGN(const auto* const list,
                      member(root, "Peripherals", json::Kind::array, "a list"));
    if (list->items().size() > kMaxPeripherals) {
      return fault(list->source(), fmt::format("more than {} peripherals", kMaxPeripherals),
                   Errc::too_large);
    }
    std::map<std::string, std::size_t, std::less<>> lines;
    for (const auto& item : list->items()) {
      if (item.kind() != json::Kind::object) {
        return fault(item.source(), "a peripheral is not an object");
      }
      SPHERE_TRY_ASSIGN(Peripheral peripheral, this->peripheral(item));
      const auto [first, added] = lines.emplace(peripheral.name, peripheral.line);
      if (!added) {
        return fault(item.find("Name")->source(),
                     fmt::format("\"{}\" is defined twice, first in line {}", peripheral.name,
                                 first->second),
                     Errc::invalid_argument);
      }
      definition_.peripherals.push_back(std::move(peripheral));
    }
    return {};
  }

  [[nodiscard]] Result<Peripheral> peripheral(const json::Value& item) const {
    Peripheral result;
    result.line = item.source().line;
    SPHERE_TRY_ASSIGN(result.name, string_member(item, "Name"));
    if (!is_identifier(result.name)) {
      return fault(item.find("Name")->source(),
                   fmt::format("{} is no C identifier", shown(result.name)));
    }
    SPHERE_TRY_ASSIGN(result.type, string_member(item, "Type"));
    if (std::ranges::find(kTypes, result.type) == kTypes.end()) {
      return fault(item.find("Type")->source(),
                   fmt::format("\"{}\" has type {}; types are Gpio, Uart, I2cMaster, SpiMaster, "
                               "Pwm, Adc and int",
                               result.name, shown(result.type)));
    }
    if (item.find("Comment") != nullptr) {
      SPHERE_TRY_ASSIGN(result.comment, string_member(item, "Comment"));
      if (!is_line(result.comment)) {
        return fault(item.find("Comment")->source(),
                     fmt::format("the comment of \"{}\" is not one line", result.name));
      }
    }
    SPHERE_TRY(values(item, result));
    return result;
  }

  // Mapping, or the two raw values.
  [[nodiscard]] Result<void> values(const json::Value& item, Peripheral& result) const {
    const bool has_raw =
        item.find("MainCoreHeaderValue") != nullptr || item.find("AppManifestValue") != nullptr;
    if (item.find("Mapping") != nullptr) {
      SPHERE_TRY_ASSIGN(result.mapping, string_member(item, "Mapping"));
      if (!is_identifier(result.mapping) || has_raw) {
        return fault(item.find("Mapping")->source(),
                     has_raw ? fmt::format("\"{}\" has a mapping and a value", result.name)
                             : fmt::format("{} is no name of a peripheral", shown(result.mapping)));
      }
      return {};
    }
    if (!has_raw) {
      return fault(item.source(),
                   fmt::format(R"("{}" has neither a "Mapping" nor a value)", result.name));
    }
    SPHERE_TRY_ASSIGN(result.header_value, string_member(item, "MainCoreHeaderValue"));
    if (!is_line(result.header_value) || result.header_value.empty()) {
      return fault(item.find("MainCoreHeaderValue")->source(),
                   fmt::format("the C value of \"{}\" is not one line", result.name));
    }
    return manifest_value(item, result);
  }

  [[nodiscard]] Result<void> manifest_value(const json::Value& item, Peripheral& result) const {
    const auto* const value = item.find("AppManifestValue");
    if (value == nullptr || result.type == "int") {
      return {};
    }
    const bool is_gpio = result.type == "Gpio";
    const bool fits = is_gpio ? value->integer().value_or(-1) >= 0 : value->string() != nullptr;
    if (!fits) {
      return fault(value->source(),
                   fmt::format("the manifest value of \"{}\" is not {}", result.name,
                               is_gpio ? "a pin number" : "a string"));
    }
    result.manifest_value = text_.substr(value->source().offset, value->source().length);
    return {};
  }

  std::string_view text_;
  Definition definition_;
};

}  // namespace

Result<Definition> read_definition(std::string_view text, const std::filesystem::path& path) {
  return FileReader{text, path}.read();
}

}  // namespace sphere::hardware

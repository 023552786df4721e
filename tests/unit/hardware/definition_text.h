// SPDX-License-Identifier: MIT
#pragma once

#include <filesystem>
#include <string>
#include <string_view>

#include <catch2/catch.hpp>

#include "sphere/core/file.h"
#include "sphere/core/result.h"

namespace sphere::test {

// A definition with `imports` (`"a.json", "b.json"` as a list of paths) and `peripherals`.
inline std::string definition_text(const std::string& peripherals,
                                   const std::string& imports = "") {
  return R"({"Metadata":{"Type":"Azure Sphere Hardware Definition","Version":1},)"
         R"("Description":{"Name":"Test","MainCoreHeaderFileTopContent":["// Top"]},)"
         R"("Imports":[)" +
         imports + R"(],"Peripherals":[)" + peripherals + "]}";
}

inline std::string import_of(const std::string& path) { return R"({"Path":")" + path + R"("})"; }

inline std::string mapped(const std::string& name, const std::string& type,
                          const std::string& mapping) {
  return R"({"Name":")" + name + R"(","Type":")" + type + R"(","Mapping":")" + mapping + R"("})";
}

inline std::string pin(const std::string& name, int number) {
  const auto text = std::to_string(number);
  return R"({"Name":")" + name + R"(","Type":"Gpio","MainCoreHeaderValue":")" + ("(" + text + ")") +
         R"(","AppManifestValue":)" + text + "}";
}

inline void put(const std::filesystem::path& path, std::string_view text) {
  REQUIRE(sphere::make_directories(path.parent_path()).has_value());
  REQUIRE(sphere::write_file(path, text, {.sync = false}).has_value());
}

}  // namespace sphere::test

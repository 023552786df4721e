// SPDX-License-Identifier: MIT
#include "device-agent/virtual-board/pins.h"

#include <algorithm>
#include <cstddef>
#include <filesystem>
#include <string>
#include <vector>

#include <catch2/catch.hpp>

#include "sphere/core/file.h"
#include "sphere/core/result.h"
#include "sphere/hardware/definition.h"

using sphere::virtual_board::gpio_lines;

TEST_CASE("the MT3620 has 68 lines with gaps", "[virtual-board]") {
  const auto lines = gpio_lines("mt3620-rdb");
  REQUIRE(lines);
  CHECK(lines->size() == 68);
  CHECK(std::is_sorted(lines->begin(), lines->end()));
  for (const int gap : {-1, 24, 25, 49, 55, 76, 79, 81}) {
    CHECK(std::find(lines->begin(), lines->end(), gap) == lines->end());
  }
  for (const int pin : {0, 23, 26, 48, 56, 75, 80}) {
    CHECK(std::find(lines->begin(), lines->end(), pin) != lines->end());
  }
}

TEST_CASE("a board may be written as its definition file", "[virtual-board]") {
  CHECK(gpio_lines("avnet_mt3620_sk_rev2"));
}

TEST_CASE("an unknown kind of board is named with the known ones", "[virtual-board]") {
  const auto lines = gpio_lines("mt3621");
  REQUIRE_FALSE(lines);
  CHECK(lines.error().code() == sphere::Errc::not_found);
  CHECK(lines.error().hint().value == "mt3621");
  CHECK(lines.error().hint().next.find("mt3620-rdb") != std::string::npos);
}

TEST_CASE("every board of the SDK can be simulated, with the lines of its chip file",
          "[virtual-board]") {
  const std::filesystem::path folder =
      std::string{SPHERE_SOURCE_DIR} + "/sysroots/HardwareDefinitions";
  const auto chip = sphere::hardware::read_definition(
      *sphere::read_text_file(folder / "mt3620.json", std::size_t{1} << 20U), "mt3620.json");
  REQUIRE(chip);
  std::vector<int> in_file;
  for (const auto& peripheral : chip->peripherals) {
    if (peripheral.type == "Gpio") {
      in_file.push_back(std::stoi(peripheral.manifest_value));
    }
  }
  std::sort(in_file.begin(), in_file.end());

  for (const auto& entry : std::filesystem::directory_iterator{folder}) {
    if (entry.path().extension() == ".json") {
      INFO(entry.path());
      const auto lines = gpio_lines(entry.path().stem().string());
      REQUIRE(lines);
      CHECK(*lines == in_file);
    }
  }
}

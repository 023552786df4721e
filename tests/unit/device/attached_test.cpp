// SPDX-License-Identifier: MIT
#include "sphere/device/attached.h"

#include <string>
#include <vector>

#include <catch2/catch.hpp>

#include "sphere/core/result.h"

using sphere::Errc;
using sphere::device::AttachedDevice;
using sphere::device::choose;

namespace {

AttachedDevice make_device(const std::string& name, const std::string& address, char digit) {
  return {.device_id = std::string(16, digit) + std::string(112, '0'),
          .ip_address = address,
          .connection_path = "vb-" + name,
          .name = name,
          .state = "ready",
          .is_virtual = true,
          .endpoint = {}};
}

std::vector<AttachedDevice> two() {
  return {make_device("demo", "192.168.35.2", 'a'), make_device("lab", "192.168.35.3", 'b')};
}

}  // namespace

TEST_CASE("the only device is chosen, none and several are told apart", "[device]") {
  CHECK(choose({two().front()}, "")->name == "demo");

  const auto none = choose({}, "");
  REQUIRE_FALSE(none);
  CHECK(none.error().code() == Errc::not_found);
  CHECK(none.error().hint().reason == "link.no-board");

  const auto several = choose(two(), "");
  REQUIRE_FALSE(several);
  CHECK(several.error().code() == Errc::invalid_argument);
  CHECK(several.error().hint().reason == "link.ambiguous");
  CHECK(several.error().hint().value.find("vb-demo") != std::string::npos);
  CHECK(several.error().hint().value.find("192.168.35.3") != std::string::npos);
}

TEST_CASE("a device has five names", "[device]") {
  for (const std::string& wanted :
       {std::string{"vb-lab"}, std::string{"192.168.35.3"}, std::string{"lab"}, std::string(8, 'b'),
        std::string(16, 'B')}) {
    INFO(wanted);
    const auto chosen = choose(two(), wanted);
    REQUIRE(chosen);
    CHECK(chosen->name == "lab");
  }
  CHECK(choose(two(), two().back().device_id)->name == "lab");
}

TEST_CASE("short, unknown and ambiguous names are refused", "[device]") {
  CHECK(choose(two(), "bbbbbbb").error().code() == Errc::not_found);
  CHECK(choose(two(), "other").error().hint().reason == "link.no-board");
  auto twins = two();
  twins.back().device_id = twins.front().device_id;
  CHECK(choose(twins, "aaaaaaaa").error().hint().reason == "link.ambiguous");
}

TEST_CASE("a name goes before the beginning of a device id", "[device]") {
  auto devices = two();
  devices.back().name = "aaaaaaaa";
  CHECK(choose(devices, "aaaaaaaa")->ip_address == "192.168.35.3");
}

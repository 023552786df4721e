// SPDX-License-Identifier: MIT
// The definitions that the SDK supplies: sysroots/HardwareDefinitions.
#include <algorithm>
#include <cstddef>
#include <filesystem>
#include <string>
#include <vector>

#include <catch2/catch.hpp>

#include "sphere/core/result.h"
#include "sphere/hardware/definition.h"
#include "sphere/hardware/header.h"

namespace hardware = sphere::hardware;
using hardware::DefinitionSet;

namespace {

const std::filesystem::path& sdk_folder() {
  static const auto folder =
      std::filesystem::path{SPHERE_SOURCE_DIR} / "sysroots" / "HardwareDefinitions";
  return folder;
}

std::vector<std::filesystem::path> definitions() {
  std::vector<std::filesystem::path> found;
  for (const auto& entry : std::filesystem::recursive_directory_iterator{sdk_folder()}) {
    if (entry.path().extension() == ".json") {
      found.push_back(entry.path());
    }
  }
  std::sort(found.begin(), found.end());
  return found;
}

DefinitionSet loaded(const std::filesystem::path& path) {
  auto set = DefinitionSet::load(path, {sdk_folder()});
  INFO(path);
  REQUIRE(set.has_value());
  return *std::move(set);
}

struct Known {
  const char* file;
  const char* type;
  const char* name;
  const char* value;
};

}  // namespace

TEST_CASE("every name of every definition has a value of its type", "[hardware]") {
  std::size_t names = 0;
  for (const auto& path : definitions()) {
    const auto set = loaded(path);
    CHECK(set.warnings().empty());
    for (const auto& file : set.files()) {
      for (const auto& peripheral : file.peripherals) {
        const auto value = set.manifest_value(peripheral.type, peripheral.name);
        INFO(path << ": " << peripheral.name);
        CHECK(value.has_value() == (peripheral.type != "int"));
        ++names;
      }
    }
  }
  CHECK(definitions().size() == 15);
  CHECK(names > 1000);
}

TEST_CASE("the headers of the definitions are up to date, byte for byte", "[hardware]") {
  for (const auto& path : definitions()) {
    const auto comparison = hardware::compare_header(loaded(path).files()[0]);
    INFO(path);
    REQUIRE(comparison.has_value());
    INFO(comparison->difference);
    CHECK(comparison->up_to_date);
  }
}

TEST_CASE("the chip file has all 101 peripherals", "[hardware]") {
  const auto set = loaded(sdk_folder() / "mt3620.json");
  const auto& peripherals = set.files()[0].peripherals;
  const auto count = [&](const std::string& type) {
    return std::count_if(peripherals.begin(), peripherals.end(),
                         [&](const hardware::Peripheral& entry) { return entry.type == type; });
  };

  CHECK(peripherals.size() == 101);
  CHECK(count("Gpio") == 68);
  CHECK(count("Uart") == 5);
  CHECK(count("I2cMaster") == 5);
  CHECK(count("SpiMaster") == 5);
  CHECK(count("Pwm") == 3);
  CHECK(count("Adc") == 1);
  CHECK(count("int") == 14);
}

TEST_CASE("names of existing projects have their known values", "[hardware]") {
  const auto test = GENERATE(values<Known>({
      {"mt3620.json", "Uart", "MT3620_ISU3_UART", "\"ISU3\""},
      {"mt3620.json", "Gpio", "MT3620_GPIO80", "80"},
      {"mt3620_rdb.json", "Gpio", "MT3620_RDB_LED1_RED", "8"},
      {"mt3620_rdb.json", "Gpio", "MT3620_RDB_NETWORKING_LED_GREEN", "14"},
      {"mt3620_rdb.json", "Gpio", "MT3620_RDB_BUTTON_B", "13"},
      {"mt3620_rdb.json", "Gpio", "MT3620_RDB_HEADER2_PIN4_GPIO", "5"},
      {"mt3620_rdb.json", "Gpio", "MT3620_RDB_HEADER4_PIN14_GPIO", "40"},
      {"mt3620_rdb.json", "I2cMaster", "MT3620_RDB_HEADER4_ISU2_I2C", "\"ISU2\""},
      {"mt3620_rdb.json", "Pwm", "MT3620_RDB_LED_PWM_CONTROLLER2", "\"PWM-CONTROLLER-2\""},
      {"avnet_aesms_mt3620.json", "Gpio", "AVNET_AESMS_PIN31_GPIO43", "43"},
      {"avnet_mt3620_sk.json", "Gpio", "AVNET_MT3620_SK_WLAN_STATUS_LED_YELLOW", "5"},
      {"avnet_mt3620_sk_rev2.json", "Adc", "AVNET_MT3620_SK_ADC_CONTROLLER0",
       "\"ADC-CONTROLLER-0\""},
      {"ailink_wfm620rsc1.json", "Gpio", "AILINK_WFM620RSC1_PIN16_GPIO35", "35"},
      {"seeed_mt3620_mdb.json", "Gpio", "SEEED_MT3620_MDB_USER_LED", "7"},
      {"seeed_mt3620_mdb.json", "Uart", "SEEED_MT3620_MDB_J1J2_ISU1_UART", "\"ISU1\""},
      {"usi_mt3620_bt_combo.json", "Uart", "USI_MT3620_BT_COMBO_NRF52_UART", "\"ISU4\""},
      {"usi_mt3620_bt_evb.json", "Gpio", "USI_MT3620_BT_EVB_J35_PIN20_GPIO57", "57"},
      {"sphere_virtual.json", "Gpio", "SPHERE_VIRTUAL_GPIO8", "8"},
      {"mt3620_rdb/sample_appliance.json", "Gpio", "SAMPLE_RGBLED_BLUE", "17"},
      {"avnet_mt3620_sk/sample_appliance.json", "Gpio", "SAMPLE_NRF52_RESET", "17"},
      {"avnet_mt3620_sk_rev2/sample_appliance.json", "SpiMaster", "SAMPLE_LSM6DS3_SPI", "\"ISU0\""},
      {"seeed_mt3620_mdb/sample_appliance.json", "Pwm", "SAMPLE_LED_PWM_CONTROLLER",
       "\"PWM-CONTROLLER-1\""},
      {"usi_mt3620_bt_evb/sample_appliance.json", "Uart", "SAMPLE_NRF52_UART", "\"ISU4\""},
  }));
  INFO(test.file << ": " << test.name);

  CHECK(loaded(sdk_folder() / test.file).manifest_value(test.type, test.name) ==
        std::string{test.value});
}

TEST_CASE("names that carry a GPIO number map to that GPIO", "[hardware]") {
  for (const auto& path : definitions()) {
    const auto set = loaded(path);
    for (const auto& peripheral : set.files()[0].peripherals) {
      const auto at = peripheral.name.rfind("GPIO");
      const auto digits = at == std::string::npos ? "" : peripheral.name.substr(at + 4);
      if (peripheral.type == "Gpio" && !digits.empty()) {
        INFO(path << ": " << peripheral.name);
        CHECK(set.manifest_value("Gpio", peripheral.name) == digits);
      }
    }
  }
}

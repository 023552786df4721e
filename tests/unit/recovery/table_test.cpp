// SPDX-License-Identifier: MIT
#include "sphere/recovery/table.h"

#include <algorithm>
#include <array>
#include <cstddef>
#include <filesystem>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <utility>

#include <catch2/catch.hpp>

#include "sphere/core/encoding.h"
#include "sphere/core/file.h"
#include "sphere/crypto/digest.h"
#include "sphere/image/trust.h"
#include "sphere/recovery/file_set.h"
#include "sphere/recovery/manifest_v3.h"
#include "sphere/recovery/set_plan.h"
#include "sphere/transport/usb_pipes.h"
#include "tests/support/recovery_set.h"

namespace sphere::recovery {
namespace {

const TrustOf kNobody = [](std::uint16_t /*image_type*/) { return image::TrustStore{}; };

Result<SetPlan> parse(std::string_view text) {
  std::size_t hashed = 0;
  return parse_set_plan(text, hashed);
}

class Folder {
 public:
  Folder() : directory_{TemporaryDirectory::create("recovery").value()} {}
  void write(std::string_view name, std::string_view text) const {
    REQUIRE(write_file(directory_.path() / name, std::as_bytes(std::span{text})));
  }
  [[nodiscard]] FileSet open() const { return FileSet::open(directory_.path()).value(); }

 private:
  TemporaryDirectory directory_;
};

transport::UsbDeviceInfo device(std::uint16_t vendor, std::uint16_t product,
                                transport::UsbInterfaceInfo interface) {
  transport::UsbDeviceInfo info{.location = "1-1", .vendor = vendor, .product = product};
  info.interfaces.push_back(std::move(interface));
  return info;
}

TEST_CASE("every protocol has an id of its own, a way to its boards, and a check of its sets") {
  std::set<std::string_view> ids;
  for (const Protocol& protocol : protocols()) {
    INFO(protocol.id);
    CHECK(ids.insert(protocol.id).second);
    CHECK_FALSE(protocol.name.empty());
    CHECK_FALSE(protocol.carriers.empty());
    CHECK(protocol.prepare != nullptr);
    CHECK(find_protocol(protocol.id) == &protocol);
    const bool needs_usb = protocol.has(CarrierKind::control) || protocol.has(CarrierKind::bulk) ||
                           protocol.has(CarrierKind::hid);
    CHECK((!needs_usb || !protocol.usb.empty()));
  }
  CHECK(find_protocol("nonsense") == nullptr);
}

TEST_CASE("a row fits by its ids, its range of versions and one interface") {
  const auto fastboot =
      device(0x18D1, 0x0D02, {.interface_class = 0xFF, .subclass = 0x42, .protocol = 3});
  CHECK(match_usb({.interface_class = 0xFF, .subclass = 0x42}, fastboot) != nullptr);
  CHECK(match_usb({.vendor = 0x18D1, .product = 0x0D02}, fastboot) != nullptr);
  CHECK(match_usb({.vendor = 0x18D1, .product = 0x0D03}, fastboot) == nullptr);
  CHECK(match_usb({.version_first = 1}, fastboot) == nullptr);
  CHECK(match_usb({.interface_class = 0xFF, .protocol = 4}, fastboot) == nullptr);
  CHECK(match_usb({.interface_class = 0xFF}, fastboot, 1) == nullptr);
}

TEST_CASE("a plan is read, with numbers in either form") {
  const auto plan = parse(R"({"protocol":"stm32","board":"b-1","usb":["0483:df11"],
    "images":[{"file":"a.bin","address":"0x08000000"},{"file":"b.bin","address":134221824}],
    "options":{"pageSize":"0x400"}})");
  REQUIRE(plan);
  CHECK(plan->board == "b-1");
  REQUIRE(plan->usb.size() == 1);
  CHECK(plan->usb.front().vendor == 0x0483);
  CHECK(plan->usb.front().product == 0xDF11);
  CHECK(plan->images.at(0).address == 0x08000000U);
  CHECK(plan->images.at(1).address == 0x08001000U);
  CHECK(number_option(*plan, "pageSize", 4096).value() == 1024U);
  CHECK_FALSE(number_option(*plan, "pageSize", 512));
  CHECK_FALSE(number_option(*plan, "other", 1).value());
  CHECK(check_options(*plan, {"pageSize"}));
  CHECK_FALSE(check_options(*plan, {"go"}));
}

TEST_CASE("a plan that makes no sense is refused by name") {
  constexpr std::array kBad = {
      std::pair{R"([])", "no object"},
      std::pair{R"({"protocol":"dfu"})", "no images"},
      std::pair{R"({"images":[{"file":"a"}]})", "no protocol"},
      std::pair{R"({"protocol":"dfu","images":[]})", "1 to 64"},
      std::pair{R"({"protocol":"dfu","images":[{"address":1}]})", "no file"},
      std::pair{R"({"protocol":"dfu","images":[{"file":"a","address":"0x"}]})", "address of a"},
      std::pair{R"({"protocol":"dfu","images":[{"file":"a","address":-1}]})", "address of a"},
      std::pair{R"({"protocol":"dfu","images":[{"file":"a","sha256":"00"}]})", "sha256 of a"},
      std::pair{R"({"protocol":"dfu","images":[{"file":"a","sha256":")"
                R"(0000000000000000000000000000000000000000000000000000000000000000"}]})",
                "sha256 of a"},
      std::pair{R"({"protocol":"dfu","images":[{"file":"a","x":1}]})", "unknown member x"},
      std::pair{R"({"protocol":"dfu","images":[{"file":"a"}],"y":1})", "unknown member y"},
      std::pair{R"({"protocol":"dfu","images":[{"file":"a"}],"usb":["483:df11"]})", "usb"},
      std::pair{R"({"protocol":"dfu","images":[{"file":"a"}],"options":1})", "options"},
      std::pair{R"({"protocol":"dfu","images":[{"file":"a b"}]})", "file is no name"},
  };
  for (const auto& [text, why] : kBad) {
    INFO(text);
    const auto plan = parse(text);
    REQUIRE_FALSE(plan);
    CHECK(plan.error().hint().reason == "recovery.image-refused");
    CHECK_THAT(plan.error().message(), Catch::Contains(why));
  }
}

TEST_CASE("the files of a plan must be there and have their digests") {
  const Folder folder;
  folder.write("a.bin", "hello");
  folder.write(kPlanFile, R"({"protocol":"fastboot","images":[{"file":"a.bin","partition":"p"}]})");
  const auto plan = check_set_plan(folder.open(), kNobody);
  REQUIRE(plan);
  CHECK(plan->images.front().size == 5);
  CHECK(plan->total_size() == 5);
  CHECK_FALSE(plan->signed_by_known_key);
  folder.write(kPlanFile, R"({"protocol":"fastboot","images":[{"file":"b.bin","partition":"p"}]})");
  CHECK(check_set_plan(folder.open(), kNobody).error().hint().reason == "recovery.image-missing");
  folder.write(kPlanFile, R"({"protocol":"fastboot","images":[{"file":"a.bin","partition":"p",
    "sha256":")" + std::string(64, '1') +
                              R"("}]})");
  const auto changed = check_set_plan(folder.open(), kNobody);
  REQUIRE_FALSE(changed);
  CHECK(changed.error().code() == Errc::unverified);
}

TEST_CASE("a signed plan needs a trusted signer and the digest of each image") {
  const test::RecoverySet signer{{}};
  const TrustOf trust = [&](std::uint16_t /*image_type*/) { return signer.trust(); };
  const Folder folder;
  folder.write("a.bin", "hello");
  const auto write_signed = [&](const std::string& hash) {
    const std::string text =
        R"({"protocol":"fastboot","images":[{"file":"a.bin","partition":"p")" + hash + "}]}";
    const auto bytes = std::as_bytes(std::span{text});
    const auto package =
        signer.signed_package({bytes.begin(), bytes.end()}, kRecoveryManifestType,
                              test::RecoverySet::guid(1), test::RecoverySet::guid(2));
    folder.write(kPlanFile, {reinterpret_cast<const char*>(package.data()), package.size()});
  };
  write_signed(R"(,"sha256":")" + to_hex(crypto::sha256(std::as_bytes(std::span{"hello", 5}))) +
               "\"");
  const auto plan = check_set_plan(folder.open(), trust);
  REQUIRE(plan);
  CHECK(plan->signed_by_known_key);
  const auto stranger = check_set_plan(folder.open(), kNobody);
  REQUIRE_FALSE(stranger);
  CHECK(stranger.error().hint().reason == "recovery.image-refused");
  write_signed("");
  CHECK_FALSE(check_set_plan(folder.open(), trust));
}

TEST_CASE("a set chooses its protocol, which --protocol must not contradict") {
  const Folder folder;
  folder.write("a.bin", "hello");
  folder.write(kPlanFile, R"({"protocol":"stm32","images":[{"file":"a.bin","address":0}]})");
  const FileSet set = folder.open();
  std::optional<SetPlan> plan;
  CHECK(choose_protocol(set, "", kNobody, plan).value()->id == "stm32");
  CHECK(plan.has_value());
  CHECK(choose_protocol(set, "stm32", kNobody, plan));
  const auto other = choose_protocol(set, "dfu", kNobody, plan);
  REQUIRE_FALSE(other);
  CHECK(other.error().hint().reason == "usage.bad-value");
  CHECK_FALSE(choose_protocol(set, "none", kNobody, plan));
  folder.write("recovery.imagemanifest", "x");
  CHECK(choose_protocol(folder.open(), "", kNobody, plan).value()->id == "mt3620");
  CHECK(choose_protocol(folder.open(), "stm32", kNobody, plan).value()->id == "stm32");
}

TEST_CASE("a board of another name is refused before anything is opened") {
  const Folder folder;
  folder.write("a.bin", "hello");
  folder.write(
      kPlanFile,
      R"({"protocol":"stm32","board":"one","images":[{"file":"a.bin","address":"0x08000000"}]})");
  FileSet set = folder.open();
  std::optional<SetPlan> plan;
  const auto* const protocol = choose_protocol(set, "", kNobody, plan).value();
  RecoveryRequest request{.files = &set, .trust = kNobody, .plan = &*plan, .board = "one"};
  const auto prepared = protocol->prepare(request);
  REQUIRE(prepared);
  CHECK(prepared->images == 1);
  CHECK(prepared->bytes == 5);
  CHECK(prepared->make_driver({}));
  request.board = "two";
  CHECK(protocol->prepare(request).error().hint().reason == "recovery.image-refused");
}

TEST_CASE("the udev rules have a line for each row of ids") {
  const std::string rules = recovery_udev_rules();
  for (const Protocol& protocol : protocols()) {
    for (const UsbMatch& row : protocol.usb) {
      if (row.vendor && row.product) {
        CHECK_THAT(rules, Catch::Contains(udev_rule(*row.vendor, *row.product)));
      }
    }
  }
  CHECK_THAT(rules, Catch::Contains(R"(ENV{ID_USB_INTERFACES}=="*:fe01??:*")"));
  CHECK_THAT(udev_rule(0x0483, 0xDF11), Catch::Contains(R"(ATTR{idProduct}=="df11")"));
}

}  // namespace
}  // namespace sphere::recovery

// SPDX-License-Identifier: MIT
#include "sphere/image/capability.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <catch2/catch.hpp>

#include "sphere/core/encoding.h"
#include "sphere/core/guid.h"
#include "sphere/core/result.h"
#include "sphere/image/metadata.h"
#include "tests/unit/image/golden.h"

using sphere::Errc;
using sphere::Guid;
using sphere::image::Capability;
using sphere::image::CapabilityTerms;
using sphere::image::read_capability;
using sphere::image::write_capability;
using sphere::test::Bytes;
using sphere::test::patched;

namespace {

Capability version_1() {
  Capability capability{.numbers = {11, 13}};
  std::ranges::copy(sphere::test::pattern(64, 1), capability.device_id.begin());
  return capability;
}

Capability version_2() {
  auto capability = version_1();
  capability.terms =
      CapabilityTerms{.file_id = *Guid::parse("00112233-4455-6677-8899-aabbccddeeff"),
                      .owner_epoch = 3,
                      .counter = 0x0102030405060708,
                      .not_before = 1'735'689'600,
                      .not_after = 1'735'776'000,
                      .maximum_uses = 5,
                      .flags = 5,
                      .catalog_id = *Guid::parse("3c1f0f5e-6a0b-4b8e-9d53-0a4c7b1f2d60"),
                      .purpose = "swap the pump, Größe 2"};
  return capability;
}

Bytes record(const Capability& capability) {
  auto bytes = write_capability(capability);
  REQUIRE(bytes);
  return *std::move(bytes);
}

void check_refused(const Bytes& body, Errc code) {
  const auto result = read_capability(body);
  REQUIRE_FALSE(result);
  CHECK(result.error().code() == code);
  CHECK(result.error().hint().reason ==
        (code == Errc::corrupt ? "package.corrupt" : "package.unsupported"));
}

}  // namespace

TEST_CASE("a capability record of version 1 has its fields in their places", "[image]") {
  const auto bytes = record(version_1());

  REQUIRE(bytes.size() == 204);
  const auto hex = sphere::to_hex(bytes);
  CHECK(hex.substr(0, 24) == "fd5cfd5c01000000cc000000");
  CHECK(hex.substr(24, 8) == "01080f16");
  CHECK(hex.substr(2 * 76, 24) == "0b0000000d00000000000000");
  const auto read = read_capability(bytes);
  REQUIRE(read);
  CHECK(read->device_id == version_1().device_id);
  CHECK(read->numbers == std::vector<std::uint32_t>{11, 13});
  CHECK_FALSE(read->terms);
}

TEST_CASE("a capability record of version 2 has its fields in their places", "[image]") {
  const auto bytes = record(version_2());

  REQUIRE(bytes.size() == 336);
  const auto hex = sphere::to_hex(bytes);
  CHECK(hex.substr(0, 24) == "fd5cfd5c0200000050010000");
  CHECK(hex.substr(2 * 204, 32) == "00112233445566778899aabbccddeeff");
  CHECK(hex.substr(2 * 220, 16) == "0300000000000000");
  CHECK(hex.substr(2 * 228, 16) == "0807060504030201");
  CHECK(hex.substr(2 * 236, 16) == "8085746700000000");
  CHECK(hex.substr(2 * 244, 16) == "00d7756700000000");
  CHECK(hex.substr(2 * 252, 16) == "0500000005000000");
  CHECK(hex.substr(2 * 260, 32) == "3c1f0f5e6a0b4b8e9d530a4c7b1f2d60");
  const auto read = read_capability(bytes);
  REQUIRE(read);
  REQUIRE(read->terms);
  const auto& terms = *read->terms;
  CHECK(terms.file_id.text() == "00112233-4455-6677-8899-aabbccddeeff");
  CHECK(terms.owner_epoch == 3);
  CHECK(terms.counter == 0x0102030405060708);
  CHECK(terms.not_before == 1'735'689'600);
  CHECK(terms.not_after == 1'735'776'000);
  CHECK(terms.maximum_uses == 5);
  CHECK(terms.flags == 5);
  CHECK(terms.catalog_id.text() == "3c1f0f5e-6a0b-4b8e-9d53-0a4c7b1f2d60");
  CHECK(terms.purpose == "swap the pump, Größe 2");
  CHECK(record(*read) == bytes);
}

TEST_CASE("full slots and a purpose that fills its field are read and written", "[image]") {
  auto capability = version_2();
  capability.numbers.assign(32, 12);
  capability.terms->purpose = std::string(60, 'p');
  capability.terms->not_after = capability.terms->not_before;

  const auto read = read_capability(record(capability));

  REQUIRE(read);
  CHECK(read->numbers.size() == 32);
  CHECK(read->terms->purpose == std::string(60, 'p'));
}

TEST_CASE("a capability record of another form is refused", "[image]") {
  const auto v1 = record(version_1());
  const auto v2 = record(version_2());

  SECTION("magic") { check_refused(patched(v1, 0, "\xFC"), Errc::corrupt); }
  SECTION("versions 0 and 3") {
    check_refused(patched(v1, 4, std::string_view{"\0", 1}), Errc::unsupported);
    check_refused(patched(v1, 4, "\x03"), Errc::unsupported);
  }
  SECTION("a version over the size of the other") {
    check_refused(patched(v1, 4, "\x02"), Errc::corrupt);
    check_refused(patched(v2, 4, "\x01"), Errc::corrupt);
  }
  SECTION("a stated size that is not the version's") {
    check_refused(patched(v1, 8, "\xCD"), Errc::corrupt);
  }
  SECTION("every other length") {
    for (std::size_t size = 0; size < v2.size(); ++size) {
      INFO(size);
      check_refused({v2.begin(), v2.begin() + static_cast<std::ptrdiff_t>(size)}, Errc::corrupt);
    }
    auto longer = v1;
    longer.push_back(std::byte{0});
    check_refused(longer, Errc::corrupt);
  }
  SECTION("a capability after an empty slot") {
    check_refused(patched(v1, 76, std::string_view{"\0\0\0\0", 4}), Errc::corrupt);
    check_refused(patched(v1, 76 + 4 * 31, "\x0B"), Errc::corrupt);
  }
  SECTION("an unknown flag") { check_refused(patched(v2, 256, "\x0D"), Errc::unsupported); }
  SECTION("an end before the beginning") { check_refused(patched(v2, 246, "\x73"), Errc::corrupt); }
  SECTION("bytes after the purpose") { check_refused(patched(v2, 335, "x"), Errc::corrupt); }
  SECTION("a purpose that is no UTF-8, or has a control character") {
    check_refused(patched(v2, 276, "\xFF"), Errc::corrupt);
    check_refused(patched(v2, 276, "\x1B"), Errc::corrupt);
  }
}

TEST_CASE("a capability that could not be read is not written", "[image]") {
  auto capability = version_2();
  SECTION("33 numbers") { capability.numbers.assign(33, 11); }
  SECTION("the number 0") { capability.numbers = {11, 0, 13}; }
  SECTION("flags") { capability.terms->flags = 8; }
  SECTION("validity") { capability.terms->not_after = 1; }
  SECTION("61 bytes of purpose") { capability.terms->purpose = std::string(61, 'p'); }
  SECTION("a purpose with NUL") { capability.terms->purpose = std::string{"a\0b", 3}; }
  SECTION("a purpose with a line end") { capability.terms->purpose = "a\nb"; }

  const auto result = write_capability(capability);

  REQUIRE_FALSE(result);
  CHECK(result.error().code() == Errc::invalid_argument);
}

TEST_CASE("a capability package has sections ID SG DB and a record as body", "[image]") {
  const auto component = *Guid::parse("3c1f0f5e-6a0b-4b8e-9d53-0a4c7b1f2d60");
  const sphere::test::GoldenSigner signer;

  const auto packed = sphere::image::pack_capability(
      {.capability = version_2(), .component_id = component, .build_time = 1'735'689'600}, signer);

  REQUIRE(packed);
  CHECK(packed->bytes.size() == 524);
  const auto metadata = sphere::image::read_metadata(packed->bytes);
  REQUIRE(metadata);
  CHECK(metadata->sections.size() == 3);
  CHECK(metadata->identity.image_type == sphere::image::kCapability);
  CHECK(metadata->identity.component_id == component);
  CHECK(metadata->identity.image_id == packed->image_id);
  CHECK(metadata->debug.name == "fw_config");
  CHECK(metadata->debug.build_time == 1'735'689'600);
  CHECK(metadata->body_size == 336);
  const std::span bytes{packed->bytes};
  CHECK(signer.public_key().verify(sphere::crypto::sha256(bytes.first(bytes.size() - 64)),
                                   metadata->signature.first<64>()));
  const auto body = bytes.first(336);
  CHECK(Bytes{body.begin(), body.end()} == record(version_2()));
}

TEST_CASE("capabilities have names", "[image]") {
  CHECK(sphere::image::capability_name(11) == "appDevelopment");
  CHECK(sphere::image::capability_name(12) == "enableRfTestMode");
  CHECK(sphere::image::capability_name(13) == "fieldServicing");
  CHECK(sphere::image::capability_name(14).empty());
}

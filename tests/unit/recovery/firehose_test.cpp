// SPDX-License-Identifier: MIT
#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include <catch2/catch.hpp>

#include "device-agent/virtual-board/recovery/edl.h"
#include "device-agent/virtual-board/recovery/flash.h"
#include "libsdk/src/recovery/sahara.h"
#include "sphere/core/encoding.h"
#include "sphere/core/result.h"
#include "sphere/core/writer.h"
#include "sphere/crypto/digest.h"
#include "sphere/recovery/driver.h"
#include "sphere/recovery/event.h"
#include "sphere/recovery/firehose_xml.h"
#include "tests/support/recovery_pair.h"

namespace sphere::recovery {
namespace {

using namespace std::chrono_literals;
using test::Bytes;
using virtual_board::EdlBoard;
using virtual_board::EdlDevice;
using virtual_board::Flash;
using Digests = EdlBoard::Digests;

constexpr std::size_t kSector = 512;
constexpr std::size_t kSectors = 1024;
constexpr std::size_t kSecondAt = 100 * kSector;

// An MBN header and what it says.
Bytes make_loader(std::size_t size) {
  Writer out;
  for (const std::uint32_t word :
       {7U, 3U, 0U, 0x400000U, std::uint32_t(size), 0U, 0U, 0U, 0U, 0U}) {
    out.little_endian(word);
  }
  out.bytes(test::random_bytes(size, 8));
  return std::move(out).take();
}

Bytes padded(Bytes bytes) {
  bytes.resize((bytes.size() + kSector - 1) / kSector * kSector);
  return bytes;
}

struct Case {
  Bytes loader = make_loader(10'000);
  Bytes first = test::random_bytes(5'001, 3);
  Bytes second = test::random_bytes(8 * kSector, 4);
  EdlBoard board = {};
  FirehosePlan plan = {};
  test::PairOptions options = {};

  Case() {
    board.needed = {{.offset = 0, .size = first.size(), .sha256 = crypto::sha256(first)},
                    {.offset = kSecondAt, .size = second.size(), .sha256 = crypto::sha256(second)}};
    plan.programmer = "prog.mbn";
    plan.programmer_size = loader.size();
    plan.images = {{.file = "boot.img",
                    .size = first.size(),
                    .start_sector = "0",
                    .sha256 = crypto::sha256(padded(first))},
                   {.file = "system.img",
                    .size = second.size(),
                    .start_sector = "NUM_DISK_SECTORS-924.",
                    .sha256 = crypto::sha256(second)}};
    options.files = {{"prog.mbn", loader}, {"boot.img", first}, {"system.img", second}};
  }
};

struct Done {
  test::PairResult result;
  std::unique_ptr<EdlDevice> device;
};

Done run(Case& test, bool dirty = true) {
  Done done{.result = {},
            .device = std::make_unique<EdlDevice>(test.board, Flash{kSectors * kSector, kSector})};
  if (dirty) {
    done.device->flash().load(0, test::random_bytes(kSectors * kSector, 9));
  }
  const auto driver = make_firehose(test.plan).value();
  done.result = test::run_pair(*driver, *done.device, test.options);
  return done;
}

bool says_good(const Outcome& outcome) {
  return !outcome.error && outcome.written == Verdict::yes && outcome.verified == Verdict::yes;
}

TEST_CASE("a Qualcomm chip gets its loader, is written, verified and restarted") {
  Case test;
  test.board.digests = GENERATE(Digests::in_log, Digests::in_attribute);
  test.board.wide = GENERATE(false, true);
  test.board.log_after = GENERATE(false, true);
  test.board.done_pending = GENERATE(false, true);
  test.board.payload = GENERATE(1U << 20U, 2'048U);  // The second is proposed with a NAK.
  test.board.programmer = crypto::sha256(test.loader);
  const auto [result, device] = run(test);

  REQUIRE(result.outcome);
  CHECK(says_good(*result.outcome));
  CHECK(device->is_complete());
  CHECK(result.outcome->images_written == 2);
  CHECK(result.outcome->bytes_written == 5'001 + 8 * kSector);
  CHECK(device->flash().counters().sectors_erased == 10 + 8);
  CHECK(result.boots == 1);
}

TEST_CASE("a conversation with a Qualcomm chip has the bytes of its protocols") {
  Case test;
  test.loader = make_loader(24);
  test.plan.programmer_size = test.loader.size();
  test.options.files["prog.mbn"] = test.loader;
  test.plan.images.pop_back();
  const auto log = test::to_text(run(test).result.log);
  INFO(log);
  const auto hex = to_hex(test.loader);
  const std::string zeros(48, '0');
  CHECK(log.starts_with("< 010000003000000002000000010000000004000000000000" + zeros + "\n" +
                        "> 020000003000000002000000010000000000000000000000" + zeros + "\n" +
                        "< 03000000140000000d0000000000000028000000\n> " + hex.substr(0, 80) +
                        "\n< 03000000140000000d0000002800000018000000\n> " + hex.substr(80) +
                        "\n< 04000000100000000d00000000000000\n> 0500000008000000\n"
                        "< 060000000c00000001000000\n"));
  const auto has = [&](std::string_view text) {
    const auto digest = to_hex(crypto::sha256(std::as_bytes(std::span{text})));
    return log.find("> " + std::to_string(text.size()) + " bytes " + digest) != std::string::npos;
  };
  const std::string head = R"(<?xml version="1.0" encoding="UTF-8" ?><data>)";
  CHECK(has(head + R"(<configure MemoryName="emmc" MaxPayloadSizeToTargetInBytes="1048576")"
                   R"( Verbose="0" ZlpAwareHost="1" SkipStorageInit="0"/></data>)"));
  const std::string range = R"( SECTOR_SIZE_IN_BYTES="512" num_partition_sectors="10")"
                            R"( physical_partition_number="0" start_sector="0")";
  CHECK(has(head + "<getsha256digest" + range + "/></data>"));
  CHECK(has(head + "<program" + range + R"( filename="boot.img"/></data>)"));
  CHECK(has(head + R"(<power value="reset"/></data>)"));
  CHECK(log.find("\n> \n") != std::string::npos);  // 5,120 bytes are whole packets.
}

TEST_CASE("a Qualcomm board that holds the right bytes is not written") {
  Case test;
  test.plan.verify_only = GENERATE(false, true);
  EdlDevice device{test.board, Flash{kSectors * kSector, kSector}};
  device.flash().load(0, padded(test.first));
  device.flash().load(kSecondAt, test.second);
  const auto driver = make_firehose(test.plan).value();
  const auto result = test::run_pair(*driver, device, test.options);
  CHECK(says_good(*result.outcome));
  CHECK(result.outcome->images_skipped == 2);
  CHECK(device.flash().counters().sectors_erased == 0);

  // What differs is told, and left as it is.
  const auto dirty = run(test);
  CHECK(dirty.result.outcome->error.has_value() == test.plan.verify_only);
}

TEST_CASE("a loader that tells no hashes writes without being believed") {
  Case test;
  test.board.digests = Digests::none;
  const auto [result, device] = run(test);
  CHECK_FALSE(result.outcome->error);
  CHECK(result.outcome->written == Verdict::yes);
  CHECK(result.outcome->verified == Verdict::unknown);
  CHECK(result.outcome->not_verified == "the loader tells no hashes");
  CHECK(device->is_complete());
}

TEST_CASE("a lost HELLO and a loader that runs already are no hindrance") {
  Case test;
  test.board.hello_lost = GENERATE(false, true);
  test.board.loader_runs = !test.board.hello_lost;
  const auto [result, device] = run(test);
  CHECK(says_good(*result.outcome));
  CHECK(device->is_complete());
}

TEST_CASE("what a Qualcomm chip refuses or asks in vain ends the run before anything is written") {
  Case test;
  test.board.programmer = crypto::sha256(Bytes(1));
  auto done = run(test);
  REQUIRE(done.result.outcome->error);
  CHECK(done.result.outcome->error->message() ==
        "the chip refuses the loader: the image is not authentic (25)");
  CHECK(done.device->flash().counters().sectors_erased == 0);

  test.board.programmer.reset();
  test.board.lies_by = 0xFFFFF000;
  done = run(test);
  REQUIRE(done.result.outcome->error);
  CHECK(done.result.outcome->error->message() ==
        "the chip asks for 4096 bytes at 4294963240 of a loader of 10040");
  CHECK(done.result.log.back().bytes == from_hex("0700000008000000").value());

  // Sectors that are not there.
  test.board.lies_by = 0;
  test.plan.images[0].start_sector = "1020";
  done = run(test);
  CHECK(done.result.outcome->error);
  CHECK(done.device->flash().counters().sectors_erased == 0);
}

TEST_CASE("a bad sector and silence at the end of a Qualcomm image are no success") {
  Case test;
  EdlDevice device{test.board, Flash{kSectors * kSector, kSector}};
  device.flash().set_bad_sector(3);
  const auto driver = make_firehose(test.plan).value();
  const auto result = test::run_pair(*driver, device, test.options);
  CHECK(result.outcome->error->hint().reason == "recovery.write");

  test.board.stalls_at_end = true;
  const auto silent = run(test).result;
  CHECK(silent.outcome->error->code() == Errc::timeout);
  CHECK(silent.time < 130s);
}

TEST_CASE("a Qualcomm board pulled out or interrupted at any transfer ends the run with the step") {
  Case test;
  const auto pieces = run(test).result.log.size();
  for (std::size_t at = 0; at + 3 < pieces; ++at) {
    INFO(at);
    test.options.unplug_at = at;
    auto result = run(test).result;
    REQUIRE(result.outcome);
    REQUIRE(result.outcome->error);
    CHECK(result.outcome->error->hint().reason == "link.unplugged");
    test.options.unplug_at.reset();
    test.options.cancel_at = at;
    result = run(test).result;
    REQUIRE(result.outcome);
    CHECK((result.outcome->error ? !result.outcome->flash_touched : says_good(*result.outcome)));
    test.options.cancel_at.reset();
  }
}

TEST_CASE("whatever pipes do, a Qualcomm run ends, and says verified only of what is right") {
  std::size_t rescued = 0;
  for (std::uint32_t seed = 0; seed < 100; ++seed) {
    Case test;
    test.options.fault = test::random_faults({.drop = 3'000,
                                              .flip = 3'000,
                                              .duplicate = 3'000,
                                              .delay = 3'000,
                                              .split = 300'000,
                                              .lose_byte = 3'000},
                                             seed);
    const auto [result, device] = run(test);
    INFO(seed);
    REQUIRE(result.outcome);
    CHECK_FALSE(result.waited_without_limit);
    if (result.outcome->verified == Verdict::yes) {
      CHECK(device->is_complete());
      ++rescued;
    }
  }
  CHECK(rescued > 30);
}

TEST_CASE("the XML of Firehose is read within its limits") {
  const auto parsed = parse_firehose_xml(
      "<?xml version='1.0' ?>\n<!-- < --><data>\n <log value = \"a &lt;&amp;&quot;&apos;&gt; b\"/>"
      "<response value='ACK' rawmode=\"true\" /></data>\n");
  REQUIRE(parsed);
  REQUIRE(parsed->size() == 3);
  CHECK(*parsed->at(1).find("value") == "a <&\"'> b");
  CHECK(parsed->at(2).find("nothing") == nullptr);
  CHECK(parsed->at(2).depth == 2);
  const auto text = firehose_document(
      "log", std::to_array<std::pair<std::string_view, std::string>>({{"value", "a <&\"'> b"}}));
  CHECK(*parse_firehose_xml(text)->at(1).find("value") == "a <&\"'> b");
  const std::string glued = text + "raw";
  CHECK(firehose_document_size(std::as_bytes(std::span{glued})) == text.size());
  const std::string cut = "<data></dat";
  CHECK_FALSE(firehose_document_size(std::as_bytes(std::span{cut})));

  std::string many = "<a";
  for (int i = 0; i < 65; ++i) {
    many += " x" + std::to_string(i) + "='1'";
  }
  for (const std::string& bad :
       {std::string{}, std::string{"<data>"}, std::string{"<a></b>"}, std::string{"</a>"},
        std::string{"<a/><b/>"}, std::string{"<a x=1/>"}, std::string{"<a x='1' x='2'/>"},
        std::string{"<a x='&e;'/>"}, std::string{"<a x='<'/>"}, std::string{"<a x='1/>"},
        std::string{"<a>text</a>"}, std::string{"<!DOCTYPE a><a/>"}, std::string{"<?xml <a/>"},
        std::string{"<a><a><a><a><a/></a></a></a></a>"}, std::string{"<!-- <a/>"}, many + "/>",
        std::string(kXmlLimit + 1, ' ')}) {
    INFO(bad.substr(0, 40));
    CHECK_FALSE(parse_firehose_xml(bad));
  }
}

TEST_CASE("a plan for a Qualcomm chip that makes no sense is refused") {
  Case test;
  CHECK_FALSE(make_firehose({}));
  test.plan.sector_size = 513;
  CHECK_FALSE(make_firehose(test.plan));
  test.plan.sector_size = 512;
  test.plan.images[0].size = 0;
  CHECK_FALSE(make_firehose(test.plan));
  CHECK(sahara_status(0x28) == "a bulk transfer failed");
  CHECK(sahara_status(0x29) == "unknown status");
}

}  // namespace
}  // namespace sphere::recovery

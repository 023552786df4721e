// SPDX-License-Identifier: MIT
#include "sphere/recovery/xmodem.h"

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <random>
#include <span>
#include <string>
#include <vector>

#include <catch2/catch.hpp>

#include "device-agent/virtual-board/recovery/faults.h"
#include "tests/support/bytes.h"

namespace sphere::recovery::xmodem {
namespace {

using namespace std::chrono_literals;
using Bytes = std::vector<std::byte>;
using test::from_hex;
using virtual_board::WireSide;

Bytes random_bytes(std::size_t size, std::uint32_t seed) {
  std::mt19937 random{seed};
  Bytes bytes(size);
  std::ranges::generate(bytes, [&] { return static_cast<std::byte>(random()); });
  return bytes;
}

struct Transfer {
  Sender::State sender = Sender::State::ready;
  Receiver::State receiver = Receiver::State::ready;
  Bytes received;
  std::uint32_t repeats = 0;
  std::string why;
  std::size_t sender_took = 0;
  Time took = {};
};

// Runs both sides; the bytes of each pass the wire a millisecond later.
Transfer transfer(const Bytes& file, Sender::Config config, Receiver::Config receiver_config,
                  const std::vector<std::string>& fault_texts = {}, std::uint32_t refuse = 0) {
  std::vector<virtual_board::Fault> faults;
  for (const std::string& text : fault_texts) {
    faults.push_back(virtual_board::parse_fault(text).value());
  }
  virtual_board::WireFaults wire{faults, 1};
  Transfer result;
  config.size = file.size();
  receiver_config.size = file.size();
  Sender sender{config};
  Receiver receiver{receiver_config, [&](std::span<const std::byte> data) {
                      result.received.insert(result.received.end(), data.begin(), data.end());
                    }};
  Bytes to_host;
  Time now = 0us;
  sender.start(now);
  receiver.start(now, to_host);
  receiver.refuse_next(refuse);
  const auto sender_open = [&] {
    return sender.state() != Sender::State::done && sender.state() != Sender::State::failed;
  };
  while (sender_open() && now < 1h) {
    now += 1ms;
    Bytes to_board;
    const Bytes arrived = wire.pass(WireSide::out, to_host).bytes;
    to_host.clear();
    result.sender_took += sender.receive(arrived, now, to_board);
    sender.timer(now, to_board);
    while (const auto range = sender.wanted()) {
      sender.supply(std::span{file}.subspan(range->offset, range->length), now, to_board);
    }
    receiver.receive(wire.pass(WireSide::in, to_board).bytes, now, to_host);
    receiver.timer(now, to_host);
  }
  result.sender = sender.state();
  result.receiver = receiver.state();
  result.repeats = sender.repeats();
  result.why = sender.why();
  result.took = now;
  return result;
}

void check_good(const Transfer& result, const Bytes& file) {
  CHECK(result.why.empty());
  CHECK(result.sender == Sender::State::done);
  CHECK(result.receiver == Receiver::State::done);
  CHECK(result.received == file);
}

TEST_CASE("XMODEM blocks are the golden ones") {
  Bytes counting(kSmall);
  for (std::size_t i = 0; i < counting.size(); ++i) {
    counting[i] = static_cast<std::byte>(i);
  }
  const auto first = encode_block(1, counting, false, Check::crc);
  CHECK(first.size() == 133);
  CHECK(Bytes(first.begin(), first.begin() + 3) == from_hex("01 01 FE"));
  CHECK(Bytes(first.begin() + 3, first.end() - 2) == counting);
  CHECK(Bytes(first.end() - 2, first.end()) == from_hex("E8 0A"));

  const auto padding = encode_block(1, {}, false, Check::crc);
  CHECK(Bytes(padding.end() - 2, padding.end()) == from_hex("F8 B0"));
  const auto hello = encode_block(1, from_hex("68 65 6C 6C 6F"), false, Check::crc);
  CHECK(Bytes(hello.end() - 2, hello.end()) == from_hex("74 90"));
  const auto large = encode_block(0, Bytes(kLarge), true, Check::crc);
  CHECK(large.size() == 1029);
  CHECK(Bytes(large.begin(), large.begin() + 3) == from_hex("02 00 FF"));
  CHECK(Bytes(large.end() - 2, large.end()) == from_hex("00 00"));
  CHECK(encode_block(1, from_hex("01 02"), false, Check::sum).back() ==
        static_cast<std::byte>((3 + 126 * 0x1A) & 0xFF));
}

TEST_CASE("files of any size arrive without their padding") {
  for (const std::size_t size : {1, 127, 128, 129, 1023, 1024, 1025, 5000, 128 * 300}) {
    INFO(size);
    const Bytes file = random_bytes(size, 3);
    check_good(transfer(file, {}, {}), file);
    check_good(transfer(file, {.large_blocks = true}, {}), file);
  }
}

TEST_CASE("the first block waits until the letters of a boot message are over") {
  const Bytes file = random_bytes(300, 4);
  const auto result =
      transfer(file, {}, {}, {"stray=5245434F564552590D0A433833330D0A43434343@out:byte=0"});

  check_good(result, file);
  CHECK(result.repeats == 0);
}

TEST_CASE("a transfer survives what happens to single bytes and blocks") {
  const Bytes file = random_bytes(1500, 5);
  for (const char* fault :
       {"drop@in:byte=500", "drop@in:byte=133", "flip=3@in:byte=266", "flip=0@in:byte=270",
        "dup@in:byte=700", "drop@in:frame=3", "drop@out:byte=3", "drop@out:byte=1",
        "flip=1@out:byte=4", "dup@out:byte=2", "stray=434343@out:byte=1", "stray=55AA@in:byte=399",
        "storm=00,5000@in:byte=532"}) {
    INFO(fault);
    check_good(transfer(file, {}, {}, {fault}), file);
  }
}

TEST_CASE("each block may be refused, or its answer lost") {
  const Bytes file = random_bytes(1000, 6);
  const auto refused = transfer(file, {}, {}, {}, 5);
  check_good(refused, file);
  CHECK(refused.repeats == 5);
  for (int answer = 1; answer <= 8; ++answer) {
    INFO(answer);
    check_good(transfer(file, {}, {}, {"drop@out:byte=" + std::to_string(answer)}), file);
  }
}

TEST_CASE("the end may be refused once") {
  const Bytes file = random_bytes(200, 7);

  check_good(transfer(file, {}, {.nak_first_end = true}), file);
}

TEST_CASE("a sender gives up with the block and the reason") {
  const Bytes file = random_bytes(1000, 8);

  const auto silent = transfer(file, {}, {}, {"stall@in:byte=400"});
  CHECK(silent.sender == Sender::State::failed);
  CHECK_FALSE(silent.why.empty());

  const auto refused = transfer(file, {}, {.errors = 100}, {}, 50);
  CHECK(refused.sender == Sender::State::failed);
  CHECK(refused.why == "the board refused it after 10 tries of block 1 at byte 0");

  const auto nobody = transfer(file, {}, {}, {"stall@out:byte=0"});
  CHECK(nobody.sender == Sender::State::failed);
  CHECK(nobody.why == "the board never became ready for a file");
  CHECK(nobody.took <= 11s);
}

TEST_CASE("a receiver cancels after ten bad blocks") {
  const auto result = transfer(random_bytes(1000, 9), {.tries = 100}, {}, {}, 1000);

  CHECK(result.receiver == Receiver::State::failed);
  CHECK(result.sender == Sender::State::failed);
  CHECK(result.why == "the board cancelled at byte 0");
}

TEST_CASE("a sender takes nothing behind the last answer") {
  Sender sender{{.size = 3}};
  Bytes out;
  sender.start(0us);
  sender.receive(from_hex("43"), 0us, out);
  sender.timer(60ms, out);
  sender.supply(from_hex("01 02 03"), 60ms, out);

  CHECK(sender.receive(from_hex("06"), 70ms, out) == 1);
  CHECK(out.back() == kEot);
  CHECK(sender.receive(from_hex("06 2B 47 4F"), 80ms, out) == 1);
  CHECK(sender.state() == Sender::State::done);
}

TEST_CASE("a lost last answer is made up for by what the board says next") {
  Sender sender{{.size = 3}};
  Bytes out;
  sender.start(0us);
  sender.receive(from_hex("43"), 0us, out);
  sender.timer(60ms, out);
  sender.supply(from_hex("01 02 03"), 60ms, out);
  sender.receive(from_hex("06"), 70ms, out);

  CHECK(sender.receive(from_hex("02 05 02 0B"), 80ms, out) == 0);
  CHECK(sender.state() == Sender::State::done);
}

TEST_CASE("a receiver that starts with NAK gets sums") {
  Sender sender{{.size = 2}};
  Bytes out;
  sender.start(0us);
  sender.receive(from_hex("15"), 0us, out);
  sender.timer(60ms, out);
  sender.supply(from_hex("01 02"), 60ms, out);

  CHECK(out == encode_block(1, from_hex("01 02"), false, Check::sum));
}

TEST_CASE("a receiver stores a block that comes again once, and trims the last") {
  Bytes received;
  Receiver receiver{{.size = 130}, [&](std::span<const std::byte> data) {
                      received.insert(received.end(), data.begin(), data.end());
                    }};
  Bytes out;
  receiver.start(0us, out);
  const Bytes file = random_bytes(130, 1);
  const auto first = encode_block(1, std::span{file}.first(128), false, Check::crc);
  const auto second = encode_block(2, std::span{file}.subspan(128), false, Check::crc);
  for (const Bytes& block : {first, first, second, from_hex("04 02")}) {
    receiver.receive(block, 1ms, out);
  }

  CHECK(received == file);
  CHECK(out == from_hex("43 06 06 06 06"));
  CHECK(receiver.state() == Receiver::State::done);
}

TEST_CASE("a receiver refuses an end that comes too early") {
  Receiver receiver{{.size = 200}, [](std::span<const std::byte>) {}};
  Bytes out;
  receiver.start(0us, out);

  receiver.receive(from_hex("04"), 1ms, out);

  CHECK(receiver.state() == Receiver::State::failed);
}

}  // namespace
}  // namespace sphere::recovery::xmodem

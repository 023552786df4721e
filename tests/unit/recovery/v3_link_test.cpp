// SPDX-License-Identifier: MIT
#include "sphere/recovery/v3_link.h"

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <random>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include <catch2/catch.hpp>

#include "sphere/recovery/cobs.h"

namespace sphere::recovery::v3 {
namespace {

using namespace std::chrono_literals;
using Bytes = std::vector<std::byte>;

// A wire that loses, doubles and reorders whole frames.
class Wire {
 public:
  Wire(std::mt19937& random, double rate) : random_{&random}, rate_{rate} {}

  void put(const Bytes& bytes, Time now) {
    CobsDecoder decoder{kFrameLimit};
    decoder.decode(bytes, [&](std::span<const std::byte> frame) {
      const Bytes copy{frame.begin(), frame.end()};
      if (!happens()) {
        queue_.emplace(now + delay(), copy);
      }
      if (happens()) {
        queue_.emplace(now + delay(), copy);
      }
      return true;
    });
  }
  std::optional<Bytes> take(Time now) {
    if (queue_.empty() || queue_.begin()->first > now) {
      return std::nullopt;
    }
    return queue_.extract(queue_.begin()).mapped();
  }

 private:
  bool happens() { return std::bernoulli_distribution{rate_}(*random_); }
  Time delay() { return happens() ? Time{25ms} : Time{2ms}; }

  std::mt19937* random_;
  double rate_;
  std::multimap<Time, Bytes> queue_;
};

TEST_CASE("a file passes a wire of any quality, each byte once and in order") {
  const double rate = GENERATE(0.0, 0.001, 0.01, 0.1);
  const std::uint16_t window = GENERATE(as<std::uint16_t>{}, 1, 5, 64);
  for (std::uint32_t seed = 1; seed <= 5; ++seed) {
    std::mt19937 random{seed};
    Bytes file(200 * 512 + seed * 100);
    for (std::byte& byte : file) {
      byte = static_cast<std::byte>(random());
    }
    const BlockSender::Config config{.transfer = 7, .length = file.size(), .window = window};
    Bytes got;
    BlockSender sender{config};
    BlockReceiver receiver{config, [&](std::uint64_t offset, std::span<const std::byte> bytes) {
                             CHECK(offset == got.size());
                             got.insert(got.end(), bytes.begin(), bytes.end());
                           }};
    Wire down{random, rate};
    Wire up{random, rate};
    Time now{};
    while (!sender.is_done() && !sender.has_failed() && now < 600s) {
      sender.timer(now);
      Bytes wire;
      while (const auto run = sender.wanted(4)) {
        for (std::uint32_t i = run->first; i < run->first + run->count; ++i) {
          append_data(7, i, std::span{file}.subspan(sender.offset_of(i), sender.size_of(i)), wire);
        }
        sender.sent(*run, now);
      }
      down.put(wire, now);
      now += 1ms;
      Bytes answers;
      while (const auto frame = down.take(now)) {
        receiver.take(*parse_frame(*frame), now, answers);
      }
      receiver.timer(now, answers);
      up.put(answers, now);
      while (const auto frame = up.take(now)) {
        sender.take(*parse_data_ack(*parse_frame(*frame)), now);
      }
    }
    CHECK(sender.is_done());
    CHECK(got == file);
    CHECK(receiver.is_done());
    if (rate == 0.0) {
      CHECK(sender.repeats() == 0);
    }
  }
}

TEST_CASE("messages pass a wire of any quality, each once and in order") {
  const double rate = GENERATE(0.0, 0.01, 0.1, 0.3);
  for (std::uint32_t seed = 1; seed <= 10; ++seed) {
    std::mt19937 random{seed};
    Wire down{random, rate};
    Wire up{random, rate};
    Channel sender;
    Channel receiver;
    std::uint32_t posted = 0;
    std::vector<std::uint16_t> got;
    Time now{};
    while (got.size() < 40 && now < 600s && !sender.has_failed()) {
      Bytes wire;
      if (posted < 40 && now / 1ms % 3 == 0) {
        sender.post(static_cast<Type>(++posted), {}, now, wire);
      }
      if (sender.deadline() && now >= *sender.deadline()) {
        sender.timer(now, wire);
      }
      down.put(wire, now);
      now += 1ms;
      Bytes answers;
      while (const auto frame = down.take(now)) {
        if (const auto message = receiver.take(*parse_frame(*frame), answers)) {
          got.push_back(message->type);
        }
      }
      up.put(answers, now);
      while (const auto frame = up.take(now)) {
        Bytes next;
        sender.take_ack(*parse_frame(*frame), now, next);
        down.put(next, now);
      }
    }
    REQUIRE(got.size() == 40);
    for (std::size_t i = 0; i < got.size(); ++i) {
      CHECK(got[i] == i + 1);
    }
  }
}

TEST_CASE("a message without an answer is sent eight times, then the session has failed") {
  Channel channel;
  Bytes wire;
  channel.post(Type::proceed, {}, 0s, wire);
  const std::size_t one = wire.size();
  std::vector<Time> times;
  for (Time now{}; !channel.has_failed(); now = *channel.deadline()) {
    times.push_back(now);
    channel.timer(now, wire);
    if (!channel.deadline()) {
      break;
    }
  }
  CHECK(wire.size() == 8 * one);
  CHECK(times ==
        std::vector<Time>{0ms, 250ms, 750ms, 1750ms, 3750ms, 7750ms, 11750ms, 15750ms, 19750ms});
}

TEST_CASE("a block without an answer is sent ten times, then the transfer has failed") {
  BlockSender sender{{.transfer = 1, .length = 100}};
  Time now{};
  std::uint32_t sends = 0;
  while (!sender.has_failed()) {
    while (const auto run = sender.wanted(1)) {
      sender.sent(*run, now);
      ++sends;
    }
    REQUIRE(sender.deadline());
    now = *sender.deadline();
    sender.timer(now);
  }
  CHECK(sends == 10);
}

TEST_CASE("without credit a sender asks once a second and goes on when there is some") {
  BlockSender sender{{.transfer = 1, .length = 4096, .window = 4}};
  sender.sent(*sender.wanted(4), 0s);
  sender.take({.transfer = 1, .next = 4, .credit = 0}, 1ms);
  CHECK_FALSE(sender.wanted(4));
  CHECK(sender.deadline() == Time{1001ms});
  sender.timer(1001ms);
  const auto poll = sender.wanted(4);
  REQUIRE(poll);
  CHECK(poll->first == 4);
  CHECK(poll->count == 1);
  sender.sent(*poll, 1001ms);
  sender.take({.transfer = 1, .next = 4, .credit = 4}, 1100ms);
  const auto next = sender.wanted(4);
  REQUIRE(next);
  CHECK(next->first == 5);
  CHECK(next->count == 3);
}

TEST_CASE("answers that cannot be are ignored") {
  BlockSender sender{{.transfer = 1, .length = 4096, .window = 4}};
  sender.sent(*sender.wanted(2), 0s);
  sender.take({.transfer = 2, .next = 2, .credit = 4}, 1ms);
  CHECK(sender.acknowledged() == 0);
  sender.take({.transfer = 1, .next = 3, .credit = 4}, 1ms);  // Never sent.
  CHECK(sender.acknowledged() == 0);
  sender.take({.transfer = 1, .next = 2, .credit = 0xFFFF, .bitmap = ~std::uint64_t{0}}, 1ms);
  CHECK(sender.acknowledged() == 1024);
  CHECK(sender.wanted(64)->count == 4);
}

TEST_CASE("blocks that cannot be are dropped") {
  std::size_t got = 0;
  BlockReceiver receiver{
      {.transfer = 1, .length = 1000, .window = 2},
      [&](std::uint64_t /*offset*/, std::span<const std::byte> bytes) { got += bytes.size(); }};
  const auto take = [&](std::uint32_t transfer, std::uint32_t block, std::size_t size) {
    Bytes wire;
    append_data(transfer, block, Bytes(size), wire);
    CobsDecoder decoder{kFrameLimit};
    Bytes answers;
    decoder.decode(wire, [&](std::span<const std::byte> frame) {
      receiver.take(*parse_frame(frame), 0s, answers);
      return true;
    });
    return !answers.empty();
  };
  CHECK_FALSE(take(2, 0, 512));  // Another transfer.
  CHECK_FALSE(take(1, 0, 511));  // Too short.
  CHECK_FALSE(take(1, 1, 512));  // Too long.
  CHECK_FALSE(take(1, 2, 512));  // Behind the end.
  CHECK_FALSE(take(1, 0xFFFFFFFF, 512));
  CHECK(got == 0);
  CHECK(take(1, 1, 488));  // A gap is told at once.
  CHECK(take(1, 0, 512));
  CHECK(got == 1000);
  CHECK(receiver.is_done());
  CHECK(take(1, 0, 512));  // The last answer may have been lost.
  CHECK(got == 1000);
}

}  // namespace
}  // namespace sphere::recovery::v3

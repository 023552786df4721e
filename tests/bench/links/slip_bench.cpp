// SPDX-License-Identifier: MIT
// Rates of the SLIP codec on one core, in GB of frame bytes a second: frames of 1500 bytes.
#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdio>
#include <functional>
#include <random>
#include <span>
#include <string_view>
#include <vector>

#include <fmt/format.h>

#include "sphere/slip/codec.h"

namespace {

using namespace sphere::slip;
using Bytes = std::vector<std::byte>;

constexpr std::size_t kFrames = 2048;
constexpr int kRounds = 15;

struct Content {
  std::string_view name;
  std::function<std::byte(std::mt19937&)> byte;
};

// The median over the rounds.
double rate(std::size_t bytes, const std::function<void()>& work) {
  std::vector<double> seconds;
  for (int i = 0; i < kRounds; ++i) {
    const auto begin = std::chrono::steady_clock::now();
    work();
    seconds.push_back(
        std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count());
  }
  std::ranges::sort(seconds);
  return static_cast<double>(bytes) / seconds[seconds.size() / 2] / 1e9;
}

}  // namespace

int main() {
  const std::vector<Content> contents = {
      {"random bytes", [](std::mt19937& random) { return static_cast<std::byte>(random()); }},
      {"text", [](std::mt19937& random) { return static_cast<std::byte>(32 + random() % 95); }},
      {"END only", [](std::mt19937&) { return kEnd; }},
  };
  for (const Content& content : contents) {
    std::mt19937 random{1};
    std::vector<Bytes> frames(kFrames, Bytes(kMtu));
    for (Bytes& frame : frames) {
      std::ranges::generate(frame, [&] { return content.byte(random); });
    }
    Bytes wire(kFrames * encoded_limit(kMtu));
    std::size_t used = 0;
    const double encoding = rate(kFrames * kMtu, [&] {
      used = 0;
      for (const Bytes& frame : frames) {
        used += encode(frame, std::span{wire}.subspan(used));
      }
    });
    std::size_t decoded = 0;
    Decoder decoder;
    const double decoding = rate(kFrames * kMtu, [&] {
      decoded = 0;
      decoder.decode(std::span{wire}.first(used),
                     [&](std::span<const std::byte> frame) { decoded += frame.size(); });
    });
    if (decoded != kFrames * kMtu) {
      return 1;
    }
    fmt::print("{}\t{:.2f}\t{:.2f}\n", content.name, encoding, decoding);
  }
  return 0;
}

// SPDX-License-Identifier: MIT
#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <span>
#include <vector>

#include "sphere/recovery/xmodem.h"

namespace {

using namespace sphere::recovery;
using Bytes = std::vector<std::byte>;

constexpr std::size_t kFile = 1000;

void require(bool condition) {
  if (!condition) {
    std::abort();
  }
}

// The other side says what the input holds, in pieces with time between them.
template <typename Step>
void in_pieces(std::span<const std::byte> input, Step step) {
  Time now{};
  while (!input.empty()) {
    const auto code = std::to_integer<std::size_t>(input.front());
    input = input.subspan(1);
    const std::size_t size = std::min(input.size(), code % 16 * (code % 16));
    now += std::chrono::milliseconds{code / 16 * 100};
    step(input.first(size), now);
    input = input.subspan(size);
  }
}

void fuzz_sender(std::span<const std::byte> input) {
  xmodem::Sender sender{{.size = kFile, .large_blocks = true}};
  const Bytes file(kFile, std::byte{0x55});
  Bytes out;
  sender.start({});
  in_pieces(input, [&](std::span<const std::byte> bytes, Time now) {
    require(sender.receive(bytes, now, out) <= bytes.size());
    sender.timer(now, out);
    while (const auto range = sender.wanted()) {
      require(range->offset + range->length <= kFile && range->length > 0);
      sender.supply(std::span{file}.subspan(range->offset, range->length), now, out);
    }
    require(sender.acknowledged() <= kFile);
    out.clear();
  });
}

void fuzz_receiver(std::span<const std::byte> input) {
  std::size_t received = 0;
  xmodem::Receiver receiver{{.size = kFile},
                            [&](std::span<const std::byte> data) { received += data.size(); }};
  Bytes out;
  receiver.start({}, out);
  in_pieces(input, [&](std::span<const std::byte> bytes, Time now) {
    require(receiver.receive(bytes, now, out) <= bytes.size());
    receiver.timer(now, out);
    require(received <= kFile && received == receiver.received());
  });
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) {
    return 0;
  }
  const auto input = std::as_bytes(std::span{data, size});
  if (input.front() == std::byte{0}) {
    fuzz_sender(input.subspan(1));
  } else {
    fuzz_receiver(input.subspan(1));
  }
  return 0;
}

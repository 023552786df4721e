// SPDX-License-Identifier: MIT
#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "sphere/recovery/sphere_v2.h"
#include "sphere/recovery/v2_messages.h"

namespace {

using namespace sphere::recovery;
using Bytes = std::vector<std::byte>;

constexpr std::uint64_t kFile = 700;

void require(bool condition) {
  if (!condition) {
    std::abort();
  }
}

// Answers what the client asks for, and checks that it keeps the rules of drivers.
class Harness {
 public:
  Harness() {
    SphereV2Config config;
    for (const std::string_view name :
         {v2::kLoaderFile, v2::kRuntimeFile, v2::kManifestFile, std::string_view{"a.bin"}}) {
      config.files.push_back({.name = std::string{name}, .size = kFile});
    }
    config.images = 1;
    config.image_bytes = kFile;
    client_ = make_sphere_v2(std::move(config));
    give(Start{});
  }

  void give(const Input& input) {
    Actions actions;
    client_->take(input, now_, actions);
    require(!finished_ || actions.empty());
    bool armed = false;
    for (const Action& action : actions) {
      if (const auto* const arm = std::get_if<Arm>(&action)) {
        deadline_ = arm->deadline;
        armed = true;
      }
      finished_ = finished_ || std::holds_alternative<Finish>(action);
    }
    require(finished_ || armed);
    for (const Action& action : actions) {
      answer(action);
    }
  }
  void pass(Time time) {
    now_ += time;
    if (now_ >= deadline_) {
      give(TimerFired{});
    }
  }

 private:
  void answer(const Action& action) {
    if (const auto* const need = std::get_if<NeedFile>(&action)) {
      require(need->offset + need->length <= kFile && need->length > 0);
      const Bytes bytes(need->length, std::byte{1});
      give(FileData{.tag = need->tag, .bytes = bytes});
    } else if (const auto* const send = std::get_if<Send>(&action); send && send->drain) {
      give(Sent{.tag = send->tag});
    }
  }

  std::unique_ptr<Driver> client_;
  Time now_ = {};
  Time deadline_ = {};
  bool finished_ = false;
};

}  // namespace

// What a board may say, in pieces: a byte with the time that passes and the length, then the bytes.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  auto input = std::as_bytes(std::span{data, size});
  Harness harness;
  while (!input.empty()) {
    const auto code = std::to_integer<std::size_t>(input.front());
    input = input.subspan(1);
    const std::size_t length = std::min(input.size(), code % 64);
    harness.give(Received{.bytes = input.first(length)});
    input = input.subspan(length);
    harness.pass(std::chrono::milliseconds{code / 64 * 60});
  }
  return 0;
}

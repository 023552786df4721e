// SPDX-License-Identifier: MIT
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "sphere/recovery/sphere_v3.h"
#include "tests/fuzz/recovery/v3_fuzz.h"

namespace {

using namespace sphere;
using namespace sphere::fuzz;
using recovery::Time;

constexpr std::uint64_t kFile = 2000;

recovery::SphereV3Config config() {
  recovery::SphereV3Config config;
  config.manifest.board_id = "b";
  config.manifest.security_version = 3;
  for (const char* name : {"a.bin", "b.bin"}) {
    config.manifest.entries.push_back({.file_size = kFile, .file_name = name});
  }
  config.manifest_size = 300;
  return config;
}

// What a hostile board does with the client. Kinds of steps, modulo 8:
//
//   0  bytes of the wire         4  u8 whether messages are acknowledged from now on
//   1  an Initialization         5  time passes to the timer
//   2  a message: type, data     6  u8 what happens to the link, or Ctrl-C
//   3  an answer to data         7  a good Initialization with a nonce of its own
class HostileBoard {
 public:
  HostileBoard() : client_{recovery::make_sphere_v3(config())} { give(recovery::Start{}); }

  void take(const V3Step& step) {
    now_ += std::chrono::milliseconds{1};
    switch (step.kind % 8) {
      case 0:
        return give(recovery::Received{step.bytes});
      case 1:
        return send(v2_frame(recovery::v2::Type::initialization, step.bytes));
      case 2:
        return send(message_frame(++sequence_, step.bytes));
      case 3:
        return acknowledge_data(step.bytes);
      case 4:
        mute_ = !step.bytes.empty() && step.bytes.front() == std::byte{0};
        return;
      case 5:
        return fire();
      case 6:
        return other(step.bytes);
      default:
        return greet();
    }
  }
  void end() {
    for (int i = 0; i < 10'000 && !over_; ++i) {
      fire();
    }
    require(over_);
    give(recovery::TimerFired{});
  }
  [[nodiscard]] bool is_over() const { return over_; }

 private:
  void greet() {
    v3::Greeting greeting{.nonce = {}, .block = 512, .window = 4, .board_id = "b"};
    greeting.nonce.fill(std::byte{++nonce_});
    if (nonce_ % 2 == 0) {
      greeting.rates = {115200, 3000000};
    }
    sequence_ = 0;
    send(v2_frame(recovery::v2::Type::initialization, v3::write_greeting(greeting)));
  }
  void acknowledge_data(std::span<const std::byte> bytes) {
    Reader reader{bytes};
    const v3::DataAck ack{.transfer = transfer_,
                          .next = reader.little_endian<std::uint8_t>().value_or(0),
                          .credit = reader.little_endian<std::uint8_t>().value_or(4),
                          .bitmap = reader.little_endian<std::uint64_t>().value_or(0)};
    Bytes wire;
    v3::append_data_ack(ack, wire);
    send(wire);
  }
  void other(std::span<const std::byte> bytes) {
    const int what = bytes.empty() ? 0 : std::to_integer<int>(bytes.front()) % 3;
    if (what == 0) {
      give(recovery::Cancelled{});
    } else if (what == 1) {
      give(recovery::LinkLost{});
    } else {
      give(recovery::LinkBack{});
    }
  }
  void send(const Bytes& wire) { give(recovery::Received{wire}); }
  void fire() {
    require(over_ || deadline_.has_value());
    if (!over_) {
      now_ = std::max(now_, *std::exchange(deadline_, std::nullopt));
      give(recovery::TimerFired{});
    }
  }

  void give(const recovery::Input& input) {
    recovery::Actions actions;
    client_->take(input, now_, actions);
    require(!over_ || actions.empty());
    std::deque<recovery::NeedFile> needs;
    std::vector<std::pair<Bytes, std::optional<recovery::Tag>>> sends;
    for (const auto& action : actions) {
      if (const auto* const arm = std::get_if<recovery::Arm>(&action)) {
        require(!arm->reason.empty() && arm->deadline >= now_);
        deadline_ = arm->deadline;
      } else if (const auto* const need = std::get_if<recovery::NeedFile>(&action)) {
        needs.push_back(*need);
      } else if (const auto* const send = std::get_if<recovery::Send>(&action)) {
        sends.emplace_back(send->bytes, send->drain ? std::optional{send->tag} : std::nullopt);
      } else if (std::holds_alternative<recovery::Finish>(action)) {
        over_ = true;
      }
    }
    require(over_ || deadline_.has_value());
    for (const auto& [bytes, drain] : sends) {
      if (drain && !over_) {
        give(recovery::Sent{*drain});
      }
      see(bytes);
    }
    for (const auto& need : needs) {
      require(need.name == "a.bin" || need.name == "b.bin" || need.name == v3::kManifestFile);
      const std::uint64_t size = need.name == v3::kManifestFile ? 300 : kFile;
      require(need.length > 0 && need.offset <= size && need.length <= size - need.offset);
      if (!over_) {
        give(recovery::FileData{.tag = need.tag, .bytes = Bytes(need.length)});
      }
    }
  }

  // What the client put on the wire.
  void see(const Bytes& bytes) {
    for_each_frame(bytes, [&](std::span<const std::byte> inside) {
      const auto frame = v3::parse_frame(inside);
      if (!frame || frame->kind != v3::Kind::message) {
        return;
      }
      const auto message = v3::parse_message(frame->payload);
      require(message.has_value());
      if (message->type == static_cast<std::uint16_t>(v3::Type::image_request_ack)) {
        const auto answer = v3::parse_file_answer(message->data);
        require(answer.has_value() && answer->length <= kFile);
        transfer_ = answer->transfer;
      }
      if (!mute_ && !over_) {
        Bytes wire;
        v3::append_frame({.kind = v3::Kind::message_ack, .sequence = frame->sequence}, wire);
        send(wire);
      }
    });
  }

  std::unique_ptr<recovery::Driver> client_;
  Time now_ = {};
  std::optional<Time> deadline_;
  std::uint32_t sequence_ = 0;
  std::uint32_t transfer_ = 0;
  std::uint8_t nonce_ = 0;
  bool mute_ = false;
  bool over_ = false;
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  Reader reader{std::as_bytes(std::span{data, size})};
  HostileBoard board;
  for (int i = 0; i < 200 && !board.is_over(); ++i) {
    const auto step = next_v3_step(reader);
    if (!step) {
      break;
    }
    board.take(*step);
  }
  board.end();
  return 0;
}

// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "sphere/recovery/driver.h"

namespace sphere::recovery {

// For std::visit over some of a variant's types.
template <typename... Handlers>
struct Overloaded : Handlers... {
  using Handlers::operator()...;
};
template <typename... Handlers>
Overloaded(Handlers...) -> Overloaded<Handlers...>;

// What a driver says within one take(). Lives as long as that call.
class Turn {
 public:
  Turn(Time now, Actions& actions) : now_{now}, actions_{&actions} {}

  [[nodiscard]] Time now() const { return now_; }

  void send(std::span<const std::byte> bytes, Tag tag = 0, bool drain = false) {
    add(Send{.bytes = {bytes.begin(), bytes.end()}, .tag = tag, .drain = drain});
  }
  void control(const UsbSetup& setup, std::span<const std::byte> bytes, Tag tag) {
    add(ControlTransfer{.setup = setup, .bytes = {bytes.begin(), bytes.end()}, .tag = tag});
  }
  void need(std::string name, std::uint64_t offset, std::uint64_t length, Tag tag) {
    add(NeedFile{.name = std::move(name), .offset = offset, .length = length, .tag = tag});
  }
  // `limit` from now; `reason` says what is waited for.
  void arm(Time limit, std::string_view reason) {
    add(Arm{.deadline = now_ + limit, .reason = std::string{reason}});
  }
  void begin(Step step) { add(Emit{StepBegun{step}}); }
  void emit(Event event) { add(Emit{std::move(event)}); }
  void add(Action action) { actions_->push_back(std::move(action)); }

 private:
  Time now_;
  Actions* actions_;
};

// What a driver's run has come to, and how it ends: with one Finish.
class Run {
 public:
  Outcome outcome;

  [[nodiscard]] bool is_over() const { return over_; }
  void finish(Turn& turn);
  // `reason` empty: recovery.no-loader as long as flash is untouched, then recovery.write.
  void fail(Turn& turn, Errc code, std::string message, std::string_view reason = {});
  void fail(Turn& turn, Error error);
  // The link is gone while `step` was done.
  void lose(Turn& turn, Step step);
  // Ctrl-C: ends the run at once when flash is untouched, or at the second time.
  void cancel(Turn& turn, Step step);

 private:
  bool over_ = false;
  bool cancelled_ = false;
};

// The first 16 bytes of something unexpected, for a message.
[[nodiscard]] std::string show_bytes(std::span<const std::byte> bytes);

// Text of a device for a message or an event: escaped, at most 256 bytes of it.
[[nodiscard]] std::string show_text(std::span<const std::byte> bytes);

}  // namespace sphere::recovery

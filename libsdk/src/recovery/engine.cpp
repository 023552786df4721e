// SPDX-License-Identifier: MIT
#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <variant>

#include <fmt/format.h>

#include "sphere/core/result.h"
#include "sphere/core/text.h"
#include "sphere/recovery/carrier.h"
#include "sphere/recovery/event.h"
#include "sphere/recovery/runner.h"
#include "sphere/recovery/table.h"

namespace sphere::recovery {

namespace {

using namespace std::chrono_literals;

constexpr std::chrono::milliseconds kLookPause{200};

class Engine {
 public:
  Engine(const PreparedRecovery& prepared, Carrier& carrier, const RunnerConfig& config,
         Time replug_limit)
      : prepared_{&prepared},
        carrier_{&carrier},
        config_{config},
        start_{config.clock->monotonic()},
        replug_limit_{replug_limit} {
    config_.sink = [this, sink = config.sink](const Event& event, Time at) {
      look_at(event);
      sink(event, at);
    };
    config_.cancelled = [this, cancelled = config.cancelled] {
      return is_other_ || (cancelled && cancelled());
    };
  }

  Outcome run() {
    Outcome outcome = run_once();
    for (unsigned attempt = 1; wants_another(outcome, attempt) && wait_for_board(outcome, attempt);
         ++attempt) {
      const bool touched = outcome.flash_touched;
      outcome = run_once();
      outcome.flash_touched = outcome.flash_touched || touched;
    }
    return outcome;
  }

 private:
  [[nodiscard]] Time now() const {
    return std::chrono::duration_cast<Time>(config_.clock->monotonic() - start_);
  }

  Outcome run_once() {
    serial_ = serial_.value_or(carrier_->attached().usb.serial);
    auto driver = prepared_->make_driver(carrier_->attached());
    if (!driver) {
      return Outcome{.error = std::move(driver).error()};
    }
    config_.before = now();
    const RemakeDriver remake = [this] { return prepared_->make_driver(carrier_->attached()); };
    Outcome outcome = run_driver(**driver, *carrier_, config_,
                                 prepared_->remake_driver ? remake : RemakeDriver{});
    if (is_other_) {
      outcome.error = Error{
          Errc::invalid_argument,
          fmt::format("another board stands at this place now: {}", escape_control(other_id_)),
          {.reason = "link.unplugged",
           .value = device_id_,
           .next = "plug the first board in again, then run again"}};
    }
    return outcome;
  }

  // Who the board is must stay so over all tries.
  void look_at(const Event& event) {
    const auto* const who = std::get_if<Identified>(&event);
    if (who == nullptr || who->device_id.empty()) {
      return;
    }
    if (device_id_.empty()) {
      device_id_ = who->device_id;
    } else if (device_id_ != who->device_id) {
      is_other_ = true;
      other_id_ = who->device_id;
    }
  }

  [[nodiscard]] bool wants_another(const Outcome& outcome, unsigned attempt) const {
    const bool lost = outcome.error && outcome.error->hint().reason == "link.unplugged";
    // Without any identity nobody could tell whether the same board came back.
    const bool is_known = !device_id_.empty() || !serial_.value_or("").empty();
    return lost && outcome.flash_touched && is_known && !is_other_ && attempt <= kReplugs &&
           !config_.cancelled();
  }

  bool wait_for_board(const Outcome& outcome, unsigned attempt) {
    carrier_->close();
    config_.sink(Retry{.what = "connection",
                       .attempt = attempt,
                       .of = kReplugs,
                       .why = outcome.error ? outcome.error->message() : std::string{}},
                 now());
    const Time since = now();
    Time told = since;
    while (now() - since < replug_limit_ && now() < config_.limit && !config_.cancelled()) {
      if (carrier_->open() && carrier_->attached().usb.serial == serial_.value_or("")) {
        return true;
      }
      if (now() - told >= 2s) {
        told = now();
        config_.sink(Waiting{.reason = "waiting for the board to be plugged in again",
                             .since = told - since,
                             .limit = replug_limit_},
                     told);
      }
      std::this_thread::sleep_for(kLookPause);
    }
    return false;
  }

  const PreparedRecovery* prepared_;
  Carrier* carrier_;
  RunnerConfig config_;
  std::chrono::nanoseconds start_;
  Time replug_limit_;
  std::optional<std::string> serial_;
  std::string device_id_;
  std::string other_id_;
  bool is_other_ = false;
};

}  // namespace

Outcome recover_board(const PreparedRecovery& prepared, Carrier& carrier,
                      const RunnerConfig& config, Time replug_limit) {
  return Engine{prepared, carrier, config, replug_limit}.run();
}

}  // namespace sphere::recovery

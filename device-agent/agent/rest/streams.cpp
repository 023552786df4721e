// SPDX-License-Identifier: MIT
#include "device-agent/agent/rest/streams.h"

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <poll.h>
#include <string>
#include <string_view>
#include <unistd.h>
#include <utility>

#include "device-agent/agent/apps/output_log.h"
#include "device-agent/agent/rest/answers.h"
#include "device-agent/agent/rest/services.h"
#include "sphere/core/clock.h"
#include "sphere/core/descriptor.h"
#include "sphere/device_api/bodies.h"
#include "sphere/device_api/device_log.h"
#include "sphere/device_api/error_code.h"
#include "sphere/http/server.h"
#include "sphere/json/value.h"

namespace sphere::agent {
namespace {

constexpr std::chrono::milliseconds kTurn{1000};
constexpr std::chrono::seconds kHeartbeat{15};
constexpr std::string_view kLines = "application/x-ndjson";

std::string line(const json::Value& value) { return json::to_compact(value) + "\n"; }

// A place among the followers, while it lives.
class Seat {
 public:
  explicit Seat(Services& services)
      : services_{&services}, taken_{services.followers.fetch_add(1) < kMaxFollowers} {}
  Seat(const Seat&) = delete;
  Seat& operator=(const Seat&) = delete;
  Seat(Seat&&) = delete;
  Seat& operator=(Seat&&) = delete;
  ~Seat() { services_->followers.fetch_sub(1); }
  [[nodiscard]] bool taken() const noexcept { return taken_; }

 private:
  Services* services_;
  bool taken_;
};

http::Response full_house() {
  return error_answer({.code = device_api::kBusy,
                       .message = "4 followers are connected already",
                       .next = "end one of them"},
                      {.sphere_v1 = true});
}

class OutputFollower {
 public:
  OutputFollower(Services& services, std::shared_ptr<OutputLog> log, std::int64_t seq,
                 std::shared_ptr<Seat> seat)
      : services_{&services},
        log_{std::move(log)},
        seat_{std::move(seat)},
        seq_{seq},
        spoken_{services.clock->monotonic()} {}

  std::optional<std::string> operator()() {
    if (ended_) {
      return std::nullopt;
    }
    log_->wait_after(seq_, kTurn);
    auto text = new_lines();
    const auto now = services_->clock->monotonic();
    if (log_->closed() || services_->ending) {
      ended_ = true;
      text += line(json::Value{}.set("end", log_->closed() ? "app deleted" : "restart"));
    } else if (text.empty() && now - spoken_ >= kHeartbeat) {
      const auto milliseconds =
          std::chrono::duration_cast<std::chrono::milliseconds>(now - services_->started);
      text = line(json::Value{}.set("heartbeat", static_cast<std::int64_t>(milliseconds.count())));
    }
    if (!text.empty()) {
      spoken_ = now;
    }
    return text;
  }

 private:
  std::string new_lines() {
    std::string text;
    for (const auto& entry : log_->after(seq_)) {
      if (begun_ && entry.seq > seq_ + 1) {
        text += line(json::Value{}.set("dropped", entry.seq - seq_ - 1));
      }
      begun_ = true;
      seq_ = entry.seq;
      text += line(device_api::to_json(entry));
    }
    return text;
  }

  Services* services_;
  std::shared_ptr<OutputLog> log_;  // Shared with the app manager.
  std::shared_ptr<Seat> seat_;      // Shared by the copies of this function object.
  std::int64_t seq_;
  std::chrono::nanoseconds spoken_;
  bool begun_ = false;
  bool ended_ = false;
};

class LogFollower {
 public:
  LogFollower(Services& services, LogFilter filter, std::shared_ptr<Seat> seat)
      : services_{&services},
        filter_{std::move(filter)},
        seat_{std::move(seat)},
        spoken_{services.clock->monotonic()} {}

  std::optional<std::string> operator()() {
    if (ended_) {
      return std::nullopt;
    }
    services_->log->wait_after(filter_.after, kTurn);
    auto text = new_lines();
    const auto now = services_->clock->monotonic();
    if (services_->ending) {
      ended_ = true;
      text += line(json::Value{}.set("end", "restart"));
    } else if (text.empty() && now - spoken_ >= kHeartbeat) {
      const auto up =
          std::chrono::duration_cast<std::chrono::milliseconds>(now - services_->started);
      text = line(json::Value{}.set("heartbeat", static_cast<std::int64_t>(up.count())));
    }
    spoken_ = text.empty() ? spoken_ : now;
    return text;
  }

  std::string new_lines(std::size_t limit = 256) {
    std::string text;
    for (const auto& [seq, entry] : services_->log->after(filter_.after, limit)) {
      if (begun_ && seq > filter_.after + 1) {
        text += line(json::Value{}.set("dropped", seq - filter_.after - 1));
      }
      begun_ = true;
      filter_.after = seq;
      const auto name = device_api::log_category_name(entry.category);
      if (entry.priority <= filter_.priority &&
          (filter_.category.empty() || filter_.category == name)) {
        text += line(to_line(seq, entry));
      }
    }
    return text;
  }

 private:
  static json::Value to_line(std::int64_t seq, const device_api::LogEntry& entry) {
    json::Value value;
    value.set("seq", seq)
        .set("ms", static_cast<std::int64_t>(entry.milliseconds))
        .set("priority", device_api::to_text(entry.priority))
        .set("category", static_cast<std::int64_t>(entry.category))
        .set("categoryName", device_api::log_category_name(entry.category))
        .set("id", static_cast<std::int64_t>(entry.id))
        .set("text", device_api::log_text(entry))
        .set("params", device_api::log_parameters(entry));
    return value;
  }

  Services* services_;
  LogFilter filter_;
  std::shared_ptr<Seat> seat_;  // Shared by the copies of this function object.
  std::chrono::nanoseconds spoken_;
  bool begun_ = false;
  bool ended_ = false;
};

}  // namespace

http::Response log_lines(Services& services, const LogFilter& filter, bool follow) {
  http::Response answer{.status = 200, .headers = {{"Content-Type", std::string{kLines}}}};
  if (!follow) {
    answer.body = LogFollower{services, filter, nullptr}.new_lines(SIZE_MAX);
    return answer;
  }
  auto seat = std::make_shared<Seat>(services);
  if (!seat->taken()) {
    return full_house();
  }
  answer.body = http::BodyStream{LogFollower{services, filter, std::move(seat)}};
  return answer;
}

http::Response output_lines(Services& services, const std::shared_ptr<OutputLog>& log,
                            std::int64_t seq, bool follow) {
  http::Response answer{.status = 200, .headers = {{"Content-Type", std::string{kLines}}}};
  if (!follow) {
    std::string text;
    for (const auto& entry : log->after(seq, SIZE_MAX)) {
      text += line(device_api::to_json(entry));
    }
    answer.body = std::move(text);
    return answer;
  }
  auto seat = std::make_shared<Seat>(services);
  if (!seat->taken()) {
    return full_house();
  }
  answer.body = http::BodyStream{OutputFollower{services, log, seq, std::move(seat)}};
  return answer;
}

http::Response copied_lines(Services& services, Descriptor source) {
  auto seat = std::make_shared<Seat>(services);
  if (!seat->taken()) {
    return full_house();
  }
  const auto input = std::make_shared<Descriptor>(std::move(source));  // Shared by copies.
  return {.status = 200,
          .headers = {{"Content-Type", std::string{kLines}}},
          .body = http::BodyStream{
              [&services, seat, input, ended = false]() mutable -> std::optional<std::string> {
                if (ended) {
                  return std::nullopt;
                }
                if (services.ending) {
                  ended = true;
                  return line(json::Value{}.set("end", "restart"));
                }
                pollfd polled = {.fd = input->get(), .events = POLLIN, .revents = 0};
                if (::poll(&polled, 1, static_cast<int>(kTurn.count())) <= 0) {
                  return std::string{};
                }
                std::array<char, 16384> buffer = {};
                const auto count = ::read(input->get(), buffer.data(), buffer.size());
                if (count <= 0) {
                  return std::nullopt;
                }
                return std::string{buffer.data(), static_cast<std::size_t>(count)};
              }}};
}

}  // namespace sphere::agent

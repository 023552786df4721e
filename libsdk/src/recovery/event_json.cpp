// SPDX-License-Identifier: MIT
#include "sphere/recovery/event_json.h"

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>
#include <variant>

#include "sphere/core/text.h"
#include "sphere/json/value.h"

namespace sphere::recovery {

namespace {

constexpr std::int64_t kSteps = 12;

std::int64_t milliseconds(Time time) {
  return std::chrono::duration_cast<std::chrono::milliseconds>(time).count();
}

json::Value begin(std::string_view name, Time at, std::string_view board) {
  return json::Value{}.set("event", name).set("t_ms", milliseconds(at)).set("board", board);
}

// Adds the members of one event.
struct Members {
  json::Value* value;

  void operator()(const Identified& event) const {
    value->set("chip", escape_control(event.chip))
        .set("board_id", escape_control(event.board_id))
        .set("device_id", escape_control(event.device_id))
        .set("lifecycle", escape_control(event.lifecycle))
        .set("banner", escape_control(event.banner));
  }
  void operator()(const StepBegun& event) const {
    value->set("name", to_text(event.step))
        .set("index", static_cast<std::int64_t>(event.step) + 1)
        .set("of", kSteps);
  }
  void operator()(const Progress& event) const {
    value->set("step", to_text(event.step))
        .set("image", event.image)
        .set("image_index", std::int64_t{event.image_index})
        .set("images", std::int64_t{event.images})
        .set("bytes_done", event.bytes_done)
        .set("bytes_total", event.bytes_total);
  }
  void operator()(const DeviceLog& event) const {
    value->set("level", int{event.level}).set("text", escape_control(event.text));
  }
  void operator()(const Retry& event) const {
    value->set("what", event.what)
        .set("try", std::int64_t{event.attempt})
        .set("of", std::int64_t{event.of})
        .set("why", escape_control(event.why));
  }
  void operator()(const Warning& event) const {
    value->set("code", event.code).set("text", event.text).set("next", event.next);
  }
  void operator()(const Found& event) const {
    value->set("location", event.location)
        .set("product", escape_control(event.product))
        .set("serial", escape_control(event.serial))
        .set("protocol", event.protocol);
  }
  void operator()(const Waiting& event) const {
    value->set("reason", event.reason)
        .set("since_ms", milliseconds(event.since))
        .set("limit_ms", milliseconds(event.limit));
  }
  void operator()(const Preflight& event) const {
    value->set("files", event.files).set("bytes", event.bytes).set("signer", event.signer);
  }
};

struct Names {
  std::string_view operator()(const Identified& /*event*/) const { return "identified"; }
  std::string_view operator()(const StepBegun& /*event*/) const { return "step"; }
  std::string_view operator()(const Progress& /*event*/) const { return "progress"; }
  std::string_view operator()(const DeviceLog& /*event*/) const { return "device_log"; }
  std::string_view operator()(const Retry& /*event*/) const { return "retry"; }
  std::string_view operator()(const Warning& /*event*/) const { return "warning"; }
  std::string_view operator()(const Found& /*event*/) const { return "found"; }
  std::string_view operator()(const Waiting& /*event*/) const { return "waiting"; }
  std::string_view operator()(const Preflight& /*event*/) const { return "preflight"; }
};

}  // namespace

json::Value to_json(const Event& event, Time at, std::string_view board) {
  json::Value value = begin(std::visit(Names{}, event), at, board);
  std::visit(Members{&value}, event);
  return value;
}

json::Value result_to_json(const Outcome& outcome, Verdict booted, Time at,
                           std::string_view board) {
  json::Value value = begin("result", at, board);
  value.set("written", to_text(outcome.written))
      .set("verified", to_text(outcome.verified))
      .set("booted", to_text(booted))
      .set("images", std::int64_t{outcome.images_written})
      .set("bytes", outcome.bytes_written);
  if (outcome.error) {
    value.set("error", json::Value{}
                           .set("code", outcome.error->hint().reason)
                           .set("text", outcome.error->message())
                           .set("next", outcome.error->hint().next));
  }
  return value;
}

}  // namespace sphere::recovery

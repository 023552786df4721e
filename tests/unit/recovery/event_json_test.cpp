// SPDX-License-Identifier: MIT
#include "sphere/recovery/event_json.h"

#include <chrono>
#include <string>

#include <catch2/catch.hpp>

#include "sphere/json/value.h"

namespace sphere::recovery {
namespace {

using namespace std::chrono_literals;

std::string text(const Event& event) { return json::to_compact(to_json(event, 1500ms, "1243")); }

TEST_CASE("events are lines of JSON") {
  const std::string head = R"(,"t_ms":1500,"board":"1243")";
  CHECK(text(StepBegun{.step = Step::loader}) ==
        R"({"event":"step")" + head + R"(,"name":"loader","index":6,"of":12})");
  CHECK(text(Found{.location = "1243", .product = "p", .serial = "s", .protocol = "mt3620"}) ==
        R"({"event":"found")" + head +
            R"(,"location":"1243","product":"p","serial":"s","protocol":"mt3620"})");
  CHECK(text(Waiting{.reason = "r", .since = 2s, .limit = 300s}) ==
        R"({"event":"waiting")" + head + R"(,"reason":"r","since_ms":2000,"limit_ms":300000})");
  CHECK(text(Retry{.what = "w", .attempt = 2, .of = 3, .why = "y"}) ==
        R"({"event":"retry")" + head + R"(,"what":"w","try":2,"of":3,"why":"y"})");
  CHECK(
      text(Progress{.step = Step::write,
                    .image = "a.bin",
                    .image_index = 1,
                    .images = 2,
                    .bytes_done = 3,
                    .bytes_total = 4}) ==
      R"({"event":"progress")" + head +
          R"(,"step":"write","image":"a.bin","image_index":1,"images":2,"bytes_done":3,"bytes_total":4})");
}

TEST_CASE("what a device says cannot break a line or a terminal") {
  CHECK(text(DeviceLog{.level = 1, .text = "a\n\x1b[2J"}).find("\\\\x1b[2J") != std::string::npos);
  CHECK(text(Identified{.chip = "\xFF"}).find("\\\\xff") != std::string::npos);
}

TEST_CASE("the result has the three verdicts and the error") {
  const Outcome outcome{.written = Verdict::yes,
                        .verified = Verdict::unknown,
                        .error = Error{Errc::io, "m", {.reason = "recovery.verify", .next = "n"}},
                        .images_written = 2,
                        .bytes_written = 9};

  CHECK(json::to_compact(result_to_json(outcome, Verdict::no, 2s, "b")) ==
        R"({"event":"result","t_ms":2000,"board":"b","written":"yes","verified":"unknown",)"
        R"("booted":"no","images":2,"bytes":9,)"
        R"("error":{"code":"recovery.verify","text":"m","next":"n"}})");
}

}  // namespace
}  // namespace sphere::recovery

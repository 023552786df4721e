// SPDX-License-Identifier: MIT
#include "device-agent/virtual-board/requests.h"

#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <catch2/catch.hpp>

#include "device-agent/virtual-board/gpio_bank.h"
#include "device-agent/virtual-board/pins.h"
#include "sphere/core/writer.h"
#include "sphere/device_api/bodies.h"
#include "sphere/device_api/error_code.h"
#include "sphere/json/value.h"

using namespace sphere::virtual_board;
namespace json = sphere::json;

namespace {

const std::string kApp = "54acba7c-7719-461a-89db-49c807e0fa4d";

struct Fixture {
  BoardIdentity board{.board_id = "mt3620-rdb", .name = "desk"};
  GpioBank bank{*gpio_lines("mt3620-rdb")};

  VirtualAnswer ask(std::string_view method, std::string_view path, std::string_view body = "",
                    std::int64_t now = 1000) {
    return answer_virtual(
        board, bank,
        {.method = std::string{method}, .path = std::string{path}, .body = std::string{body}}, now);
  }
  void open_output(int pin, int value) {
    REQUIRE(bank.open({.pin = pin, .direction = Direction::out, .value = value, .owner = kApp},
                      0) == 0);
  }
};

std::vector<std::byte> open_payload(std::uint32_t pin, int direction, int mode, int value,
                                    std::string_view owner) {
  sphere::Writer writer;
  writer.little_endian(pin)
      .little_endian(static_cast<std::uint8_t>(direction))
      .little_endian(static_cast<std::uint8_t>(mode))
      .little_endian(static_cast<std::uint8_t>(value))
      .text(owner);
  return std::move(writer).take();
}

}  // namespace

TEST_CASE_METHOD(Fixture, "the board shows its pins and its clock", "[virtual-board]") {
  open_output(8, 1);

  const auto answer = ask("GET", "", "", 1234);

  REQUIRE(answer.status == 200);
  CHECK(answer.body.string_at("boardId") == "mt3620-rdb");
  REQUIRE(answer.body.find("clock") != nullptr);
  CHECK(answer.body.find("clock")->integer_at("nowUs") == 1234);
  CHECK(answer.body.find("clock")->boolean_at("paused") == false);
  const auto* const list = answer.body.find("peripherals");
  REQUIRE(list != nullptr);
  REQUIRE(list->items().size() == 68);
  CHECK(list->items()[8].string_at("name") == "gpio8");
  CHECK(list->items()[8].string_at("usedBy") == kApp);
}

TEST_CASE_METHOD(Fixture, "a pin shows direction, level and owner", "[virtual-board]") {
  open_output(8, 0);

  const auto answer = ask("GET", "gpio/8");

  REQUIRE(answer.status == 200);
  CHECK(answer.body.string_at("direction") == "out");
  CHECK(answer.body.integer_at("level") == 0);
  CHECK(answer.body.string_at("usedBy") == kApp);
  CHECK(answer.body.integer_at("edges") == 1);
  CHECK(ask("GET", "/gpio/12").body.string_at("direction") == "unused");
}

TEST_CASE_METHOD(Fixture, "PUT drives a pin", "[virtual-board]") {
  CHECK(ask("PUT", "gpio/12", R"({"level": 0})").body.integer_at("level") == 0);
  CHECK(bank.find(12)->level == 0);
  CHECK(ask("PUT", "gpio/12", R"({"drive": "pull-up"})").body.string_at("drive") == "pull-up");
  CHECK(bank.find(12)->level == 1);
  CHECK(ask("PUT", "gpio/12", R"({"drive": "none"})").status == 200);
  CHECK(bank.find(12)->drive == Drive::none);
}

TEST_CASE_METHOD(Fixture, "a pin that the app drives refuses a level", "[virtual-board]") {
  open_output(8, 1);
  const auto path = GENERATE(std::string{"gpio/8"}, std::string{"gpio/8/pulse"});

  const auto answer =
      ask(path == "gpio/8" ? "PUT" : "POST", path,
          path == "gpio/8" ? R"({"level": 0})" : R"({"level": 0, "microseconds": 10})");

  CHECK(answer.status == 409);
  CHECK(answer.body.integer_at("error") == sphere::device_api::kGpioInUse);
  CHECK(answer.body.string_at("message")->find(kApp) != std::string::npos);
  CHECK(answer.body.string_at("name"));
  CHECK(answer.body.string_at("next"));
  CHECK(bank.find(8)->level == 1);
}

TEST_CASE_METHOD(Fixture, "a pulse lasts as long as it says", "[virtual-board]") {
  const auto answer = ask("POST", "gpio/12/pulse", R"({"level": 0, "microseconds": 500})");
  CHECK(answer.status == 200);
  CHECK(answer.body.integer_at("level") == 0);
  CHECK(ask("GET", "gpio/12", "", 1499).body.integer_at("level") == 0);
  CHECK(ask("GET", "gpio/12", "", 1500).body.integer_at("level") == 1);
}

TEST_CASE_METHOD(Fixture, "what is not there is 404, a wrong method 405", "[virtual-board]") {
  for (const auto* const path :
       {"gpio/24", "gpio/81", "gpio/-1", "gpio/08", "gpio/x", "gpio/4294967304", "gpio/8/x",
        "gpio/8/pulse/1", "adc/0/0", "clock", "//", "gpio/%38"}) {
    INFO(path);
    CHECK(ask("GET", path).status == 404);
  }
  CHECK(ask("DELETE", "gpio/8").status == 405);
  CHECK(ask("GET", "gpio/8/pulse").status == 405);
  CHECK(ask("POST", "").status == 405);
  CHECK(ask("GET", "gpio/\x1b[2J").body.string_at("message")->find('\x1b') == std::string::npos);
}

TEST_CASE_METHOD(Fixture, "a body that makes no sense is 400 and changes nothing",
                 "[virtual-board]") {
  for (const auto* const body :
       {"", "{", "[]", "0", "{}", R"({"level": 2})", R"({"level": -1})", R"({"level": "0"})",
        R"({"level": 0.0})", R"({"level": true})", R"({"level": null})", R"({"drive": "up"})",
        R"({"level": 0, "drive": "low"})", R"({"level": 0, "level": 1})", R"({"Level": 0})"}) {
    INFO(body);
    const auto answer = ask("PUT", "gpio/12", body);
    CHECK(answer.status == 400);
    CHECK(answer.body.integer_at("error") == sphere::device_api::kJsonInvalid);
  }
  for (const auto* const body :
       {R"({"level": 0})", R"({"microseconds": 1})", R"({"level": 0, "microseconds": 0})",
        R"({"level": 0, "microseconds": 60000001})", R"({"level": 0, "microseconds": 1.5})"}) {
    INFO(body);
    CHECK(ask("POST", "gpio/12/pulse", body).status == 400);
  }
  CHECK(bank.trace().next_seq() == 1);
}

TEST_CASE_METHOD(Fixture, "a stream of edges begins where it is told", "[virtual-board]") {
  open_output(8, 0);
  bank.set(8, 1, 10);

  CHECK(ask("GET", "gpio?follow=true").stream->after_seq == 2);
  CHECK(ask("GET", "gpio?follow=true&after=1").stream->after_seq == 1);
  CHECK(ask("GET", "gpio?follow=true&after=99").stream->after_seq == 2);
  CHECK(ask("GET", "gpio?follow=true").stream->follow);
  CHECK(ask("GET", "gpio").stream->after_seq == 0);
  CHECK_FALSE(ask("GET", "gpio?follow=false").stream->follow);
  CHECK(ask("GET", "gpio?follow=yes").status == 400);
  CHECK(ask("GET", "gpio?after=-1").status == 400);
  CHECK(refuse_follower(4).status == 409);
}

TEST_CASE("a virtual request is an object with three texts", "[virtual-board]") {
  const auto parse = [](std::string_view text) {
    return parse_virtual_request(std::as_bytes(std::span{text}));
  };
  const auto request = parse(R"({"method": "GET", "path": "gpio/8", "body": ""})");
  REQUIRE(request);
  CHECK(request->method == "GET");
  CHECK(request->path == "gpio/8");
  CHECK(request->body.empty());
  CHECK_FALSE(parse(""));
  CHECK_FALSE(parse("[]"));
  CHECK_FALSE(parse(R"({"method": "GET", "path": "gpio/8"})"));
  CHECK_FALSE(parse(R"({"method": 1, "path": "gpio/8", "body": ""})"));
}

TEST_CASE("open_gpio's payload is read with its bounds", "[virtual-board]") {
  OpenLine line;
  CHECK(parse_open_gpio(open_payload(8, 1, 2, 1, kApp), line) == 0);
  CHECK(line.pin == 8);
  CHECK(line.direction == Direction::out);
  CHECK(line.mode == OutputMode::open_source);
  CHECK(line.value == 1);
  CHECK(line.owner == kApp);

  CHECK(parse_open_gpio(open_payload(8, 2, 0, 0, kApp), line) == EINVAL);
  CHECK(parse_open_gpio(open_payload(8, 1, 3, 0, kApp), line) == EINVAL);
  CHECK(parse_open_gpio(open_payload(8, 1, 0, 2, kApp), line) == EINVAL);
  CHECK(parse_open_gpio(open_payload(8, 1, 0, 0, ""), line) == EPROTO);
  CHECK(parse_open_gpio(open_payload(8, 1, 0, 0, "a\nb"), line) == EPROTO);
  CHECK(parse_open_gpio(open_payload(8, 1, 0, 0, std::string(65, 'a')), line) == EPROTO);
  CHECK(parse_open_gpio(std::vector<std::byte>(6), line) == EPROTO);
  CHECK(parse_open_gpio(open_payload(0xFFFFFFFF, 0, 0, 0, kApp), line) == 0);
  CHECK(line.pin == -1);  // No such pin: the bank says so.
}

TEST_CASE_METHOD(Fixture, "info names the board and its pins", "[virtual-board]") {
  const auto info = info_of(board, bank);
  CHECK(info.string_at("boardId") == "mt3620-rdb");
  CHECK(info.string_at("name") == "desk");
  CHECK(info.boolean_at("trustPublicTestKey") == true);
  CHECK(info.find("pins")->items().size() == 68);
}

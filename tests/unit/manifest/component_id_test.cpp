// SPDX-License-Identifier: MIT
#include <string>

#include <catch2/catch.hpp>

#include "sphere/core/guid.h"
#include "sphere/core/result.h"
#include "sphere/manifest/manifest.h"
#include "sphere/manifest/rewrite.h"

namespace {

struct Case {
  const char* before;
  const char* after;
};

const char* const kId = "3c1f0f5e-6a0b-4b8e-9d53-0a4c7b1f2d60";

}  // namespace

TEST_CASE("with_component_id changes the value, or adds it, and nothing else", "[manifest]") {
  const auto test = GENERATE(values<Case>({
      {"{ \"ComponentId\" :  \"\",\r\n\t\"Name\": \"x\" }\r\n",
       "{ \"ComponentId\" :  \"3c1f0f5e-6a0b-4b8e-9d53-0a4c7b1f2d60\",\r\n\t\"Name\": \"x\" }\r\n"},
      {"{\"ComponentId\":{\"a\":[1]}}",
       "{\"ComponentId\":\"3c1f0f5e-6a0b-4b8e-9d53-0a4c7b1f2d60\"}"},
      {"{\r\n  \"SchemaVersion\": 1,\r\n  \"Name\": \"x\",\r\n  \"CmdArgs\": []\r\n}",
       "{\r\n  \"SchemaVersion\": 1,\r\n  \"Name\": \"x\",\r\n  \"ComponentId\": "
       "\"3c1f0f5e-6a0b-4b8e-9d53-0a4c7b1f2d60\",\r\n  \"CmdArgs\": []\r\n}"},
      {"{\"a\":1}", "{\"a\":1,\"ComponentId\":\"3c1f0f5e-6a0b-4b8e-9d53-0a4c7b1f2d60\"}"},
      {"\xEF\xBB\xBF{}", "\xEF\xBB\xBF{\"ComponentId\": \"3c1f0f5e-6a0b-4b8e-9d53-0a4c7b1f2d60\"}"},
  }));
  const auto id = sphere::Guid::parse(kId);

  CHECK(sphere::manifest::with_component_id(test.before, *id) == std::string{test.after});
}

TEST_CASE("with_component_id refuses what is no object", "[manifest]") {
  const auto* const text = GENERATE("[]", "", "{\"a\":}", "7");

  const auto result = sphere::manifest::with_component_id(text, *sphere::Guid::parse(kId));

  REQUIRE_FALSE(result.has_value());
  CHECK(result.error().code() == sphere::Errc::corrupt);
}

// SPDX-License-Identifier: MIT
#include "device-agent/agent/state/document.h"

#include <cstddef>
#include <filesystem>
#include <string>

#include <catch2/catch.hpp>

#include "sphere/core/file.h"
#include "sphere/json/value.h"

using sphere::agent::Document;

TEST_CASE("a document that is damaged is put aside, one that cannot be read stays", "[agent]") {
  const auto directory = sphere::TemporaryDirectory::create();
  REQUIRE(directory);
  const auto path = directory->path() / "settings.json";
  const Document document{path};
  CHECK(document.load().is_null());
  REQUIRE(document.save(sphere::json::Value{}.set("a", 1)));
  CHECK(document.load().integer_at("a") == 1);

  REQUIRE(sphere::write_file(path, std::string{"{"}));
  CHECK(document.load().is_null());
  CHECK(std::filesystem::exists(path.string() + ".damaged"));
  REQUIRE(document.save(sphere::json::Value{}.set("a", 2)));

  constexpr std::size_t kTooLarge = std::size_t{5} << 20U;
  REQUIRE(sphere::write_file(path, std::string(kTooLarge, ' ')));
  CHECK(document.load().is_null());
  const auto saved = document.save(sphere::json::Value{}.set("a", 3));
  REQUIRE_FALSE(saved);
  CHECK_FALSE(saved.error().hint().next.empty());
  CHECK(std::filesystem::file_size(path) == kTooLarge);
}

// SPDX-License-Identifier: MIT
#include "cli/help/complete.h"

#include <filesystem>
#include <string>
#include <vector>

#include <catch2/catch.hpp>

#include "sphere/core/file.h"

namespace {

std::string complete(const std::vector<std::string>& words) {
  return sphere::cli::complete(words, "/nonexistent");
}

bool has_line(const std::string& text, const std::string& word) {
  return ("\n" + text).find("\n" + word + "\t") != std::string::npos ||
         ("\n" + text).find("\n" + word + "\n") != std::string::npos;
}

}  // namespace

TEST_CASE("nouns, verbs and options are completed", "[cli]") {
  CHECK(has_line(complete({""}), "project"));
  CHECK(has_line(complete({}), "project"));
  CHECK(has_line(complete({"proj"}), "project"));
  CHECK_FALSE(has_line(complete({"proj"}), "doctor"));
  CHECK(has_line(complete({"project", ""}), "new"));
  CHECK(has_line(complete({"--verbose", "project", "n"}), "new"));
  CHECK(has_line(complete({"project", "new", "--b"}), "--board"));
  CHECK(has_line(complete({"project", "new", "x", "--out"}), "--output"));
  CHECK_FALSE(has_line(complete({"project", "new", "--"}), "--device"));
}

TEST_CASE("values are completed", "[cli]") {
  CHECK(has_line(complete({"project", "new", "-o", "js"}), "jsonc"));
  CHECK(has_line(complete({"-o", ""}), "table"));
  CHECK(has_line(complete({"doctor", "--only", ""}), "clock"));
  CHECK(has_line(complete({"completion", ""}), "zsh"));
  CHECK(complete({"project", "new", ""}) == ":files\n");
}

TEST_CASE("a wrong word has no continuation", "[cli]") {
  CHECK(complete({"nonsense", ""}).empty());
  CHECK(complete({"project", "nonsense", "-"}).empty());
}

TEST_CASE("devices are completed from the names of boards", "[cli]") {
  const auto boards = sphere::TemporaryDirectory::create("complete").value();
  std::filesystem::create_directory(boards.path() / "demo");
  CHECK(has_line(sphere::cli::complete({"--device", ""}, boards.path()), "vb-demo"));
}

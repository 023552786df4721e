// SPDX-License-Identifier: MIT
#include "libsdk/src/hardware/diff.h"

#include <string>

#include <catch2/catch.hpp>

using sphere::hardware::unified_diff;

namespace {

std::string numbers(int first, int last) {
  std::string text;
  for (int i = first; i <= last; ++i) {
    text += std::to_string(i) + "\n";
  }
  return text;
}

}  // namespace

TEST_CASE("unified_diff of equal texts is empty", "[hardware]") {
  CHECK(unified_diff("a\nb\n", "a\nb\n", "x", "y").empty());
}

TEST_CASE("unified_diff shows a change with three lines around it", "[hardware]") {
  auto changed = numbers(1, 20);
  changed.replace(changed.find("10\n"), 3, "ten\n");

  CHECK(unified_diff(numbers(1, 20), changed, "old.h", "new.h") ==
        "--- old.h\n+++ new.h\n@@ -7,7 +7,7 @@\n 7\n 8\n 9\n-10\n+ten\n 11\n 12\n 13\n");
}

TEST_CASE("unified_diff makes two hunks of distant changes and one of near ones", "[hardware]") {
  auto changed = numbers(1, 30);
  changed.replace(changed.find("5\n"), 2, "");
  changed.replace(changed.find("22\n"), 3, "22\nnew\n");

  CHECK(unified_diff(numbers(1, 30), changed, "a", "b") ==
        "--- a\n+++ b\n@@ -2,7 +2,6 @@\n 2\n 3\n 4\n-5\n 6\n 7\n 8\n"
        "@@ -20,6 +19,7 @@\n 20\n 21\n 22\n+new\n 23\n 24\n 25\n");

  auto near = numbers(1, 12);
  near.replace(near.find("3\n"), 2, "");
  near.replace(near.find("9\n"), 2, "");
  CHECK(unified_diff(numbers(1, 12), near, "a", "b") ==
        "--- a\n+++ b\n@@ -1,12 +1,10 @@\n 1\n 2\n-3\n 4\n 5\n 6\n 7\n 8\n-9\n 10\n 11\n 12\n");
}

TEST_CASE("unified_diff handles empty and very different texts", "[hardware]") {
  CHECK(unified_diff("", "a\n", "x", "y") == "--- x\n+++ y\n@@ -0,0 +1,1 @@\n+a\n");
  CHECK(unified_diff("a\n", "", "x", "y") == "--- x\n+++ y\n@@ -1,1 +0,0 @@\n-a\n");
  const auto large = unified_diff(numbers(1, 3000), numbers(3001, 6000), "x", "y");
  CHECK(large.find("@@ -1,3000 +1,3000 @@\n-1\n-2\n") != std::string::npos);
  CHECK(large.ends_with("+6000\n"));
}

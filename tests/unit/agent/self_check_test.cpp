// SPDX-License-Identifier: MIT
#include "device-agent/agent/sandbox/self_check.h"

#include <string>
#include <vector>

#include <catch2/catch.hpp>

#include "device-agent/agent/sandbox/plan.h"
#include "sphere/core/text.h"
#include "sphere/json/value.h"

namespace {

using namespace sphere::agent;  // NOLINT(google-build-using-namespace): test

Plan sample_plan() {
  return {.component_id = "11111111-2222-4333-8444-555555555001",
          .uid = kFirstAppUid + 4,
          .rootless = true,
          .agent = 77,
          .staging = "/run/sandbox",
          .libraries = "/sdk/Runtime/armhf",
          .entry_point = "/bin/app",
          .arguments = {"one", "two words"},
          .emulated = true,
          .file_bytes = 8192};
}

// The mounts that `plan` wants, as the kernel would show them.
std::vector<MountLine> as_planned(const Plan& plan) {
  std::vector<MountLine> lines;
  for (const auto& mount : planned_mounts(plan)) {
    MountLine line{.path = mount.path, .type = mount.type, .options = {"relatime"}};
    for (const auto option : mount.options) {
      line.options.emplace_back(option);
    }
    line.of_superblock = {mount.sealed ? "ro" : "rw"};
    lines.push_back(line);
  }
  return lines;
}

}  // namespace

TEST_CASE("a plan survives its way to the launcher") {
  const auto plan = sample_plan();

  const auto read = plan_from_json(to_json(plan));

  REQUIRE(read);
  CHECK(to_json(*read) == to_json(plan));
  CHECK(read->arguments == plan.arguments);
  CHECK(read->rootless);
  CHECK_FALSE(plan_from_json(sphere::json::Value{}.set("uid", 1)));
}

TEST_CASE("mounts as planned differ in nothing") {
  CHECK(compare_mounts(sample_plan(), as_planned(sample_plan())).what.empty());
}

TEST_CASE("a missing, an additional or a weaker mount is named") {
  const auto plan = sample_plan();
  for (std::size_t i = 0; i < as_planned(plan).size(); ++i) {
    auto missing = as_planned(plan);
    const auto path = missing[i].path;
    missing.erase(missing.begin() + static_cast<std::ptrdiff_t>(i));
    CHECK(compare_mounts(plan, missing).what == "no mount " + path);

    for (std::size_t option = 1; option < as_planned(plan)[i].options.size(); ++option) {
      auto weaker = as_planned(plan);
      const auto name = weaker[i].options[option];
      weaker[i].options.erase(weaker[i].options.begin() + static_cast<std::ptrdiff_t>(option));
      INFO(path << " without " << name);
      CHECK(compare_mounts(plan, weaker).what == path + " is not " + name);
    }

    auto twice = as_planned(plan);
    twice.push_back(twice[i]);
    CHECK(compare_mounts(plan, twice).what == "unplanned mount " + path);
  }
  auto more = as_planned(plan);
  more.push_back({.path = "/home", .type = "ext4", .options = {"ro"}});
  CHECK(compare_mounts(plan, more).what == "unplanned mount /home");
}

TEST_CASE("lines of mountinfo are read with and without optional fields") {
  const auto mounts = parse_mountinfo(
      "36 35 98:0 /m /lib ro,nosuid,nodev master:1 shared:2 - ext4 /dev/root rw\n"
      "37 35 0:5 / /tmp rw,nosuid - tmpfs tmpfs rw,size=64k\n"
      "garbage\n\n38 35 0:5 / /x rw -\n");
  REQUIRE(mounts.size() == 2);
  CHECK(mounts[0].path == "/lib");
  CHECK(mounts[0].type == "ext4");
  CHECK(mounts[0].options == std::vector<std::string>{"ro", "nosuid", "nodev"});
  CHECK(mounts[1].type == "tmpfs");
}

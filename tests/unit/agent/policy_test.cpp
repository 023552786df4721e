// SPDX-License-Identifier: MIT
#include "device-agent/agent/sandbox/policy.h"

#include <algorithm>
#include <array>
#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include <catch2/catch.hpp>

#include "device-agent/agent/sandbox/plan.h"
#include "device-agent/agent/sandbox/planner.h"
#include "device-agent/agent/sandbox/report.h"
#include "sphere/manifest/manifest.h"
#include "tests/support/fake_launcher.h"

namespace {

using namespace sphere::agent;  // NOLINT(google-build-using-namespace): test
using sphere::test::full_kernel;

// One thing a kernel may lack.
struct Feature {
  std::string_view name;
  void (*remove)(KernelFeatures&);
};
constexpr std::array kFeatures = {
    Feature{"pid", [](KernelFeatures& k) { k.pid_namespace = false; }},
    Feature{"mnt", [](KernelFeatures& k) { k.mount_namespace = false; }},
    Feature{"net", [](KernelFeatures& k) { k.network_namespace = false; }},
    Feature{"user", [](KernelFeatures& k) { k.user_namespace = false; }},
    Feature{"cgroup", [](KernelFeatures& k) { k.cgroup_namespace = false; }},
    Feature{"pivot", [](KernelFeatures& k) { k.pivot_root = false; }},
    Feature{"seccomp", [](KernelFeatures& k) { k.seccomp = false; }},
    Feature{"mdwe", [](KernelFeatures& k) { k.mdwe = false; }},
    Feature{"landlock", [](KernelFeatures& k) { k.landlock_abi = 0; }},
    Feature{"memory", [](KernelFeatures& k) { k.memory = Controller::none; }},
    Feature{"pids", [](KernelFeatures& k) { k.processes = Controller::none; }},
    Feature{"firewall", [](KernelFeatures& k) { k.firewall = false; }},
};

// The layer that `missing` (a bit a feature) refuses first under a policy, written down
// independently of the code: the table of docs/sandbox.md.
bool must_refuse(std::size_t missing, Policy policy, bool network) {
  const auto lacks = [&](std::string_view name) {
    const auto found = std::ranges::find(kFeatures, name, &Feature::name);
    return (missing >> static_cast<std::size_t>(found - kFeatures.begin()) & 1U) != 0;
  };
  if (lacks("pid") || lacks("mnt") || (!network && lacks("net")) || lacks("seccomp")) {
    return true;
  }
  if (policy == Policy::dev) {
    return false;
  }
  if (lacks("pivot") || lacks("memory") || lacks("pids") || (network && lacks("firewall"))) {
    return true;
  }
  return policy == Policy::strict;  // L3b always is a stand-in.
}

}  // namespace

TEST_CASE(
    "every combination of twelve features and three policies starts or is refused as listed") {
  for (const auto policy : {Policy::production, Policy::strict, Policy::dev}) {
    for (const bool network : {false, true}) {
      for (std::size_t missing = 0; missing < std::size_t{1} << kFeatures.size(); ++missing) {
        auto kernel = full_kernel();
        for (std::size_t i = 0; i < kFeatures.size(); ++i) {
          if ((missing >> i & 1U) != 0) {
            kFeatures[i].remove(kernel);
          }
        }

        const auto verdicts = assess(kernel, {.network = network}, policy);

        const auto* refused = refusal_of(verdicts);
        if ((refused != nullptr) != must_refuse(missing, policy, network) ||
            (refused != nullptr && (refused->detail.empty() || refused->fix.empty()))) {
          FAIL("policy " << to_text(policy) << " network " << network << " missing " << missing);
        }
      }
    }
  }
  SUCCEED();
}

TEST_CASE("every layer has a verdict, in the order of the layers") {
  const auto verdicts = assess(full_kernel(), {}, Policy::production);

  REQUIRE(verdicts.size() == kLayerNames.size());
  for (std::size_t i = 0; i < verdicts.size(); ++i) {
    CHECK(verdicts[i].id == kLayerNames[i].id);
    CHECK_FALSE(verdicts[i].detail.empty());
  }
}

TEST_CASE("an emulated app runs under dev only, and never without Landlock") {
  auto kernel = full_kernel();
  CHECK(refusal_of(assess(kernel, {.emulated = true}, Policy::dev)) == nullptr);
  const auto* refused = refusal_of(assess(kernel, {.emulated = true}, Policy::production));
  kernel.landlock_abi = 0;
  const auto* unguarded = refusal_of(assess(kernel, {.emulated = true}, Policy::dev));

  // The verdicts are temporaries; only whether there is one counts here.
  CHECK(refused != nullptr);
  CHECK(unguarded != nullptr);
}

TEST_CASE("a board without root has no production policy and says at which layer") {
  const auto verdicts = assess(full_kernel(), {.rootless = true}, Policy::production);

  REQUIRE(refusal_of(verdicts) != nullptr);
  CHECK(refusal_of(verdicts)->id == "L0");
  CHECK(refusal_of(assess(full_kernel(), {.rootless = true}, Policy::dev)) == nullptr);
}

TEST_CASE("a plan takes dev only where that is allowed") {
  auto kernel = full_kernel();
  kernel.memory = Controller::none;

  const auto dev = complete_plan({}, {}, kernel, {});
  const auto refused = complete_plan({}, {}, kernel, {.may_be_dev = false});

  REQUIRE(dev);
  CHECK(dev->policy == Policy::dev);
  CHECK(dev->address_space_bytes > 0);
  REQUIRE_FALSE(refused);
  CHECK(refused.error().hint().reason == "board.sandbox");
  CHECK(refused.error().hint().value == "L9");
  CHECK_FALSE(refused.error().hint().next.empty());
}

TEST_CASE("without a firewall a network capability opens no network") {
  auto kernel = full_kernel();
  sphere::manifest::Capabilities capabilities;
  capabilities.allowed_connections = {"example.com"};

  const auto open = complete_plan({}, capabilities, kernel, {});
  kernel.firewall = false;
  const auto closed = complete_plan({}, capabilities, kernel, {});
  const auto refused = complete_plan({}, capabilities, kernel, {.may_be_dev = false});

  REQUIRE(open);
  CHECK(open->network);
  REQUIRE(closed);
  CHECK_FALSE(closed->network);
  REQUIRE_FALSE(refused);
  CHECK(refused.error().hint().value == "L11");
}

TEST_CASE("names of policies are read back, others are not") {
  for (const auto policy : {Policy::production, Policy::strict, Policy::dev}) {
    CHECK(parse_policy(to_text(policy)) == policy);
  }
  CHECK_FALSE(parse_policy("Production"));
  CHECK_FALSE(parse_policy(""));
}

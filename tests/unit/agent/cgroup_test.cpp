// SPDX-License-Identifier: MIT
#include "device-agent/agent/sandbox/cgroup.h"

#include <catch2/catch.hpp>

#include "device-agent/agent/sandbox/policy.h"

namespace {

using namespace sphere::agent;  // NOLINT(google-build-using-namespace): test

}  // namespace

TEST_CASE("a pure v2 hierarchy is one place") {
  const auto places = group_places(
      "0::/user.slice/session-2.scope\n",
      "29 23 0:26 / /sys/fs/cgroup rw,nosuid shared:9 - cgroup2 cgroup2 rw,nsdelegate\n"
      "30 23 0:27 / /tmp rw - tmpfs tmpfs rw\n");

  REQUIRE(places.size() == 1);
  CHECK(places[0].version == Controller::v2);
  CHECK(places[0].directory == "/sys/fs/cgroup/user.slice/session-2.scope");
  CHECK(places[0].mount_point == "/sys/fs/cgroup");
}

TEST_CASE("v1 hierarchies are found by their controllers, joint mounts too") {
  const auto places =
      group_places("9:name=systemd:/\n8:pids:/\n4:memory:/box/one\n3:cpu,cpuacct:/\n0::/\n",
                   "1 0 0:1 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n"
                   "2 0 0:2 / /sys/fs/cgroup/pids rw - cgroup cgroup rw,pids\n"
                   "3 0 0:3 / /sys/fs/cgroup/cpu,cpuacct rw - cgroup cgroup rw,cpu,cpuacct\n"
                   "4 0 0:4 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n");

  REQUIRE(places.size() == 4);
  CHECK(places[0].directory == "/sys/fs/cgroup/memory/box/one");
  CHECK(places[1].directory == "/sys/fs/cgroup/pids/");
  CHECK(places[2].controllers.size() == 2);
  CHECK(places[3].version == Controller::v2);
}

TEST_CASE("texts that are cut off or wrong give no places") {
  CHECK(group_places("", "").empty());
  CHECK(group_places("0::", "1 0 0:1 / /sys").empty());
  CHECK(group_places("memory", "1 0 0:1 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n").empty());
  CHECK(group_places("0::/a\n", "1 0 0:1 / /sys/fs/cgroup rw - cgroup2 cgroup2\n").empty());
}

TEST_CASE("mounts of one hierarchy have one device, and a mount of a part shows the group in it") {
  const auto places = group_places("4:memory:/box/one\n",
                                   "1 0 0:1 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n"
                                   "2 0 0:1 /box /other rw - cgroup cgroup rw,memory\n"
                                   "3 0 0:1 /bo /third rw - cgroup cgroup rw,memory\n");

  REQUIRE(places.size() == 3);
  CHECK(places[0].device == places[1].device);
  CHECK(places[0].directory == "/sys/fs/cgroup/memory/box/one");
  CHECK(places[1].directory == "/other/one");
  CHECK(places[2].directory == "/third");
}

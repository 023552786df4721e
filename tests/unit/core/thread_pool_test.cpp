// SPDX-License-Identifier: MIT
#include "sphere/core/thread_pool.h"

#include <algorithm>
#include <atomic>
#include <barrier>
#include <chrono>
#include <cstddef>
#include <filesystem>
#include <string>
#include <thread>
#include <vector>

#include <catch2/catch.hpp>

#include "libsdk/src/core/cpu_quota.h"
#include "sphere/core/file.h"
#include "sphere/core/result.h"

using sphere::Errc;
using sphere::fail;
using sphere::Result;
using sphere::ThreadPool;

TEST_CASE("a pool runs every job once, whatever its size", "[thread_pool]") {
  const std::size_t size = GENERATE(1U, 2U, 3U, 8U);
  ThreadPool pool{size};
  CHECK(pool.size() == size);
  for (const std::size_t count : {0U, 1U, 2U, 7U, 1000U}) {
    std::vector<std::atomic<int>> runs(count);
    std::atomic<bool> good_worker = true;

    const auto result = pool.run(count, [&](std::size_t index, std::size_t worker) -> Result<void> {
      ++runs[index];
      good_worker = good_worker && worker < size;
      return {};
    });

    CHECK(result);
    CHECK(good_worker);
    CHECK(std::ranges::all_of(runs, [](const auto& n) { return n == 1; }));
  }
}

TEST_CASE("the workers of a pool run at the same time", "[thread_pool]") {
  constexpr std::size_t kSize = 3;
  ThreadPool pool{kSize};
  std::barrier all_here{static_cast<std::ptrdiff_t>(kSize)};  // Passed only by three at once.
  std::vector<std::atomic<int>> seen(kSize);

  const auto result = pool.run(kSize, [&](std::size_t, std::size_t worker) -> Result<void> {
    ++seen[worker];
    all_here.arrive_and_wait();
    return {};
  });

  CHECK(result);
  CHECK(std::ranges::all_of(seen, [](const auto& n) { return n == 1; }));
}

TEST_CASE("the first error stops new jobs and the lowest one is reported", "[thread_pool]") {
  const std::size_t size = GENERATE(1U, 2U, 8U);
  ThreadPool pool{size};
  std::atomic<std::size_t> begun = 0;

  const auto result = pool.run(100000, [&](std::size_t index, std::size_t) -> Result<void> {
    ++begun;
    if (index == 10) {  // The later failure of the lower job is the one to report.
      std::this_thread::sleep_for(std::chrono::milliseconds{5});
    }
    if (index >= 10) {
      return fail(Errc::io, std::to_string(index));
    }
    return {};
  });

  REQUIRE_FALSE(result);
  CHECK(result.error().message() == "10");
  CHECK(begun < 1000);
}

TEST_CASE("a pool goes on after a run that failed", "[thread_pool]") {
  ThreadPool pool{2};
  const auto failed =
      pool.run(5, [](std::size_t, std::size_t) -> Result<void> { return fail(Errc::io, "no"); });
  std::atomic<int> runs = 0;

  const auto result = pool.run(5, [&](std::size_t, std::size_t) -> Result<void> {
    ++runs;
    return {};
  });

  CHECK_FALSE(failed);
  CHECK(result);
  CHECK(runs == 5);
}

TEST_CASE("two threads may use one pool, one after the other", "[thread_pool]") {
  ThreadPool pool{2};
  std::atomic<int> runs = 0;
  const auto work = [&] {
    for (int i = 0; i < 50; ++i) {
      const auto result = pool.run(10, [&](std::size_t, std::size_t) -> Result<void> {
        ++runs;
        return {};
      });
      if (!result) {
        return;
      }
    }
  };

  std::thread other{work};
  work();
  other.join();

  CHECK(runs == 1000);
}

TEST_CASE("a pool that ran nothing ends at once", "[thread_pool]") {
  const ThreadPool pool{4};
  CHECK(pool.size() == 4);
  CHECK(ThreadPool{0}.size() == 1);
}

TEST_CASE("available_threads keeps to the wish", "[thread_pool]") {
  CHECK(sphere::available_threads() >= 1);
  CHECK(sphere::available_threads(1) == 1);
  CHECK(sphere::available_threads(100000) == sphere::available_threads());
}

TEST_CASE("cpu_quota takes the least limit of the group and those above", "[thread_pool]") {
  const auto root = sphere::TemporaryDirectory::create();
  REQUIRE(root);
  const auto set = [&](const std::string& group, const std::string& text) {
    REQUIRE(sphere::make_directories(root->path() / group));
    REQUIRE(sphere::write_file(root->path() / group / "cpu.max", text));
  };
  set("", "max 100000\n");
  set("build", "250000 100000\n");
  set("build/job", "400000 100000\n");
  set("free", "max 100000\n");
  set("tiny", "10000 100000\n");
  set("odd", "many 100000\n");
  set("never", "100000 0\n");

  CHECK(sphere::cpu_quota(root->path(), "0::/build/job\n") == 3U);
  CHECK(sphere::cpu_quota(root->path(), "1:name=systemd:/x\n0::/build/job\n") == 3U);
  CHECK(sphere::cpu_quota(root->path(), "0::/tiny\n") == 1U);
  for (const auto* none : {"0::/\n", "0::/free\n", "0::/odd\n", "0::/never\n", "0::/gone/far\n",
                           "4:cpu:/build\n", ""}) {
    INFO(none);
    CHECK_FALSE(sphere::cpu_quota(root->path(), none));
  }
}

// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <condition_variable>
#include <cstdint>
#include <mutex>

namespace sphere::image {

// Lets threads that do parts of one thing pass in the order of the parts. Parts are begun in that
// order, so whoever waits waits for a thread that is at work.
class Turnstile {
 public:
  // Waits until all parts before `position` have passed. False: one of them failed.
  [[nodiscard]] bool wait(std::uint64_t position) {
    std::unique_lock lock{mutex_};
    moved_.wait(lock, [&] { return failed_ < position || passed_ >= position; });
    return passed_ >= position;
  }

  // The parts before `position` have passed.
  void advance(std::uint64_t position) {
    {
      const std::lock_guard lock{mutex_};
      passed_ = position;
    }
    moved_.notify_all();
  }

  // The part at `position` failed: those behind it would wait for ever.
  void fail(std::uint64_t position) {
    {
      const std::lock_guard lock{mutex_};
      failed_ = std::min(failed_, position);
    }
    moved_.notify_all();
  }

 private:
  std::mutex mutex_;  // For the two below.
  std::uint64_t passed_ = 0;
  std::uint64_t failed_ = UINT64_MAX;
  std::condition_variable moved_;
};

}  // namespace sphere::image

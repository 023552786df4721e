// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <functional>
#include <memory>

#include "sphere/core/result.h"

namespace sphere {

// How many threads can run at once here: the processors that this process may use, or fewer if its
// control group (cgroup v2) allows less processor time; at least 1, and at most `wish` unless that
// is 0.
[[nodiscard]] std::size_t available_threads(std::size_t wish = 0);

// A fixed number of threads that share out numbered jobs.
//
// The calling thread works too, so a pool of size 1 has no thread of its own, and any other pool
// starts its size - 1 threads at the first run() that has more than one job. The destructor stops
// and joins them. One process needs one pool, made in main() and passed down.
//
// Shared between the threads: the jobs of one run, by an atomic counter; the state of the pool, by
// its mutex.
class ThreadPool {
 public:
  // Called once for each job. `worker` is 0 .. size() - 1, and no two calls at one time have the
  // same: it may choose a buffer.
  using Job = std::function<Result<void>(std::size_t index, std::size_t worker)>;

  explicit ThreadPool(std::size_t size = available_threads());
  ThreadPool(const ThreadPool&) = delete;
  ThreadPool& operator=(const ThreadPool&) = delete;
  ThreadPool(ThreadPool&&) = delete;
  ThreadPool& operator=(ThreadPool&&) = delete;
  ~ThreadPool();

  // At least 1. Fewer threads run if the system grants no more.
  [[nodiscard]] std::size_t size() const noexcept { return size_; }

  // Runs job(0) to job(count - 1), begun in this order, and waits for all that were begun. After
  // the first error no further job is begun. Returns the error of the lowest job that failed,
  // which is the same whatever the number of threads. A second run() from another thread waits for
  // the first to end; from inside a job it is a bug.
  [[nodiscard]] Result<void> run(std::size_t count, const Job& job);

 private:
  struct Shared;
  std::size_t size_;
  std::unique_ptr<Shared> shared_;
};

}  // namespace sphere

// SPDX-License-Identifier: MIT
#include "sphere/core/thread_pool.h"

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <cstddef>
#include <memory>
#include <mutex>
#include <optional>
#include <sched.h>
#include <system_error>
#include <thread>
#include <utility>
#include <vector>

#include <tl/expected.hpp>

#include "libsdk/src/core/cpu_quota.h"
#include "sphere/core/file.h"
#include "sphere/core/result.h"

namespace sphere {
namespace {

std::size_t usable_processors() {
  cpu_set_t set;
  CPU_ZERO(&set);
  if (::sched_getaffinity(0, sizeof(set), &set) == 0) {
    return static_cast<std::size_t>(CPU_COUNT(&set));
  }
  return std::thread::hardware_concurrency();  // More processors than a cpu_set_t names.
}

// The jobs of one run().
class Run {
 public:
  Run(std::size_t count, const ThreadPool::Job& job) : count_{count}, job_{&job} {}

  // Takes jobs until none is left or one failed.
  void work(std::size_t worker) {
    while (!failed_.load(std::memory_order_relaxed)) {
      const std::size_t index = next_.fetch_add(1, std::memory_order_relaxed);
      if (index >= count_) {
        return;
      }
      if (auto result = (*job_)(index, worker); !result) {
        keep(index, std::move(result).error());
      }
    }
  }

  // After all workers have left.
  [[nodiscard]] Result<void> result() && {
    if (error_) {
      return tl::make_unexpected(*std::move(error_));
    }
    return {};
  }

 private:
  // Jobs begin in order, so every job below a failed one was begun too: the lowest error is known
  // once all have ended.
  void keep(std::size_t index, Error error) {
    failed_.store(true, std::memory_order_relaxed);
    const std::lock_guard lock{mutex_};
    if (!error_ || index < error_index_) {
      error_ = std::move(error);
      error_index_ = index;
    }
  }

  std::size_t count_;
  const ThreadPool::Job* job_;
  std::atomic<std::size_t> next_ = 0;
  std::atomic<bool> failed_ = false;
  std::mutex mutex_;  // For the two below.
  std::optional<Error> error_;
  std::size_t error_index_ = 0;
};

}  // namespace

std::size_t available_threads(std::size_t wish) {
  constexpr std::size_t kSizeLimit = 65536;
  std::size_t count = usable_processors();
  if (const auto membership = read_text_file("/proc/self/cgroup", kSizeLimit)) {
    count = std::min(count, cpu_quota("/sys/fs/cgroup", *membership).value_or(count));
  }
  count = std::max<std::size_t>(count, 1);
  return wish == 0 ? count : std::min(count, wish);
}

// The threads and what they wait for.
struct ThreadPool::Shared {
  std::mutex one_run;  // Held for the length of a run().
  std::mutex mutex;    // For all below.
  std::condition_variable changed;
  Run* run = nullptr;          // What to work on.
  std::size_t generation = 0;  // Counts runs, so that a worker joins each once.
  std::size_t busy = 0;        // Workers that have not left the current run.
  bool stop = false;
  std::vector<std::thread> threads;

  void start_threads(std::size_t count);
  void serve(std::size_t worker);
};

// Has the worker take part in each run, until the pool stops.
void ThreadPool::Shared::serve(std::size_t worker) {
  std::size_t seen = 0;
  std::unique_lock lock{mutex};
  while (true) {
    changed.wait(lock, [&] { return stop || generation != seen; });
    if (stop) {
      return;
    }
    seen = generation;
    Run* const current = run;
    lock.unlock();
    current->work(worker);
    lock.lock();
    if (--busy == 0) {
      changed.notify_all();
    }
  }
}

void ThreadPool::Shared::start_threads(std::size_t count) {
  try {
    while (threads.size() < count) {
      threads.emplace_back([this, worker = threads.size() + 1] { serve(worker); });
    }
  } catch (const std::system_error&) {  // NOLINT(bugprone-empty-catch): this is the handling.
    // The system grants no more threads; those there are do the work.
  }
}

ThreadPool::ThreadPool(std::size_t size)
    : size_{std::max<std::size_t>(size, 1)}, shared_{std::make_unique<Shared>()} {}

ThreadPool::~ThreadPool() {
  {
    const std::lock_guard lock{shared_->mutex};
    shared_->stop = true;
  }
  shared_->changed.notify_all();
  for (std::thread& thread : shared_->threads) {
    thread.join();
  }
}

Result<void> ThreadPool::run(std::size_t count, const Job& job) {
  Run run{count, job};
  const std::lock_guard one_run{shared_->one_run};
  if (count > 1 && size_ > 1) {
    const std::lock_guard lock{shared_->mutex};
    if (shared_->threads.empty()) {
      shared_->start_threads(size_ - 1);
    }
    shared_->run = &run;
    shared_->busy = shared_->threads.size();
    ++shared_->generation;
  }
  shared_->changed.notify_all();
  run.work(0);
  {
    std::unique_lock lock{shared_->mutex};
    shared_->changed.wait(lock, [&] { return shared_->busy == 0; });
    shared_->run = nullptr;
  }
  return std::move(run).result();
}

}  // namespace sphere

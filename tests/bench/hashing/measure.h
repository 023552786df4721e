// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <functional>
#include <string>
#include <vector>

namespace sphere::bench {

struct Sample {
  double wall_seconds = 0;
  double cpu_seconds = 0;  // User and system time of the whole process.
};

[[nodiscard]] Sample measure(const std::function<void()>& work);

// One thing to time.
struct Row {
  std::string name;
  std::size_t bytes = 0;  // Hashed by one call of `work`.
  std::function<void()> work;
  bool uses_two_threads = false;
};

// Times the rows in turn, A B C, A B C, after one round that is thrown away. Prints for each row
// the median throughput, and the median of its ratio to the first row of the same round. A ratio of
// wall times is printed for rows with two threads and marked "busy" unless two threads that only
// spin, timed beside them, found 1.9 processors free.
void compare(const std::string& title, const std::vector<Row>& rows, int rounds);

// Processor, its vector units, kernel, processors, load.
void print_machine();

}  // namespace sphere::bench

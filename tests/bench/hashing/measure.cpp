// SPDX-License-Identifier: MIT
#include "tests/bench/hashing/measure.h"

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <fstream>
#include <functional>
#include <string>
#include <string_view>
#include <sys/utsname.h>
#include <thread>
#include <vector>

#include <fmt/format.h>

#include "sphere/core/thread_pool.h"

namespace sphere::bench {
namespace {

constexpr double kFreeProcessors = 1.9;

double cpu_seconds() {
  timespec now = {};
  ::clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) + static_cast<double>(now.tv_nsec) * 1e-9;
}

double median(std::vector<double> values) {
  if (values.empty()) {
    return 0;
  }
  const auto middle = values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2);
  std::ranges::nth_element(values, middle);
  return *middle;
}

// How many processors two spinning threads got.
double free_processors() {
  const auto spin = [] {
    const auto end = std::chrono::steady_clock::now() + std::chrono::milliseconds{40};
    while (std::chrono::steady_clock::now() < end) {
    }
  };
  const Sample sample = measure([&] {
    std::thread other{spin};
    spin();
    other.join();
  });
  return sample.cpu_seconds / sample.wall_seconds;
}

// What the rounds gave for one row.
struct Series {
  std::vector<double> wall_rate, cpu_rate;    // GB/s
  std::vector<double> wall_ratio, cpu_ratio;  // To the first row.
};

void add(Series& series, const Row& row, const Sample& sample, const Sample& first_sample,
         const Row& first_row) {
  const auto rate = [](const Row& r, double seconds) {
    return static_cast<double>(r.bytes) / seconds / 1e9;
  };
  const double wall = rate(row, sample.wall_seconds);
  const double cpu = rate(row, sample.cpu_seconds);
  series.wall_rate.push_back(wall);
  series.cpu_rate.push_back(cpu);
  series.wall_ratio.push_back(wall / rate(first_row, first_sample.wall_seconds));
  series.cpu_ratio.push_back(cpu / rate(first_row, first_sample.cpu_seconds));
}

std::string first_value(const char* path, std::string_view key) {
  std::ifstream file{path};
  for (std::string line; std::getline(file, line);) {
    if (line.starts_with(key)) {
      return line.substr(std::min(line.find(':') + 2, line.size()));
    }
  }
  return "unknown";
}

}  // namespace

Sample measure(const std::function<void()>& work) {
  const double cpu = cpu_seconds();
  const auto start = std::chrono::steady_clock::now();
  work();
  const std::chrono::duration<double> wall = std::chrono::steady_clock::now() - start;
  return {.wall_seconds = wall.count(), .cpu_seconds = cpu_seconds() - cpu};
}

void compare(const std::string& title, const std::vector<Row>& rows, int rounds) {
  std::vector<Series> series(rows.size());
  std::vector<double> processors;
  for (int round = -1; round < rounds; ++round) {  // Round -1 warms up.
    std::vector<Sample> samples;
    for (const Row& row : rows) {
      samples.push_back(measure(row.work));
    }
    if (round < 0) {
      continue;
    }
    processors.push_back(free_processors());
    for (std::size_t i = 0; i < rows.size(); ++i) {
      add(series[i], rows[i], samples[i], samples[0], rows[0]);
    }
  }
  const double spin = median(processors);
  fmt::print("\n### {}\n\nn = {}, spin control {:.2f} processors\n\n", title, rounds, spin);
  fmt::print("| what | GB per CPU-s | ratio | wall GB/s (best) | wall ratio |\n");
  fmt::print("|---|---|---|---|---|\n");
  for (std::size_t i = 0; i < rows.size(); ++i) {
    const Series& s = series[i];
    const bool busy = rows[i].uses_two_threads && spin < kFreeProcessors;
    fmt::print("| {} | {:.2f} | {:.2f} | {:.2f} ({:.2f}) | {} |\n", rows[i].name,
               median(s.cpu_rate), median(s.cpu_ratio), median(s.wall_rate),
               std::ranges::max(s.wall_rate),
               busy ? "busy" : fmt::format("{:.2f}", median(s.wall_ratio)));
  }
  std::fflush(stdout);
}

void print_machine() {
  utsname system = {};
  ::uname(&system);
  std::string units;
  const std::string flags = " " + first_value("/proc/cpuinfo", "flags") + " ";
  for (const char* unit : {"sha_ni", "avx2", "avx512f", "avx512bw", "avx512vl"}) {
    units += flags.find(fmt::format(" {} ", unit)) != std::string::npos ? fmt::format(" {}", unit)
                                                                        : std::string{};
  }
  double load = 0;
  ::getloadavg(&load, 1);
  fmt::print("Machine: {}, family {} model {},{}; {} processors; {} {}; load {:.2f}\n",
             first_value("/proc/cpuinfo", "model name"), first_value("/proc/cpuinfo", "cpu family"),
             first_value("/proc/cpuinfo", "model\t"), units, available_threads(), system.sysname,
             system.release, load);
}

}  // namespace sphere::bench

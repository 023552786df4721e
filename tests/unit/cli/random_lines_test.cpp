// SPDX-License-Identifier: MIT
// Random lines end with exit status 0, 1 or 2, and those with 2 leave no file behind.
#include <cstdlib>
#include <fcntl.h>
#include <filesystem>
#include <iterator>
#include <random>
#include <string>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>
#include <vector>

#include <catch2/catch.hpp>
#include <fmt/format.h>

#include "cli/arguments/global_options.h"
#include "cli/commands/command.h"
#include "cli/commands/table.h"
#include "cli/environment/signals.h"
#include "cli/program.h"
#include "sphere/core/file.h"
#include "sphere/core/text.h"

namespace {

namespace fs = std::filesystem;
using Words = std::vector<std::string>;

constexpr int kLines = 10'000;

// Words that lines are made of: those of the table, and some that are none.
Words vocabulary() {
  Words words = {"",
                 "-",
                 "--",
                 "---",
                 "-=",
                 "--=",
                 "=",
                 "-\x01",
                 "\x01"
                 "0",
                 "[a,b]",
                 "a b",
                 "-of=x",
                 "-dg",
                 "--output",
                 "json",
                 "\xFF\x1b[0m",
                 ".",
                 "/",
                 "1",
                 "0",
                 "-1",
                 "99999999999999999999"};
  for (const sphere::cli::CommandSpec* command : sphere::cli::all_commands()) {
    for (const std::string& word : sphere::split(command->path, ' ')) {
      words.push_back(word);
    }
    for (const sphere::cli::OptionSpec& option : command->options) {
      words.push_back(fmt::format("--{}", option.name));
      words.push_back(fmt::format("--{}=", option.name));
      words.push_back(fmt::format("-{}", option.short_name));
    }
  }
  for (const sphere::cli::OptionSpec& option : sphere::cli::global_options()) {
    words.push_back(fmt::format("--{}", option.name));
    words.push_back(fmt::format("-{}", option.short_name));
  }
  return words;
}

// Every second line begins with a command, so that its options are reached.
Words random_line(std::mt19937& random, const Words& words) {
  const auto commands = sphere::cli::all_commands();
  Words line;
  if (random() % 2 == 0) {
    line = sphere::split(commands[random() % commands.size()]->path, ' ');
  }
  for (auto count = random() % 7; count > 0; --count) {
    line.push_back(words[random() % words.size()]);
  }
  return line;
}

std::size_t files_below(const fs::path& directory) {
  return static_cast<std::size_t>(std::distance(fs::recursive_directory_iterator{directory}, {}));
}

// Runs the program in a child process; its wait status.
int run(const Words& line) {
  const pid_t child = ::fork();
  if (child == 0) {
    const int null = ::open("/dev/null", O_RDWR);
    for (int number = 0; number <= 2; ++number) {
      ::dup2(null, number);
    }
    ::alarm(30);  // A line that waits for ever is a failure.
    ::_exit(sphere::cli::run_program(line));
  }
  int status = 0;
  ::waitpid(child, &status, 0);
  return status;
}

}  // namespace

TEST_CASE("random lines give 0, 1 or 2", "[cli]") {
  const auto home = sphere::TemporaryDirectory::create("random-lines").value();
  ::unsetenv("XDG_RUNTIME_DIR");
  for (const char* const name : {"XDG_CONFIG_HOME", "XDG_DATA_HOME", "XDG_STATE_HOME", "TMPDIR",
                                 "HOME", "SPHERE_CONFIG_DIR", "SPHERE_SDK_DIR"}) {
    ::setenv(name, home.path().c_str(), 1);
  }
  // Without programs to start: no line builds or starts anything.
  ::setenv("PATH", "/nonexistent", 1);
  fs::current_path(home.path());
  const auto words = vocabulary();
  std::mt19937 random{20261125};  // NOLINT(cert-msc51-cpp): the same lines in every run
  std::size_t files = 0;

  for (int i = 0; i < kLines; ++i) {
    const auto line = random_line(random, words);
    const int status = run(line);
    CAPTURE(i, line, status);
    REQUIRE(WIFEXITED(status));
    REQUIRE(WEXITSTATUS(status) <= 2);
    const auto now = files_below(home.path());
    if (WEXITSTATUS(status) == 2) {
      REQUIRE(now == files);
    }
    files = now;
  }
  fs::current_path("/");
}

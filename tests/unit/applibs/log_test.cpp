// SPDX-License-Identifier: MIT
#include <applibs/log.h>
#include <array>
#include <cerrno>
#include <fcntl.h>
#include <string>
#include <thread>
#include <unistd.h>
#include <vector>

#include <catch2/catch.hpp>
#include <climits>

#include "sphere/core/descriptor.h"

using sphere::Descriptor;

namespace {

// Puts a non-blocking pipe in the place of descriptor 2.
class LogPipe {
 public:
  explicit LogPipe(int capacity) : saved_(::fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 10)) {
    std::array<int, 2> ends = {};
    REQUIRE(::pipe2(ends.data(), O_CLOEXEC | O_NONBLOCK) == 0);
    reading_ = Descriptor(ends[0]);
    const Descriptor writing(ends[1]);
    REQUIRE(::fcntl(reading_.get(), F_SETPIPE_SZ, capacity) >= 0);
    REQUIRE(::dup2(writing.get(), STDERR_FILENO) == STDERR_FILENO);
  }
  LogPipe(const LogPipe&) = delete;
  LogPipe& operator=(const LogPipe&) = delete;
  LogPipe(LogPipe&&) = delete;
  LogPipe& operator=(LogPipe&&) = delete;
  ~LogPipe() { ::dup2(saved_.get(), STDERR_FILENO); }

  [[nodiscard]] std::string drain() const {
    std::string text;
    std::array<char, 4096> piece = {};
    for (;;) {
      const auto got = ::read(reading_.get(), piece.data(), piece.size());
      if (got <= 0) {
        return text;
      }
      text.append(piece.data(), static_cast<std::size_t>(got));
    }
  }

 private:
  Descriptor saved_;
  Descriptor reading_;
};

int log_list(const char* fmt, ...) {
  va_list args;
  va_start(args, fmt);
  const int result = Log_DebugVarArgs(fmt, args);
  va_end(args);
  return result;
}

}  // namespace

TEST_CASE("Log_Debug writes the formatted text as it is", "[applibs]") {
  const LogPipe pipe(65536);

  errno = 42;
  CHECK(Log_Debug("a %d %s", 7, "b") == 0);
  CHECK(errno == 42);
  CHECK(log_list("%c\n", 'x') == 0);
  CHECK(Log_Debug("%s", "") == 0);
  CHECK(pipe.drain() == "a 7 bx\n");
}

TEST_CASE("Log_Debug writes texts of any length whole", "[applibs]") {
  const LogPipe pipe(65536);
  for (const std::size_t length : {1022U, 1023U, 1024U, 1025U, 4096U, 4097U, 20000U}) {
    const std::string text(length, 'x');
    CHECK(Log_Debug("%s", text.c_str()) == 0);
    CHECK(pipe.drain() == text);
  }
}

TEST_CASE("Log_Debug refuses NULL", "[applibs]") {
  CHECK(Log_Debug(nullptr) == -1);
  CHECK(errno == EFAULT);
}

TEST_CASE("A full pipe drops whole messages and a later line says how many", "[applibs]") {
  const LogPipe pipe(4096);
  const std::string text(1024, 'x');  // Four fill the pipe.
  int written = 0;
  while (Log_Debug("%s", text.c_str()) == 0) {
    ++written;
  }
  CHECK(errno == EAGAIN);
  CHECK(Log_Debug("%s", text.c_str()) == -1);
  CHECK(pipe.drain() == std::string(static_cast<std::size_t>(written) * 1024, 'x'));

  CHECK(Log_Debug("next\n") == 0);
  CHECK(pipe.drain() == "[log: 2 messages dropped]\nnext\n");
}

TEST_CASE("Messages of several threads do not mix", "[applibs]") {
  const LogPipe pipe(1 << 20);
  std::vector<std::thread> threads;
  for (int i = 0; i < 8; ++i) {
    threads.emplace_back([i] {
      for (int line = 0; line < 100; ++line) {
        Log_Debug("%s\n", std::string(80, static_cast<char>('a' + i)).c_str());
      }
    });
  }
  for (auto& thread : threads) {
    thread.join();
  }

  const auto text = pipe.drain();
  REQUIRE(text.size() == 8 * 100 * 81);
  for (std::size_t at = 0; at < text.size(); at += 81) {
    REQUIRE(text.substr(at, 81) == std::string(80, text[at]) + '\n');
  }
}

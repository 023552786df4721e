// SPDX-License-Identifier: MIT
#include "device-agent/agent/sandbox/app_watch.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <csignal>
#include <cstddef>
#include <cstdint>
#include <elf.h>
#include <optional>
#include <string>
#include <string_view>
#include <sys/ptrace.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <utility>

#include <fmt/format.h>

#include "device-agent/agent/sandbox/crash_record.h"
#include "sphere/core/file.h"
#include "sphere/core/text.h"
#include "sphere/json/value.h"

namespace sphere::agent {
namespace {

constexpr std::size_t kMapsBytes = 262144;

// Signals by which a program ends for a fault of its own.
constexpr std::array kCrashSignals = {SIGSEGV, SIGBUS, SIGILL,  SIGFPE,
                                      SIGABRT, SIGSYS, SIGTRAP, SIGALRM};

bool is_crash(int signal) {
  return std::ranges::find(kCrashSignals, signal) != kCrashSignals.end();
}

std::string read_proc(pid_t thread, std::string_view name) {
  return read_text_file(fmt::format("/proc/{}/{}", thread, name), kMapsBytes).value_or("");
}

struct Registers {
  std::uint64_t program_counter = 0, stack = 0;
  std::uint64_t link = 0;   // Link register, where there is one.
  std::uint64_t frame = 0;  // Frame pointer, where code keeps one.
};

std::optional<Registers> read_registers(pid_t thread) {
#if defined(__x86_64__) || defined(__aarch64__)
  user_regs_struct all = {};
  iovec part = {.iov_base = &all, .iov_len = sizeof all};
  if (::ptrace(PTRACE_GETREGSET, thread, NT_PRSTATUS, &part) != 0) {
    return std::nullopt;
  }
#if defined(__x86_64__)
  return Registers{.program_counter = all.rip, .stack = all.rsp, .link = 0, .frame = all.rbp};
#else
  return Registers{
      .program_counter = all.pc, .stack = all.sp, .link = all.regs[30], .frame = all.regs[29]};
#endif
#else
  static_cast<void>(thread);
  return std::nullopt;
#endif
}

std::uint64_t peek(pid_t thread, std::uint64_t address) {
  errno = 0;
  const auto word = ::ptrace(PTRACE_PEEKDATA, thread, address, nullptr);
  return errno == 0 ? static_cast<std::uint64_t>(word) : 0;
}

// A call has just been made (top of the stack), or the function keeps a frame.
CodePlace find_return(pid_t thread, const Registers& registers, std::string_view maps) {
  if (registers.link != 0) {
    return place_of(registers.link, maps);
  }
  if (auto place = place_of(peek(thread, registers.stack), maps); place.address != 0) {
    return place;
  }
  return place_of(peek(thread, registers.frame + sizeof(std::uint64_t)), maps);
}

}  // namespace

// A signal that the program handles does not end it. Its mask has bit n-1 for signal n.
std::optional<bool> is_handled(pid_t thread, int signal) {
  constexpr std::string_view kCaught = "SigCgt:";
  for (const auto& line : split(read_proc(thread, "status"), '\n')) {
    if (line.starts_with(kCaught)) {
      const auto digits = trim(std::string_view{line}.substr(kCaught.size()));
      std::uint64_t mask = 0;
      std::from_chars(digits.data(), digits.data() + digits.size(), mask, 16);
      return (mask >> static_cast<unsigned>(signal - 1) & 1U) != 0;
    }
  }
  return std::nullopt;
}

bool is_fatal_fault(pid_t thread, int signal) {
  return is_crash(signal) && !is_handled(thread, signal).value_or(false);
}

std::optional<CrashRecord> read_crash(pid_t thread, int signal) {
  siginfo_t info = {};
  const auto registers = read_registers(thread);
  if (!registers || ::ptrace(PTRACE_GETSIGINFO, thread, nullptr, &info) != 0) {
    return std::nullopt;
  }
  const auto maps = read_proc(thread, "maps");
  CrashRecord record{.signal = signal,
                     .code = info.si_code,
                     .error = info.si_errno,
                     .stack = registers->stack,
                     .program_counter = place_of(registers->program_counter, maps),
                     .return_address = find_return(thread, *registers, maps),
                     .thread = std::string{trim(read_proc(thread, "comm"))}};
  record.program_counter.address = registers->program_counter;  // Also one that is in no module.
  if (info.si_code > 0) {  // From the kernel: there is an address.
    // NOLINTNEXTLINE(cppcoreguidelines-pro-type-reinterpret-cast): the address is a number here.
    record.fault_address = reinterpret_cast<std::uintptr_t>(info.si_addr);
  }
  return record;
}

std::optional<AppWatch> AppWatch::trace(pid_t app) {
  constexpr unsigned long kOptions = PTRACE_O_TRACECLONE | PTRACE_O_EXITKILL;
  if (::ptrace(PTRACE_SEIZE, app, nullptr, kOptions) != 0) {
    return std::nullopt;
  }
  return AppWatch{app};
}

void AppWatch::on_stop(pid_t thread, int status) {
  const int signal = WSTOPSIG(status);
  const auto event = static_cast<unsigned>(status) >> 16U;
  if (event == PTRACE_EVENT_STOP &&
      (signal == SIGSTOP || signal == SIGTSTP || signal == SIGTTIN || signal == SIGTTOU)) {
    ::ptrace(PTRACE_LISTEN, thread, nullptr, nullptr);  // Stays stopped until SIGCONT.
    return;
  }
  if (event != 0) {
    ::ptrace(PTRACE_CONT, thread, nullptr, nullptr);
    return;
  }
  if (is_fatal_fault(thread, signal)) {
    if (auto record = read_crash(thread, signal)) {
      last_ = std::move(record);
    }
  }
  ::ptrace(PTRACE_CONT, thread, nullptr, static_cast<long>(signal));
}

json::Value AppWatch::wait() {
  while (true) {
    int status = 0;
    const pid_t ended = ::waitpid(-1, &status, __WALL);
    if (ended < 0 && errno != EINTR) {
      return json::Value{}.set("exit", 0);
    }
    if (ended > 0 && WIFSTOPPED(status)) {
      on_stop(ended, status);
    } else if (ended == app_ && WIFEXITED(status)) {
      return json::Value{}.set("exit", WEXITSTATUS(status));
    } else if (ended == app_ && WIFSIGNALED(status)) {
      auto message = json::Value{}.set("signal", WTERMSIG(status));
      if (last_ && last_->signal == WTERMSIG(status)) {
        message.set("crash", to_json(*last_));
      }
      return message;
    }
  }
}

}  // namespace sphere::agent

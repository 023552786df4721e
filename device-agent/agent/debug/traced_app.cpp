// SPDX-License-Identifier: MIT
#include "device-agent/agent/debug/traced_app.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <optional>
#include <string>
#include <string_view>
#include <sys/ptrace.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <utility>
#include <vector>

#include "device-agent/agent/debug/gdb_stub.h"
#include "device-agent/agent/debug/registers.h"
#include "device-agent/agent/sandbox/app_watch.h"

namespace sphere::agent {
namespace {

constexpr std::size_t kWord = sizeof(long);
constexpr std::uint64_t kWordMask = kWord - 1;

bool is_group_stop(int signal) {
  return signal == SIGSTOP || signal == SIGTSTP || signal == SIGTTIN || signal == SIGTTOU;
}

std::optional<long> peek_word(pid_t thread, std::uint64_t address) {
  errno = 0;
  const long word = ::ptrace(PTRACE_PEEKDATA, thread, address, nullptr);
  return errno == 0 ? std::optional{word} : std::nullopt;
}

}  // namespace

std::optional<TracedApp> TracedApp::seize(pid_t app) {
  constexpr unsigned long kOptions = PTRACE_O_TRACECLONE | PTRACE_O_TRACEEXEC | PTRACE_O_EXITKILL;
  if (own_registers() == nullptr || ::ptrace(PTRACE_SEIZE, app, nullptr, kOptions) != 0) {
    return std::nullopt;
  }
  TracedApp traced{app};
  traced.threads_[app] = {};
  return traced;
}

bool TracedApp::await_program() {
  while (true) {
    int status = 0;
    const pid_t changed = ::waitpid(-1, &status, __WALL);
    if (changed < 0 && errno != EINTR) {
      return false;
    }
    if (changed == app_ && (WIFEXITED(status) || WIFSIGNALED(status))) {
      return false;
    }
    if (changed != app_ || !WIFSTOPPED(status)) {
      continue;
    }
    const auto event = static_cast<int>(static_cast<unsigned>(status) >> 16U);
    if (event == PTRACE_EVENT_EXEC) {
      threads_[app_].stands = true;
      halted_ = true;
      read_auxiliary_vector();
      return true;
    }
    ::ptrace(PTRACE_CONT, app_, nullptr, event == 0 ? static_cast<long>(WSTOPSIG(status)) : 0L);
  }
}

// Lies on the stack behind arguments and environment when a program begins.
void TracedApp::read_auxiliary_vector() {
  constexpr std::size_t kMostWords = 65536;
  constexpr std::size_t kMostEntries = 64;
  const auto counter = read_counter(app_);
  auto address = counter ? counter->stack : 0;
  const auto count = peek_word(app_, address);
  if (!count || *count < 0 || static_cast<std::size_t>(*count) > kMostWords) {
    return;
  }
  address += (static_cast<std::size_t>(*count) + 2) * kWord;
  for (std::size_t i = 0; i < kMostWords; ++i, address += kWord) {
    if (peek_word(app_, address).value_or(0) == 0) {
      break;
    }
  }
  address += kWord;
  for (std::size_t i = 0; i < kMostEntries; ++i, address += 2 * kWord) {
    const auto entry = peek(address, 2 * kWord);
    if (entry.size() < 2 * kWord) {
      return;
    }
    auxiliary_ += entry;
    if (entry.substr(0, kWord) == std::string(kWord, '\0')) {
      return;
    }
  }
}

const RegisterLayout& TracedApp::layout() const {
  static const RegisterLayout kNone;
  const auto* known = own_registers();
  return known != nullptr ? *known : kNone;
}

std::vector<pid_t> TracedApp::threads() const {
  std::vector<pid_t> numbers;
  numbers.reserve(threads_.size());
  for (const auto& [number, thread] : threads_) {
    numbers.push_back(number);
  }
  return numbers;
}

std::optional<std::string> TracedApp::read_registers(pid_t thread) {
  return threads_.contains(thread) ? read_all_registers(thread) : std::nullopt;
}

bool TracedApp::write_registers(pid_t thread, std::string_view bytes) {
  return threads_.contains(thread) && write_all_registers(thread, bytes);
}

pid_t TracedApp::any_standing() const {
  for (const auto& [number, thread] : threads_) {
    if (thread.stands) {
      return number;
    }
  }
  return app_;
}

std::string TracedApp::peek(std::uint64_t address, std::size_t count) const {
  const auto through = any_standing();
  std::string bytes;
  auto at = address & ~kWordMask;
  while (bytes.size() < count + (address & kWordMask)) {
    const auto word = peek_word(through, at);
    if (!word) {
      break;
    }
    std::array<char, kWord> part = {};
    std::memcpy(part.data(), &*word, kWord);
    bytes.append(part.data(), kWord);
    at += kWord;
  }
  const auto skip = static_cast<std::size_t>(address & kWordMask);
  return bytes.size() <= skip ? std::string{} : bytes.substr(skip, count);
}

bool TracedApp::poke(std::uint64_t address, std::string_view bytes) const {
  const auto through = any_standing();
  while (!bytes.empty()) {
    const auto base = address & ~kWordMask;
    const auto skip = static_cast<std::size_t>(address - base);
    const auto count = std::min(bytes.size(), kWord - skip);
    auto word = peek_word(through, base);
    if (!word) {
      return false;
    }
    std::array<char, kWord> part = {};
    std::memcpy(part.data(), &*word, kWord);
    std::copy_n(bytes.begin(), count, part.begin() + static_cast<std::ptrdiff_t>(skip));
    std::memcpy(&*word, part.data(), kWord);
    if (::ptrace(PTRACE_POKEDATA, through, base, *word) != 0) {
      return false;
    }
    address += count;
    bytes.remove_prefix(count);
  }
  return true;
}

std::string TracedApp::read_memory(std::uint64_t address, std::size_t count) {
  auto bytes = peek(address, count);
  for (const auto& [place, saved] : breakpoints_) {
    for (std::size_t i = 0; i < saved.size(); ++i) {
      const auto offset = place + i - address;  // Wraps around for one before the window.
      if (offset < bytes.size()) {
        bytes[static_cast<std::size_t>(offset)] = saved[i];
      }
    }
  }
  return bytes;
}

bool TracedApp::write_memory(std::uint64_t address, std::string_view bytes) {
  // A breakpoint in the window stays one; what it stands in place of changes.
  std::string merged{bytes};
  for (auto& [place, saved] : breakpoints_) {
    for (std::size_t i = 0; i < saved.size(); ++i) {
      const auto offset = place + i - address;
      if (offset < merged.size()) {
        saved[i] = bytes[static_cast<std::size_t>(offset)];
        merged[static_cast<std::size_t>(offset)] = layout().breakpoint[i];
      }
    }
  }
  return poke(address, merged);
}

bool TracedApp::insert_breakpoint(std::uint64_t address) {
  if (breakpoints_.contains(address)) {
    return true;
  }
  const auto instruction = layout().breakpoint;
  auto saved = peek(address, instruction.size());
  if (saved.size() != instruction.size() || !poke(address, instruction)) {
    return false;
  }
  breakpoints_[address] = std::move(saved);
  return true;
}

bool TracedApp::remove_breakpoint(std::uint64_t address) {
  const auto found = breakpoints_.find(address);
  if (found == breakpoints_.end()) {
    return true;
  }
  const auto saved = std::move(found->second);
  breakpoints_.erase(found);
  return poke(address, saved);
}

void TracedApp::remove_all_breakpoints() {
  for (const auto& [address, saved] : breakpoints_) {
    // Code that is no longer mapped needs no repair.
    [[maybe_unused]] const bool done = poke(address, saved);
  }
  breakpoints_.clear();
}

void TracedApp::pass(std::vector<int> signals) { passed_ = std::move(signals); }

// Lets one thread run, with `signal` if not 0.
void TracedApp::go(pid_t number, Thread& thread, int signal) {
  if (signal != 0 && is_fatal_fault(number, signal)) {
    if (auto record = read_crash(number, signal)) {
      last_fault_ = std::move(record);
    }
  }
  thread.stands = false;
  thread.listening = false;
  thread.signal = 0;
  thread.pending.reset();
  const auto request = thread.stepping ? PTRACE_SINGLESTEP : PTRACE_CONT;
  ::ptrace(request, number, nullptr, static_cast<long>(signal));
}

void TracedApp::on_status(pid_t number, int status) {
  if (WIFEXITED(status) || WIFSIGNALED(status)) {
    threads_.erase(number);
    if (number == app_) {
      end_ = WIFEXITED(status) ? ExitStatus{.code = WEXITSTATUS(status)}
                               : ExitStatus{.signal = WTERMSIG(status)};
      if (last_fault_ && last_fault_->signal == end_->signal) {
        crash_ = last_fault_;
      }
    }
    return;
  }
  if (!WIFSTOPPED(status)) {
    return;
  }
  auto& thread = threads_[number];
  thread.stands = true;
  const auto event = static_cast<int>(static_cast<unsigned>(status) >> 16U);
  if (event != 0) {
    on_event(number, thread, event, WSTOPSIG(status));
  } else {
    on_signal(number, thread, WSTOPSIG(status));
  }
}

void TracedApp::on_event(pid_t number, Thread& thread, int event, int signal) {
  if (event == PTRACE_EVENT_EXEC) {
    // The threads of the program before are gone without a word.
    std::erase_if(threads_, [&](const auto& entry) { return entry.first != app_; });
    breakpoints_.clear();
  }
  if (halted_) {
    return;
  }
  if (event == PTRACE_EVENT_STOP && is_group_stop(signal)) {
    thread.stands = false;
    thread.listening = true;
    ::ptrace(PTRACE_LISTEN, number, nullptr, nullptr);  // Stays until SIGCONT.
    return;
  }
  go(number, thread, 0);
}

bool TracedApp::is_passed(pid_t number, int signal) const {
  return !debugged_ ||
         (std::ranges::find(passed_, signal) != passed_.end() && !is_fatal_fault(number, signal));
}

void TracedApp::on_signal(pid_t number, Thread& thread, int signal) {
  // Time that the app spends standing is not time that it hangs: an alarm that would end it is
  // no watchdog now.
  if (debugged_ && signal == SIGALRM && is_handled(number, signal) == false) {
    signal = 0;
  }
  if (signal == 0 || (is_passed(number, signal) && signal != SIGTRAP)) {
    if (halted_) {
      // It stands already; what it was to get waits for the next time it runs.
      thread.signal = signal;
      return;
    }
    go(number, thread, signal);
    return;
  }
  thread.signal = signal;
  if (signal == SIGTRAP) {
    at_trap(number, thread);
  } else {
    thread.pending = {.value = signal, .thread = number};
  }
}

void TracedApp::at_trap(pid_t number, Thread& thread) {
  siginfo_t info = {};
  ::ptrace(PTRACE_GETSIGINFO, number, nullptr, &info);
  const bool by_kernel = info.si_code > 0;
  const auto counter = read_counter(number);
  const auto place = counter ? counter->program - breakpoint_distance() : 0;
  const bool at_breakpoint =
      by_kernel && info.si_code != TRAP_TRACE && breakpoints_.contains(place);
  if (at_breakpoint) {
    [[maybe_unused]] const bool back = write_program_counter(number, place);
    thread.signal = 0;
    // While all others are being stopped: it strikes again when the thread runs.
    if (!halted_) {
      thread.pending = {.value = SIGTRAP, .thread = number, .breakpoint = true};
    }
    return;
  }
  if (by_kernel && (thread.stepping || !debugged_) && info.si_code == TRAP_TRACE) {
    thread.signal = 0;  // The step is done.
    if (!halted_ && debugged_) {
      thread.pending = {.value = SIGTRAP, .thread = number};
    } else if (!halted_) {
      thread.stepping = false;
      go(number, thread, 0);
    }
    return;
  }
  if (!debugged_ && !halted_) {
    go(number, thread, SIGTRAP);
    return;
  }
  thread.pending = {.value = SIGTRAP, .thread = number};
}

TracedApp::Thread* TracedApp::pending_thread() {
  for (auto& [number, thread] : threads_) {
    if (thread.pending) {
      return &thread;
    }
  }
  return nullptr;
}

std::optional<StopReport> TracedApp::collect() {
  int status = 0;
  pid_t number = 0;
  while (!end_ && (halted_ || pending_thread() == nullptr) &&
         (number = ::waitpid(-1, &status, __WALL | WNOHANG)) > 0) {
    on_status(number, status);
  }
  if (!end_ && pending_thread() != nullptr && (!halted_ || asked_)) {
    halt();
    if (auto* found = pending_thread(); found != nullptr && !end_) {
      asked_ = false;
      return std::exchange(found->pending, std::nullopt);
    }
  }
  if (!end_) {
    return std::nullopt;
  }
  const bool signalled = end_->signal != 0;
  return StopReport{.kind = signalled ? StopReport::Kind::killed : StopReport::Kind::exited,
                    .value = signalled ? end_->signal : end_->code,
                    .thread = app_};
}

void TracedApp::halt() {
  halted_ = true;
  for (auto& [number, thread] : threads_) {
    if (!thread.stands) {
      ::ptrace(PTRACE_INTERRUPT, number, nullptr, nullptr);
    }
  }
  const auto all_stand = [&] {
    return std::ranges::all_of(threads_, [](const auto& entry) { return entry.second.stands; });
  };
  while (!end_ && !all_stand()) {
    int status = 0;
    const pid_t number = ::waitpid(-1, &status, __WALL);
    if (number > 0) {
      on_status(number, status);
    } else if (errno != EINTR) {
      break;
    }
  }
}

void TracedApp::resume(const std::vector<ResumeAction>& actions) {
  // What another thread has met meanwhile comes first: nobody runs then.
  asked_ = true;
  if (debugged_ && pending_thread() != nullptr) {
    return;
  }
  halted_ = false;
  for (const auto& action : actions) {
    const auto found = threads_.find(action.thread);
    if (found == threads_.end() || !found->second.stands) {
      continue;
    }
    auto& thread = found->second;
    thread.stepping = action.step;
    // gdb has seen the signal of a stop that was reported and says itself what becomes of it. One
    // that it let pass is still on its way.
    const bool unseen = thread.signal != 0 && is_passed(action.thread, thread.signal);
    go(action.thread, thread, action.signal == 0 && unseen ? thread.signal : action.signal);
  }
}

void TracedApp::release() {
  debugged_ = false;
  halted_ = false;
  for (auto& [number, thread] : threads_) {
    thread.stepping = false;
    if (thread.stands) {
      go(number, thread, thread.signal == SIGTRAP ? 0 : thread.signal);
    }
  }
}

}  // namespace sphere::agent

// SPDX-License-Identifier: MIT
#include "device-agent/agent/sandbox/call_filter.h"

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <span>
#include <string>
#include <string_view>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <utility>
#include <vector>

#include <seccomp.h>

#include "device-agent/agent/sandbox/package_content.h"
#include "device-agent/agent/sandbox/system_calls.h"
#include "sphere/core/result.h"

namespace sphere::agent {
namespace {

constexpr std::uint32_t kX32Bit = 0x40000000;

// All conditions of a clause must hold; one clause of a call is enough.
using Clause = std::vector<Condition>;

struct GuardedCall {
  std::string_view name;
  std::vector<Clause> allowed;
  int otherwise = EPERM;
};

constexpr std::uint32_t kEvery = ~std::uint32_t{0};

Condition equals(std::uint8_t argument, std::uint32_t value) {
  return {.argument = argument, .mask = kEvery, .value = value};
}

GuardedCall one_of(std::string_view name, std::uint8_t argument,
                   std::initializer_list<std::uint32_t> values, int otherwise = EPERM) {
  GuardedCall call{.name = name, .allowed = {}, .otherwise = otherwise};
  for (const auto value : values) {
    call.allowed.push_back({equals(argument, value)});
  }
  return call;
}

// Executable pages come from files only, and are never writable.
void add_memory_rules(std::vector<GuardedCall>& calls, bool emulated) {
  constexpr std::uint32_t kWritableExecutable = PROT_WRITE | PROT_EXEC;
  const Clause plain = {{.argument = 2, .mask = PROT_EXEC, .value = 0}};
  const Clause from_file = {{.argument = 2, .mask = kWritableExecutable, .value = PROT_EXEC},
                            {.argument = 3, .mask = MAP_ANONYMOUS, .value = 0}};
  for (const auto* name : {"mmap", "mmap2"}) {
    calls.push_back({.name = name, .allowed = {plain, from_file}});
  }
  calls.push_back({.name = "mprotect", .allowed = {plain}});
  calls.push_back({.name = "pkey_mprotect", .allowed = {plain}});
  if (emulated) {
    // qemu 7.2 makes the buffer for its translated code (128 MiB less a page) executable, once.
    constexpr std::uint32_t kCodeBuffer = 0x7FFF000;
    calls[calls.size() - 2].allowed.push_back(
        {{.argument = 1, .mask = kEvery, .value = kCodeBuffer, .whole = true},
         equals(2, PROT_READ | PROT_WRITE | PROT_EXEC)});
  }
}

void add_process_rules(std::vector<GuardedCall>& calls) {
  constexpr std::uint32_t kNewNamespaces = 0x7E020000;  // Every CLONE_NEW* that clone() takes.
  calls.push_back(
      {.name = "clone", .allowed = {{{.argument = 0, .mask = kNewNamespaces, .value = 0}}}});
  // Its flags lie in memory, where a filter cannot look; libc falls back to clone.
  calls.push_back({.name = "clone3", .allowed = {}, .otherwise = ENOSYS});
  calls.push_back(one_of("prctl", 0,
                         {PR_SET_PDEATHSIG, PR_GET_PDEATHSIG, PR_GET_DUMPABLE, PR_SET_NAME,
                          PR_GET_NAME, PR_GET_SECCOMP, PR_CAPBSET_READ, PR_GET_TIMERSLACK,
                          PR_GET_NO_NEW_PRIVS, PR_GET_SECUREBITS}));
  // Limits can be read, not set: the third argument is the new limit.
  calls.push_back({.name = "prlimit64",
                   .allowed = {{{.argument = 2, .mask = kEvery, .value = 0, .whole = true}}}});
}

void add_socket_rules(std::vector<GuardedCall>& calls, bool network) {
  constexpr std::uint32_t kUnix = 1;
  constexpr std::uint32_t kInet = 2;
  constexpr std::uint32_t kInet6 = 10;
  calls.push_back(network ? one_of("socket", 0, {kUnix, kInet, kInet6}, EAFNOSUPPORT)
                          : one_of("socket", 0, {kUnix}, EAFNOSUPPORT));
}

// Requests of linux/gpio.h, asm-generic/termbits.h, linux/i2c-dev.h and linux/spi/spidev.h, the
// same on the three ABIs.
void add_ioctl_rules(std::vector<GuardedCall>& calls, const IoctlClasses& classes) {
  auto call = one_of("ioctl", 1, {0x541B, 0x5421, 0x5413}, ENOTTY);  // FIONREAD FIONBIO TIOCGWINSZ
  const auto add = [&](std::initializer_list<std::uint32_t> requests) {
    for (const auto request : requests) {
      call.allowed.push_back({equals(1, request)});
    }
  };
  if (classes.gpio) {
    add({0xC010B40E, 0xC010B40F});  // get and set the values of a line
  }
  if (classes.uart) {
    add({0x5401, 0x5402, 0x5403, 0x5404, 0x802C542A, 0x402C542B, 0x540B, 0x5411, 0x5415, 0x5418});
  }
  if (classes.i2c) {
    add({0x0707, 0x0703, 0x0702, 0x0701, 0x0705});
  }
  if (classes.spi) {
    // SPI_IOC_MESSAGE(n) has n * 32 in its size field; n up to 15, and 16.
    call.allowed.push_back({{.argument = 1, .mask = 0xFE1FFFFF, .value = 0x40006B00}});
    add({0x42006B00, 0x40016B01, 0x80016B01, 0x40016B02, 0x80016B02, 0x40016B03, 0x80016B03,
         0x40046B04, 0x80046B04});
  }
  calls.push_back(std::move(call));
}

std::vector<GuardedCall> guarded_calls(const FilterKey& key) {
  std::vector<GuardedCall> calls;
  add_memory_rules(calls, key.emulated);
  add_process_rules(calls);
  add_socket_rules(calls, key.network);
  add_ioctl_rules(calls, key.ioctls);
  return calls;
}

std::uint32_t audit_architecture(CallAbi abi) {
  switch (abi) {
    case CallAbi::amd64:
      return AUDIT_ARCH_X86_64;
    case CallAbi::arm64:
      return AUDIT_ARCH_AARCH64;
    case CallAbi::armhf:
      return AUDIT_ARCH_ARM;
  }
  return AUDIT_ARCH_X86_64;
}

sock_filter statement(unsigned code, std::uint32_t value) {
  return {.code = static_cast<std::uint16_t>(code), .jt = 0, .jf = 0, .k = value};
}

sock_filter jump_if(unsigned test, std::uint32_t value, std::size_t yes, std::size_t no) {
  return {.code = static_cast<std::uint16_t>(BPF_JMP | test | BPF_K),
          .jt = static_cast<std::uint8_t>(yes),
          .jf = static_cast<std::uint8_t>(no),
          .k = value};
}

sock_filter give(std::uint32_t action) { return statement(BPF_RET | BPF_K, action); }
sock_filter give_error(int number) {
  return give(SECCOMP_RET_ERRNO | static_cast<std::uint32_t>(number));
}
sock_filter load(std::size_t offset) {
  return statement(BPF_LD | BPF_W | BPF_ABS, static_cast<std::uint32_t>(offset));
}

// All three ABIs are little-endian: the lower half of an argument comes first.
std::size_t argument_offset(const Condition& condition) {
  return offsetof(seccomp_data, args) + (condition.argument * sizeof(std::uint64_t));
}

// Tests one clause: falls to its end, ALLOW, when all conditions hold, else behind it.
FilterProgram clause_code(const Clause& clause) {
  FilterProgram code = {give(SECCOMP_RET_ALLOW)};
  for (std::size_t i = clause.size(); i-- > 0;) {
    const auto& condition = clause[i];
    FilterProgram test;
    if (condition.whole) {
      test.push_back(load(argument_offset(condition) + sizeof(std::uint32_t)));
      test.push_back(jump_if(BPF_JEQ, 0, 0, code.size() + 3));
    }
    test.push_back(load(argument_offset(condition)));
    test.push_back(statement(BPF_ALU | BPF_AND | BPF_K, condition.mask));
    test.push_back(jump_if(BPF_JEQ, condition.value, 0, code.size()));
    code.insert(code.begin(), test.begin(), test.end());
  }
  return code;
}

void append(FilterProgram& program, const FilterProgram& code) {
  program.insert(program.end(), code.begin(), code.end());
}

// What to do with the numbers from `first` to `last`.
struct CallRange {
  std::uint32_t first = 0, last = 0;
  FilterProgram code = {};  // Ends with a return; empty: allowed.
};

// In order, runs of allowed numbers in one.
std::vector<CallRange> merge_ranges(std::vector<CallRange> ranges) {
  std::ranges::sort(ranges, {}, &CallRange::first);  // No two overlap: the order is total.
  std::vector<CallRange> merged;
  for (auto& range : ranges) {
    if (!merged.empty() && merged.back().code.empty() && range.code.empty() &&
        merged.back().last + 1 == range.first) {
      merged.back().last = range.last;
    } else {
      merged.push_back(std::move(range));
    }
  }
  return merged;
}

// A search tree over the ranges: the kernel runs a filter for each call of the app, and when it
// loads one, for every number there is. Numbers in no range are refused.
// NOLINTNEXTLINE(misc-no-recursion): halves the ranges, so some 8 deep
FilterProgram search_code(std::span<const CallRange> ranges) {
  if (ranges.empty()) {
    return {give_error(EPERM)};
  }
  if (ranges.size() == 1) {
    const auto& range = ranges.front();
    const FilterProgram code =
        range.code.empty() ? FilterProgram{give(SECCOMP_RET_ALLOW)} : range.code;
    FilterProgram test;
    if (range.first == range.last) {
      test = {jump_if(BPF_JEQ, range.first, 1, 0), give_error(EPERM)};
    } else {
      test = {jump_if(BPF_JGE, range.first, 0, 1), jump_if(BPF_JGT, range.last, 0, 1),
              give_error(EPERM)};
    }
    append(test, code);
    return test;
  }
  const auto lower = search_code(ranges.first(ranges.size() / 2));
  // A conditional jump goes 255 instructions far, this one anywhere.
  FilterProgram code = {jump_if(BPF_JGE, ranges[ranges.size() / 2].first, 0, 1),
                        statement(BPF_JMP | BPF_JA, static_cast<std::uint32_t>(lower.size()))};
  append(code, lower);
  append(code, search_code(ranges.subspan(ranges.size() / 2)));
  return code;
}

// One call's range in `ranges`; nothing where the ABI has no such call.
void add_call(std::vector<CallRange>& ranges, CallAbi abi, std::string_view name,
              FilterProgram code = {}) {
  if (const int number = call_number(abi, name); number >= 0) {
    const auto both = static_cast<std::uint32_t>(number);
    ranges.push_back({.first = both, .last = both, .code = std::move(code)});
  }
}

FilterProgram start_of_program(CallAbi abi) {
  FilterProgram program = {load(offsetof(seccomp_data, arch)),
                           jump_if(BPF_JEQ, audit_architecture(abi), 1, 0),
                           give(SECCOMP_RET_KILL_PROCESS), load(offsetof(seccomp_data, nr))};
  if (abi == CallAbi::amd64) {
    append(program, {jump_if(BPF_JGE, kX32Bit, 0, 1), give(SECCOMP_RET_KILL_PROCESS)});
  }
  return program;
}

}  // namespace

CallAbi own_abi() {
#if defined(__aarch64__)
  return CallAbi::arm64;
#elif defined(__arm__)
  return CallAbi::armhf;
#else
  return CallAbi::amd64;
#endif
}

int call_number(CallAbi abi, std::string_view name) {
  const auto architecture = [abi]() -> std::uint32_t {
    switch (abi) {
      case CallAbi::amd64:
        return SCMP_ARCH_X86_64;
      case CallAbi::arm64:
        return SCMP_ARCH_AARCH64;
      case CallAbi::armhf:
        return SCMP_ARCH_ARM;
    }
    return SCMP_ARCH_X86_64;
  }();
  return ::seccomp_syscall_resolve_name_arch(architecture, std::string{name}.c_str());
}

FilterProgram compile_filter(const FilterKey& key, CallAbi abi) {
  std::vector<CallRange> ranges;
  for (const auto& call : plain_calls()) {
    if (call.group != CallGroup::emulator || key.emulated) {
      add_call(ranges, abi, call.name);
    }
  }
  for (const auto& call : guarded_calls(key)) {
    FilterProgram code;
    for (const auto& clause : call.allowed) {
      append(code, clause_code(clause));
    }
    code.push_back(give_error(call.otherwise));
    add_call(ranges, abi, call.name, std::move(code));
  }
  auto program = start_of_program(abi);
  append(program, search_code(merge_ranges(std::move(ranges))));
  return program;
}

FilterProgram compile_init_filter(CallAbi abi, bool debug) {
  std::vector<CallRange> ranges;
  for (const auto* name : {"wait4", "waitid", "sendto", "exit_group", "exit", "rt_sigreturn",
                           "restart_syscall", "brk", "munmap", "ptrace", "openat", "open", "read",
                           "close", "fstat", "newfstatat", "statx", "lseek", "fcntl"}) {
    add_call(ranges, abi, name);
  }
  if (debug) {
    for (const auto* name : {"poll", "ppoll", "recvmsg", "recvfrom"}) {
      add_call(ranges, abi, name);
    }
  }
  // malloc() may ask for another page for the last message.
  FilterProgram map = clause_code({{.argument = 2, .mask = PROT_EXEC, .value = 0}});
  map.push_back(give_error(EPERM));
  add_call(ranges, abi, abi == CallAbi::armhf ? "mmap2" : "mmap", std::move(map));
  auto program = start_of_program(abi);
  append(program, search_code(merge_ranges(std::move(ranges))));
  return program;
}

Result<const FilterFile*> FilterCache::get(const FilterKey& key) {
  auto found = files_.find(key);
  if (found == files_.end()) {
    auto programs = compile_filter(key, own_abi());
    FilterFile filters{.file = {}, .app_bytes = programs.size() * sizeof(sock_filter)};
    append(programs, compile_init_filter(own_abi(), key.debug_stub));
    SPHERE_TRY_ASSIGN(filters.file,
                      make_sealed_file("sphere-filters", std::as_bytes(std::span{programs})));
    found = files_.emplace(key, std::move(filters)).first;
  }
  return &found->second;
}

}  // namespace sphere::agent

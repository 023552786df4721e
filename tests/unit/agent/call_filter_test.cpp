// SPDX-License-Identifier: MIT
// Runs the filters in a small BPF machine, for all three ABIs.
#include "device-agent/agent/sandbox/call_filter.h"

#include <array>
#include <cerrno>
#include <cstdint>
#include <cstring>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <string>
#include <string_view>
#include <sys/mman.h>
#include <vector>

#include <catch2/catch.hpp>

#include "device-agent/agent/sandbox/system_calls.h"

namespace {

using namespace sphere::agent;  // NOLINT(google-build-using-namespace): test

struct Call {
  int number = 0;
  std::array<std::uint64_t, 6> arguments = {};
  std::uint32_t architecture = 0;
};

std::uint32_t architecture_of(CallAbi abi) {
  return abi == CallAbi::amd64   ? AUDIT_ARCH_X86_64
         : abi == CallAbi::arm64 ? AUDIT_ARCH_AARCH64
                                 : AUDIT_ARCH_ARM;
}

// The instructions that filters of this module have; anything else fails the test.
std::uint32_t run(const FilterProgram& program, const Call& call) {
  seccomp_data data = {};
  data.nr = call.number;
  data.arch = call.architecture;
  std::memcpy(data.args, call.arguments.data(), sizeof data.args);
  std::array<std::uint32_t, sizeof(seccomp_data) / 4> words = {};
  std::memcpy(words.data(), &data, sizeof data);
  std::uint32_t accumulator = 0;
  for (std::size_t at = 0; at < program.size(); ++at) {
    const auto& line = program[at];
    switch (line.code) {
      case BPF_LD | BPF_W | BPF_ABS:
        REQUIRE(line.k % 4 == 0);
        accumulator = words.at(line.k / 4);
        break;
      case BPF_ALU | BPF_AND | BPF_K:
        accumulator &= line.k;
        break;
      case BPF_JMP | BPF_JEQ | BPF_K:
        at += accumulator == line.k ? line.jt : line.jf;
        break;
      case BPF_JMP | BPF_JGE | BPF_K:
        at += accumulator >= line.k ? line.jt : line.jf;
        break;
      case BPF_JMP | BPF_JGT | BPF_K:
        at += accumulator > line.k ? line.jt : line.jf;
        break;
      case BPF_JMP | BPF_JA:
        at += line.k;
        break;
      case BPF_RET | BPF_K:
        return line.k;
      default:
        FAIL("unknown instruction " << line.code);
    }
  }
  FAIL("the program has no end");
  return 0;
}

constexpr std::uint32_t kAllow = SECCOMP_RET_ALLOW;
std::uint32_t error(int number) { return SECCOMP_RET_ERRNO | static_cast<std::uint32_t>(number); }

class Filter {
 public:
  Filter(CallAbi abi, const FilterKey& key) : abi_{abi}, program_{compile_filter(key, abi)} {}
  std::uint32_t operator()(std::string_view name,
                           std::array<std::uint64_t, 6> arguments = {}) const {
    const int number = call_number(abi_, name);
    INFO(name);
    REQUIRE(number >= 0);
    return run(program_,
               {.number = number, .arguments = arguments, .architecture = architecture_of(abi_)});
  }
  [[nodiscard]] const FilterProgram& program() const { return program_; }

 private:
  CallAbi abi_;
  FilterProgram program_;
};

constexpr std::array kAbis = {CallAbi::amd64, CallAbi::arm64, CallAbi::armhf};

}  // namespace

TEST_CASE("plain calls are allowed and dangerous ones refused on every ABI") {
  for (const auto abi : kAbis) {
    const Filter filter{abi, {}};
    for (const auto* name : {"read", "write", "openat", "futex", "exit_group", "getrandom",
                             "epoll_ctl", "execve", "execveat", "recvmsg"}) {
      CHECK(filter(name) == kAllow);
    }
    for (const auto* name : {"personality",
                             "ptrace",
                             "process_vm_readv",
                             "process_vm_writev",
                             "unshare",
                             "setns",
                             "mount",
                             "umount2",
                             "fsopen",
                             "move_mount",
                             "open_tree",
                             "pivot_root",
                             "chroot",
                             "mknodat",
                             "memfd_create",
                             "userfaultfd",
                             "perf_event_open",
                             "bpf",
                             "io_uring_setup",
                             "io_uring_enter",
                             "keyctl",
                             "add_key",
                             "request_key",
                             "mq_open",
                             "shmget",
                             "semget",
                             "msgget",
                             "syslog",
                             "reboot",
                             "kexec_load",
                             "init_module",
                             "finit_module",
                             "delete_module",
                             "swapon",
                             "setuid",
                             "setresuid",
                             "setgroups",
                             "quotactl",
                             "acct",
                             "name_to_handle_at",
                             "open_by_handle_at",
                             "clock_settime",
                             "settimeofday",
                             "sethostname",
                             "prctl",
                             "pidfd_getfd",
                             "seccomp",
                             "mount_setattr",
                             "landlock_restrict_self"}) {
      CHECK(filter(name, {99}) == error(EPERM));
    }
    CHECK(filter("clone3") == error(ENOSYS));
  }
}

TEST_CASE("calls of another ABI kill the process, x32 too") {
  const auto program = compile_filter({}, CallAbi::amd64);

  CHECK(run(program, {.number = 0, .architecture = AUDIT_ARCH_I386}) == SECCOMP_RET_KILL_PROCESS);
  CHECK(run(program, {.number = 0x40000000, .architecture = AUDIT_ARCH_X86_64}) ==
        SECCOMP_RET_KILL_PROCESS);
  CHECK(run(program, {.number = 0, .architecture = AUDIT_ARCH_X86_64}) == kAllow);
}

TEST_CASE("executable pages come from files only and are never writable") {
  for (const auto abi : kAbis) {
    const Filter filter{abi, {}};
    const auto* map = abi == CallAbi::armhf ? "mmap2" : "mmap";
    const auto mapped = [&](std::uint64_t protection, std::uint64_t flags) {
      return filter(map, {0, 4096, protection, flags, 3, 0});
    };
    CHECK(mapped(PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS) == kAllow);
    CHECK(mapped(PROT_READ | PROT_EXEC, MAP_PRIVATE) == kAllow);
    CHECK(mapped(PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS) == error(EPERM));
    CHECK(mapped(PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE) == error(EPERM));
    CHECK(mapped(PROT_EXEC | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS) == error(EPERM));
    CHECK(filter("mprotect", {0, 4096, PROT_READ}) == kAllow);
    CHECK(filter("mprotect", {0, 4096, PROT_READ | PROT_EXEC}) == error(EPERM));
    CHECK(filter("mprotect", {0, 0x7FFF000, PROT_READ | PROT_WRITE | PROT_EXEC}) == error(EPERM));
  }
}

TEST_CASE("the emulator gets its one code buffer and no other executable page") {
  const Filter filter{CallAbi::amd64, {.emulated = true}};
  constexpr std::uint64_t kAll = PROT_READ | PROT_WRITE | PROT_EXEC;

  CHECK(filter("mprotect", {0, 0x7FFF000, kAll}) == kAllow);
  CHECK(filter("mprotect", {0, 0x7FFE000, kAll}) == error(EPERM));
  CHECK(filter("mprotect", {0, 0x107FFF000, kAll}) == error(EPERM));
  CHECK(filter("mprotect", {0, 4096, PROT_READ | PROT_EXEC}) == error(EPERM));
  CHECK(filter("memfd_create") == error(EPERM));
}

TEST_CASE("clone makes threads and processes, no namespaces") {
  for (const auto abi : kAbis) {
    const Filter filter{abi, {}};
    CHECK(filter("clone", {0x11}) == kAllow);
    CHECK(filter("clone", {0x3D0F00}) == kAllow);  // A thread.
    for (std::uint64_t bit = 0; bit < 32; ++bit) {
      const std::uint64_t flag = std::uint64_t{1} << bit;
      const bool space = (flag & 0x7E020000U) != 0;
      CHECK(filter("clone", {flag | 0x11}) == (space ? error(EPERM) : kAllow));
    }
  }
}

TEST_CASE("sockets are local ones, and internet ones with a network capability") {
  for (const auto abi : kAbis) {
    for (const bool network : {false, true}) {
      const Filter filter{abi, {.network = network}};
      for (std::uint64_t family = 0; family < 64; ++family) {
        const bool inet = network && (family == 2 || family == 10);
        INFO("family " << family);
        CHECK(filter("socket", {family, 1}) ==
              (family == 1 || inet ? kAllow : error(EAFNOSUPPORT)));
      }
    }
  }
}

TEST_CASE("limits can be read and not set") {
  const Filter filter{CallAbi::amd64, {}};
  CHECK(filter("prlimit64", {0, 7, 0, 0x7fff0000}) == kAllow);
  CHECK(filter("prlimit64", {0, 7, 0x7fff0000, 0}) == error(EPERM));
  CHECK(filter("prlimit64", {0, 7, 0x100000000, 0}) == error(EPERM));
}

TEST_CASE("T21 ioctl requests follow the device classes of the manifest") {
  const Filter none{CallAbi::amd64, {}};
  const Filter all{CallAbi::amd64,
                   {.ioctls = {.gpio = true, .uart = true, .i2c = true, .spi = true}}};
  for (const std::uint64_t request : {0x541B, 0x5421, 0x5413}) {
    CHECK(none("ioctl", {3, request}) == kAllow);
  }
  for (const std::uint64_t request : {0xC010B40EU, 0x5402U, 0x0707U, 0x40206B00U, 0x42006B00U}) {
    INFO(request);
    CHECK(none("ioctl", {3, request}) == error(ENOTTY));
    CHECK(all("ioctl", {3, request}) == kAllow);
  }
  // GPIO line configuration, TIOCSTI, TIOCSETD, I2C_SLAVE_FORCE, I2C_SMBUS, 17 SPI transfers.
  for (const std::uint64_t request :
       {0xC110B40DU, 0xC250B407U, 0x5412U, 0x5423U, 0x0706U, 0x0720U, 0x42206B00U, 0x40216B00U}) {
    INFO(request);
    CHECK(all("ioctl", {3, request}) == error(ENOTTY));
  }
}

TEST_CASE("every row of the table has a number on at least one ABI and stands there once") {
  std::vector<std::string_view> names;
  for (const auto& call : plain_calls()) {
    INFO(call.name);
    bool known = false;
    for (const auto abi : kAbis) {
      known = known || call_number(abi, call.name) >= 0;
    }
    CHECK(known);
    CHECK(std::ranges::find(names, call.name) == names.end());
    names.push_back(call.name);
  }
}

TEST_CASE("filters fit the kernel and every jump stays inside") {
  for (const auto abi : kAbis) {
    for (const auto& key :
         {FilterKey{},
          FilterKey{.network = true, .emulated = true, .ioctls = {true, true, true, true}}}) {
      const auto program = compile_filter(key, abi);
      CHECK(program.size() < BPF_MAXINSNS);
      for (std::size_t at = 0; at < program.size(); ++at) {
        if (BPF_CLASS(program[at].code) == BPF_JMP) {
          const auto far = BPF_OP(program[at].code) == BPF_JA
                               ? program[at].k
                               : std::uint32_t{std::max(program[at].jt, program[at].jf)};
          CHECK(at + 1 + far < program.size());
        }
      }
    }
  }
}

TEST_CASE("a cache compiles each filter once") {
  FilterCache cache;
  const auto* first = cache.get({}).value();

  CHECK(cache.get({}).value() == first);
  CHECK(cache.get({.network = true}).value() != first);
  CHECK(first->app_bytes < cache.get({.emulated = true}).value()->app_bytes);
}

TEST_CASE("the filter of an init lets it wait, look and end, and change nothing") {
  const auto program = compile_init_filter(CallAbi::amd64);
  const auto call = [&](std::string_view name) {
    return run(program,
               {.number = call_number(CallAbi::amd64, name), .architecture = AUDIT_ARCH_X86_64});
  };
  CHECK(call("wait4") == kAllow);
  CHECK(call("sendto") == kAllow);
  CHECK(call("exit_group") == kAllow);
  CHECK(call("execve") == error(EPERM));
  CHECK(call("socket") == error(EPERM));
  CHECK(call("write") == error(EPERM));
  CHECK(call("unshare") == error(EPERM));
  CHECK(call("kill") == error(EPERM));
}

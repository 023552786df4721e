// SPDX-License-Identifier: MIT
#include "device-agent/agent/debug/registers.h"

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <elf.h>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <sys/ptrace.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <sys/user.h>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "device-agent/agent/debug/gdb_stub.h"

namespace sphere::agent {
namespace {

using std::size_t;

template <typename Set>
bool read_set(pid_t thread, int kind, Set& set) {
  iovec part = {.iov_base = &set, .iov_len = sizeof set};
  return ::ptrace(PTRACE_GETREGSET, thread, kind, &part) == 0 && part.iov_len == sizeof set;
}

template <typename Set>
bool write_set(pid_t thread, int kind, Set& set) {
  iovec part = {.iov_base = &set, .iov_len = sizeof set};
  return ::ptrace(PTRACE_SETREGSET, thread, kind, &part) == 0;
}

#if defined(__x86_64__) || defined(__aarch64__)

constexpr std::string_view kHead =
    R"(<?xml version="1.0"?><!DOCTYPE target SYSTEM "gdb-target.dtd"><target version="1.0">)";

std::string register_row(std::string_view name, unsigned bytes, std::string_view type) {
  return fmt::format(R"(<reg name="{}" bitsize="{}" type="{}"/>)", name, bytes * 8, type);
}

// Copies between the bytes of gdb and the kernel's structures, in either direction.
class Copier {
 public:
  explicit Copier(std::string& to) : to_{&to} {}
  explicit Copier(std::string_view from) : from_{from} {}

  // `bytes` of `field`, which may be wider than what gdb has of it; the rest stays.
  template <typename Field>
  void move(Field& field, size_t bytes = sizeof(Field)) {
    move_raw(&field, bytes);
  }
  void move_raw(void* field, size_t bytes) {
    if (to_ != nullptr) {
      to_->append(static_cast<const char*>(field), bytes);
    } else {
      std::memcpy(field, from_.data() + at_, bytes);
      at_ += bytes;
    }
  }
  [[nodiscard]] bool reads() const { return to_ != nullptr; }

 private:
  std::string* to_ = nullptr;
  std::string_view from_ = {};
  size_t at_ = 0;
};

#endif

#if defined(__x86_64__)

constexpr std::array kGeneral = {"rax", "rbx", "rcx", "rdx", "rsi", "rdi", "rbp", "rsp",
                                 "r8",  "r9",  "r10", "r11", "r12", "r13", "r14", "r15"};
constexpr std::array kSmall = {"eflags", "cs", "ss", "ds", "es", "fs", "gs"};
constexpr std::array kFloatControl = {"fctrl", "fstat", "ftag",  "fiseg",
                                      "fioff", "foseg", "fooff", "fop"};
constexpr size_t kFloatBytes = 10, kVectorBytes = 16, kFloats = 8, kVectors = 16;

constexpr std::string_view kVectorTypes =
    R"(<vector id="v4f" type="ieee_single" count="4"/><vector id="v2d" type="ieee_double" count="2"/>)"
    R"(<vector id="v16i8" type="int8" count="16"/><vector id="v8i16" type="int16" count="8"/>)"
    R"(<vector id="v4i32" type="int32" count="4"/><vector id="v2i64" type="int64" count="2"/>)"
    R"(<union id="vec128"><field name="v4_float" type="v4f"/><field name="v2_double" type="v2d"/>)"
    R"(<field name="v16_int8" type="v16i8"/><field name="v8_int16" type="v8i16"/>)"
    R"(<field name="v4_int32" type="v4i32"/><field name="v2_int64" type="v2i64"/>)"
    R"(<field name="uint128" type="uint128"/></union>)";

struct Described {
  std::string text;
  std::vector<std::uint8_t> bytes;
  void add(std::string_view name, size_t size, std::string_view type) {
    text += register_row(name, static_cast<unsigned>(size), type);
    bytes.push_back(static_cast<std::uint8_t>(size));
  }
};

Described describe() {
  Described all;
  all.text = std::string{kHead} +
             "<architecture>i386:x86-64</architecture><osabi>GNU/Linux</osabi>" +
             R"(<feature name="org.gnu.gdb.i386.core">)";
  for (const std::string_view name : kGeneral) {
    all.add(name, 8, name == "rbp" || name == "rsp" ? "data_ptr" : "int64");
  }
  all.add("rip", 8, "code_ptr");
  for (const auto* name : kSmall) {
    all.add(name, 4, "int32");
  }
  for (size_t i = 0; i < kFloats; ++i) {
    all.add(fmt::format("st{}", i), kFloatBytes, "i387_ext");
  }
  for (const auto* name : kFloatControl) {
    all.add(name, 4, "int");
  }
  all.text += R"(</feature><feature name="org.gnu.gdb.i386.sse">)";
  all.text += kVectorTypes;
  for (size_t i = 0; i < kVectors; ++i) {
    all.add(fmt::format("xmm{}", i), kVectorBytes, "vec128");
  }
  all.add("mxcsr", 4, "int32");
  all.text += R"(</feature><feature name="org.gnu.gdb.i386.linux">)";
  all.add("orig_rax", 8, "int64");
  all.text += R"(</feature><feature name="org.gnu.gdb.i386.segments">)";
  all.add("fs_base", 8, "int64");
  all.add("gs_base", 8, "int64");
  all.text += "</feature></target>";
  return all;
}

constexpr std::string_view kBreakpoint = "\xCC";
constexpr std::uint64_t kDistance = 1;

struct Sets {
  user_regs_struct general = {};
  user_fpregs_struct floating = {};
};

// A field of which the kernel's is 16 bits wide, gdb's 32.
void move_short(Copier& copier, unsigned short& field) {
  std::uint32_t wide = field;
  copier.move(wide);
  field = static_cast<unsigned short>(wide);
}

// The kernel keeps one bit for each register of the stack, gdb two.
void move_tags(Copier& copier, unsigned short& tags) {
  std::uint32_t wide = 0;
  for (unsigned i = 0; i < kFloats; ++i) {
    wide |= (tags >> i & 1U) != 0 ? 0U : 3U << (2 * i);
  }
  copier.move(wide);
  unsigned narrow = 0;
  for (unsigned i = 0; i < kFloats; ++i) {
    narrow |= (wide >> (2 * i) & 3U) == 3U ? 0U : 1U << i;
  }
  tags = static_cast<unsigned short>(narrow);
}

void move_general(Copier& copier, user_regs_struct& all) {
  for (auto* field :
       {&all.rax, &all.rbx, &all.rcx, &all.rdx, &all.rsi, &all.rdi, &all.rbp, &all.rsp, &all.r8,
        &all.r9, &all.r10, &all.r11, &all.r12, &all.r13, &all.r14, &all.r15, &all.rip}) {
    copier.move(*field);
  }
  for (auto* field : {&all.eflags, &all.cs, &all.ss, &all.ds, &all.es, &all.fs, &all.gs}) {
    copier.move(*field, sizeof(std::uint32_t));
  }
}

void move_floating(Copier& copier, user_fpregs_struct& all) {
  const auto stack = std::as_writable_bytes(std::span{all.st_space});
  for (size_t i = 0; i < kFloats; ++i) {
    copier.move_raw(stack.subspan(i * kVectorBytes).data(), kFloatBytes);
  }
  move_short(copier, all.cwd);
  move_short(copier, all.swd);
  move_tags(copier, all.ftw);
  std::uint32_t none = 0;
  copier.move(none);
  copier.move(all.rip, sizeof(std::uint32_t));
  copier.move(none);
  copier.move(all.rdp, sizeof(std::uint32_t));
  move_short(copier, all.fop);
  const auto vectors = std::as_writable_bytes(std::span{all.xmm_space});
  for (size_t i = 0; i < kVectors; ++i) {
    copier.move_raw(vectors.subspan(i * kVectorBytes).data(), kVectorBytes);
  }
  copier.move(all.mxcsr);
}

void move_all(Copier copier, Sets& sets) {
  move_general(copier, sets.general);
  move_floating(copier, sets.floating);
  copier.move(sets.general.orig_rax);
  copier.move(sets.general.fs_base);
  copier.move(sets.general.gs_base);
}

bool read_sets(pid_t thread, Sets& sets) {
  return read_set(thread, NT_PRSTATUS, sets.general) && read_set(thread, NT_PRFPREG, sets.floating);
}

bool write_sets(pid_t thread, Sets& sets) {
  return write_set(thread, NT_PRSTATUS, sets.general) &&
         write_set(thread, NT_PRFPREG, sets.floating);
}

auto& program_counter(user_regs_struct& all) { return all.rip; }
auto& stack_pointer(user_regs_struct& all) { return all.rsp; }

#elif defined(__aarch64__)

constexpr size_t kGeneral = 31;

struct Described {
  std::string text;
  std::vector<std::uint8_t> bytes;
  void add(std::string_view name, size_t size, std::string_view type) {
    text += register_row(name, static_cast<unsigned>(size), type);
    bytes.push_back(static_cast<std::uint8_t>(size));
  }
};

Described describe() {
  Described all;
  all.text = std::string{kHead} + "<architecture>aarch64</architecture><osabi>GNU/Linux</osabi>" +
             R"(<feature name="org.gnu.gdb.aarch64.core">)";
  for (size_t i = 0; i < kGeneral; ++i) {
    all.add(fmt::format("x{}", i), 8, "int64");
  }
  all.add("sp", 8, "data_ptr");
  all.add("pc", 8, "code_ptr");
  all.add("cpsr", 4, "int32");
  all.text += "</feature></target>";
  return all;
}

constexpr std::string_view kBreakpoint{"\x00\x00\x20\xD4", 4};  // brk #0
constexpr std::uint64_t kDistance = 0;

struct Sets {
  user_regs_struct general = {};
};

void move_all(Copier copier, Sets& sets) {
  for (auto& field : sets.general.regs) {
    copier.move(field);
  }
  copier.move(sets.general.sp);
  copier.move(sets.general.pc);
  copier.move(sets.general.pstate, sizeof(std::uint32_t));
}

bool read_sets(pid_t thread, Sets& sets) { return read_set(thread, NT_PRSTATUS, sets.general); }
bool write_sets(pid_t thread, Sets& sets) { return write_set(thread, NT_PRSTATUS, sets.general); }

auto& program_counter(user_regs_struct& all) { return all.pc; }
auto& stack_pointer(user_regs_struct& all) { return all.sp; }

#endif

}  // namespace

#if defined(__x86_64__) || defined(__aarch64__)

const RegisterLayout* own_registers() {
  static const Described all = describe();
  static const RegisterLayout layout = {
      .description = all.text, .bytes = all.bytes, .breakpoint = kBreakpoint};
  return &layout;
}

std::optional<std::string> read_all_registers(pid_t thread) {
  Sets sets;
  if (!read_sets(thread, sets)) {
    return std::nullopt;
  }
  std::string bytes;
  move_all(Copier{bytes}, sets);
  return bytes;
}

bool write_all_registers(pid_t thread, std::string_view bytes) {
  Sets sets;
  std::string now;
  if (!read_sets(thread, sets)) {
    return false;
  }
  move_all(Copier{now}, sets);
  if (now.size() != bytes.size()) {
    return false;
  }
  move_all(Copier{bytes}, sets);
  return write_sets(thread, sets);
}

std::optional<Counter> read_counter(pid_t thread) {
  user_regs_struct all = {};
  if (!read_set(thread, NT_PRSTATUS, all)) {
    return std::nullopt;
  }
  return Counter{.program = program_counter(all), .stack = stack_pointer(all)};
}

bool write_program_counter(pid_t thread, std::uint64_t address) {
  user_regs_struct all = {};
  if (!read_set(thread, NT_PRSTATUS, all)) {
    return false;
  }
  program_counter(all) = address;
  return write_set(thread, NT_PRSTATUS, all);
}

std::uint64_t breakpoint_distance() { return kDistance; }

#else

const RegisterLayout* own_registers() { return nullptr; }
std::optional<std::string> read_all_registers(pid_t) { return std::nullopt; }
bool write_all_registers(pid_t, std::string_view) { return false; }
std::optional<Counter> read_counter(pid_t) { return std::nullopt; }
bool write_program_counter(pid_t, std::uint64_t) { return false; }
std::uint64_t breakpoint_distance() { return 0; }

#endif

}  // namespace sphere::agent

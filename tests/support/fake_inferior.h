// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <sys/types.h>
#include <utility>
#include <vector>

#include "device-agent/agent/debug/gdb_stub.h"

namespace sphere::test {

// A program of two threads with two registers and 256 bytes at 0x1000.
class FakeInferior final : public agent::Inferior {
 public:
  FakeInferior() {
    for (std::size_t i = 0; i < memory_.size(); ++i) {
      memory_[i] = static_cast<char>(i);
    }
  }
  [[nodiscard]] const agent::RegisterLayout& layout() const override { return layout_; }
  [[nodiscard]] std::vector<pid_t> threads() const override { return {2, 3}; }
  [[nodiscard]] std::optional<std::string> read_registers(pid_t thread) override {
    return thread == 2 || thread == 3 ? std::optional{registers_} : std::nullopt;
  }
  [[nodiscard]] bool write_registers(pid_t, std::string_view bytes) override {
    registers_ = bytes;
    return true;
  }
  [[nodiscard]] std::string read_memory(std::uint64_t address, std::size_t count) override {
    const auto offset = address - kBase;
    return offset >= memory_.size() ? std::string{}
                                    : std::string{memory_.data(), memory_.size()}.substr(
                                          static_cast<std::size_t>(offset), count);
  }
  [[nodiscard]] bool write_memory(std::uint64_t address, std::string_view bytes) override {
    const auto offset = address - kBase;
    if (offset >= memory_.size() || bytes.size() > memory_.size() - offset) {
      return false;
    }
    std::ranges::copy(bytes, memory_.begin() + static_cast<std::ptrdiff_t>(offset));
    return true;
  }
  [[nodiscard]] bool insert_breakpoint(std::uint64_t address) override {
    return address - kBase < memory_.size() && breakpoints.insert(address).second;
  }
  [[nodiscard]] bool remove_breakpoint(std::uint64_t address) override {
    return breakpoints.erase(address) > 0;
  }
  void remove_all_breakpoints() override { breakpoints.clear(); }
  [[nodiscard]] std::string auxiliary_vector() override { return std::string(32, '\1'); }
  void pass(std::vector<int> signals) override { passed = std::move(signals); }
  void halt() override { ++halts; }
  void resume(const std::vector<agent::ResumeAction>& actions) override { resumed = actions; }

  std::set<std::uint64_t> breakpoints;
  std::vector<int> passed;
  std::vector<agent::ResumeAction> resumed;
  int halts = 0;

 private:
  static constexpr std::uint64_t kBase = 0x1000;
  agent::RegisterLayout layout_{.description = "<target/>", .bytes = {8, 4}, .breakpoint = "\xCC"};
  std::string registers_ = "\1\2\3\4\5\6\7\x8\x9\xA\xB\xC";
  std::array<char, 256> memory_ = {};
};

}  // namespace sphere::test

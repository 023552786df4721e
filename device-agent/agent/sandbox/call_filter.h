// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <cstdint>
#include <linux/filter.h>
#include <map>
#include <span>
#include <string_view>
#include <sys/types.h>
#include <vector>

#include "device-agent/agent/sandbox/step.h"
#include "device-agent/agent/sandbox/system_calls.h"
#include "sphere/core/descriptor.h"
#include "sphere/core/result.h"

namespace sphere::agent {

using FilterProgram = std::vector<sock_filter>;

enum class CallAbi : std::uint8_t { amd64, arm64, armhf };

// The ABI of this program.
[[nodiscard]] CallAbi own_abi();

// The number of a system call; negative when the ABI has none of that name.
[[nodiscard]] int call_number(CallAbi abi, std::string_view name);

// The filter of layer L10 as a BPF program. Calls of another ABI, x32 included, kill the process;
// calls that are not in the table are answered EPERM.
[[nodiscard]] FilterProgram compile_filter(const FilterKey& key, CallAbi abi);

// The filter of an app's init: it waits for the app, looks where it stands when it crashes, reports
// and ends. One that is a debug stub also takes connections from the agent and talks to them.
[[nodiscard]] FilterProgram compile_init_filter(CallAbi abi, bool debug = false);

// In the launcher: at most `most` instructions of the programs at kFilterDescriptor, from `offset`
// on. Empty when there are none.
[[nodiscard]] FilterProgram read_filter(off_t offset, std::size_t most);

// Loads `program` for this thread and all it starts. Needs no_new_privs.
[[nodiscard]] Step load_filter(std::span<const sock_filter> program);

// The programs of an app and of its init, one behind the other, in a sealed file in memory.
struct FilterFile {
  Descriptor file;
  std::size_t app_bytes = 0;
};

// Filters are compiled once for each key.
class FilterCache {
 public:
  // Lives as long as the cache. Error: io.
  [[nodiscard]] Result<const FilterFile*> get(const FilterKey& key);

 private:
  std::map<FilterKey, FilterFile> files_;
};

}  // namespace sphere::agent

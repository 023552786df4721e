// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <span>
#include <vector>

#include "libsdk/src/image/package_stream.h"
#include "sphere/core/result.h"
#include "sphere/image/batch.h"
#include "sphere/image/package.h"

namespace sphere::image {

// Jobs that one thread works on at once, by their numbers.
using Chunk = std::vector<std::size_t>;

// Shares out files of these sizes among `threads`: the largest first, files of similar length
// beside each other, enough of them for the lanes, those above kLaneLimit alone. A group of chunks
// has at most kGroupFiles files and, unless it is one file, kGroupBytes.
[[nodiscard]] std::vector<std::vector<Chunk>> plan_chunks(std::span<const std::uint64_t> sizes,
                                                          std::size_t threads);

// The sizes of files; 0 for one that is not there.
[[nodiscard]] std::vector<std::uint64_t> sizes_of(
    std::size_t count, const std::function<const std::filesystem::path&(std::size_t)>& path_of);

// Opens a package after finishing what an interrupted signing left. Error: cancelled, when the
// batch is interrupted.
[[nodiscard]] Result<Package> open_job(const std::filesystem::path& path, const BatchTools& tools);

// Whether format v1's one signature covers all bytes of a package of this kind.
[[nodiscard]] bool is_flat(PackageKind kind);

// Runs `work` for each chunk, side by side. `work` keeps its errors to itself.
void run_chunks(const std::vector<Chunk>& chunks, const BatchTools& tools,
                const std::function<void(const Chunk& chunk, StreamBuffers& buffers)>& work);

[[nodiscard]] inline bool is_interrupted(const BatchTools& tools) {
  return tools.interrupted != nullptr && *tools.interrupted;
}
[[nodiscard]] Error cancelled_error();

}  // namespace sphere::image

// SPDX-License-Identifier: MIT
#include "libsdk/src/image/batch_plan.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <numeric>
#include <span>
#include <sys/stat.h>
#include <utility>
#include <vector>

#include <tl/expected.hpp>

#include "libsdk/src/image/package_stream.h"
#include "sphere/core/result.h"
#include "sphere/core/thread_pool.h"
#include "sphere/image/batch.h"
#include "sphere/image/package.h"

namespace sphere::image {
namespace {

// Two fillings of the widest row of lanes. More only keeps more files open.
constexpr std::size_t kMaxChunk = 32;

}  // namespace

std::vector<std::vector<Chunk>> plan_chunks(std::span<const std::uint64_t> sizes,
                                            std::size_t threads) {
  std::vector<std::size_t> order(sizes.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::ranges::sort(
      order, [&](auto a, auto b) { return sizes[a] != sizes[b] ? sizes[a] > sizes[b] : a < b; });
  const auto share =
      (std::min(sizes.size(), kGroupFiles) + threads - 1) / std::max<std::size_t>(threads, 1);
  const auto chunk_size = std::clamp<std::size_t>(share, 1, kMaxChunk);
  std::vector<std::vector<Chunk>> groups;
  std::size_t files = 0;
  std::uint64_t bytes = 0;
  for (const auto index : order) {
    const auto size = sizes[index];
    const bool is_full = files == kGroupFiles || bytes + size > kGroupBytes;
    if (groups.empty() || (is_full && files != 0)) {
      groups.emplace_back();
      files = 0;
      bytes = 0;
    }
    auto& chunks = groups.back();
    if (chunks.empty() || chunks.back().size() == chunk_size ||
        sizes[chunks.back().front()] > kLaneLimit) {
      chunks.emplace_back();
    }
    chunks.back().push_back(index);
    ++files;
    bytes += size;
  }
  return groups;
}

std::vector<std::uint64_t> sizes_of(
    std::size_t count, const std::function<const std::filesystem::path&(std::size_t)>& path_of) {
  std::vector<std::uint64_t> sizes(count);
  for (std::size_t i = 0; i < count; ++i) {
    struct stat status = {};
    if (::stat(path_of(i).c_str(), &status) == 0) {
      sizes[i] = static_cast<std::uint64_t>(status.st_size);
    }
  }
  return sizes;
}

Error cancelled_error() { return Error{Errc::cancelled, "interrupted before it was done"}; }

Result<Package> open_job(const std::filesystem::path& path, const BatchTools& tools) {
  if (is_interrupted(tools)) {
    return tl::make_unexpected(cancelled_error());
  }
  SPHERE_TRY(finish_interrupted_signing(path));
  return open_package(path);
}

bool is_flat(PackageKind kind) {
  switch (kind) {
    case PackageKind::application:
    case PackageKind::capability:
    case PackageKind::board_configuration:
    case PackageKind::other:
      return true;
    case PackageKind::production:
    case PackageKind::package_v2:
      break;
  }
  return false;
}

void run_chunks(const std::vector<Chunk>& chunks, const BatchTools& tools,
                const std::function<void(const Chunk& chunk, StreamBuffers& buffers)>& work) {
  std::vector<StreamBuffers> buffers(tools.pool->size());
  const auto done =
      tools.pool->run(chunks.size(), [&](std::size_t index, std::size_t worker) -> Result<void> {
        work(chunks[index], buffers[worker]);
        return {};
      });
  static_cast<void>(done);  // No job fails.
}

}  // namespace sphere::image

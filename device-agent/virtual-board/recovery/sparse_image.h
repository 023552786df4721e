// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>
#include <string>

namespace sphere::virtual_board {

[[nodiscard]] bool is_sparse(std::span<const std::byte> image);

// Reads a sparse image (sphere/recovery/sparse.h) that stands for at most `room` bytes. `write`
// gets each run of bytes with its offset and returns an error text, empty when it is good. Returns
// why the image is refused, empty when all of it was written.
using WriteRun = std::function<std::string(std::size_t offset, std::span<const std::byte> bytes)>;
[[nodiscard]] std::string expand_sparse(std::span<const std::byte> image, std::size_t room,
                                        const WriteRun& write);

}  // namespace sphere::virtual_board

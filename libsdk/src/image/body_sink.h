// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <mutex>
#include <span>
#include <utility>

#include "sphere/core/result.h"

namespace sphere::image {

// A file that is written at positions, by several threads at once.
struct OutputFile {
  int descriptor = -1;
  std::filesystem::path name = {};  // For errors.
  // The kernel lets one thread at a time write to a file, and the others spin; with this they sleep
  // and leave the processor to whoever hashes. Null for one thread.
  std::shared_ptr<std::mutex> one_writer = {};
};

// Errors: as system_error().
[[nodiscard]] Result<void> write_at(const OutputFile& file, std::uint64_t offset,
                                    std::span<const std::byte> bytes);
[[nodiscard]] Result<void> read_at(const OutputFile& file, std::uint64_t offset,
                                   std::span<std::byte> bytes);
[[nodiscard]] Result<void> set_size(const OutputFile& file, std::uint64_t size);

// Where the body of a package goes. Several threads store at once, runs of 256 KiB (the last one
// may be shorter), begun in rising order; the first two may come last.
class BodySink {
 public:
  BodySink() = default;
  BodySink(const BodySink&) = delete;
  BodySink& operator=(const BodySink&) = delete;
  BodySink(BodySink&&) = delete;
  BodySink& operator=(BodySink&&) = delete;
  virtual ~BodySink() = default;

  [[nodiscard]] virtual Result<void> store(std::uint64_t offset, std::span<const std::byte> run,
                                           std::size_t worker) = 0;
  // The file that holds the body at its own offsets, zero where nothing was stored: what need not
  // be looked at may be copied there instead of being given to store(). Null: there is no such
  // file.
  [[nodiscard]] virtual const OutputFile* file() const { return nullptr; }
  // The run at `offset` will not come: no later one may wait for it.
  virtual void fail(std::uint64_t /*offset*/) {}
};

// Stores the body as it is.
class ExpandedSink final : public BodySink {
 public:
  explicit ExpandedSink(OutputFile file) : file_{std::move(file)} {}
  [[nodiscard]] Result<void> store(std::uint64_t offset, std::span<const std::byte> run,
                                   std::size_t /*worker*/) override {
    return write_at(file_, offset, run);
  }
  [[nodiscard]] const OutputFile* file() const override { return &file_; }

 private:
  OutputFile file_;
};

}  // namespace sphere::image

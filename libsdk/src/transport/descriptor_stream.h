// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <span>
#include <string>

#include "sphere/core/descriptor.h"
#include "sphere/core/result.h"
#include "sphere/transport/byte_stream.h"

namespace sphere::transport {

// The error of a stream whose other end is gone.
[[nodiscard]] Error unplugged(const std::string& name);

// Bytes of a descriptor that does not block.
class DescriptorStream : public ByteStream {
 public:
  DescriptorStream(Descriptor descriptor, std::string name);

  [[nodiscard]] int descriptor() const override { return descriptor_.get(); }
  [[nodiscard]] Result<std::size_t> read(std::span<std::byte> bytes) override;
  [[nodiscard]] Result<std::size_t> write(std::span<const std::byte> bytes) override;

  [[nodiscard]] const std::string& name() const { return name_; }

 private:
  Descriptor descriptor_;
  std::string name_;
};

}  // namespace sphere::transport

// SPDX-License-Identifier: MIT
#include "device-agent/agent/sandbox/package_content.h"

#include <cerrno>
#include <cstddef>
#include <cstdio>
#include <fcntl.h>
#include <memory>
#include <span>
#include <sys/mman.h>
#include <unistd.h>

#include <tl/expected.hpp>

#include "sphere/core/descriptor.h"
#include "sphere/core/file.h"
#include "sphere/core/result.h"
#include "sphere/image/block_io.h"
#include "sphere/image/package.h"
#include "sphere/image/verify_v2.h"

namespace sphere::agent {
namespace {

Result<Descriptor> make_file(const char* name) {
  Descriptor file{::memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING)};
  if (!file) {
    return tl::unexpected<Error>{system_error("create", name, errno)};
  }
  return file;
}

Result<void> seal(const Descriptor& file, const char* name) {
  constexpr int kSeals = F_SEAL_WRITE | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL;
  if (::lseek(file.get(), 0, SEEK_SET) != 0 || ::fcntl(file.get(), F_ADD_SEALS, kSeals) != 0) {
    return tl::unexpected<Error>{system_error("seal", name, errno)};
  }
  return {};
}

}  // namespace

Result<Descriptor> make_sealed_file(const char* name, std::span<const std::byte> content) {
  SPHERE_TRY_ASSIGN(auto file, make_file(name));
  SPHERE_TRY(write_all(file.get(), content, name));
  SPHERE_TRY(seal(file, name));
  return file;
}

Result<image::Package> open_verified(std::span<const std::byte> bytes) {
  SPHERE_TRY_ASSIGN(auto package, image::open_package(std::make_shared<image::MemoryBlocks>(bytes),
                                                      bytes.size()));
  if (package.kind == image::PackageKind::package_v2) {
    SPHERE_TRY(image::open_files(package));
  }
  return package;
}

}  // namespace sphere::agent

// SPDX-License-Identifier: MIT
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <span>
#include <vector>

#include "sphere/core/result.h"
#include "sphere/image/block_io.h"
#include "sphere/image/executable_check.h"
#include "sphere/image/package.h"
#include "sphere/image/trust.h"

namespace {

using namespace sphere::image;  // NOLINT(google-build-using-namespace): the module under test.
using Bytes = std::span<const std::byte>;

void require(bool condition) {
  if (!condition) {
    std::abort();
  }
}

// Copies what it gives, as a file does.
class CopyingBlocks final : public BlockSource {
 public:
  explicit CopyingBlocks(Bytes bytes) : blocks_{bytes} {}
  [[nodiscard]] sphere::Result<Bytes> read(std::uint64_t offset,
                                           std::span<std::byte> buffer) const override {
    SPHERE_TRY_ASSIGN(const auto bytes, blocks_.read(offset, buffer));
    std::ranges::copy(bytes, buffer.begin());
    return buffer;
  }

 private:
  MemoryBlocks blocks_;
};

void require_same(const Package& first, const Package& second) {
  require(first.kind == second.kind && std::ranges::equal(*first.tail, *second.tail));
  require(first.files.files.size() == second.files.files.size());
  for (std::size_t i = 0; i < first.files.files.size(); ++i) {
    const auto& file = first.files.files[i];
    const auto content = read_file_content(first.files, file);
    const auto other = read_file_content(second.files, second.files.files[i]);
    require(content && other && content->bytes().size() == file.size);
    require(std::ranges::equal(content->bytes(), other->bytes()));
    require(second.files.find(file.path) == &second.files.files[i]);
  }
}

}  // namespace

// A source in memory and one that copies give the same package, and nothing that the fuzzer makes
// is signed by a key of the store.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto bytes = std::as_bytes(std::span{data, size});
  const auto package = open_package(std::make_shared<MemoryBlocks>(bytes), size);
  const auto copied = open_package(std::make_shared<CopyingBlocks>(bytes), size);
  require(package.has_value() == copied.has_value());
  if (!package) {
    require(!package.error().hint().reason.empty());
    require(package.error().message() == copied.error().message());
    return 0;
  }
  require_same(*package, *copied);
  TrustStore trust;
  for (const auto role : {Role::development, Role::capability, Role::board_configuration, Role::os,
                          Role::trust_store}) {
    trust.add({.key = public_test_key(), .thumbprints = {public_test_thumbprint()}, .role = role});
  }
  require(!verify(*package, trust) && !verify(*copied, trust));
  const auto digests = check_body(*package);
  const auto copied_digests = check_body(*copied);
  require(digests.has_value() == copied_digests.has_value());
  require(!digests || digests->file == copied_digests->file);
  require(!digests || digests->file == sphere::crypto::sha256(bytes));
  for (const auto& file : package->files.files) {
    static_cast<void>(check_executable(package->files, {.entry_point = file.path}));
  }
  return 0;
}

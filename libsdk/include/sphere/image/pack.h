// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "sphere/core/file.h"
#include "sphere/core/guid.h"
#include "sphere/core/result.h"
#include "sphere/core/thread_pool.h"
#include "sphere/crypto/signer.h"

namespace sphere::image {

// Everything pack_application() needs, already decided: the manifest is the text that goes into the
// package (see sphere/manifest/rewrite.h).
struct PackRequest {
  std::filesystem::path directory;            // Its files, but not its app_manifest.json.
  std::string manifest_text = {};             // Stored as /app_manifest.json.
  std::vector<std::string> executables = {};  // Paths in the package; a leading '/' is ignored.
  std::string name = {};                      // For section DB; cut to 31 bytes.
  Guid component_id = {};
  std::optional<Guid> image_id = {};  // Absent: derived with reproducible, else random.
  std::uint64_t build_time = 0;
  bool reproducible = false;                  // Derive the image id from the content.
  std::optional<std::uint32_t> api_set = {};  // Absent for a real-time app: ND with count 0.
};

struct Packed {
  std::vector<std::byte> bytes;  // The whole package.
  Guid image_id;
};

// Reads the directory and makes a signed development package v1. Symbolic links that end inside the
// directory are stored as the file they name. Errors: not_found (directory, an executable),
// invalid_argument (a link that leaves the directory, or a file that is not regular), too_large,
// and those of the signer.
[[nodiscard]] Result<Packed> pack_application(const PackRequest& request,
                                              const crypto::Signer& signer);

// What build_application() may use.
struct BuildTools {
  // Takes a package whose body is larger than `memory`; null: every package is built in memory.
  AtomicFile* output = nullptr;
  std::size_t memory = std::size_t{8} * 1024 * 1024;
  // Reads the files of a large package side by side; null: one thread does.
  ThreadPool* pool = nullptr;
};

// A package that lacks its signature, the last kSignatureSize bytes.
struct UnsignedPackage {
  std::vector<std::byte> bytes = {};  // Empty when it went to BuildTools::output.
  std::uint64_t size = 0;             // Of these bytes, wherever they are.
  crypto::Sha256Digest digest = {};   // To be signed.
  Guid image_id;
};

// The first half of pack_application(), so that the digests of several packages can be signed at
// once; `thumbprint` is that of the signer. A large package is written to `tools.output` with
// memory that does not grow with it: its files are read twice, for the CRC at the start of the body
// and for the body. Every source must stay as it was when the directory was listed.
//
// Errors: as pack_application(); io when a file was changed meanwhile; no_space.
[[nodiscard]] Result<UnsignedPackage> build_application(const PackRequest& request,
                                                        const crypto::Sha1Digest& thumbprint,
                                                        const BuildTools& tools = {});

// The image id of a reproducible package v1: from component, build time and body (version 8 of
// RFC 9562).
[[nodiscard]] Guid derived_image_id(const Guid& component_id, std::uint64_t build_time,
                                    std::span<const std::byte> body);

// Signs a package anew: replaces the thumbprint in SG and the signature, nothing else. Only the
// metadata is looked at. Errors: those of read_metadata(); unsupported for a production package,
// which holds a second signature, and for package v2; those of the signer.
[[nodiscard]] Result<std::vector<std::byte>> sign_again(std::span<const std::byte> package,
                                                        const crypto::Signer& signer);

// Writes the files of an application below `directory`, which is made and must be empty or absent,
// and gives their paths. Files get mode 0644 or 0755, directories 0755. The directory appears
// complete or not at all: it is written beside its place, synced, and moved there. Nothing is
// written outside of it whatever the package holds (openat2 with RESOLVE_BENEATH and
// RESOLVE_NO_SYMLINKS: Linux 5.6). CRC and padding are not looked at (see check_body()). Errors:
// exists, unsupported for another kind of package, io when the source changed meanwhile, and those
// of system_error().
struct Package;
[[nodiscard]] Result<std::vector<std::string>> unpack(const Package& package,
                                                      const std::filesystem::path& directory);

}  // namespace sphere::image

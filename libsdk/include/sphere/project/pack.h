// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "sphere/core/guid.h"
#include "sphere/core/result.h"
#include "sphere/crypto/digest.h"
#include "sphere/crypto/key.h"
#include "sphere/crypto/signer.h"
#include "sphere/image/pack.h"
#include "sphere/image/pack_v2.h"
#include "sphere/image/sections_v2.h"

namespace sphere::project {

// What a developer says about the package to make.
struct PackOptions {
  std::filesystem::path directory;      // The files of the app.
  std::filesystem::path manifest = {};  // Empty: app_manifest.json in `directory`.
  std::vector<std::string> executables = {};
  // Where hardware definitions are looked for, in order; a file instead of a directory is the
  // target definition itself.
  std::vector<std::filesystem::path> hardware_definitions = {};
  std::string target_definition = {};  // File name of the definition that resolves "$NAME".
  // "12" or "5+Beta2004". Empty: that of the manifest, else the newest of the SDK, else 15.
  std::string api_set = {};
  std::optional<Guid> image_id = {};
  std::uint64_t build_time = 0;
  bool reproducible = false;  // Derive the image id from the content.
  bool check = true;          // Warn of doubtful manifests and check the entry point.
  bool frozen = false;        // Never change the source manifest.
  std::filesystem::path sdk_directory = {};
};

struct PackedApplication {
  std::vector<std::byte> bytes = {};  // Empty when it went to a file (image::BuildTools).
  std::uint64_t size = 0;
  Guid image_id;
  Guid component_id;
  std::string name = {};
  std::vector<std::string> warnings = {};  // One sentence each.
  std::vector<std::string> stale = {};     // image::PackedV2::stale
};

// Reads and checks the manifest, resolves its names, rewrites it, packs and signs, and checks the
// entry point. A missing or malformed ComponentId is replaced by a random one in the source
// manifest, last of all and only if everything else succeeded; a warning says so.
//
// Errors: those of the manifest (package.manifest), hardware (package.hardware-definition) and
// image modules and of the signer; invalid_argument package.executable for what
// image::check_executable() calls an error; permission package.manifest when a ComponentId is
// needed and `frozen`, or the manifest cannot be written. Nothing is written then.
//
// `keep`, when given, gets the finished package before the source manifest is changed, and stores
// it somewhere that is not its place yet: what it fails with (a full disk) leaves the manifest as
// it was. Of a package that is already in the file of `tools` it gets the rest, to be appended.
using KeepPackage = std::function<Result<void>(std::span<const std::byte> package)>;
[[nodiscard]] Result<PackedApplication> pack_application(const PackOptions& options,
                                                         const crypto::Signer& signer,
                                                         const KeepPackage& keep = {},
                                                         const image::BuildTools& tools = {});

// An application package that waits for its signature, and what is to happen with it.
struct UnsignedApplication {
  image::UnsignedPackage package;
  Guid component_id;
  std::string name;
  std::vector<std::string> warnings;
  // The source manifest with its new ComponentId, when it got one.
  std::optional<std::string> new_manifest = {};
  std::filesystem::path manifest = {};
};

// The two halves of pack_application(), so that the digests of several packages can be signed at
// once. The first makes and checks the package; `thumbprint` is that of the signer. The second
// appends the signature to the bytes, or to the file to which `tools` sent them, calls `keep` and
// changes the source manifest. Errors: as pack_application().
[[nodiscard]] Result<UnsignedApplication> build_application(const PackOptions& options,
                                                            const crypto::Sha1Digest& thumbprint,
                                                            const image::BuildTools& tools = {});
[[nodiscard]] Result<PackedApplication> finish_application(UnsignedApplication application,
                                                           const crypto::Signature& signature,
                                                           const KeepPackage& keep = {});

// What only a package v2 can say.
struct PackV2Options {
  bool compress = false;
  std::optional<image::SecurityVersion> security = {};
  std::vector<std::string> boards = {};  // Empty: any that can run the code.
  image::Provenance provenance = {};     // Beside epoch, inputs and apiset.
  std::optional<image::SbomReference> sbom = {};
  std::filesystem::path leaf_cache = {};  // Empty: none (see image/pack_v2.h).
  bool verify_cache = false;
};

// pack_application() for format v2, written to `output`, which is not committed. The machine in
// section hw is that of the entry point. Errors: as pack_application(), and invalid_argument for a
// board id that is none.
[[nodiscard]] Result<PackedApplication> pack_application_v2(const PackOptions& options,
                                                            const PackV2Options& v2,
                                                            const crypto::Signer& signer,
                                                            const image::Tools& tools,
                                                            AtomicFile& output);

// An API set: a number, and the name of the beta set if it is one.
struct ApiSet {
  std::uint32_t number = 0;
  std::string beta = {};  // "Beta2004"
};

// Reads "12" or "5+Beta2004". Error: invalid_argument (usage.bad-value).
[[nodiscard]] Result<ApiSet> parse_api_set(std::string_view text);

}  // namespace sphere::project

// SPDX-License-Identifier: MIT
#include "sphere/recovery/preflight.h"

#include <cstddef>
#include <filesystem>
#include <string>
#include <vector>

#include <catch2/catch.hpp>

#include "sphere/core/file.h"
#include "tests/support/recovery_set.h"

namespace sphere::recovery {
namespace {

using test::RecoverySet;

// Writes the set, changed by `change`, and checks it.
template <typename Change>
Result<CheckedSetV2> check(const RecoverySet& original, bool trusted, Change change) {
  RecoverySet set{original};
  change(set);
  const auto directory = TemporaryDirectory::create().value();
  for (const auto& [name, bytes] : set.files()) {
    REQUIRE(write_file(directory.path() / name, bytes));
  }
  const auto files = FileSet::open(directory.path()).value();
  return check_set_v2(files, [&](std::uint16_t /*type*/) {
    return trusted ? original.trust() : image::TrustStore{};
  });
}

void nothing(RecoverySet& /*set*/) {}

const RecoverySet& original() {
  static const RecoverySet set{{2188, 3000}};
  return set;
}

TEST_CASE("a good set passes, with a known key and without") {
  const auto trusted = check(original(), true, nothing).value();
  CHECK(trusted.signed_by_known_key);
  CHECK(trusted.config.images == 2);
  CHECK(trusted.config.image_bytes == 2188 + 3000 + 2 * 188);
  CHECK(trusted.config.files.size() == 5);

  const auto unknown = check(original(), false, nothing).value();
  CHECK_FALSE(unknown.signed_by_known_key);
  CHECK(unknown.signatures.find("the board checks them") != std::string::npos);
}

TEST_CASE("each file that is missing, cut or changed is found before a byte is sent") {
  for (const auto& [name, bytes] : original().files()) {
    INFO(name);
    const auto missing =
        check(original(), false, [&](RecoverySet& set) { set.files().erase(name); });
    REQUIRE_FALSE(missing);
    CHECK(missing.error().hint().reason == "recovery.image-missing");
    CHECK(missing.error().hint().value == name);

    const auto cut = check(original(), false, [&](RecoverySet& set) {
      auto& file = set.files().at(name);
      file.erase(file.begin());
    });
    // Without a known key a loader's body says nothing; an image's size stands in the manifest.
    const bool is_loader = name == v2::kLoaderFile || name == v2::kRuntimeFile;
    CHECK(cut.has_value() == is_loader);

    const auto changed = check(original(), true,
                               [&](RecoverySet& set) { set.files().at(name)[20] ^= std::byte{1}; });
    REQUIRE_FALSE(changed);
    CHECK(changed.error().hint().reason == "recovery.image-refused");
    CHECK(changed.error().message().starts_with(name));
  }
}

TEST_CASE("an image in the place of another, and a file of another signer, are refused") {
  const auto swapped = check(original(), false, [](RecoverySet& set) {
    set.files()[set.image_name(0)] = set.files().at(set.image_name(1));
  });
  REQUIRE_FALSE(swapped);
  CHECK(swapped.error().hint().reason == "recovery.image-refused");

  const RecoverySet stranger{{2188, 3000}};
  const auto mixed = check(original(), false, [&](RecoverySet& set) {
    set.files()[set.image_name(1)] = stranger.files().at(set.image_name(1));
  });
  REQUIRE_FALSE(mixed);
  CHECK(mixed.error().message().find("another key") != std::string::npos);
}

TEST_CASE("a package that is no manifest does not count as one") {
  const auto wrong = check(original(), true, [](RecoverySet& set) {
    set.files()[std::string{v2::kManifestFile}] = set.files().at(set.image_name(1));
  });
  REQUIRE_FALSE(wrong);
  CHECK(wrong.error().hint().reason == "recovery.image-refused");
}

}  // namespace
}  // namespace sphere::recovery

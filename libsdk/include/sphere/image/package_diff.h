// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "sphere/core/result.h"
#include "sphere/image/package.h"

namespace sphere::image {

enum class Change : std::uint8_t { changed, added, removed };

// One thing in which two packages differ. What a package lacks is empty.
struct Difference {
  enum class Part : std::uint8_t { metadata, file, body };
  Part part = Part::metadata;
  Change change = Change::changed;
  // Metadata: the section's id, control characters escaped. File: its path with a leading '/', a
  // directory's with one at the end, too. Body: empty.
  std::string name = {};
  // Metadata: SectionField::key; "order" for the order of the sections, "bytes" for a section that
  // is not decoded. File: "size", "mode" or "content". Body: "size" or "content"; of two trust
  // stores also "version", "revoked", and the role of a key.
  std::string field = {};
  std::string label = {};  // Of `field`, for people.
  std::string before = {}, after = {};
  // Of differing content, the first byte: in the file or the body, and where it lies in each
  // package (in its uncompressed form). Content of different lengths that agrees as far as it goes
  // differs at the shorter one's end.
  struct Place {
    std::uint64_t offset = 0;
    std::uint64_t before = 0, after = 0;
  };
  std::optional<Place> first = {};
};

struct PackageDiff {
  std::vector<Difference> differences;  // Metadata, files, body; each in its own order.
  // The 64 bytes of the signatures, which are no difference: signing one thing twice gives two.
  bool same_signature = true;
};

// Compares what two packages hold; of package v2, whose `files` are compared when they are open,
// the body without its compression and hash tree. The bodies are read in step and no further than
// their first difference; then each file once. Neither the signatures nor the CRCs are checked.
// Errors: those of the sources.
[[nodiscard]] Result<PackageDiff> diff_packages(const Package& before, const Package& after);

}  // namespace sphere::image

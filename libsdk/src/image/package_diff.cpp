// SPDX-License-Identifier: MIT
#include "sphere/image/package_diff.h"

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "sphere/core/encoding.h"
#include "sphere/core/result.h"
#include "sphere/core/text.h"
#include "sphere/image/asxipfs.h"
#include "sphere/image/block_io.h"
#include "sphere/image/metadata.h"
#include "sphere/image/package.h"
#include "sphere/image/trust.h"
#include "sphere/image/trust_image.h"
#include "sphere/image/verify_v2.h"

namespace sphere::image {
namespace {

using Bytes = std::span<const std::byte>;
using Part = Difference::Part;

constexpr std::size_t kHexBytes = 32;  // Shown of a section that is not decoded.

// Two ranges that are read in step.
struct Range {
  const BlockSource* source = nullptr;
  std::uint64_t begin = 0;
  std::uint64_t size = 0;
};

// Where two pieces of the same size differ; their size when they do not.
std::size_t first_mismatch(Bytes before, Bytes after) {
  if (before.empty() || std::memcmp(before.data(), after.data(), before.size()) == 0) {
    return before.size();
  }
  return static_cast<std::size_t>(std::ranges::mismatch(before, after).in1 - before.begin());
}

Result<std::optional<std::uint64_t>> first_difference(const Range& before, const Range& after) {
  const auto common = std::min(before.size, after.size);
  std::vector<std::byte> first(
      static_cast<std::size_t>(std::min<std::uint64_t>(common, kReadBytes)));
  std::vector<std::byte> second(first.size());
  for (std::uint64_t at = 0; at < common;) {
    const auto size = static_cast<std::size_t>(std::min<std::uint64_t>(first.size(), common - at));
    SPHERE_TRY_ASSIGN(const auto a,
                      before.source->read(before.begin + at, std::span{first}.first(size)));
    SPHERE_TRY_ASSIGN(const auto b,
                      after.source->read(after.begin + at, std::span{second}.first(size)));
    if (const auto place = first_mismatch(a, b); place != size) {
      return at + place;
    }
    at += size;
  }
  return before.size == after.size ? std::nullopt : std::optional{common};
}

// A body as it is before it is compressed.
struct Body {
  std::shared_ptr<const BlockSource> source;
  std::uint64_t size = 0;

  [[nodiscard]] Range range() const { return {.source = source.get(), .begin = 0, .size = size}; }
};

Result<Body> body_of(const Package& package) {
  if (package.kind == PackageKind::production && package.files.body != nullptr) {
    return Body{.source = package.files.body, .size = package.files.body_size};
  }
  if (package.kind != PackageKind::package_v2 || !package.metadata.v2.content) {
    return Body{.source = package.source, .size = package.metadata.body_size};
  }
  SPHERE_TRY_ASSIGN(auto source, open_body(package));
  return Body{.source = std::move(source), .size = package.metadata.v2.content->content_size};
}

std::string hex_of(Bytes payload) {
  const auto shown = std::min(payload.size(), kHexBytes);
  return to_hex(payload.first(shown)) + (shown < payload.size() ? "..." : "");
}

class Comparison {
 public:
  Comparison(const Package& before, const Package& after) : before_{&before}, after_{&after} {}

  Result<PackageDiff> run() && {
    compare_metadata();
    SPHERE_TRY_ASSIGN(const auto place, compare_bodies());
    SPHERE_TRY(compare_files(place.has_value()));
    if (place) {
      compare_trust_stores();
      add_body(*place);
    }
    result_.same_signature =
        std::ranges::equal(before_->metadata.signature, after_->metadata.signature);
    SPHERE_TRY(before_->source->check_unchanged());
    SPHERE_TRY(after_->source->check_unchanged());
    return std::move(result_);
  }

 private:
  static const Section* find(const Metadata& metadata, std::array<char, 2> id) {
    const auto found = std::ranges::find(metadata.sections, id, &Section::id);
    return found == metadata.sections.end() ? nullptr : &*found;
  }

  void compare_metadata() {
    const auto& before = before_->metadata;
    const auto& after = after_->metadata;
    for (const auto& section : before.sections) {
      if (const auto* other = find(after, section.id); other == nullptr) {
        add_section(section, Change::removed);
      } else if (!std::ranges::equal(section.payload, other->payload)) {
        compare_section(section, *other);
      }
    }
    for (const auto& section : after.sections) {
      if (find(before, section.id) == nullptr) {
        add_section(section, Change::added);
      }
    }
    compare_order();
  }

  // The order of the sections that both have.
  void compare_order() {
    const auto order = [](const Metadata& metadata, const Metadata& other) {
      std::string ids;
      for (const auto& section : metadata.sections) {
        if (find(other, section.id) != nullptr) {
          ids += (ids.empty() ? "" : " ") + name_of(section);
        }
      }
      return ids;
    };
    auto before = order(before_->metadata, after_->metadata);
    auto after = order(after_->metadata, before_->metadata);
    if (before != after) {
      result_.differences.push_back({.field = "order",
                                     .label = "Order of sections",
                                     .before = std::move(before),
                                     .after = std::move(after)});
    }
  }

  static std::string name_of(const Section& section) {
    return escape_control(std::string_view{section.id.data(), section.id.size()});
  }

  // A section that only one package has: its fields, or its bytes.
  void add_section(const Section& section, Change change) {
    const auto add = [&](std::string field, std::string label, std::string text) {
      Difference difference{.change = change,
                            .name = name_of(section),
                            .field = std::move(field),
                            .label = std::move(label)};
      (change == Change::added ? difference.after : difference.before) = std::move(text);
      result_.differences.push_back(std::move(difference));
    };
    const auto fields = describe_section(section);
    for (const auto& field : fields) {
      add(field.key, field.label, field.text);
    }
    if (fields.empty()) {
      add("bytes", "Bytes", hex_of(section.payload));
    }
  }

  // Two payloads that are not equal.
  void compare_section(const Section& before, const Section& after) {
    const auto old_fields = describe_section(before);
    const auto new_fields = describe_section(after);
    bool found = false;
    for (std::size_t i = 0; i < std::max(old_fields.size(), new_fields.size()); ++i) {
      const auto old_text = i < old_fields.size() ? old_fields[i].text : std::string{};
      const auto new_text = i < new_fields.size() ? new_fields[i].text : std::string{};
      if (old_text == new_text) {
        continue;
      }
      const auto& named = i < new_fields.size() ? new_fields[i] : old_fields[i];
      found = true;
      result_.differences.push_back({.name = name_of(before),
                                     .field = named.key,
                                     .label = named.label,
                                     .before = old_text,
                                     .after = new_text});
    }
    if (!found) {  // Not decoded, or in something that the fields do not show.
      add_payloads(before, after);
    }
  }

  void add_payloads(const Section& before, const Section& after) {
    const auto common = std::min(before.payload.size(), after.payload.size());
    const auto place = first_mismatch(before.payload.first(common), after.payload.first(common));
    result_.differences.push_back(
        {.name = name_of(before),
         .field = "bytes",
         .label = "Bytes",
         .before = hex_of(before.payload),
         .after = hex_of(after.payload),
         .first = Difference::Place{.offset = place,
                                    .before = position(*before_, before) + place,
                                    .after = position(*after_, after) + place}});
  }

  // Where the payload of `section` lies in the file.
  static std::uint64_t position(const Package& package, const Section& section) {
    return package.tail_offset() +
           static_cast<std::uint64_t>(section.payload.data() - package.tail->data());
  }

  Result<std::optional<std::uint64_t>> compare_bodies() {
    SPHERE_TRY_ASSIGN(before_body_, body_of(*before_));
    SPHERE_TRY_ASSIGN(after_body_, body_of(*after_));
    return first_difference(before_body_.range(), after_body_.range());
  }

  void add_part(Change change, std::string field, std::string label, std::string before,
                std::string after) {
    result_.differences.push_back({.part = Part::body,
                                   .change = change,
                                   .field = std::move(field),
                                   .label = std::move(label),
                                   .before = std::move(before),
                                   .after = std::move(after)});
  }

  // The keys of two trust stores; nothing unless both can be read.
  void compare_trust_stores() {
    const auto before = open_trust_record(*before_);
    const auto after = open_trust_record(*after_);
    if (!before || !after) {
      return;
    }
    if (before->version != after->version) {
      add_part(Change::changed, "version", "Version", std::to_string(before->version),
               std::to_string(after->version));
    }
    compare_keys(*before, *after);
    for (const auto& id : before->revoked) {
      if (!std::ranges::binary_search(after->revoked, id)) {
        add_part(Change::removed, "revoked", "Revoked key", to_hex(id), {});
      }
    }
    for (const auto& id : after->revoked) {
      if (!std::ranges::binary_search(before->revoked, id)) {
        add_part(Change::added, "revoked", "Revoked key", {}, to_hex(id));
      }
    }
  }

  // "0a4e... Release 2 (8d5c...)": all that is said of a key beside its role.
  static std::string text_of(const TrustEntry& entry) {
    auto text = to_hex(entry.key.id());
    if (!entry.label.empty()) {
      text += " " + entry.label;
    }
    for (const auto& thumbprint : entry.thumbprints) {
      text += " (" + to_hex(thumbprint) + ")";
    }
    return text;
  }

  void compare_keys(const TrustRecord& before, const TrustRecord& after) {
    const auto find = [](const TrustRecord& record, const TrustEntry& entry) {
      const auto found = std::ranges::find_if(record.entries, [&](const TrustEntry& other) {
        return other.role == entry.role && other.key == entry.key;
      });
      return found == record.entries.end() ? nullptr : &*found;
    };
    for (const auto& entry : before.entries) {
      const auto role = std::string{role_name(entry.role)};
      if (const auto* other = find(after, entry); other == nullptr) {
        add_part(Change::removed, role, "Key, " + role, text_of(entry), {});
      } else if (text_of(entry) != text_of(*other)) {
        add_part(Change::changed, role, "Key, " + role, text_of(entry), text_of(*other));
      }
    }
    for (const auto& entry : after.entries) {
      if (find(before, entry) == nullptr) {
        const auto role = std::string{role_name(entry.role)};
        add_part(Change::added, role, "Key, " + role, {}, text_of(entry));
      }
    }
  }

  void add_body(std::uint64_t place) {
    const auto before = before_body_.size;
    const auto after = after_body_.size;
    if (before != after) {
      result_.differences.push_back({.part = Part::body,
                                     .field = "size",
                                     .label = "Size",
                                     .before = std::to_string(before),
                                     .after = std::to_string(after)});
    }
    result_.differences.push_back(
        {.part = Part::body,
         .field = "content",
         .label = "Content",
         .first = Difference::Place{.offset = place, .before = place, .after = place}});
  }

  Result<void> compare_files(bool bodies_differ) {
    if (!bodies_differ) {
      return {};  // Then the directories and files are equal, too.
    }
    std::map<std::string, std::pair<const FileEntry*, const FileEntry*>> files;
    for (const auto& file : before_->files.files) {
      files["/" + file.path].first = &file;
    }
    for (const auto& file : after_->files.files) {
      files["/" + file.path].second = &file;
    }
    compare_directories();
    for (const auto& [path, pair] : files) {
      if (pair.first == nullptr || pair.second == nullptr) {
        add_file(path, pair.first, pair.second);
      } else {
        SPHERE_TRY(compare_file(path, *pair.first, *pair.second));
      }
    }
    return {};
  }

  // Only what holds nothing shows by itself; any other directory shows in its files.
  void compare_directories() {
    const auto only_in = [this](const FileSystem& one, const FileSystem& other, Change change) {
      for (const auto& directory : one.directories) {
        const auto is_same = [&](const DirectoryEntry& entry) {
          return entry.path == directory.path;
        };
        if (std::ranges::none_of(other.directories, is_same)) {
          result_.differences.push_back({.part = Part::file,
                                         .change = change,
                                         .name = "/" + directory.path + "/",
                                         .field = "directory",
                                         .label = "Directory"});
        }
      }
    };
    only_in(before_->files, after_->files, Change::removed);
    only_in(after_->files, before_->files, Change::added);
  }

  static std::string mode_of(const FileEntry& file) { return file.executable ? "0755" : "0644"; }

  // A file that one package lacks.
  void add_file(const std::string& path, const FileEntry* before, const FileEntry* after) {
    Difference difference{.part = Part::file,
                          .change = before == nullptr ? Change::added : Change::removed,
                          .name = path,
                          .field = "size",
                          .label = "Size"};
    if (before != nullptr) {
      difference.before = std::to_string(before->size);
    }
    if (after != nullptr) {
      difference.after = std::to_string(after->size);
    }
    result_.differences.push_back(std::move(difference));
  }

  Result<void> compare_file(const std::string& path, const FileEntry& before,
                            const FileEntry& after) {
    const auto add = [&](std::string field, std::string label, std::string old_text,
                         std::string new_text) -> Difference& {
      return result_.differences.emplace_back(Difference{.part = Part::file,
                                                         .name = path,
                                                         .field = std::move(field),
                                                         .label = std::move(label),
                                                         .before = std::move(old_text),
                                                         .after = std::move(new_text)});
    };
    if (before.executable != after.executable) {
      add("mode", "Mode", mode_of(before), mode_of(after));
    }
    if (before.size != after.size) {
      add("size", "Size", std::to_string(before.size), std::to_string(after.size));
    }
    SPHERE_TRY_ASSIGN(const auto place,
                      first_difference({before_->files.body.get(), before.offset, before.size},
                                       {after_->files.body.get(), after.offset, after.size}));
    if (place) {
      add("content", "Content", {}, {}).first = Difference::Place{
          .offset = *place, .before = before.offset + *place, .after = after.offset + *place};
    }
    return {};
  }

  const Package* before_;
  const Package* after_;
  Body before_body_, after_body_;
  PackageDiff result_;
};

}  // namespace

Result<PackageDiff> diff_packages(const Package& before, const Package& after) {
  return Comparison{before, after}.run();
}

}  // namespace sphere::image

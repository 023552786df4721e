// SPDX-License-Identifier: MIT
#include "device-agent/agent/state/trust_slots.h"

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <limits>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <unistd.h>
#include <utility>

#include <fmt/format.h>
#include <tl/expected.hpp>

#include "sphere/core/encoding.h"
#include "sphere/core/file.h"
#include "sphere/core/result.h"
#include "sphere/crypto/digest.h"
#include "sphere/image/package.h"
#include "sphere/image/trust_image.h"
#include "sphere/json/value.h"

namespace sphere::agent {
namespace {

constexpr std::size_t kRecordLimit = 4096;
constexpr std::size_t kDigestDigits = 64;

char other(char slot) { return slot == 'a' ? 'b' : 'a'; }

tl::unexpected<Error> damaged(const std::filesystem::path& file, std::string_view what) {
  return fail(Errc::corrupt, fmt::format("{} {}", file.filename().string(), what),
              {.reason = "local.file-unreadable",
               .value = file.string(),
               .next = "install the trust store again, or one that is newer"});
}

}  // namespace

std::filesystem::path TrustSlots::slot_path(char slot) const {
  return directory_ / std::string(1, slot);
}

Result<std::optional<TrustSlots::Record>> TrustSlots::load() const {
  const auto path = directory_ / "record.json";
  const auto text = read_text_file(path, kRecordLimit);
  if (!text && text.error().code() == Errc::not_found) {
    return std::nullopt;
  }
  if (!text) {
    return tl::make_unexpected(text.error());
  }
  const auto value = json::parse(*text);
  const auto active = value ? value->string_at("active") : std::nullopt;
  const auto version = value ? value->integer_at("version") : std::nullopt;
  const auto digest = value ? value->string_at("digest") : std::nullopt;
  const auto before = value ? value->string_at("previousDigest") : std::nullopt;
  const bool is_whole = (active == "a" || active == "b") && version && *version > 0 &&
                        *version <= std::numeric_limits<std::uint32_t>::max() && digest &&
                        digest->size() == kDigestDigits && before &&
                        (before->empty() || before->size() == kDigestDigits);
  if (!is_whole) {
    return damaged(path, "does not say which trust store is in force");
  }
  return Record{.active = active->front(),
                .version = static_cast<std::uint32_t>(*version),
                .digest = *digest,
                .previous_digest = *before};
}

Result<StoredTrust> TrustSlots::open(char slot, const std::string& digest) const {
  const auto path = slot_path(slot);
  const auto bytes = read_file(path, kTrustPackageLimit);
  if (!bytes || to_hex(crypto::sha256(*bytes)) != digest) {
    return damaged(path, "is not the trust store that was installed");
  }
  SPHERE_TRY_ASSIGN(const auto package, image::parse_package(*bytes));
  SPHERE_TRY_ASSIGN(auto record, image::open_trust_record(package));
  return StoredTrust{.record = std::move(record),
                     .image = package.metadata.identity.image_id,
                     .bytes = bytes->size()};
}

Result<std::optional<StoredTrust>> TrustSlots::active() const {
  SPHERE_TRY_ASSIGN(const auto record, load());
  if (!record) {
    return std::nullopt;
  }
  SPHERE_TRY_ASSIGN(auto stored, open(record->active, record->digest));
  if (stored.record.version != record->version) {
    return damaged(directory_ / "record.json", "names another version than the trust store has");
  }
  return stored;
}

Result<std::optional<StoredTrust>> TrustSlots::previous() const {
  SPHERE_TRY_ASSIGN(const auto record, load());
  if (!record || record->previous_digest.empty()) {
    return std::nullopt;
  }
  SPHERE_TRY_ASSIGN(auto stored, open(other(record->active), record->previous_digest));
  return stored;
}

Result<std::uint32_t> TrustSlots::version() const {
  SPHERE_TRY_ASSIGN(const auto record, load());
  return record ? record->version : 0;
}

Result<void> TrustSlots::install(std::span<const std::byte> package, std::uint32_t version) {
  SPHERE_TRY_ASSIGN(const auto old, load());
  // A damaged package in force is replaced in place: what it replaced stays the way back.
  const bool is_repair = old && !open(old->active, old->digest);
  const char slot = old && !is_repair ? other(old->active) : (old ? old->active : 'a');
  const auto digest = to_hex(crypto::sha256(package));
  SPHERE_TRY(make_directories(directory_, 0700));
  SPHERE_TRY(write_file(slot_path(slot), package, {.mode = 0600}));
  SPHERE_TRY(open(slot, digest));  // Read back before anything depends on it.
  std::string before;
  if (old) {
    before = is_repair ? old->previous_digest : old->digest;
  }
  return write_file(directory_ / "record.json",
                    json::to_compact(json::Value{}
                                         .set("active", std::string(1, slot))
                                         .set("version", std::int64_t{version})
                                         .set("digest", digest)
                                         .set("previousDigest", before)) +
                        "\n",
                    {.mode = 0600});
}

Result<void> TrustSlots::stage(std::span<const std::byte> package) {
  SPHERE_TRY(make_directories(directory_, 0700));
  return write_file(staged(), package, {.mode = 0600});
}

void TrustSlots::drop_staged() const { ::unlink(staged().c_str()); }

}  // namespace sphere::agent

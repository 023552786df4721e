// SPDX-License-Identifier: MIT
#include "sphere/recovery/set_plan.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

#include <fmt/format.h>
#include <tl/expected.hpp>

#include "sphere/core/encoding.h"
#include "sphere/core/result.h"
#include "sphere/core/text.h"
#include "sphere/crypto/digest.h"
#include "sphere/image/package.h"
#include "sphere/image/trust.h"
#include "sphere/json/value.h"
#include "sphere/recovery/file_set.h"
#include "sphere/recovery/manifest_v3.h"
#include "sphere/recovery/preflight.h"

namespace sphere::recovery {

namespace {

constexpr std::string_view kNext = "correct the set's recovery.json; the board is untouched";
constexpr std::size_t kNameLimit = 64;

// A number, or its text in decimal or with 0x.
std::optional<std::uint64_t> number_of(const json::Value& value) {
  if (const auto number = value.integer(); number && *number >= 0) {
    return static_cast<std::uint64_t>(*number);
  }
  const std::string* const text = value.string();
  if (text == nullptr) {
    return std::nullopt;
  }
  std::string_view digits = *text;
  const bool is_hexadecimal = digits.starts_with("0x") || digits.starts_with("0X");
  digits.remove_prefix(is_hexadecimal ? 2 : 0);
  std::uint64_t number = 0;
  const char* const end = std::to_address(digits.end());
  const auto [stop, error] =
      std::from_chars(std::to_address(digits.begin()), end, number, is_hexadecimal ? 16 : 10);
  if (digits.empty() || error != std::errc{} || stop != end) {
    return std::nullopt;
  }
  return number;
}

Result<std::string> name_of(const json::Value& value, std::string_view member) {
  const std::string* const text = value.string();
  const bool fits = text != nullptr && !text->empty() && text->size() <= kNameLimit &&
                    std::ranges::all_of(*text, [](char c) { return c > ' ' && c <= '~'; });
  if (!fits) {
    return refuse_plan(fmt::format("{} is no name of up to {} characters", member, kNameLimit));
  }
  return *text;
}

Result<void> set_digest(PlanImage& image, const json::Value& value) {
  const auto digest = value.string() == nullptr ? std::nullopt : from_hex(*value.string());
  // Zeros stand for "not said" further on, and are the hash of nothing that is known.
  const bool is_digest =
      digest && digest->size() == image.sha256.size() &&
      std::ranges::any_of(*digest, [](std::byte byte) { return byte != std::byte{0}; });
  if (!is_digest) {
    return refuse_plan(fmt::format("sha256 of {} is no digest", escape_control(image.file)));
  }
  std::ranges::copy(*digest, image.sha256.begin());
  return {};
}

// One row for each member of an image.
struct ImageMember {
  std::string_view key;
  Result<void> (*set)(PlanImage& image, const json::Value& value);
};
constexpr auto kImageMembers = std::to_array<ImageMember>({
    {"file", [](PlanImage&, const json::Value&) -> Result<void> { return {}; }},  // Read before.
    {"address",
     [](PlanImage& image, const json::Value& value) -> Result<void> {
       image.address = number_of(value);
       return image.address ? Result<void>{}
                            : refuse_plan(fmt::format("address of {} is no number", image.file));
     }},
    {"partition",
     [](PlanImage& image, const json::Value& value) -> Result<void> {
       SPHERE_TRY_ASSIGN(image.partition, name_of(value, "partition"));
       return {};
     }},
    {"role",
     [](PlanImage& image, const json::Value& value) -> Result<void> {
       SPHERE_TRY_ASSIGN(image.role, name_of(value, "role"));
       return {};
     }},
    {"sha256", set_digest},
});

template <typename Rows>
auto find_row(const Rows& rows, std::string_view key) {
  return std::ranges::find(rows, key, [](const auto& row) { return row.key; });
}

tl::unexpected<Error> unknown_member(const json::Member& member) {
  return refuse_plan(fmt::format("unknown member {}", escape_control(member.key)));
}

Result<PlanImage> parse_image(const json::Value& value) {
  PlanImage image;
  const json::Value* const file = value.find("file");
  if (file == nullptr) {
    return refuse_plan("an image has no file");
  }
  SPHERE_TRY_ASSIGN(image.file, name_of(*file, "file"));
  for (const json::Member& member : value.members()) {
    const auto row = find_row(kImageMembers, member.key);
    if (row == kImageMembers.end()) {
      return unknown_member(member);
    }
    SPHERE_TRY(row->set(image, member.value));
  }
  return image;
}

Result<void> parse_images(SetPlan& plan, const json::Value& value) {
  if (value.items().empty() || value.items().size() > kPlanImages) {
    return refuse_plan(fmt::format("images is no list of 1 to {} images", kPlanImages));
  }
  for (const json::Value& item : value.items()) {
    SPHERE_TRY_ASSIGN(auto image, parse_image(item));
    plan.images.push_back(std::move(image));
  }
  return {};
}

Result<void> parse_usb(SetPlan& plan, const json::Value& value) {
  constexpr std::size_t kMost = 16;
  constexpr std::size_t kLength = 9;
  for (const json::Value& item : value.items()) {
    const std::string* const text = item.string();
    const auto ids = text != nullptr && text->size() == kLength && text->at(4) == ':'
                         ? from_hex(text->substr(0, 4) + text->substr(5))
                         : std::nullopt;
    if (!ids || plan.usb.size() == kMost) {
      return refuse_plan(fmt::format("usb is no list of up to {} ids like 0483:df11", kMost));
    }
    const auto word = [&](std::size_t at) {
      return static_cast<std::uint16_t>(std::to_integer<unsigned>(ids->at(at)) << 8U |
                                        std::to_integer<unsigned>(ids->at(at + 1)));
    };
    plan.usb.push_back({.vendor = word(0), .product = word(2)});
  }
  return {};
}

// One row for each member of the whole.
struct PlanMember {
  std::string_view key;
  Result<void> (*set)(SetPlan& plan, const json::Value& value);
};
constexpr auto kPlanMembers = std::to_array<PlanMember>({
    {"protocol",
     [](SetPlan& plan, const json::Value& value) -> Result<void> {
       SPHERE_TRY_ASSIGN(plan.protocol, name_of(value, "protocol"));
       return {};
     }},
    {"board",
     [](SetPlan& plan, const json::Value& value) -> Result<void> {
       SPHERE_TRY_ASSIGN(plan.board, name_of(value, "board"));
       return {};
     }},
    {"usb", parse_usb},
    {"images", parse_images},
    {"options",
     [](SetPlan& plan, const json::Value& value) -> Result<void> {
       if (value.kind() != json::Kind::object) {
         return refuse_plan("options is no object");
       }
       plan.options = value;
       return {};
     }},
});

// Text of recovery.json, and whether it is signed.
struct PlanText {
  std::string text;
  bool is_signed = false;
  std::string signatures = "unsigned";
};

Result<PlanText> read_text(const FileSet& set, std::uint64_t size, const TrustOf& trust) {
  const auto as_text = [](const std::vector<std::byte>& bytes) {
    const void* const start = bytes.data();
    return std::string{static_cast<const char*>(start), bytes.size()};
  };
  const std::string name{kPlanFile};
  const auto package = image::open_container(set.source(name), size);
  if (!package) {  // No package: text alone.
    std::vector<std::byte> bytes(static_cast<std::size_t>(size));
    SPHERE_TRY(set.read(name, 0, bytes));
    return PlanText{.text = as_text(bytes)};
  }
  const auto verified = image::verify(*package, trust(kRecoveryManifestType));
  if (!verified) {
    return tl::make_unexpected(Error{verified.error()}.while_doing(kPlanFile).with_hint(
        {.reason = "recovery.image-refused",
         .value = name,
         .next = "trust its signer (configuration: trust), or get the set anew; the board is "
                 "untouched"}));
  }
  SPHERE_TRY_ASSIGN(const auto body, image::read_body(*package, kPlanLimit));
  const std::string label = verified->signer().label;
  return PlanText{
      .text = as_text(body),
      .is_signed = true,
      .signatures = fmt::format("signed by {}", label.empty() ? "a trusted key" : label)};
}

Result<void> check_image(const FileSet& set, PlanImage& image) {
  const FileSet::File* const file = set.find(image.file);
  if (file == nullptr) {
    return fail(Errc::not_found, fmt::format("the recovery set has no {}", image.file),
                {.reason = "recovery.image-missing",
                 .value = image.file,
                 .next = "get the recovery set anew; the board is untouched"});
  }
  if (image.sha256 != crypto::Sha256Digest{} && image.sha256 != file->sha256) {
    return fail(Errc::unverified,
                fmt::format("{}: its SHA-256 is {}, not {} as recovery.json says", image.file,
                            to_hex(file->sha256), to_hex(image.sha256)),
                {.reason = "recovery.image-refused",
                 .value = image.file,
                 .next = "get the recovery set anew; the board is untouched"});
  }
  image.size = file->size;
  image.sha256 = file->sha256;
  return {};
}

}  // namespace

tl::unexpected<Error> refuse_plan(std::string message) {
  return fail(Errc::corrupt, "recovery.json: " + std::move(message),
              {.reason = "recovery.image-refused",
               .value = std::string{kPlanFile},
               .next = std::string{kNext}});
}

std::uint64_t SetPlan::total_size() const {
  std::uint64_t total = 0;
  for (const PlanImage& image : images) {
    total += image.size;
  }
  return total;
}

Result<SetPlan> parse_set_plan(std::string_view text, std::size_t& hashed) {
  hashed = 0;
  const auto value = json::parse(text, {.bytes = kPlanLimit});
  if (!value || value->kind() != json::Kind::object) {
    return refuse_plan(value ? "it is no object" : value.error().message());
  }
  SetPlan plan;
  for (const json::Member& member : value->members()) {
    const auto row = find_row(kPlanMembers, member.key);
    if (row == kPlanMembers.end()) {
      return unknown_member(member);
    }
    SPHERE_TRY(row->set(plan, member.value));
  }
  const auto has_digest = [](const PlanImage& image) {
    return image.sha256 != crypto::Sha256Digest{};
  };
  hashed = static_cast<std::size_t>(std::ranges::count_if(plan.images, has_digest));
  if (plan.protocol.empty() || plan.images.empty()) {
    return refuse_plan(plan.protocol.empty() ? "it names no protocol" : "it has no images");
  }
  return plan;
}

Result<SetPlan> check_set_plan(const FileSet& set, const TrustOf& trust) {
  const FileSet::File* const file = set.find(kPlanFile);
  if (file == nullptr) {
    return fail(Errc::not_found, fmt::format("the recovery set has no {}", kPlanFile),
                {.reason = "recovery.image-missing",
                 .value = std::string{kPlanFile},
                 .next = "get the recovery set anew; the board is untouched"});
  }
  if (file->size > kPlanLimit) {
    return refuse_plan(fmt::format("it is larger than {} bytes", kPlanLimit));
  }
  SPHERE_TRY_ASSIGN(const auto text, read_text(set, file->size, trust));
  std::size_t hashed = 0;
  SPHERE_TRY_ASSIGN(auto plan, parse_set_plan(text.text, hashed));
  const bool all_hashed = hashed == plan.images.size();
  if (text.is_signed && !all_hashed) {
    return refuse_plan("it is signed, so each image needs its sha256");
  }
  for (PlanImage& image : plan.images) {
    SPHERE_TRY(check_image(set, image));
  }
  plan.signed_by_known_key = text.is_signed;
  plan.signatures =
      text.is_signed ? text.signatures
                     : fmt::format("unsigned; {}", all_hashed ? "all SHA-256 of recovery.json right"
                                                              : "recovery.json has no SHA-256 of "
                                                                "each image");
  return plan;
}

Result<void> check_options(const SetPlan& plan, std::initializer_list<std::string_view> known) {
  for (const json::Member& member : plan.options.members()) {
    if (std::ranges::find(known, member.key) == known.end()) {
      return refuse_plan(
          fmt::format("options of {} have no {}", plan.protocol, escape_control(member.key)));
    }
  }
  return {};
}

Result<std::optional<std::uint64_t>> number_option(const SetPlan& plan, std::string_view name,
                                                   std::uint64_t largest) {
  const json::Value* const value = plan.options.find(name);
  if (value == nullptr) {
    return std::optional<std::uint64_t>{};
  }
  const auto number = number_of(*value);
  if (!number || *number > largest) {
    return refuse_plan(fmt::format("{} is no number up to {}", name, largest));
  }
  return number;
}

Result<std::optional<std::string>> text_option(const SetPlan& plan, std::string_view name) {
  const json::Value* const value = plan.options.find(name);
  if (value == nullptr) {
    return std::optional<std::string>{};
  }
  if (value->string() == nullptr || value->string()->size() > kNameLimit) {
    return refuse_plan(fmt::format("{} is no text of up to {} characters", name, kNameLimit));
  }
  return *value->string();
}

}  // namespace sphere::recovery

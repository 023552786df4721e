// SPDX-License-Identifier: MIT
#include <algorithm>
#include <array>
#include <charconv>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

#include <fmt/format.h>
#include <tl/expected.hpp>

#include "cli/commands/build_identity.h"
#include "cli/commands/command.h"
#include "cli/commands/image_package.h"
#include "cli/commands/image_package_v2.h"
#include "cli/commands/signing.h"
#include "cli/context.h"
#include "cli/output/output.h"
#include "sphere/core/encoding.h"
#include "sphere/core/file.h"
#include "sphere/core/result.h"
#include "sphere/core/text.h"
#include "sphere/crypto/certificate.h"
#include "sphere/crypto/digest.h"
#include "sphere/crypto/key.h"
#include "sphere/crypto/key_store.h"
#include "sphere/image/package.h"
#include "sphere/image/trust.h"
#include "sphere/image/trust_image.h"
#include "sphere/json/value.h"

namespace sphere::cli {
namespace fs = std::filesystem;
namespace {

using image::Role;
using image::TrustRecord;

constexpr std::size_t kMaxKeyFile = std::size_t{64} * 1024;
constexpr std::array kRoles = {Role::production,          Role::development, Role::capability,
                               Role::board_configuration, Role::os,          Role::trust_store};

// A key that an option names.
struct NamedKey {
  crypto::PublicKey key;
  std::vector<crypto::Sha1Digest> thumbprints;
  std::string label;                       // The name of the key or its file.
  std::optional<crypto::KeyUse> use = {};  // Of a stored key.
};

tl::unexpected<Error> bad_value(std::string_view option, const std::string& value, std::string why,
                                std::string next) {
  return fail(Errc::invalid_argument,
              fmt::format("--{} {}: {}", option, escape_control(value), std::move(why)),
              {.reason = "usage.bad-value", .value = value, .next = std::move(next)});
}

bool is_file_name(const std::string& text) {
  const fs::path path{text};
  return text.find('/') != std::string::npos || path.extension() == ".pem" ||
         path.extension() == ".crt";
}

Result<NamedKey> key_in_file(const std::string& path) {
  SPHERE_TRY_ASSIGN(const auto text, read_text_file(path, kMaxKeyFile));
  auto key = crypto::PublicKey::from_pem(text);
  if (!key) {
    return fail(key.error().code(), fmt::format("{}: {}", path, key.error().message()),
                {.reason = "key.refused",
                 .value = path,
                 .next = "name a certificate or public key, in PEM"});
  }
  NamedKey named{.key = *key,
                 .thumbprints = {crypto::sha1(key->spki())},
                 .label = fs::path{path}.stem().string()};
  if (const auto certificate = crypto::Certificate::from_pem(text);
      certificate && certificate->public_key() == *key) {
    named.thumbprints.push_back(certificate->thumbprint());
  }
  return named;
}

Result<NamedKey> find_key(const Context& context, const std::string& text) {
  if (is_file_name(text)) {
    return key_in_file(text);
  }
  SPHERE_TRY_ASSIGN(const auto stored, context.keys.describe(text));
  return NamedKey{.key = stored.public_key,
                  .thumbprints = {crypto::sha1(stored.public_key.spki()), stored.info.thumbprint},
                  .label = text,
                  .use = stored.info.use};
}

// The id that --remove and --revoke mean: 64 hexadecimal digits, or a key.
Result<crypto::KeyId> find_id(const Context& context, const std::string& text) {
  crypto::KeyId id = {};
  if (const auto bytes = from_hex(text); bytes && bytes->size() == id.size()) {
    std::ranges::copy(*bytes, id.begin());
    return id;
  }
  SPHERE_TRY_ASSIGN(const auto named, find_key(context, text));
  return named.key.id();
}

Result<Role> parse_role(const std::string& value, std::string_view name) {
  const auto* const found = std::ranges::find(kRoles, name, image::role_name);
  if (found == kRoles.end()) {
    std::vector<std::string> names;
    for (const auto role : kRoles) {
      names.emplace_back(image::role_name(role));
    }
    return bad_value("add", value, fmt::format("there is no role \"{}\"", escape_control(name)),
                     "choose one of: " + join(names, ", "));
  }
  return *found;
}

// Keys of one use do not sign for another; of those in files the use is not known.
Result<void> check_use(const NamedKey& named, Role role) {
  const bool for_stores = role == Role::trust_store;
  if (named.use && (*named.use == crypto::KeyUse::trust_store) != for_stores) {
    return fail(Errc::invalid_argument,
                fmt::format("the key \"{}\" is for {}, so it cannot have the role {}", named.label,
                            crypto::to_text(*named.use), image::role_name(role)),
                {.reason = "key.refused",
                 .value = named.label,
                 .next = for_stores ? "make one: sphere key create --use trust-store --name NAME"
                                    : "choose another: sphere key list"});
  }
  return {};
}

// ROLE=KEY or ROLE=KEY,LABEL
Result<image::TrustEntry> parse_entry(const Context& context, const std::string& value) {
  const auto equals = value.find('=');
  if (equals == std::string::npos) {
    return bad_value("add", value, "it has no =", "write it as production=keys/release.pem");
  }
  SPHERE_TRY_ASSIGN(const auto role, parse_role(value, std::string_view{value}.substr(0, equals)));
  const auto comma = value.rfind(',');
  const bool has_label = comma != std::string::npos && comma > equals;
  const auto key_end = has_label ? comma : value.size();
  SPHERE_TRY_ASSIGN(auto named, find_key(context, value.substr(equals + 1, key_end - equals - 1)));
  SPHERE_TRY(check_use(named, role));
  return image::TrustEntry{.key = std::move(named.key),
                           .thumbprints = std::move(named.thumbprints),
                           .role = role,
                           .label = has_label ? value.substr(comma + 1) : std::move(named.label)};
}

Result<TrustRecord> read_base(const Arguments& arguments) {
  const auto path = arguments.value("base");
  if (!path) {
    return TrustRecord{.version = 1};
  }
  auto record = image::open_package(fs::path{*path}).and_then(image::open_trust_record);
  if (!record) {
    return tl::make_unexpected(about_file(std::move(record).error(), *path));
  }
  ++record->version;
  return *std::move(record);
}

Result<void> read_version(const Arguments& arguments, TrustRecord& record) {
  const auto text = arguments.value("security-version");
  if (!text) {
    return {};
  }
  std::uint32_t number = 0;
  const auto [end, error] =
      std::from_chars(std::to_address(text->cbegin()), std::to_address(text->cend()), number);
  if (error != std::errc{} || end != std::to_address(text->cend()) || number == 0) {
    return bad_value("security-version", *text, "no version of a trust store",
                     "write a number from 1 to 4294967295");
  }
  if (number < record.version) {
    return bad_value("security-version", *text,
                     fmt::format("the next version after the base is {}", record.version),
                     "leave it out, or give a higher one");
  }
  record.version = number;
  return {};
}

// The base with what --remove, --revoke and --add change.
Result<TrustRecord> build_record(const Context& context, const Arguments& arguments) {
  SPHERE_TRY_ASSIGN(auto record, read_base(arguments));
  SPHERE_TRY(read_version(arguments, record));
  for (const auto* option : {"remove", "revoke"}) {
    for (const auto& text : arguments.list(option)) {
      SPHERE_TRY_ASSIGN(const auto id, find_id(context, text));
      const auto removed = std::erase_if(
          record.entries, [&](const image::TrustEntry& entry) { return entry.key.id() == id; });
      if (std::string_view{option} == "revoke") {
        record.revoked.push_back(id);
      } else if (removed == 0) {
        return bad_value(option, text, "that key is not in the base",
                         "see what is in it: sphere image-package show");
      }
    }
  }
  for (const auto& text : arguments.list("add")) {
    SPHERE_TRY_ASSIGN(auto entry, parse_entry(context, text));
    record.entries.push_back(std::move(entry));
  }
  return record;
}

// What a person should know about a store that is well formed.
void warn_about(Context& context, const Arguments& arguments, const TrustRecord& record,
                const crypto::PublicKey& signer) {
  const auto may_replace = [&](const TrustRecord& store) {
    return std::ranges::any_of(store.entries, [&](const image::TrustEntry& entry) {
      return entry.role == Role::trust_store && entry.key == signer;
    });
  };
  if (arguments.has("base")) {
    const auto base = read_base(arguments);
    if (base && !may_replace(*base)) {
      context.reporter.warn(
          "the key that signs is no trust-store key of the base, so boards with that store refuse "
          "this one");
    }
  }
  if (std::ranges::count(record.entries, Role::trust_store, &image::TrustEntry::role) == 1) {
    context.reporter.warn(
        "the store has one trust-store key; when it is lost, no board can get another store");
  }
}

}  // namespace

Result<Output> run_pack_trust_store(Context& context, const Arguments& arguments) {
  SPHERE_TRY_ASSIGN(auto record, build_record(context, arguments));
  SPHERE_TRY(image::write_trust_record(record));  // So that nothing is asked for in vain.
  SPHERE_TRY_ASSIGN(const auto identity, read_build_identity(context, arguments));
  const auto path = arguments.value("output-file").value_or("");
  SPHERE_TRY_ASSIGN(auto file, create_package_file(path, arguments));
  SPHERE_TRY_ASSIGN(const auto signing,
                    choose_signer(context, arguments, crypto::KeyUse::trust_store));
  SPHERE_TRY_ASSIGN(const auto tools, RunTools::create());
  const image::TrustImage trust{
      .record = std::move(record),
      .image_id = identity.image_id,
      .build_time = identity.build_time,
      .boards = arguments.list("board"),
      .provenance = {{.key = "tool", .value = fmt::format("sphere/{}", SPHERE_VERSION)}}};
  SPHERE_TRY_ASSIGN(const auto packed,
                    image::pack_trust_image(trust, *signing.signer, tools->get(),
                                            {.descriptor = file.descriptor(), .name = path}));
  warn_about(context, arguments, trust.record, signing.signer->public_key());
  SPHERE_TRY(file.commit());
  const auto keys = trust.record.entries.size();
  Output output{.text = fmt::format("Packed {} (version {}, {} key{}, {} revoked), signed by {}.",
                                    path, trust.record.version, keys, keys == 1 ? "" : "s",
                                    trust.record.revoked.size(), signing.signed_by)};
  output.data.set("file", path)
      .set("imageId", packed.image_id.text())
      .set("componentId", image::trust_store_component().text())
      .set("version", std::uint64_t{trust.record.version})
      .set("keys", std::uint64_t{keys})
      .set("revoked", std::uint64_t{trust.record.revoked.size()})
      .set("bytes", packed.bytes)
      .set("signedBy", signing.signed_by);
  return output;
}

}  // namespace sphere::cli

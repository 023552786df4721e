// SPDX-License-Identifier: MIT
#include "device-agent/agent/board_state.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

#include <tl/expected.hpp>

#include "device-agent/agent/state/trust_slots.h"
#include "sphere/core/encoding.h"
#include "sphere/core/file.h"
#include "sphere/core/result.h"
#include "sphere/core/text.h"
#include "sphere/crypto/certificate.h"
#include "sphere/crypto/digest.h"
#include "sphere/crypto/key.h"
#include "sphere/image/trust.h"

namespace sphere::agent {
namespace fs = std::filesystem;
namespace {

constexpr std::size_t kSmallFile = 65536;
constexpr std::array<std::string_view, 3> kStates = {"Blank", "Module1Complete", "DeviceComplete"};

}  // namespace

std::string BoardState::word(std::string_view file) const {
  return std::string{trim(read_text_file(directory_ / file, kSmallFile).value_or(""))};
}

Result<std::string> BoardState::device_id() const {
  SPHERE_TRY_ASSIGN(const auto key,
                    crypto::PrivateKey::from_file(directory_ / "fuses/device-key.pem"));
  return to_hex(key.public_key().point());
}

std::string BoardState::manufacturing_state() const {
  const auto state = word("fuses/manufacturing-state");
  return std::ranges::find(kStates, state) == kStates.end() ? "Unknown" : state;
}

Result<void> BoardState::advance_manufacturing_state(std::string_view state) {
  const auto order = [](std::string_view name) {
    const auto* const found = std::ranges::find(kStates, name);
    return found == kStates.end() ? -1 : static_cast<int>(found - kStates.begin());
  };
  const auto now = manufacturing_state();
  if (order(state) < 1 || order(state) < order(now)) {
    return fail(Errc::invalid_argument,
                "the manufacturing state does not go from " + now + " to " + std::string{state});
  }
  if (state == now) {
    return {};
  }
  return write_file(directory_ / "fuses/manufacturing-state", std::string{state} + "\n",
                    {.mode = 0600});
}

std::vector<crypto::PublicKey> BoardState::capability_keys() const {
  std::vector<crypto::PublicKey> keys;
  const auto store = trust_slots_.active();
  if (!store) {
    return keys;
  }
  if (*store) {
    for (const auto& entry : (*store)->record.entries) {
      if (entry.role == image::Role::capability) {
        keys.push_back(entry.key);
      }
    }
    return keys;
  }
  std::error_code error;
  for (fs::directory_iterator entry{directory_ / "trust/capability", error}, end;
       !error && entry != end; entry.increment(error)) {
    const auto pem = read_text_file(entry->path(), kSmallFile);
    const auto key = pem ? crypto::PublicKey::from_pem(*pem) : fail(Errc::corrupt, "");
    if (key && !image::is_published_key(*key)) {
      keys.push_back(*key);
    }
  }
  return keys;
}

std::vector<std::int64_t> BoardState::capabilities() const {
  auto numbers = own_capabilities();
  if (installed_) {
    const auto more = installed_();
    numbers.insert(numbers.end(), more.begin(), more.end());
  }
  std::ranges::sort(numbers);
  const auto repeated = std::ranges::unique(numbers);
  numbers.erase(repeated.begin(), repeated.end());
  return numbers;
}

std::vector<std::int64_t> BoardState::own_capabilities() const {
  const auto text = read_text_file(directory_ / "fuses/capabilities", kSmallFile);
  std::vector<std::int64_t> numbers;
  if (!text) {
    // A fuse that cannot be read is treated as closed.
    const auto state = manufacturing_state();
    if (state == "Blank" || state == "Module1Complete") {
      numbers.push_back(kAppDevelopment);
    }
    return numbers;
  }
  for (const auto& line : split(*text, '\n')) {
    const auto digits = trim(line);
    std::int64_t number = 0;
    const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), number);
    if (error == std::errc{} && end == digits.data() + digits.size()) {
      numbers.push_back(number);
    }
  }
  return numbers;
}

bool BoardState::has_capability(std::int64_t number) const {
  const auto numbers = capabilities();
  return std::ranges::find(numbers, number) != numbers.end();
}

bool BoardState::has_own_capability(std::int64_t number) const {
  const auto numbers = own_capabilities();
  return std::ranges::find(numbers, number) != numbers.end();
}

Result<void> BoardState::note_leaving_development() {
  const auto note = leaving_note();
  return make_directories(note.parent_path(), 0700).and_then([&] {
    return write_file(note, "apps of development keys\n", {.mode = 0600});
  });
}

bool BoardState::leaves_development() const {
  std::error_code error;
  return fs::exists(leaving_note(), error) && !has_capability(kAppDevelopment);
}

void BoardState::forget_leaving_development() {
  std::error_code error;
  if (fs::remove(leaving_note(), error)) {
    [[maybe_unused]] const auto synced = sync_directory(leaving_note().parent_path());
  }
}

fs::path BoardState::leaving_note() const { return directory_ / "capability" / "leaving"; }

bool BoardState::public_test_key_on() const { return word("trust/public-test-key") == "on"; }

Result<image::TrustStore> BoardState::factory_trust() const {
  image::TrustStore trust;
  SPHERE_TRY(add_keys("trust/production", image::Role::production, trust));
  SPHERE_TRY(add_keys("trust/development", image::Role::development, trust));
  return trust;
}

Result<image::TrustStore> BoardState::trust() const {
  const bool may_develop = has_capability(kAppDevelopment);
  SPHERE_TRY_ASSIGN(const auto store, trust_slots_.active());
  image::TrustStore trust;
  if (store) {
    for (const auto& entry : store->record.entries) {
      if (may_develop || entry.role != image::Role::development) {
        trust.add(entry);
      }
    }
  } else {
    SPHERE_TRY(add_keys("trust/production", image::Role::production, trust));
    if (may_develop) {
      SPHERE_TRY(add_keys("trust/development", image::Role::development, trust));
    }
  }
  const bool is_revoked =
      store && std::ranges::binary_search(store->record.revoked, image::public_test_key().id());
  if (may_develop && public_test_key_on() && !is_revoked) {
    trust.add({.key = image::public_test_key(),
               .thumbprints = {image::public_test_thumbprint()},
               .role = image::Role::development,
               .label = "public test key"});
  }
  return trust;
}

Result<image::TrustStore> BoardState::store_trust() const {
  auto store = trust_slots_.active();
  if (!store) {
    SPHERE_TRY_ASSIGN(store, trust_slots_.previous());
  }
  const auto came_by_image = trust_slots_.version();
  image::TrustStore trust;
  if (*store) {
    for (const auto& entry : (*store)->record.entries) {
      trust.add(entry);
    }
    return trust;
  }
  // Nothing, or the first store is damaged: those who could make it can make it again.
  SPHERE_TRY(came_by_image);
  SPHERE_TRY_ASSIGN(trust, factory_trust());
  SPHERE_TRY(add_keys("trust/trust-store", image::Role::trust_store, trust));
  return trust;
}

Result<void> BoardState::add_keys(std::string_view folder, image::Role role,
                                  image::TrustStore& trust) const {
  std::error_code error;
  for (fs::directory_iterator entry{directory_ / folder, error}, end; !error && entry != end;
       entry.increment(error)) {
    const auto& path = entry->path();
    if (path.extension() != ".pem") {
      continue;
    }
    SPHERE_TRY_ASSIGN(const auto pem, read_text_file(path, kSmallFile));
    auto key = crypto::PublicKey::from_pem(pem);
    if (!key) {
      return tl::unexpected<Error>{std::move(key).error().while_doing(path.string())};
    }
    if (image::is_published_key(*key)) {
      return fail(Errc::corrupt, path.string() +
                                     ": this is the key of the published test vectors, with which "
                                     "anybody can sign");
    }
    image::TrustEntry trusted{.key = *key,
                              .thumbprints = {crypto::sha1(key->spki())},
                              .role = role,
                              .label = path.stem().string()};
    if (const auto certificate = crypto::Certificate::from_pem(pem)) {
      trusted.thumbprints.push_back(certificate->thumbprint());
    }
    trust.add(std::move(trusted));
  }
  return {};
}

Result<std::string> BoardState::tls_chain() const {
  return read_text_file(directory_ / "tls/chain.pem", kSmallFile);
}

Result<std::string> BoardState::tls_key() const {
  return read_text_file(directory_ / "tls/key.pem", kSmallFile);
}

}  // namespace sphere::agent

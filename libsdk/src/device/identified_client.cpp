// SPDX-License-Identifier: MIT
#include "sphere/device/identified_client.h"

#include <algorithm>
#include <array>
#include <chrono>
#include <cstddef>
#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <thread>
#include <utility>

#include <fmt/format.h>
#include <tl/expected.hpp>

#include "sphere/core/encoding.h"
#include "sphere/core/file.h"
#include "sphere/core/result.h"
#include "sphere/core/text.h"
#include "sphere/crypto/digest.h"
#include "sphere/device_api/identity_proof.h"
#include "sphere/http/client.h"
#include "sphere/json/value.h"

namespace sphere::device {

namespace {

namespace fs = std::filesystem;

constexpr std::size_t kIdDigits = 128;
constexpr std::size_t kFileLimit = 256;
constexpr std::string_view kChanged = "device.identity-changed";
constexpr std::string_view kHexDigits = "0123456789abcdef";
constexpr int kBusyTurns = 12;  // Of five challenges a second, with others asking, too.
constexpr std::chrono::milliseconds kBusyPause{250};

tl::unexpected<Error> unproven(std::string what, std::string value) {
  return fail(Errc::unverified, "the device does not prove its identity: " + std::move(what),
              {.reason = kChanged,
               .value = std::move(value),
               .next = "make sure that nothing stands between this PC and the device"});
}

bool is_hex(std::string_view text, std::size_t digits) {
  return text.size() == digits && text.find_first_not_of(kHexDigits) == std::string_view::npos;
}

// One short line of a file of the memory; nothing when it is not there or no such line.
std::optional<std::string> remembered(const fs::path& file, std::size_t digits) {
  const auto text = read_text_file(file, kFileLimit);
  const std::string line{text ? trim(*text) : std::string_view{}};
  return is_hex(line, digits) ? std::optional{line} : std::nullopt;
}

class IdentifiedClient final : public http::Client {
 public:
  IdentifiedClient(http::Endpoint endpoint, IdentityRules rules)
      : endpoint_{std::move(endpoint)}, rules_{std::move(rules)} {}

  [[nodiscard]] Result<http::ClientResponse> send(const http::ClientRequest& request) override {
    if (!client_) {
      SPHERE_TRY(begin(request));
    }
    auto response = client_->send(request);
    // Another TLS key ends the handshake: the request has not been sent.
    if (response || response.error().hint().reason != kChanged) {
      return response;
    }
    SPHERE_TRY(identify(request));
    return client_->send(request);
  }

 private:
  // With the key that is remembered, or with one that is proven now.
  Result<void> begin(const http::ClientRequest& request) {
    const auto id = !rules_.device_id.empty() ? std::optional{rules_.device_id} : id_at_place();
    const auto key = id && !rules_.memory.empty()
                         ? remembered(rules_.memory / *id, 2 * sizeof(crypto::Sha256Digest))
                         : std::nullopt;
    return key ? pin(*key) : identify(request);
  }

  Result<void> pin(std::string key) {
    auto endpoint = endpoint_;
    endpoint.pinned_key = std::move(key);
    SPHERE_TRY_ASSIGN(client_, http::make_client(std::move(endpoint)));
    return {};
  }

  Result<void> identify(const http::ClientRequest& request) {
    client_.reset();
    SPHERE_TRY_ASSIGN(const auto open, http::make_client(endpoint_));
    SPHERE_TRY_ASSIGN(const auto id, wanted_id(*open, request));
    SPHERE_TRY_ASSIGN(const auto key, challenge(*open, id, request));
    SPHERE_TRY(remember(id, key));
    // A new connection: that this one is the device's own was not known when it was made.
    return pin(key);
  }

  Result<std::string> wanted_id(http::Client& client, const http::ClientRequest& request) const {
    if (!rules_.device_id.empty()) {
      return rules_.device_id;
    }
    SPHERE_TRY_ASSIGN(const auto answer, client.send({.path = "/device/security_state",
                                                      .idle_limit = request.idle_limit,
                                                      .cancelled = request.cancelled}));
    const auto body = json::parse(answer.body);
    const auto id = body ? body->string_at("deviceIdentifier") : std::nullopt;
    if (answer.status != 200 || !id || !is_hex(*id, kIdDigits)) {
      return unproven("it does not say who it is", rules_.place);
    }
    return *id;
  }

  static Result<std::string> challenge(http::Client& client, const std::string& id,
                                       const http::ClientRequest& request) {
    std::array<std::byte, 2 * device_api::kSmallestNonce> nonce = {};
    crypto::random_bytes(nonce);
    const http::ClientRequest ask{
        .method = "POST",
        .path = "/sphere/v1/identity",
        .headers = {{"Content-Type", "application/json"}},
        .body = json::to_compact(json::Value{}.set("nonce", to_base64(nonce))),
        .idle_limit = request.idle_limit,
        .cancelled = request.cancelled};
    constexpr int kBusy = 409;
    Result<http::ClientResponse> answer = client.send(ask);
    for (int turn = 0; turn < kBusyTurns && answer && answer->status == kBusy; ++turn) {
      std::this_thread::sleep_for(kBusyPause);
      answer = client.send(ask);
    }
    if (!answer) {
      return tl::make_unexpected(std::move(answer).error());
    }
    if (answer->status == kBusy) {
      return fail(Errc::busy, "the device has too many identity challenges to answer",
                  {.reason = "device.busy", .next = "try again"});
    }
    const auto body = json::parse(answer->body);
    const auto text = body ? body->string_at("proof") : std::nullopt;
    const auto proof = text ? from_base64(*text) : std::nullopt;
    if (answer->status != 200 || !proof) {
      return unproven(fmt::format("it answers the challenge with HTTP {}", answer->status), id);
    }
    SPHERE_TRY_ASSIGN(const auto key, device_api::open_identity_proof(*proof, nonce, id));
    return to_hex(key);
  }

  [[nodiscard]] Result<void> remember(const std::string& id, const std::string& key) const {
    if (rules_.memory.empty()) {
      return {};
    }
    SPHERE_TRY(make_directories(rules_.memory, 0700));
    SPHERE_TRY(write_file(rules_.memory / id, key + "\n", {.mode = 0600}));
    if (const auto file = place_file()) {
      SPHERE_TRY(write_file(*file, id + "\n", {.mode = 0600}));
    }
    return {};
  }

  [[nodiscard]] std::optional<fs::path> place_file() const {
    const bool plain = std::ranges::all_of(rules_.place, [](char sign) {
      return (sign >= 'a' && sign <= 'z') || (sign >= 'A' && sign <= 'Z') ||
             (sign >= '0' && sign <= '9') || sign == '-' || sign == '_' || sign == '.';
    });
    constexpr std::size_t kLongest = 100;
    return !rules_.place.empty() && plain && rules_.place.size() <= kLongest &&
                   rules_.device_id.empty() && !rules_.memory.empty()
               ? std::optional{rules_.memory / ("at-" + rules_.place)}
               : std::nullopt;
  }

  [[nodiscard]] std::optional<std::string> id_at_place() const {
    const auto file = place_file();
    return file ? remembered(*file, kIdDigits) : std::nullopt;
  }

  http::Endpoint endpoint_;
  IdentityRules rules_;
  std::unique_ptr<http::Client> client_;  // Takes the proven key only.
};

}  // namespace

Result<std::unique_ptr<http::Client>> make_identified_client(http::Endpoint endpoint,
                                                             IdentityRules rules) {
  if (!rules.device_id.empty() && !is_hex(rules.device_id, kIdDigits)) {
    return fail(Errc::invalid_argument, "not a device id: " + escape_control(rules.device_id),
                {.reason = "internal.bug"});
  }
  // Whatever is wrong with the endpoint is said at once.
  SPHERE_TRY(http::make_client(endpoint));
  return std::make_unique<IdentifiedClient>(std::move(endpoint), std::move(rules));
}

}  // namespace sphere::device

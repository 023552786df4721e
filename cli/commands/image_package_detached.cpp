// SPDX-License-Identifier: MIT
// Signing with a key on another machine: export-digest, sign-digest, import-signature.
#include <array>
#include <cstddef>
#include <filesystem>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <fmt/format.h>
#include <tl/expected.hpp>

#include "cli/batch/batch.h"
#include "cli/commands/command.h"
#include "cli/commands/image_package.h"
#include "cli/commands/signing.h"
#include "cli/context.h"
#include "cli/output/output.h"
#include "sphere/core/encoding.h"
#include "sphere/core/file.h"
#include "sphere/core/result.h"
#include "sphere/core/text.h"
#include "sphere/crypto/certificate.h"
#include "sphere/crypto/key.h"
#include "sphere/crypto/key_store.h"
#include "sphere/image/batch.h"
#include "sphere/image/signing_request.h"
#include "sphere/image/trust_image.h"

namespace sphere::cli {
namespace fs = std::filesystem;
namespace {

constexpr std::size_t kMaxPem = std::size_t{64} * 1024;
constexpr std::size_t kMaxSignatureFile = 4096;

// Who will sign: a certificate, or a public key alone.
struct Identity {
  crypto::PublicKey key;
  crypto::Sha1Digest thumbprint;
};

Result<Identity> read_identity(const std::string& path) {
  SPHERE_TRY_ASSIGN(const auto text, read_text_file(path, kMaxPem));
  if (auto certificate = crypto::Certificate::from_pem(text)) {
    return Identity{.key = certificate->public_key(), .thumbprint = certificate->thumbprint()};
  }
  auto key = crypto::PublicKey::from_pem(text);
  if (!key) {
    return fail(key.error().code(), fmt::format("{}: {}", path, key.error().message()),
                {.reason = "key.refused",
                 .value = path,
                 .next = "name the signer's certificate or public key, in PEM"});
  }
  const auto thumbprint = crypto::sha1(key->spki());
  return Identity{.key = *std::move(key), .thumbprint = thumbprint};
}

Result<image::SigningRequest> read_request(const std::string& path) {
  SPHERE_TRY_ASSIGN(const auto text, read_text_file(path, image::kMaxSigningRequest));
  auto request = image::read_signing_request(text);
  if (!request) {
    return tl::make_unexpected(about_file(std::move(request).error(), path));
  }
  return request;
}

std::string option(const Arguments& arguments, std::string_view name) {
  return arguments.value(name).value_or("");
}

// Small outputs of this flow; an existing file is replaced with --force only.
Result<void> write_new(const Arguments& arguments, const std::string& path,
                       std::span<const std::byte> bytes) {
  auto written = write_file(path, bytes, {.replace = arguments.has("force")});
  if (!written && written.error().code() == Errc::exists) {
    return fail(Errc::exists, fmt::format("{} exists", path),
                {.reason = "local.file-exists",
                 .value = path,
                 .next = "choose another name, or replace it with --force"});
  }
  return written;
}

std::string describe(const image::SigningRequest& request) {
  return fmt::format(
      "Package      {} ({} bytes, {})\nName         {}\nComponent ID {}\nImage ID     {}\nDigest"
      "       {}\n",
      escape_control(request.file), with_thousands(request.size), escape_control(request.format),
      escape_control(request.name), escape_control(request.component_id),
      escape_control(request.image_id), to_hex(request.digest));
}

void fill(const image::SigningRequest& request, Output& output) {
  output.data.set("package", request.file)
      .set("imageId", request.image_id)
      .set("componentId", request.component_id)
      .set("digest", to_hex(request.digest))
      .set("keyId", to_hex(crypto::sha256(request.spki)));
}

}  // namespace

Result<Output> run_export_digest(Context& context, const Arguments& arguments) {
  SPHERE_TRY_ASSIGN(const auto path, package_path(arguments));
  SPHERE_TRY_ASSIGN(const auto signer, read_identity(option(arguments, "signer")));
  SPHERE_TRY_ASSIGN(const auto workers, make_workers(context, arguments));
  auto request = image::make_signing_request(path, signer.key, signer.thumbprint, workers->tools);
  if (!request) {
    return tl::make_unexpected(about_file(std::move(request).error(), path));
  }
  const auto text = image::write_signing_request(*request);
  const auto file = option(arguments, "output-file");
  SPHERE_TRY(write_new(arguments, file, std::as_bytes(std::span{text})));
  if (const auto digest = arguments.value("digest-file")) {
    SPHERE_TRY(write_new(arguments, *digest, request->digest));
  }
  Output output{.text = describe(*request) + fmt::format("Wrote the signing request to {}.", file)};
  fill(*request, output);
  output.data.set("file", file);
  return output;
}

Result<Output> run_sign_digest(Context& context, const Arguments& arguments) {
  SPHERE_TRY_ASSIGN(const auto request, read_request(arguments.positional(0)));
  const bool is_store = request.component_id == image::trust_store_component().text();
  SPHERE_TRY_ASSIGN(const auto signing,
                    choose_signer(context, arguments,
                                  is_store ? crypto::KeyUse::trust_store : crypto::KeyUse::image));
  const auto& key = signing.signer->public_key();
  if (key.spki() != request.spki) {
    return fail(Errc::invalid_argument,
                fmt::format("the request is for another key than {}", signing.signed_by),
                {.reason = "key.refused",
                 .value = to_hex(crypto::sha256(request.spki)),
                 .next = "name the key with this id: --key"});
  }
  const std::array<crypto::Sha256Digest, 1> digests = {request.digest};
  SPHERE_TRY_ASSIGN(const auto signatures, signing.signer->sign(digests));
  const auto file = option(arguments, "output-file");
  SPHERE_TRY(write_new(arguments, file, signatures.at(0)));
  Output output{.text = describe(request) +
                        fmt::format("Wrote the signature by {} to {}.", signing.signed_by, file)};
  fill(request, output);
  output.data.set("file", file).set("signedBy", signing.signed_by);
  return output;
}

Result<Output> run_import_signature(Context& context, const Arguments& arguments) {
  SPHERE_TRY_ASSIGN(const auto path, package_path(arguments));
  SPHERE_TRY_ASSIGN(const auto request, read_request(option(arguments, "request")));
  const auto signature_path = option(arguments, "signature");
  SPHERE_TRY_ASSIGN(const auto bytes, read_file(signature_path, kMaxSignatureFile));
  const auto signature = image::read_signature(bytes);
  if (!signature) {
    return tl::make_unexpected(about_file(signature.error(), signature_path));
  }
  const auto signer = image::DetachedSigner::create(request, *signature);
  if (!signer) {
    return tl::make_unexpected(about_file(signer.error(), signature_path));
  }
  SPHERE_TRY_ASSIGN(const auto workers, make_workers(context, arguments));
  const auto file = arguments.value("output-file").value_or(path);
  const std::array<image::SignJob, 1> jobs = {
      image::SignJob{.input = path,
                     .output = option(arguments, "output-file"),
                     .signer = &*signer,
                     .replace_any = arguments.has("force"),
                     .sync = !arguments.has("no-sync")}};
  auto results = image::sign_packages(jobs, workers->tools);
  if (!results.front()) {
    return tl::make_unexpected(about_file(std::move(results.front()).error(), path));
  }
  const auto key_id = to_hex(signer->public_key().id());
  Output output{.text = fmt::format("Put the signature of key {} into {}.", key_id, file)};
  fill(request, output);
  output.data.set("file", file).set("signedBy", key_id);
  return output;
}

}  // namespace sphere::cli

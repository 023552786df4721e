// SPDX-License-Identifier: MIT
#include <array>
#include <cstddef>
#include <memory>
#include <span>
#include <string>
#include <utility>

#include <fmt/format.h>

#include "cli/commands/command.h"
#include "cli/context.h"
#include "cli/net/commands.h"
#include "cli/net/connection.h"
#include "cli/net/secret_option.h"
#include "cli/output/output.h"
#include "sphere/core/file.h"
#include "sphere/core/result.h"
#include "sphere/json/value.h"

namespace sphere::cli {
namespace {

constexpr std::size_t kPemLimit = 65536;

Output named(const std::string& id, std::string text) {
  Output output{.text = std::move(text)};
  output.data.set("certificateId", id);
  return output;
}

Result<Output> add(Context& context, const Arguments& arguments) {
  device::RestClient::NewCertificate certificate{.type = arguments.value("cert-type").value_or(""),
                                                 .certificate_pem = {}};
  SPHERE_TRY_ASSIGN(certificate.certificate_pem,
                    read_text_file(arguments.value("public-key-file").value_or(""), kPemLimit));
  if (const auto file = arguments.value("private-key-file")) {
    SPHERE_TRY_ASSIGN(certificate.key_pem, read_text_file(*file, kPemLimit));
  }
  SPHERE_TRY_ASSIGN(certificate.password, secret_option(arguments, "private-key-password"));
  if (certificate.type == "client" && certificate.key_pem.empty()) {
    return fail(Errc::invalid_argument, "a client certificate needs --private-key-file",
                {.reason = "usage.missing-option",
                 .value = "--private-key-file",
                 .next = "see: sphere device certificate add --help"});
  }
  SPHERE_TRY_ASSIGN(const auto session, connect_device(context));
  const auto id = arguments.value("certificate").value_or("");
  SPHERE_TRY(noted(context, *session, session->rest.add_certificate(id, certificate)));
  return named(id, fmt::format("The device keeps the certificate {}.", id));
}

Result<Output> list(Context& context, const Arguments& /*arguments*/) {
  SPHERE_TRY_ASSIGN(const auto session, connect_device(context));
  SPHERE_TRY_ASSIGN(const auto ids, noted(context, *session, session->rest.certificates()));
  Output output{.columns = {{.key = "certificateId", .heading = "Certificate"}}};
  output.data = json::Array{};
  for (const auto& id : ids) {
    output.data.push(json::Value{}.set("certificateId", id));
  }
  return output;
}

Result<Output> show(Context& context, const Arguments& arguments) {
  SPHERE_TRY_ASSIGN(const auto session, connect_device(context));
  SPHERE_TRY_ASSIGN(const auto certificate,
                    noted(context, *session,
                          session->rest.certificate(arguments.value("certificate").value_or(""))));
  Output output{.columns = {{.key = "certificateId", .heading = "Certificate"},
                            {.key = "notBefore", .heading = "Not before"},
                            {.key = "notAfter", .heading = "Not after"},
                            {.key = "subjectName", .heading = "Subject"},
                            {.key = "issuerName", .heading = "Issuer"}}};
  output.data.set("certificateId", certificate.id)
      .set("notBefore", certificate.not_before)
      .set("notAfter", certificate.not_after)
      .set("subjectName", certificate.subject)
      .set("issuerName", certificate.issuer);
  return output;
}

Result<Output> show_quota(Context& context, const Arguments& /*arguments*/) {
  SPHERE_TRY_ASSIGN(const auto session, connect_device(context));
  SPHERE_TRY_ASSIGN(const auto space, noted(context, *session, session->rest.certificate_space()));
  Output output{.columns = {{.key = "availableSpace", .heading = "Available bytes"}}};
  output.data.set("availableSpace", space);
  return output;
}

Result<Output> remove(Context& context, const Arguments& arguments) {
  SPHERE_TRY_ASSIGN(const auto session, connect_device(context));
  const auto id = arguments.value("certificate").value_or("");
  SPHERE_TRY(noted(context, *session, session->rest.delete_certificate(id)));
  return named(id, fmt::format("The certificate {} is deleted.", id));
}

constexpr std::array kCommands = {
    NetCommand{.path = "device certificate add", .run = add},
    NetCommand{.path = "device certificate list", .run = list},
    NetCommand{.path = "device certificate show", .run = show},
    NetCommand{.path = "device certificate show-quota", .run = show_quota},
    NetCommand{.path = "device certificate delete", .run = remove},
};

}  // namespace

std::span<const NetCommand> device_certificate_net_commands() { return kCommands; }

}  // namespace sphere::cli

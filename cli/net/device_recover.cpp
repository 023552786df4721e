// SPDX-License-Identifier: MIT
#include <array>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <span>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

#include <fmt/format.h>
#include <tl/expected.hpp>

#include "cli/commands/command.h"
#include "cli/context.h"
#include "cli/net/commands.h"
#include "cli/net/recovery_report.h"
#include "cli/net/recovery_run.h"
#include "cli/net/recovery_target.h"
#include "cli/output/output.h"
#include "sphere/core/file.h"
#include "sphere/core/result.h"
#include "sphere/core/text.h"
#include "sphere/crypto/key.h"
#include "sphere/crypto/key_store.h"
#include "sphere/image/trust.h"
#include "sphere/json/value.h"
#include "sphere/recovery/event.h"
#include "sphere/recovery/file_set.h"
#include "sphere/recovery/preflight.h"
#include "sphere/recovery/set_plan.h"
#include "sphere/recovery/table.h"

namespace sphere::cli {
namespace {

namespace fs = std::filesystem;
using recovery::Outcome;
using recovery::Verdict;

constexpr std::size_t kKeyLimit = std::size_t{64} * 1024;
// The files of the configuration's trust list.
std::vector<fs::path> trust_files(const Context& context) {
  std::vector<fs::path> files;
  for (const std::string& place : context.trust) {
    std::error_code error;
    if (!fs::is_directory(place, error)) {
      files.emplace_back(place);
      continue;
    }
    for (const auto& entry : fs::directory_iterator{place, error}) {
      if (entry.path().extension() == ".pem" || entry.path().extension() == ".crt") {
        files.push_back(entry.path());
      }
    }
  }
  return files;
}

void trust_for_all(const crypto::PublicKey& key, const std::string& label,
                   image::TrustStore& trust) {
  for (const auto role :
       {image::Role::os, image::Role::trust_store, image::Role::development,
        image::Role::production, image::Role::board_configuration, image::Role::capability}) {
    trust.add({.key = key, .thumbprints = {}, .role = role, .label = label});
  }
}

// Keys that this user trusts, and the user's own; each may sign all of a board's software.
image::TrustStore trusted_keys(Context& context) {
  image::TrustStore trust;
  for (const fs::path& file : trust_files(context)) {
    const auto pem = read_text_file(file, kKeyLimit);
    const auto key = pem ? crypto::PublicKey::from_pem(*pem)
                         : Result<crypto::PublicKey>{tl::make_unexpected(pem.error())};
    if (!key) {
      context.reporter.warn(fmt::format("{} is no key that can be trusted: {}", file.string(),
                                        key.error().message()));
      continue;
    }
    trust_for_all(*key, file.filename().string(), trust);
  }
  for (const std::string& name : context.keys.names()) {
    const auto key = context.keys.describe(name);
    if (key && key->info.use == crypto::KeyUse::image) {
      trust_for_all(key->public_key, fmt::format("your key \"{}\"", name), trust);
    }
  }
  return trust;
}

// Everything that is checked before a byte goes to a board.
Result<RecoveryPlan> make_plan(Context& context, const Arguments& arguments) {
  context.reporter.step("Checking the recovery set");
  SPHERE_TRY_ASSIGN(auto files, recovery::FileSet::open(arguments.value("images").value_or("")));
  const image::TrustStore keys = trusted_keys(context);
  const recovery::TrustOf trust = [&keys](std::uint16_t /*image_type*/) {
    return image::TrustStore{keys};
  };
  std::optional<recovery::SetPlan> set_plan;
  SPHERE_TRY_ASSIGN(
      const auto* const protocol,
      recovery::choose_protocol(files, arguments.value("protocol").value_or(""), trust, set_plan));
  const auto capability = arguments.value("capability");
  SPHERE_TRY_ASSIGN(
      auto prepared,
      protocol->prepare(
          {.files = &files,
           .trust = trust,
           .plan = set_plan ? &*set_plan : nullptr,
           .capability = capability ? std::optional<fs::path>{*capability} : std::nullopt,
           .board = arguments.value("board").value_or(""),
           .manual = arguments.has("manual"),
           .verify_only = arguments.has("verify-only"),
           .write_all = arguments.has("write-all"),
           .keep_data = arguments.has("keep-data"),
           .allow_mass_erase = arguments.has("allow-mass-erase")}));
  return RecoveryPlan{
      .files = std::move(files), .protocol = protocol, .prepared = std::move(prepared)};
}

json::Value plan_json(const RecoveryPlan& plan) {
  json::Value steps = json::Array{};
  for (const recovery::Step step : plan.prepared.steps) {
    steps.push(recovery::to_text(step));
  }
  return json::Value{}
      .set("protocol", plan.protocol->id)
      .set("images", std::int64_t{plan.prepared.images})
      .set("bytes", plan.prepared.bytes)
      .set("signatures", plan.prepared.signatures)
      .set("signedByTrustedKey", plan.prepared.signed_by_known_key)
      .set("seconds", std::int64_t{plan.prepared.estimate.count()})
      .set("steps", steps);
}

Output show_plan(const RecoveryPlan& plan) {
  Output output{.data = plan_json(plan)};
  std::vector<std::string> steps;
  steps.reserve(plan.prepared.steps.size());
  for (const recovery::Step step : plan.prepared.steps) {
    steps.emplace_back(recovery::to_text(step));
  }
  output.text = fmt::format(
      "Set       {} images, {} bytes, all present, sizes and ids right\n"
      "          {}\n"
      "Protocol  {}: {}\n"
      "Steps     {}\n"
      "Time      about {} s\n"
      "Nothing was sent.",
      plan.prepared.images, with_thousands(plan.prepared.bytes), plan.prepared.signatures,
      plan.protocol->id, plan.protocol->name, join(steps, ", "), plan.prepared.estimate.count());
  return output;
}

std::string verified_text(const RecoveryPlan& plan, const Outcome& outcome) {
  const std::string& how =
      outcome.verified == Verdict::yes ? plan.prepared.verified_by : outcome.not_verified;
  return fmt::format("{}{}{}", to_text(outcome.verified), how.empty() ? "" : "   ", how);
}

json::Value board_json(const BoardRecovery& board) {
  return json::Value{}
      .set("deviceId", board.device_id)
      .set("written", to_text(board.outcome.written))
      .set("verified", to_text(board.outcome.verified))
      .set("booted", to_text(board.booted))
      .set("images", std::int64_t{board.outcome.images_written})
      .set("skipped", std::int64_t{board.outcome.images_skipped})
      .set("bytes", board.outcome.bytes_written)
      .set("seconds", std::int64_t{board.took.count()});
}

Output show_board(const RecoveryPlan& plan, const BoardRecovery& board) {
  const Outcome& outcome = board.outcome;
  Output output{.data = board_json(board)};
  output.text = fmt::format(
      "Written   {}   {} images, {} bytes{}\nVerified  {}\nBooted    {}\nTime      {} s",
      to_text(outcome.written), outcome.images_written, with_thousands(outcome.bytes_written),
      outcome.images_skipped == 0 ? ""
                                  : fmt::format("; {} were right already", outcome.images_skipped),
      verified_text(plan, outcome), to_text(board.booted), board.took.count());
  if (board.booted == Verdict::yes && outcome.verified == Verdict::yes) {
    output.text += "\nDevice recovered successfully.";
  }
  return output;
}

// One row for each board; the command failed if one did.
Output show_boards(std::span<const BoardRecovery> boards) {
  Output output{.data = json::Array{},
                .columns = {{.key = "connectionPath", .heading = "Board"},
                            {.key = "written", .heading = "Written"},
                            {.key = "verified", .heading = "Verified"},
                            {.key = "booted", .heading = "Booted"},
                            {.key = "seconds", .heading = "Seconds"},
                            {.key = "error", .heading = "Error"}}};
  for (const BoardRecovery& board : boards) {
    json::Value row = board_json(board);
    row.set("connectionPath", board.target.path)
        .set("error",
             board.error ? json::Value{std::string{board.error->hint().reason}} : json::Value{});
    output.data.push(std::move(row));
    output.verdict_failed = output.verdict_failed || board.error;
  }
  return output;
}

Result<Output> recover(Context& context, const Arguments& arguments) {
  SPHERE_TRY_ASSIGN(const RecoveryPlan plan, make_plan(context, arguments));
  if (arguments.has("dry-run")) {
    return show_plan(plan);
  }
  SPHERE_TRY_ASSIGN(const auto targets,
                    find_recovery_targets(context, arguments, *plan.protocol, plan.prepared));
  SPHERE_TRY_ASSIGN(
      const auto sinks,
      RecoverySinks::create(context, arguments.value("events").value_or(""),
                            arguments.value("log-frames").value_or(""), targets.size() > 1));
  auto boards = recover_boards(context, arguments, plan, targets, *sinks);
  if (!arguments.has("all") && boards.size() == 1) {
    if (auto& error = boards.front().error) {
      return tl::make_unexpected(*std::move(error));
    }
    return show_board(plan, boards.front());
  }
  for (const BoardRecovery& board : boards) {
    if (board.error) {
      context.reporter.error(Error{*board.error}.while_doing(board.target.path));
    }
  }
  return show_boards(boards);
}

constexpr std::array kCommands = {NetCommand{.path = "device recover", .run = recover}};

}  // namespace

std::span<const NetCommand> device_recover_net_commands() { return kCommands; }

}  // namespace sphere::cli

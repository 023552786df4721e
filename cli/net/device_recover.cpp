// SPDX-License-Identifier: MIT
#include <algorithm>
#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <system_error>
#include <thread>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "cli/commands/command.h"
#include "cli/context.h"
#include "cli/net/commands.h"
#include "cli/net/connection.h"
#include "cli/net/recovery_report.h"
#include "cli/net/recovery_target.h"
#include "cli/output/output.h"
#include "sphere/core/file.h"
#include "sphere/core/result.h"
#include "sphere/core/text.h"
#include "sphere/crypto/key.h"
#include "sphere/image/trust.h"
#include "sphere/json/value.h"
#include "sphere/recovery/file_set.h"
#include "sphere/recovery/journal.h"
#include "sphere/recovery/preflight.h"
#include "sphere/recovery/runner.h"
#include "sphere/recovery/set_plan.h"
#include "sphere/recovery/table.h"

namespace sphere::cli {
namespace {

namespace fs = std::filesystem;
using recovery::Outcome;
using recovery::Verdict;

constexpr std::size_t kKeyLimit = std::size_t{64} * 1024;
constexpr std::chrono::minutes kLimit{15};
constexpr std::chrono::seconds kBootLimit{300};

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

// Keys that this user trusts; each may sign all of a board's software.
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
    for (const auto role :
         {image::Role::os, image::Role::trust_store, image::Role::development,
          image::Role::production, image::Role::board_configuration, image::Role::capability}) {
      trust.add({.key = *key, .thumbprints = {}, .role = role, .label = file.filename().string()});
    }
  }
  return trust;
}

struct Plan {
  recovery::FileSet files;
  const recovery::Protocol* protocol = nullptr;
  recovery::PreparedRecovery prepared;
};

// Everything that is checked before a byte goes to a board.
Result<Plan> make_plan(Context& context, const Arguments& arguments) {
  context.reporter.step("Checking the recovery set");
  SPHERE_TRY_ASSIGN(auto files, recovery::FileSet::open(arguments.value("images").value_or("")));
  const image::TrustStore keys = trusted_keys(context);
  const recovery::TrustOf trust = [&keys](std::uint16_t /*image_type*/) { return keys; };
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
  return Plan{.files = std::move(files), .protocol = protocol, .prepared = std::move(prepared)};
}

json::Value plan_json(const Plan& plan) {
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

Output show_plan(const Plan& plan) {
  Output output{.data = plan_json(plan)};
  std::vector<std::string> steps;
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

// Whether the board at its USB place comes up as the device it was.
Verdict wait_for_boot(Context& context, const RecoveryTarget& target,
                      const std::string& device_id) {
  const std::string before = std::exchange(context.device, target.path);
  const auto begin = std::chrono::steady_clock::now();
  const auto limit = begin + kBootLimit;
  Verdict verdict = Verdict::no;
  auto tell = begin;
  while (verdict == Verdict::no && std::chrono::steady_clock::now() < limit &&
         !context.interrupted) {
    if (std::chrono::steady_clock::now() >= tell) {
      tell += std::chrono::seconds{10};
      context.reporter.step(
          fmt::format("Waiting for the board to boot, up to {} s", kBootLimit.count()));
    }
    auto session = connect_device(context);
    const auto state =
        session ? (*session)->rest.security_state()
                : Result<device_api::SecurityState>{tl::make_unexpected(session.error())};
    if (state && to_lower(state->device_identifier) == device_id) {
      verdict = Verdict::yes;
    } else {
      std::this_thread::sleep_for(std::chrono::seconds{1});
    }
  }
  context.device = before;
  return verdict;
}

// What state the board is in, in words.
std::string board_state(const Outcome& outcome) {
  return outcome.flash_touched ? "the board's flash is erased or partly written"
                               : "the board is unchanged";
}

Error failure(const Outcome& outcome, const RecoveryReport& report) {
  const Error& error = *outcome.error;
  return Error{error.code(),
               fmt::format("recovery failed in step {}: {}; {}", report.step(), error.message(),
                           board_state(outcome)),
               error.hint()};
}

Result<Output> finish(Context& context, const Arguments& arguments, const RecoveryTarget& target,
                      RecoveryReport& report, const Outcome& outcome,
                      std::chrono::nanoseconds begin) {
  const auto took = [&] {
    return std::chrono::duration_cast<recovery::Time>(context.clock.monotonic() - begin);
  };
  if (outcome.error) {
    report.end(outcome, Verdict::unknown, took());
    return tl::make_unexpected(failure(outcome, report));
  }
  Verdict booted = Verdict::unknown;
  const bool wait = !arguments.has("no-wait-boot");
  if (wait && !target.location.empty()) {
    booted = wait_for_boot(context, target, report.device_id());
  }
  report.end(outcome, booted, took());
  if (wait && booted != Verdict::yes) {
    return fail(Errc::timeout,
                fmt::format("the board is written ({}) and verified ({}), but {}",
                            to_text(outcome.written), to_text(outcome.verified),
                            target.location.empty() ? "this port cannot show whether it boots"
                                                    : "it was not seen to boot"),
                {.reason = "recovery.boot",
                 .value = target.path,
                 .next = target.location.empty()
                             ? "run with --no-wait-boot, then: sphere device show-attached"
                             : "replug the board, then: sphere device show-attached"});
  }
  const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(took()).count();
  Output output;
  output.data.set("deviceId", report.device_id())
      .set("written", to_text(outcome.written))
      .set("verified", to_text(outcome.verified))
      .set("booted", to_text(booted))
      .set("images", std::int64_t{outcome.images_written})
      .set("bytes", outcome.bytes_written)
      .set("seconds", std::int64_t{seconds});
  output.text = fmt::format(
      "Written   {}   {} images, {} bytes\nVerified  {}   by the board, against its signed "
      "manifest\nBooted    {}\nTime      {} s",
      to_text(outcome.written), outcome.images_written, with_thousands(outcome.bytes_written),
      to_text(outcome.verified), to_text(booted), seconds);
  if (booted == Verdict::yes && outcome.verified == Verdict::yes) {
    output.text += "\nDevice recovered successfully.";
  }
  return output;
}

// What the last run left helps a person to understand; recovery v2 begins at the ROM each time.
void look_at_journal(Context& context, const Arguments& arguments, const std::string& path,
                     const recovery::FileSet& files, RecoveryReport& report) {
  if (context.directories.state.empty()) {
    return;
  }
  auto journal =
      recovery::Journal::open(context.directories.state / "recovery", path, files.digest());
  if (!journal) {
    context.reporter.warn("no journal of this recovery: " + journal.error().message());
    return;
  }
  if (const auto& last = journal->last();
      last && last->step != "done" && !arguments.has("no-resume")) {
    context.reporter.step(fmt::format(
        "The last recovery at {} ended in step {}; this protocol begins anew", path, last->step));
  }
  report.set_journal(*std::move(journal));
}

Result<Output> recover(Context& context, const Arguments& arguments) {
  SPHERE_TRY_ASSIGN(const Plan plan, make_plan(context, arguments));
  if (arguments.has("dry-run")) {
    return show_plan(plan);
  }
  SPHERE_TRY_ASSIGN(const RecoveryTarget target, find_recovery_target(context, arguments));
  SPHERE_TRY_ASSIGN(
      const auto report,
      RecoveryReport::create(context, target.path, arguments.value("events").value_or("")));
  const auto begin = context.clock.monotonic();
  report->take(recovery::Found{.location = target.path,
                               .product = target.product,
                               .serial = target.serial,
                               .protocol = std::string{plan.protocol->id}},
               {});
  report->take(recovery::Preflight{.files = plan.prepared.files,
                                   .bytes = plan.prepared.bytes,
                                   .signer = plan.prepared.signatures},
               {});
  context.reporter.step(fmt::format("Recovery takes about {} s", plan.prepared.estimate.count()));
  const bool manual = arguments.has("manual");
  SPHERE_TRY_ASSIGN(auto line, open_recovery_line(context, target, manual));
  if (manual) {
    context.reporter.step("Hold DEBUG_RTS at 3.3 V and press reset");
  }
  look_at_journal(context, arguments, target.path, plan.files, *report);
  SPHERE_TRY_ASSIGN(const auto driver,
                    plan.prepared.make_driver({.is_tcp = target.port.starts_with("tcp:")}));
  const Outcome outcome = recovery::run_driver(
      *driver, *line.carrier,
      {.clock = context.clock,
       .files = plan.files,
       .sink = [&](const recovery::Event& event, recovery::Time at) { report->take(event, at); },
       .cancelled = [&] { return context.interrupted.load(); },
       .limit = context.time_limit.value_or(kLimit)});
  line = {};  // Whoever looks whether the board boots takes its lock.
  return finish(context, arguments, target, *report, outcome, begin);
}

constexpr std::array kCommands = {NetCommand{.path = "device recover", .run = recover}};

}  // namespace

std::span<const NetCommand> device_recover_net_commands() { return kCommands; }

}  // namespace sphere::cli

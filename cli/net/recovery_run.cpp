// SPDX-License-Identifier: MIT
#include "cli/net/recovery_run.h"

#include <chrono>
#include <cstddef>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include <fmt/format.h>
#include <tl/expected.hpp>

#include "cli/commands/command.h"
#include "cli/context.h"
#include "cli/net/connection.h"
#include "cli/net/recovery_report.h"
#include "cli/net/recovery_target.h"
#include "sphere/core/result.h"
#include "sphere/core/text.h"
#include "sphere/device_api/bodies.h"
#include "sphere/recovery/event.h"
#include "sphere/recovery/journal.h"
#include "sphere/recovery/runner.h"

namespace sphere::cli {

namespace {

using recovery::Outcome;
using recovery::Verdict;

constexpr std::chrono::minutes kLimit{15};

// One board's recovery up to its reset. Lives on the board's thread; of the context it uses what
// does not change.
class BoardRun {
 public:
  BoardRun(const Context& context, const Arguments& arguments, const RecoveryPlan& plan,
           RecoverySinks& sinks, RecoveryTarget target)
      : context_{&context},
        arguments_{&arguments},
        plan_{&plan},
        sinks_{&sinks},
        report_{sinks, target.path},
        begin_{context.clock.monotonic()} {
    result_.target = std::move(target);
  }

  void run() {
    announce();
    auto line = open_recovery_line(context_->directories, result_.target, *plan_->protocol,
                                   plan_->prepared, arguments_->has("manual"));
    if (!line) {
      result_.outcome.error = std::move(line).error();
      return;
    }
    if (arguments_->has("manual")) {
      sinks_->step(path(), "Hold DEBUG_RTS at 3.3 V and press reset");
    }
    look_at_journal();
    result_.outcome = recovery::recover_board(plan_->prepared, *line->carrier, config());
    result_.device_id = report_.device_id();
  }

  // The last event, when it is known whether the board boots.
  BoardRecovery end(Verdict booted) {
    result_.booted = booted;
    result_.took = std::chrono::duration_cast<std::chrono::seconds>(now());
    report_.end(result_.outcome, booted, now());
    return std::move(result_);
  }

  [[nodiscard]] const BoardRecovery& result() const { return result_; }
  [[nodiscard]] std::string_view step() const { return report_.step(); }

 private:
  [[nodiscard]] const std::string& path() const { return result_.target.path; }
  [[nodiscard]] recovery::Time now() const {
    return std::chrono::duration_cast<recovery::Time>(context_->clock.monotonic() - begin_);
  }
  void announce();
  void look_at_journal();
  recovery::RunnerConfig config();

  const Context* context_;
  const Arguments* arguments_;
  const RecoveryPlan* plan_;
  RecoverySinks* sinks_;
  RecoveryReport report_;
  std::chrono::nanoseconds begin_;
  BoardRecovery result_ = {};
};

void BoardRun::announce() {
  report_.take(recovery::Found{.location = path(),
                               .product = result_.target.product,
                               .serial = result_.target.serial,
                               .protocol = std::string{plan_->protocol->id}},
               {});
  report_.take(recovery::Preflight{.files = plan_->prepared.files,
                                   .bytes = plan_->prepared.bytes,
                                   .signer = plan_->prepared.signatures},
               {});
  sinks_->step(path(), fmt::format("Recovery takes about {} s", plan_->prepared.estimate.count()));
}

// What the last run left, for a person; what is right on the board is found by asking the board.
void BoardRun::look_at_journal() {
  if (context_->directories.state.empty()) {
    return;
  }
  auto journal = recovery::Journal::open(context_->directories.state / "recovery", path(),
                                         plan_->files.digest());
  if (!journal) {
    sinks_->warn(path(), "no journal of this recovery: " + journal.error().message());
    return;
  }
  report_.set_journal(*std::move(journal), !arguments_->has("no-resume"));
}

recovery::RunnerConfig BoardRun::config() {
  recovery::RunnerConfig config{
      .clock = &context_->clock,
      .files = &plan_->files,
      .sink = [this](const recovery::Event& event, recovery::Time at) { report_.take(event, at); },
      .cancelled = [this] { return context_->interrupted.load(); },
      .limit = context_->time_limit.value_or(kLimit)};
  if (sinks_->has_frames()) {
    config.tap = [this](bool to_board, std::span<const std::byte> bytes) {
      sinks_->write_frame(path(), to_board, bytes, now());
    };
  }
  return config;
}

// Whether the board at its USB place comes up as the device it was; it is asked once at least.
Verdict wait_for_boot(Context& context, const BoardRecovery& board,
                      std::chrono::steady_clock::time_point limit, RecoverySinks& sinks) {
  const std::string before = std::exchange(context.device, board.target.path);
  Verdict verdict = Verdict::no;
  auto now = std::chrono::steady_clock::now();
  auto tell = now;
  do {
    if (now >= tell) {
      tell += std::chrono::seconds{10};
      sinks.step(board.target.path,
                 fmt::format("Waiting for the board to boot, up to {} s",
                             std::chrono::ceil<std::chrono::seconds>(limit - now).count()));
    }
    auto session = connect_device(context);
    const auto state =
        session ? (*session)->rest.security_state()
                : Result<device_api::SecurityState>{tl::make_unexpected(session.error())};
    if (state && to_lower(state->device_identifier) == board.device_id) {
      verdict = Verdict::yes;
    } else {
      std::this_thread::sleep_for(std::chrono::seconds{1});
    }
    now = std::chrono::steady_clock::now();
  } while (verdict == Verdict::no && now < limit && !context.interrupted);
  context.device = before;
  return verdict;
}

// What is wrong, with the state that the board is in.
std::optional<Error> judge(const BoardRecovery& board, std::string_view step, bool must_boot) {
  const Outcome& outcome = board.outcome;
  if (outcome.error) {
    const std::string_view state = outcome.flash_touched
                                       ? "the board's flash is erased or partly written"
                                       : "the board is unchanged";
    return Error{outcome.error->code(),
                 step == "find" ? outcome.error->message()
                                : fmt::format("recovery failed in step {}: {}; {}", step,
                                              outcome.error->message(), state),
                 outcome.error->hint()};
  }
  if (!must_boot || board.booted == Verdict::yes) {
    return std::nullopt;
  }
  const bool is_blind = board.target.location.empty();
  return Error{
      Errc::timeout,
      fmt::format("the board is written ({}) and verified ({}), but {}", to_text(outcome.written),
                  to_text(outcome.verified),
                  is_blind ? "this port cannot show whether it boots" : "it was not seen to boot"),
      {.reason = "recovery.boot",
       .value = board.target.path,
       .next = is_blind ? "run with --no-wait-boot, then: sphere device show-attached"
                        : "replug the board, then: sphere device show-attached"}};
}

}  // namespace

std::vector<BoardRecovery> recover_boards(Context& context, const Arguments& arguments,
                                          const RecoveryPlan& plan,
                                          std::span<const RecoveryTarget> targets,
                                          RecoverySinks& sinks) {
  std::vector<std::unique_ptr<BoardRun>> runs;
  for (const RecoveryTarget& target : targets) {
    runs.push_back(std::make_unique<BoardRun>(context, arguments, plan, sinks, target));
  }
  std::vector<std::thread> threads;
  for (const auto& run : std::span{runs}.subspan(1)) {
    threads.emplace_back([&run] { run->run(); });
  }
  runs.front()->run();
  for (std::thread& thread : threads) {
    thread.join();
  }
  // The boards boot at the same time; they are asked one after the other.
  const bool must_boot =
      plan.prepared.shows_boot && !arguments.has("no-wait-boot") && !arguments.has("verify-only");
  const auto limit = std::chrono::steady_clock::now() + plan.prepared.boot_limit;
  std::vector<BoardRecovery> results;
  for (const auto& run : runs) {
    const BoardRecovery& board = run->result();
    const bool waits = must_boot && !board.outcome.error && !board.target.location.empty();
    const Verdict booted = waits ? wait_for_boot(context, board, limit, sinks) : Verdict::unknown;
    const std::string step{run->step()};
    results.push_back(run->end(booted));
    results.back().error = judge(results.back(), step, must_boot);
  }
  return results;
}

}  // namespace sphere::cli

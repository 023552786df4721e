// SPDX-License-Identifier: MIT
#include "cli/program.h"

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <unistd.h>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "cli/arguments/command_line.h"
#include "cli/arguments/global_options.h"
#include "cli/azsphere/alias.h"
#include "cli/commands/command.h"
#include "cli/confirm.h"
#include "cli/context.h"
#include "cli/environment/settings.h"
#include "cli/environment/signals.h"
#include "cli/environment/variables.h"
#include "cli/exit_status.h"
#include "cli/help/complete.h"
#include "cli/help/help.h"
#include "cli/net/library.h"
#include "cli/output/output.h"
#include "cli/output/render.h"
#include "cli/output/terminal.h"
#include "cli/output/terminal_reporter.h"
#include "sphere/core/clock.h"
#include "sphere/core/process.h"
#include "sphere/core/result.h"
#include "sphere/crypto/key_store.h"

namespace sphere::cli {
namespace {

enum class Program : std::uint8_t { sphere, azsphere };

// The form of a result when nobody chose one.
Format default_format(Program program) {
  return program == Program::azsphere || is_terminal(STDOUT_FILENO) ? Format::table : Format::json;
}

// The form of the errors of a line that names no command or cannot be read.
Format early_format(const std::vector<std::string>& arguments, Program program) {
  if (const auto format = parse_format(output_format_of(arguments))) {
    return *format;
  }
  if (program == Program::azsphere) {
    return Format::table;
  }
  return parse_format(variable("SPHERE_OUTPUT").value_or("")).value_or(default_format(program));
}

// How this run speaks.
struct Voice {
  TerminalReporter* reporter;  // Never null.
  Format format;
  bool color = false;
  bool format_is_chosen = true;  // By an option, a variable or a file.
  bool old_tables = false;
};

int report_output_failure(TerminalReporter& reporter, const Error& error) {
  reporter.error(error);
  return kFailed;
}

// Says what failed: on standard error for people, on standard output for the programs that asked
// for one value there.
int report(const Voice& voice, const Error& error, std::string_view needs,
           const std::optional<device::DeviceError>& device_error) {
  voice.reporter->finish(true);
  voice.reporter->error(error);
  if (voice.format == Format::json || voice.format == Format::jsonc ||
      voice.format == Format::yaml) {
    const auto text = render({.data = error_value(error, needs, device_error)},
                             {.format = voice.format, .color = voice.color});
    // Without an output nobody can be told more.
    static_cast<void>(write_standard_output(text));
  }
  return exit_status(error);
}

int print(TerminalReporter& reporter, std::string_view text) {
  if (auto written = write_standard_output(text); !written) {
    return report_output_failure(reporter, written.error());
  }
  return kDone;
}

std::size_t help_width() {
  constexpr std::size_t kWithoutTerminal = 80;
  return is_terminal(STDOUT_FILENO) ? terminal_width(STDOUT_FILENO) : kWithoutTerminal;
}

std::string version_text() {
  // A broken configuration must not hide the version.
  const auto settings = load_settings(settings_places());
  const auto sdk = find_sdk(settings ? *settings : Settings{}, own_program());
  return fmt::format("sphere {}\nSDK directory: {}\nBuilt: {}\n", SPHERE_VERSION,
                     sdk.empty() ? "none" : sdk.string(), SPHERE_BUILD_DATE);
}

// A line whose words name no command.
int run_without_command(const Resolved& resolved, TerminalReporter& reporter) {
  if (resolved.version) {
    return print(reporter, version_text());
  }
  if (resolved.words.empty()) {
    return print(reporter, program_help(help_width()));
  }
  const std::string help = words_help(resolved.words, help_width());
  if (resolved.help) {
    return print(reporter, help);
  }
  reporter.text(help);
  return kUsage;
}

ProgressForm progress_form(const GlobalOptions& global, const Settings& settings) {
  const std::string chosen = global.progress.value_or(settings.progress.value);
  if (chosen == "none") {
    return ProgressForm::none;
  }
  if (chosen == "json") {
    return ProgressForm::json;
  }
  return chosen != "plain" && is_terminal(STDERR_FILENO) ? ProgressForm::line : ProgressForm::plain;
}

ColorChoice color_choice(const GlobalOptions& global, const Settings& settings) {
  if (global.no_color || settings.color.value == "never") {
    return ColorChoice::never;
  }
  return settings.color.value == "always" ? ColorChoice::always : ColorChoice::automatic;
}

Format chosen_format(const GlobalOptions& global, const Settings& settings, Program program) {
  const std::string usual = program == Program::azsphere ? "" : settings.output.value;
  const auto format = parse_format(global.output.value_or(usual));
  return format.value_or(default_format(program));
}

ReporterOptions reporter_options(const GlobalOptions& global, const Settings& settings,
                                 bool color) {
  return {.verbose = global.verbose || global.debug || variable("SPHERE_LOG") == "trace",
          .only_errors = global.only_show_errors,
          .color = color,
          .progress = progress_form(global, settings)};
}

Error time_limit_error(std::chrono::seconds limit) {
  return {Errc::timeout,
          fmt::format("not done within {} s", limit.count()),
          {.reason = "device.timeout",
           .value = fmt::format("--timeout {}", limit.count()),
           .next = "give a longer --timeout"}};
}

// Rows of a stream as they come.
Result<void> render_stream(const Output& output, const RenderOptions& options,
                           TerminalReporter& reporter) {
  Result<void> written;
  StreamText text{output, options};
  const auto sink = [&](const json::Value& row) {
    const auto piece = text.row(row);
    if (!piece.empty()) {
      reporter.remove_progress_line();
    }
    written = write_standard_output(piece);
    return written.has_value() && !interrupted();
  };
  auto done = output.stream(sink);
  SPHERE_TRY(std::move(written));
  reporter.finish(!done || (output.stream_end && output.stream_end->verdict_failed));
  SPHERE_TRY(write_standard_output(text.end()));
  return done;
}

Result<void> render_result(const Output& output, const Voice& voice) {
  const bool as_text = output.text_by_default && !voice.format_is_chosen;
  const RenderOptions options{
      .format = as_text ? Format::table : voice.format,
      .width = is_terminal(STDOUT_FILENO) ? terminal_width(STDOUT_FILENO) : 0,
      .color = voice.color,
      .old_tables = voice.old_tables};
  if (output.stream) {
    return render_stream(output, options, *voice.reporter);
  }
  voice.reporter->finish(output.verdict_failed);
  return write_standard_output(render(output, options));
}

// Confirms, runs and renders.
Result<bool> run_command(const CommandSpec& command, const ParsedLine& line, Context& context,
                         const Voice& voice) {
  if (!line.global.yes) {
    SPHERE_TRY(confirm(command, line.arguments, *voice.reporter));
  }
  Run run = command.run;
  if (run == nullptr) {
    SPHERE_TRY_ASSIGN(run, load_net_command(context.own_program, command.path));
  }
  SPHERE_TRY_ASSIGN(const Output output, run(context, line.arguments));
  SPHERE_TRY(render_result(output, voice));
  return !output.verdict_failed && !(output.stream_end && output.stream_end->verdict_failed);
}

int run_parsed(const CommandSpec& command, const ParsedLine& line, const Settings& settings,
               Program program) {
  const SystemClock clock;
  const auto choice = color_choice(line.global, settings);
  TerminalReporter reporter{
      reporter_options(line.global, settings, use_color(STDERR_FILENO, choice)), clock};
  const Voice voice{.reporter = &reporter,
                    .format = chosen_format(line.global, settings, program),
                    .color = use_color(STDOUT_FILENO, choice),
                    .format_is_chosen = line.global.output || !settings.output.value.empty(),
                    .old_tables = program == Program::azsphere};
  for (const std::string& warning : line.warnings) {
    // Old names are what azsphere is for.
    program == Program::azsphere ? reporter.verbose(warning) : reporter.warn(warning);
  }
  for (const std::string& warning : settings.warnings) {
    reporter.warn(warning);
  }
  const auto directories = user_directories();
  crypto::KeyStore keys{directories.data / "keys", clock};
  const auto own = own_program();
  Context context{.clock = clock,
                  .reporter = reporter,
                  .keys = keys,
                  .has_home = !directories.data.empty(),
                  .directories = directories,
                  .sdk_directory = find_sdk(settings, own),
                  .own_program = own,
                  .device = line.global.device.value_or(settings.device.value),
                  .link = settings.link,
                  .allow_inbound = settings.allow_inbound,
                  .trust = settings.trust,
                  .token_module = settings.token_module,
                  .time_limit = line.global.timeout,
                  .standard_output_is_terminal = is_terminal(STDOUT_FILENO),
                  .interrupted = interrupted()};
  if (!settings.sign_key.value.empty()) {
    context.sign_key = settings.sign_key.value;
  }
  if (line.global.timeout) {
    watch_time(*line.global.timeout);
  }
  const auto done = run_command(command, line, context, voice);
  if (done) {
    return *done ? kDone : kFailed;
  }
  if (arrived_signal() != 0) {
    reporter.finish(true);
    return kFailed;  // The program dies by the signal; there is nothing to explain.
  }
  const std::string_view needs = command.needs == Needs::device ? "D" : "L";
  if (time_is_up() && line.global.timeout) {
    return report(voice, time_limit_error(*line.global.timeout), needs, {});
  }
  return report(voice, done.error(), needs, context.device_error);
}

// `sphere __complete -- WORD...`, which the completion scripts call.
int run_complete(const std::vector<std::string>& arguments, TerminalReporter& reporter) {
  std::vector<std::string> words(arguments.begin() + 1, arguments.end());
  if (!words.empty() && words.front() == "--") {
    words.erase(words.begin());
  }
  return print(reporter, complete(words, user_directories().state / "boards"));
}

int run_line(const std::vector<std::string>& arguments, Program program) {
  const SystemClock clock;
  TerminalReporter reporter{{.color = use_color(STDERR_FILENO, ColorChoice::automatic)}, clock};
  if (!arguments.empty() && arguments.front() == "__complete") {
    return run_complete(arguments, reporter);
  }
  const Voice early{.reporter = &reporter, .format = early_format(arguments, program)};
  const auto resolved = resolve(arguments);
  if (!resolved) {
    return report(early, resolved.error(), "L", {});
  }
  if (resolved->command == nullptr) {
    return run_without_command(*resolved, reporter);
  }
  const CommandSpec& command = *resolved->command;
  const std::string_view needs = command.needs == Needs::device ? "D" : "L";
  const auto line = parse_line(command, resolved->rest);
  if (!line) {
    return report(early, line.error(), needs, {});
  }
  if (line->global.help) {
    return print(reporter, command_help(command, help_width()));
  }
  const auto settings = load_settings(settings_places());
  if (!settings) {
    return report(early, settings.error(), needs, {});
  }
  return run_parsed(command, *line, *settings, program);
}

// What the program ends with: its status, or the signal that arrived.
int end_with(int status) {
  if (const int signal = arrived_signal(); signal != 0) {
    die_by(signal);
  }
  return status;
}

}  // namespace

int run_program(const std::vector<std::string>& arguments) {
  return end_with(run_line(arguments, Program::sphere));
}

int run_azsphere(const std::vector<std::string>& arguments) {
  const auto line = to_sphere(arguments);
  if (line) {
    return end_with(run_line(*line, Program::azsphere));
  }
  const SystemClock clock;
  TerminalReporter reporter{{.color = use_color(STDERR_FILENO, ColorChoice::automatic)}, clock};
  const Voice voice{.reporter = &reporter, .format = early_format(arguments, Program::azsphere)};
  return report(voice, line.error(), "S", {});
}

}  // namespace sphere::cli

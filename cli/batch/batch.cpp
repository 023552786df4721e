// SPDX-License-Identifier: MIT
#include "cli/batch/batch.h"

#include <algorithm>
#include <atomic>
#include <charconv>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <memory>
#include <string>
#include <string_view>
#include <system_error>
#include <unistd.h>
#include <utility>
#include <vector>

#include <fmt/format.h>
#include <tl/expected.hpp>

#include "cli/batch/job_lines.h"
#include "cli/commands/command.h"
#include "cli/commands/signing.h"
#include "cli/commands/table.h"
#include "cli/context.h"
#include "cli/output/output.h"
#include "cli/output/render.h"
#include "sphere/core/file.h"
#include "sphere/core/result.h"
#include "sphere/core/text.h"
#include "sphere/core/thread_pool.h"
#include "sphere/crypto/block_hash.h"
#include "sphere/image/batch.h"
#include "sphere/json/value.h"

namespace sphere::cli {
namespace fs = std::filesystem;
namespace {

class InputJobs final : public JobSource {
 public:
  InputJobs(const CommandSpec& command, Arguments defaults, const std::atomic<bool>& interrupted)
      : command_{&command}, defaults_{std::move(defaults)}, lines_{STDIN_FILENO, interrupted} {}

  [[nodiscard]] Result<std::vector<BatchJob>> next(std::size_t most) override {
    SPHERE_TRY_ASSIGN(const auto lines, lines_.next(most));
    std::vector<BatchJob> jobs;
    for (const auto& line : lines) {
      jobs.push_back({.number = line.number, .arguments = read(line)});
    }
    return jobs;
  }
  [[nodiscard]] std::size_t total() const override { return 0; }

 private:
  [[nodiscard]] Result<Arguments> read(const JobLine& line) const {
    if (line.is_too_long) {
      return fail(Errc::too_large,
                  fmt::format("the job has more than {} bytes", with_thousands(kMaxJobLine)),
                  {.reason = "usage.bad-value", .next = "write it shorter"});
    }
    return parse_job(*command_, defaults_, line.text);
  }

  const CommandSpec* command_;
  Arguments defaults_;
  JobLines lines_;
};

class ListJobs final : public JobSource {
 public:
  explicit ListJobs(std::vector<Arguments> jobs) : jobs_{std::move(jobs)} {}

  [[nodiscard]] Result<std::vector<BatchJob>> next(std::size_t most) override {
    std::vector<BatchJob> jobs;
    for (; jobs.size() < most && next_ < jobs_.size(); ++next_) {
      jobs.push_back({.number = next_ + 1, .arguments = std::move(jobs_[next_])});
    }
    return jobs;
  }
  [[nodiscard]] std::size_t total() const override { return jobs_.size(); }

 private:
  std::vector<Arguments> jobs_;
  std::size_t next_ = 0;
};

// A window's worth of jobs, those with arguments run.
std::vector<JobResult> run_window(const BatchVerb& verb, const std::vector<BatchJob>& jobs) {
  std::vector<const Arguments*> runnable;
  for (const auto& job : jobs) {
    if (job.arguments) {
      runnable.push_back(&*job.arguments);
    }
  }
  auto results = verb.run(runnable);
  std::vector<JobResult> all;
  std::size_t next = 0;
  for (const auto& job : jobs) {
    if (job.arguments) {
      all.push_back(std::move(results[next++]));
    } else {
      all.push_back({.file = {}, .error = job.arguments.error()});
    }
  }
  return all;
}

// The error with the file, or the line, that it is about.
Error named_error(Error error, const JobResult& result, std::size_t number) {
  if (result.file.empty()) {
    return std::move(error).while_doing(fmt::format("job {}", number));
  }
  const auto file = escape_control(result.file);
  const bool is_named = error.message().find(file) != std::string::npos;
  return is_named ? std::move(error) : std::move(error).while_doing(file);
}

struct Counts {
  std::size_t good = 0;
  std::size_t failed = 0;
};

// Prints the rows of a window. False: nobody reads them any more.
bool print_rows(Context& context, const std::vector<BatchJob>& jobs, std::vector<JobResult> results,
                const Output::RowSink& sink, Counts& counts) {
  bool goes_on = true;
  for (std::size_t i = 0; i < jobs.size(); ++i) {
    auto& result = results[i];
    if (context.interrupted && result.error && result.error->code() == Errc::cancelled) {
      continue;  // Not begun, or dropped without a trace.
    }
    json::Value row;
    row.set("job", static_cast<std::uint64_t>(jobs[i].number));
    for (const auto& member : result.row.members()) {
      row.set(member.key, member.value);
    }
    json::Value error_row;
    if (result.error) {
      const auto error = named_error(*std::move(result.error), result, jobs[i].number);
      context.reporter.error(error);
      error_row = short_error_value(error);
    }
    const bool is_good = error_row.is_null() && !result.verdict_failed;
    (is_good ? counts.good : counts.failed) += 1;
    row.set("error", std::move(error_row));
    goes_on = sink(row) && goes_on;
  }
  return goes_on;
}

Result<void> run_batch(Context& context, JobSource& jobs, const BatchVerb& verb,
                       const Output::RowSink& sink, Counts& counts) {
  bool goes_on = true;
  while (goes_on && !context.interrupted) {
    auto window = jobs.next(image::kGroupFiles);
    if (!window) {
      context.reporter.error(window.error());
      ++counts.failed;
      return {};
    }
    if (window->empty()) {
      return {};
    }
    context.reporter.items(verb.doing, counts.good + counts.failed, jobs.total());
    goes_on = print_rows(context, *window, run_window(verb, *window), sink, counts);
  }
  return fail(Errc::cancelled, "interrupted");
}

void add_packages_below(const fs::path& directory, const std::string& shown,
                        std::vector<NamedPackage>& packages, std::error_code& error) {
  std::vector<NamedPackage> found;
  for (fs::recursive_directory_iterator entry{directory, error}, end; !error && entry != end;
       entry.increment(error)) {
    std::error_code ignored;
    if (entry->path().extension() == ".imagepackage" && entry->is_regular_file(ignored)) {
      auto relative = entry->path().lexically_relative(directory).string();
      found.push_back({.path = (fs::path{shown} / relative).string(), .relative = relative});
    }
  }
  std::ranges::sort(found, {}, &NamedPackage::path);
  packages.insert(packages.end(), found.begin(), found.end());
}

}  // namespace

std::unique_ptr<JobSource> jobs_of_input(Context& context, const CommandSpec& command,
                                         const Arguments& arguments) {
  return std::make_unique<InputJobs>(command, arguments, context.interrupted);
}

std::unique_ptr<JobSource> jobs_of_list(std::vector<Arguments> jobs) {
  return std::make_unique<ListJobs>(std::move(jobs));
}

Output batch_output(Context& context, std::unique_ptr<JobSource> jobs, BatchVerb verb) {
  const std::shared_ptr<JobSource> source{std::move(jobs)};
  auto end = std::make_shared<Output::StreamEnd>();
  Output output{.stream_is_list = true, .stream_end = end};
  output.text_of = [text_of = verb.text_of](const json::Value& row) {
    const auto* error = row.find("error");
    return error != nullptr && error->is_null() ? text_of(row) : std::string{};
  };
  output.stream = [&context, source, verb = std::move(verb),
                   end](const Output::RowSink& sink) -> Result<void> {
    Counts counts;
    auto done = run_batch(context, *source, verb, sink, counts);
    end->verdict_failed = counts.failed != 0;
    end->text = verb.summary(counts.good, counts.failed);
    return done;
  };
  return output;
}

const CommandSpec& command_of(std::string_view path) {
  for (const auto* command : all_commands()) {
    if (command->path == path) {
      return *command;
    }
  }
  std::abort();
}

Result<std::shared_ptr<Workers>> make_workers(Context& context, const Arguments& arguments) {
  constexpr std::size_t kMostThreads = 1024;
  std::size_t wish = 0;
  if (const auto text = arguments.value("jobs")) {
    const auto [end, error] = std::from_chars(text->data(), text->data() + text->size(), wish);
    if (error != std::errc{} || end != text->data() + text->size() || wish == 0 ||
        wish > kMostThreads) {
      return fail(
          Errc::invalid_argument,
          fmt::format("--jobs takes 1 to {}, not {}", kMostThreads, escape_control(*text)),
          {.reason = "usage.bad-value", .value = *text, .next = "give a number of threads"});
    }
  }
  SPHERE_TRY_ASSIGN(auto engine, crypto::HashEngine::from_environment());
  for (const auto& warning : engine.warnings()) {
    context.reporter.warn(warning);
  }
  // NOLINTNEXTLINE(modernize-make-shared): a pool cannot be moved into one.
  std::shared_ptr<Workers> workers{new Workers{
      .engine = std::move(engine), .pool = ThreadPool{available_threads(wish)}, .tools = {}}};
  workers->tools = {
      .engine = &workers->engine, .pool = &workers->pool, .interrupted = &context.interrupted};
  return workers;
}

const Result<Signing>& Signers::get(const Arguments& arguments) {
  std::vector<std::string> key;
  for (const auto* name : {"key", "compat-test-key"}) {
    for (auto& value : arguments.list(name)) {
      key.push_back(fmt::format("{}={}", name, value));
    }
  }
  auto found = signers_.find(key);
  if (found == signers_.end()) {
    found = signers_.emplace(std::move(key), choose_(arguments)).first;
  }
  return found->second;
}

Result<void> refuse_files_beside_batch(const Arguments& arguments) {
  for (const auto* name : {"image-package", "output-file", "output-directory"}) {
    if (const auto value = arguments.value(name)) {
      return fail(Errc::invalid_argument, fmt::format("--{} and --batch exclude each other", name),
                  {.reason = "usage.conflict", .value = *value, .next = "name it in the jobs"});
    }
  }
  if (!arguments.positionals.empty()) {
    return fail(Errc::invalid_argument, "FILE and --batch exclude each other",
                {.reason = "usage.conflict",
                 .value = arguments.positionals.front(),
                 .next = "name it in the jobs"});
  }
  return {};
}

Result<NamedPackages> named_packages(const Arguments& arguments, const CommandSpec& command) {
  auto words = arguments.positionals;
  if (const auto option = arguments.value("image-package")) {
    if (!words.empty()) {
      return fail(Errc::invalid_argument, "the package is named twice",
                  {.reason = "usage.conflict", .value = *option, .next = "name it once"});
    }
    words.push_back(*option);
  }
  if (words.empty()) {
    return fail(Errc::invalid_argument, "FILE is missing",
                {.reason = "usage.missing-option",
                 .value = "FILE",
                 .next = fmt::format("sphere {} --help", command.path)});
  }
  NamedPackages named{.is_list = words.size() > 1};
  for (const auto& word : words) {
    std::error_code error;
    if (!fs::is_directory(word, error)) {
      named.packages.push_back({.path = word, .relative = fs::path{word}.filename().string()});
      continue;
    }
    named.is_list = true;
    const auto before = named.packages.size();
    add_packages_below(word, word, named.packages, error);
    if (error) {
      return tl::make_unexpected(system_error("read", word, error.value()));
    }
    if (named.packages.size() == before) {
      return fail(Errc::not_found, fmt::format("no *.imagepackage below {}", escape_control(word)),
                  {.reason = "local.file-not-found",
                   .value = word,
                   .next = "name the directory that holds the packages"});
    }
  }
  return named;
}

}  // namespace sphere::cli

// SPDX-License-Identifier: MIT
// The standard input of a batch: splitting it into lines, and reading each as a job.
#include <algorithm>
#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>
#include <sys/mman.h>
#include <unistd.h>

#include "cli/batch/job_lines.h"
#include "cli/commands/command.h"
#include "sphere/core/descriptor.h"
#include "sphere/core/result.h"

namespace {

namespace cli = sphere::cli;

void require(bool condition) {
  if (!condition) {
    std::abort();
  }
}

constexpr std::array<std::string_view, 2> kChoices = {"v1", "v2"};
constexpr std::array kOptions = {
    cli::OptionSpec{.name = "output-file", .required = true},
    cli::OptionSpec{.name = "image-package"},
    cli::OptionSpec{.name = "executables", .kind = cli::OptionKind::list},
    cli::OptionSpec{.name = "format", .default_text = "v1", .choices = kChoices},
    cli::OptionSpec{.name = "force", .kind = cli::OptionKind::flag},
    cli::OptionSpec{.name = "batch", .kind = cli::OptionKind::flag},
};
constexpr cli::CommandSpec kCommand{
    .path = "image-package test", .summary = "For this program", .options = kOptions};

// What a job may hold, whatever the line said.
void check_job(const cli::Arguments& job) {
  require(job.positionals.empty() && !job.has("batch") && !job.value("output-file")->empty());
  for (const auto& [name, values] : job.values) {
    const auto* const option = std::ranges::find(kOptions, name, &cli::OptionSpec::name);
    require(option != kOptions.end());
    require(option->kind == cli::OptionKind::list ||
            values.size() == (option->kind == cli::OptionKind::flag ? 0 : 1));
    for (const auto& value : values) {
      require(value.find('\0') == std::string::npos);
      require(option->choices.empty() || std::ranges::find(kChoices, value) != kChoices.end());
    }
  }
}

void check_line(const cli::JobLine& line, std::size_t last_number) {
  require(line.number > last_number && !line.text.empty());
  require(line.text.size() <= cli::kMaxJobLine);
  require(line.text.find('\n') == std::string::npos);
  const auto job = cli::parse_job(kCommand, {}, line.text);
  if (job) {
    check_job(*job);
    return;
  }
  require(job.error().code() == sphere::Errc::invalid_argument);
  require(job.error().hint().reason.starts_with("usage.") && !job.error().message().empty());
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const sphere::Descriptor file{::memfd_create("jobs", MFD_CLOEXEC)};
  require(file && ::write(file.get(), data, size) == static_cast<ssize_t>(size));
  require(::lseek(file.get(), 0, SEEK_SET) == 0);
  const std::atomic<bool> interrupted = false;
  cli::JobLines lines{file.get(), interrupted};
  // The first byte of the input also decides how many lines are taken at once.
  const std::size_t most = size == 0 ? 1 : 1 + std::size_t{data[0]};
  std::size_t last_number = 0;
  while (true) {
    const auto some = lines.next(most);
    require(some.has_value() && some->size() <= most);
    if (some->empty()) {
      return 0;
    }
    for (const auto& line : *some) {
      check_line(line, last_number);
      last_number = line.number;
    }
  }
}

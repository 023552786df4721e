// SPDX-License-Identifier: MIT
#include "sphere/project/build.h"

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstddef>
#include <fcntl.h>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <system_error>
#include <thread>
#include <utility>
#include <vector>

#include <fmt/format.h>
#include <tl/expected.hpp>

#include "sphere/core/descriptor.h"
#include "sphere/core/file.h"
#include "sphere/core/process.h"
#include "sphere/core/result.h"
#include "sphere/core/text.h"
#include "sphere/json/value.h"

namespace sphere::project {
namespace {

constexpr std::size_t kLargestPresets = std::size_t{1} << 20U;
constexpr std::size_t kLargestLog = std::size_t{64} << 20U;
constexpr std::size_t kShownLines = 20;
// How often a running tool and the wish to stop it are looked at.
constexpr std::chrono::milliseconds kPoll{10};

std::vector<std::string> names_of(const json::Value& presets) {
  std::vector<std::string> names;
  const json::Value* list = presets.find("configurePresets");
  if (list == nullptr) {
    return names;
  }
  for (const json::Value& preset : list->items()) {
    if (auto name = preset.string_at("name");
        name && !preset.boolean_at("hidden").value_or(false)) {
      names.push_back(*std::move(name));
    }
  }
  return names;
}

// Names an unknown preset before CMake runs. Presets of other files are left to CMake.
Result<void> check_preset(const BuildRequest& request) {
  const auto file = request.directory / "CMakePresets.json";
  auto text = read_text_file(file, kLargestPresets);
  if (!text) {
    const bool missing = text.error().code() == Errc::not_found;
    return tl::make_unexpected(
        missing ? Error{Errc::not_found,
                        "no project here: CMakePresets.json is missing",
                        {.reason = "local.file-not-found",
                         .value = file.string(),
                         .next = "make one: sphere project new DIR --template hl-blink"}}
                : std::move(text).error());
  }
  auto presets = json::parse(*text, {.bytes = kLargestPresets});
  if (!presets) {
    return tl::make_unexpected(std::move(presets).error().while_doing(file.string()));
  }
  std::error_code ignored;
  const auto names = names_of(*presets);
  if (presets->find("include") != nullptr ||
      std::filesystem::exists(request.directory / "CMakeUserPresets.json", ignored) ||
      std::ranges::find(names, request.preset) != names.end()) {
    return {};
  }
  return fail(Errc::not_found, fmt::format("no preset {}", escape_control(request.preset)),
              {.reason = "usage.bad-value",
               .value = request.preset,
               .next = fmt::format("give --preset one of: {}", join(names, ", "))});
}

// The end of a log, for the error.
std::string last_lines(const std::filesystem::path& log) {
  const auto text = read_text_file(log, kLargestLog);
  if (!text) {
    return {};
  }
  auto lines = split(trim(*text), '\n');
  if (lines.size() > kShownLines) {
    lines.erase(lines.begin(), lines.end() - static_cast<std::ptrdiff_t>(kShownLines));
  }
  return join(lines, "\n");
}

class Builder {
 public:
  explicit Builder(const BuildRequest& request)
      : request_{&request}, log_{request.directory / "out" / request.preset / "sphere-build.log"} {}

  Result<Built> run() {
    SPHERE_TRY(make_directories(log_.parent_path()));
    // NOLINTNEXTLINE(*-vararg): POSIX
    log_descriptor_.reset(::open(log_.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644));
    if (!log_descriptor_) {
      return tl::make_unexpected(system_error("create", log_, errno));
    }
    SPHERE_TRY(cmake("configuring", {"--preset", request_->preset}));
    SPHERE_TRY_ASSIGN(const auto folder, build_folder());
    SPHERE_TRY(cmake("building", {"--build", folder.string()}));
    return Built{.packages = packages_in(folder), .log = log_};
  }

 private:
  Result<void> cmake(std::string_view doing, std::vector<std::string> arguments) {
    SPHERE_TRY_ASSIGN(const auto sdk, absolute_path(request_->sdk_directory));
    Command command{.program = "cmake", .arguments = std::move(arguments)};
    // With its slash: older projects append names without one.
    command.environment = {
        {"AzureSphereDefaultSDKDir", (sdk.has_filename() ? sdk / "" : sdk).string()}};
    command.directory = request_->directory;
    command.standard_output = log_descriptor_.get();
    command.standard_error = log_descriptor_.get();
    command.new_session = true;  // A group of its own, to be stopped as a whole.
    auto child = ChildProcess::start(command);
    if (!child) {
      const bool missing = child.error().code() == Errc::not_found;
      return tl::make_unexpected(
          missing ? std::move(child).error().with_hint({.reason = "local.tool-missing",
                                                        .value = "cmake",
                                                        .next = "install the packages cmake and "
                                                                "ninja-build"})
                  : std::move(child).error());
    }
    SPHERE_TRY_ASSIGN(const auto status, wait(*child));
    if (status.success()) {
      return {};
    }
    return fail(Errc::io, fmt::format("{} the project failed\n{}", doing, last_lines(log_)),
                {.reason = "local.build-failed",
                 .value = log_.string(),
                 .next = fmt::format("read the whole log: {}", log_.string())});
  }

  Result<ExitStatus> wait(ChildProcess& child) const {
    while (true) {
      if (const auto status = child.poll()) {
        return *status;
      }
      if (request_->interrupted != nullptr && *request_->interrupted) {
        ::kill(-child.pid(), SIGTERM);
        SPHERE_TRY(child.wait());
        return fail(Errc::cancelled, "the build was stopped");
      }
      std::this_thread::sleep_for(kPoll);
    }
  }

  // CMake names it in the last line of its configuration.
  [[nodiscard]] Result<std::filesystem::path> build_folder() const {
    constexpr std::string_view kLine = "Build files have been written to: ";
    SPHERE_TRY_ASSIGN(const auto text, read_text_file(log_, kLargestLog));
    const auto at = text.rfind(kLine);
    if (at == std::string::npos) {
      return request_->directory / "out" / request_->preset;
    }
    const auto start = at + kLine.size();
    return std::filesystem::path{text.substr(start, text.find('\n', start) - start)};
  }

  static std::vector<std::filesystem::path> packages_in(const std::filesystem::path& folder) {
    std::vector<std::filesystem::path> packages;
    std::error_code error;
    for (std::filesystem::recursive_directory_iterator entry{folder, error}, end;
         !error && entry != end; entry.increment(error)) {
      if (entry->path().extension() == ".imagepackage") {
        packages.push_back(entry->path());
      }
    }
    std::ranges::sort(packages);
    return packages;
  }

  const BuildRequest* request_;
  std::filesystem::path log_;
  Descriptor log_descriptor_;
};

}  // namespace

Result<Built> build(const BuildRequest& request) {
  std::error_code ignored;
  if (request.sdk_directory.empty() ||
      !std::filesystem::is_directory(request.sdk_directory / "CMakeFiles", ignored)) {
    return fail(Errc::not_found, "no SDK found",
                {.reason = "local.sdk-missing",
                 .value = request.sdk_directory.string(),
                 .next = "install the SDK, or set SPHERE_SDK_DIR to its folder"});
  }
  SPHERE_TRY(check_preset(request));
  return Builder{request}.run();
}

}  // namespace sphere::project

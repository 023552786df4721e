// SPDX-License-Identifier: MIT
// start_bench SPHERE_LAUNCH NULL_PROGRAM ROUNDS: the time from the wish to start a program to the
// first instruction of its main(), by fork and exec, by the agent's launcher under policy
// production, and by other sandboxes that are on PATH; one of each a round. The agent's launcher
// once as it is for an app that has run before, and once with nothing made before: no tree, user
// namespace, control group or filter. bubblewrap once as people call it, and once with the agent's
// system-call filter, user, host name and session besides; it makes no control group, no Landlock
// rules and no check. Prints "name TAB microseconds" a line, and "missing TAB name TAB package" for
// what is not there.
#include <array>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <fcntl.h>
#include <filesystem>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <sys/socket.h>
#include <unistd.h>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "device-agent/agent/sandbox/call_filter.h"
#include "device-agent/agent/sandbox/cgroup.h"
#include "device-agent/agent/sandbox/features.h"
#include "device-agent/agent/sandbox/launcher.h"
#include "device-agent/agent/sandbox/package_content.h"
#include "device-agent/agent/sandbox/plan.h"
#include "device-agent/agent/sandbox/planner.h"
#include "device-agent/agent/sandbox/policy.h"
#include "device-agent/agent/sandbox/private_mounts.h"
#include "sphere/core/descriptor.h"
#include "sphere/core/file.h"
#include "sphere/core/process.h"
#include "sphere/core/result.h"
#include "tests/support/test_package.h"

namespace {

using namespace sphere;         // NOLINT(google-build-using-namespace): bench
using namespace sphere::agent;  // NOLINT(google-build-using-namespace): bench
using Clock = std::chrono::steady_clock;

[[noreturn]] void give_up(const std::string& what) {
  fmt::print(stderr, "start_bench: {}\n", what);
  std::exit(EXIT_FAILURE);  // NOLINT(concurrency-mt-unsafe): one thread
}

struct Pipe {
  Descriptor ours, theirs;
};

Pipe make_pipe() {
  std::array<int, 2> ends = {};
  if (::pipe2(ends.data(), O_CLOEXEC) != 0) {
    give_up("no pipe");
  }
  return {.ours = Descriptor{ends[0]}, .theirs = Descriptor{ends[1]}};
}

std::int64_t until_first_byte(Pipe& pipe, Clock::time_point start) {
  pipe.theirs.reset();
  char byte = 0;
  if (::read(pipe.ours.get(), &byte, 1) != 1) {
    give_up("the program said nothing");
  }
  return std::chrono::duration_cast<std::chrono::microseconds>(Clock::now() - start).count();
}

std::int64_t run_command(const Command& wish) {
  auto pipe = make_pipe();
  auto command = wish;
  command.standard_output = pipe.theirs.get();
  const auto start = Clock::now();
  auto child = ChildProcess::start(command);
  if (!child) {
    give_up(child.error().message());
  }
  const auto time = until_first_byte(pipe, start);
  if (!child->wait()) {
    give_up("cannot wait");
  }
  return time;
}

std::optional<std::string> on_path(const std::string& name) {
  for (const auto* folder : {"/usr/local/bin", "/usr/bin", "/bin", "/usr/sbin", "/sbin"}) {
    const auto program = std::filesystem::path{folder} / name;
    if (::access(program.c_str(), X_OK) == 0) {
      return program.string();
    }
  }
  return std::nullopt;
}

// The agent's own way, with what it prepares once: features, groups, filters.
class OwnLauncher {
 public:
  OwnLauncher(const std::filesystem::path& program, std::vector<std::byte> content)
      : content_{std::move(content)}, program_{program}, launcher_{program, groups_.tree()} {
    kernel_ = probe_kernel(folder_.path());
    kernel_.memory = groups_.tree().memory();
    kernel_.processes = groups_.tree().processes();
    const auto component = test::test_guid(1);
    package_ = signer_.package({.manifest = test::manifest_text(component),
                                .files = {{"bin/app", {.content = content_, .executable = true}}},
                                .component = component,
                                .image = test::test_guid(2)});
    auto plan = complete_plan(Plan{.component_id = component.text(),
                                   .uid = kFirstAppUid,
                                   .rootless = ::geteuid() != 0,
                                   .agent = ::getpid(),
                                   .staging = folder_.path(),
                                   .libraries = {},
                                   .entry_point = "/bin/app",
                                   .arguments = {}},
                              {}, kernel_, {});
    if (!plan) {
      give_up(plan.error().message());
    }
    plan_ = *std::move(plan);
  }

  std::int64_t run() { return run(launcher_); }

  // As the first start of an app after the agent's.
  std::int64_t run_first() {
    SandboxLauncher fresh{program_, groups_.tree()};
    const TemporaryDirectory staging = TemporaryDirectory::create().value();
    const auto usual = plan_;
    plan_.staging = staging.path();
    plan_.uid += 1;  // Of another app, with groups of its own.
    const auto time = run(fresh);
    plan_ = usual;
    return time;
  }

  [[nodiscard]] std::string name() const {
    return fmt::format("sphere ({})", to_text(plan_.policy));
  }

 private:
  std::int64_t run(SandboxLauncher& launcher) {
    auto pipe = make_pipe();
    std::array<int, 2> sockets = {};
    if (::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, sockets.data()) != 0) {
      give_up("no socket pair");
    }
    const Descriptor ours{sockets[0]};
    const Descriptor theirs{sockets[1]};
    const auto start = Clock::now();
    const auto launched = launcher.launch(
        {.plan = plan_,
         .package = package_,
         .output = pipe.theirs.get(),
         .broker = theirs.get(),
         .limits = {.memory_bytes = group_bytes({}, false), .processes = kProcessLimit}});
    if (!launched.process) {
      give_up(launched.refused ? launched.refused->message() : "refused");
    }
    return until_first_byte(pipe, start);
  }

  std::vector<std::byte> content_;
  std::filesystem::path program_;
  TemporaryDirectory folder_ = TemporaryDirectory::create().value();
  test::TestSigner signer_;
  AgentGroups groups_ = AgentGroups::find();
  KernelFeatures kernel_;
  SandboxLauncher launcher_;
  std::vector<std::byte> package_;
  Plan plan_;
};

struct Row {
  std::string name;
  std::function<std::int64_t()> run;
};

// What bubblewrap does as far as it can do the same.
Command bubblewrap(const std::string& program, const std::string& folder, int filter) {
  Command command{
      .program = program, .arguments = {"--unshare-all", "--cap-drop", "ALL"}, .environment = {}};
  if (filter >= 0) {
    constexpr int kFilter = 9;
    const auto user = std::to_string(kFirstAppUid);
    for (const auto& word :
         {std::string{"--uid"}, user, std::string{"--gid"}, user, std::string{"--hostname"},
          std::string{"sphere"}, std::string{"--die-with-parent"}, std::string{"--new-session"},
          std::string{"--clearenv"}, std::string{"--seccomp"}, std::to_string(kFilter)}) {
      command.arguments.push_back(word);
    }
    command.pass = {{filter, kFilter}};
  }
  for (const auto& word : {std::string{"--ro-bind"}, folder, std::string{"/app"},
                           std::string{"--proc"}, std::string{"/proc"}, std::string{"--dev"},
                           std::string{"/dev"}, std::string{"--tmpfs"}, std::string{"/tmp"}}) {
    command.arguments.push_back(word);
  }
  return command;
}

// bubblewrap reads its filter to the end of a file that it gets.
std::int64_t run_filtered(Command command, std::span<const std::byte> filter) {
  const auto file = make_sealed_file("filter", filter);
  if (!file) {
    give_up(file.error().message());
  }
  command.pass.front().first = file->get();
  return run_command(command);
}

std::vector<Row> make_rows(OwnLauncher& own, const std::string& program) {
  std::vector<Row> rows = {
      {.name = "fork and exec", .run = [=] { return run_command({.program = program}); }},
      {.name = own.name(), .run = [&own] { return own.run(); }},
      {.name = own.name() + ", first start", .run = [&own] { return own.run_first(); }}};
  const auto folder = std::filesystem::path{program}.parent_path().string();
  const auto name = std::filesystem::path{program}.filename().string();
  if (const auto bwrap = on_path("bwrap")) {
    auto plain = bubblewrap(*bwrap, folder, -1);
    auto same = bubblewrap(*bwrap, folder, 0);
    plain.arguments.push_back("/app/" + name);
    same.arguments.push_back("/app/" + name);
    const auto filter = compile_filter({}, own_abi());
    rows.push_back({.name = "bubblewrap, unshare-all, cap-drop",
                    .run = [plain] { return run_command(plain); }});
    rows.push_back({.name = "bubblewrap, the same and the app's filter, user, host name",
                    .run = [=] { return run_filtered(same, std::as_bytes(std::span{filter})); }});
  } else {
    fmt::print("missing\tbubblewrap\tbubblewrap\n");
  }
  if (const auto jail = on_path("minijail0")) {
    rows.push_back({.name = "minijail, all namespaces", .run = [=] {
                      return run_command({.program = *jail,
                                          .arguments = {"-p", "-I", "-v", "-e", "-l", "-N", "-n",
                                                        "-C", folder, "/" + name}});
                    }});
  } else {
    fmt::print("missing\tminijail\tnot in Debian 12: build it from source\n");
  }
  return rows;
}

}  // namespace

int main(int argc, char* argv[]) {
  const std::span<char* const> arguments{argv, static_cast<std::size_t>(argc)};
  if (argc != 4) {
    give_up("usage: start_bench SPHERE_LAUNCH NULL_PROGRAM ROUNDS");
  }
  const std::string program = std::filesystem::absolute(arguments[2]).string();
  const auto content = read_file(program, std::size_t{16} << 20U);
  if (const auto entered = enter_private_mounts(); !entered || !content) {
    give_up(entered ? content.error().message() : entered.error().message());
  }
  OwnLauncher own{std::filesystem::absolute(arguments[1]), *content};
  const auto rows = make_rows(own, program);
  const int rounds = std::atoi(arguments[3]);  // NOLINT(cert-err34-c): from the bench's own script
  for (int round = 0; round < rounds; ++round) {
    for (const auto& row : rows) {
      fmt::print("{}\t{}\n", row.name, row.run());
    }
  }
  return EXIT_SUCCESS;
}

// SPDX-License-Identifier: MIT
#include <array>
#include <cerrno>
#include <csignal>
#include <filesystem>
#include <optional>
#include <sched.h>
#include <string>
#include <string_view>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <system_error>
#include <unistd.h>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "cli/context.h"
#include "cli/doctor/check.h"
#include "sphere/core/process.h"
#include "sphere/core/result.h"
#include "sphere/core/text.h"
#include "sphere/json/value.h"

namespace sphere::cli::doctor {
namespace {

// Runs `probe` in a child process; 0, or the errno it gives. A child that does not end is killed.
int in_child(int (*probe)()) {
  const pid_t child = ::fork();
  if (child == 0) {
    ::alarm(static_cast<unsigned>(kCheckLimit.count()));
    std::signal(SIGALRM, SIG_DFL);  // NOLINT(cert-err33-c): cannot fail for this signal
    ::_exit(probe());
  }
  if (child < 0) {
    return errno;
  }
  int status = 0;
  while (::waitpid(child, &status, 0) < 0) {
    if (errno != EINTR) {
      return errno;
    }
  }
  return WIFEXITED(status) ? WEXITSTATUS(status) : ETIMEDOUT;
}

int make_namespaces() {
  // Root needs no user namespace for the others.
  const int flags = ::geteuid() == 0 ? 0 : CLONE_NEWUSER;
  return ::unshare(flags | CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWIPC | CLONE_NEWUTS) == 0 ? 0
                                                                                          : errno;
}

int make_network_namespace() {
  const int flags = ::geteuid() == 0 ? 0 : CLONE_NEWUSER;
  return ::unshare(flags | CLONE_NEWNET) == 0 ? 0 : errno;
}

int mount_memory() {
  if (const int error = make_namespaces(); error != 0) {
    return error;
  }
  if (::mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0) {
    return errno;
  }
  return ::mount("tmpfs", "/tmp", "tmpfs", MS_NOSUID | MS_NODEV, "size=64k") == 0 ? 0 : errno;
}

int query_landlock() {
  constexpr unsigned kVersionQuery = 1;  // LANDLOCK_CREATE_RULESET_VERSION
  return ::syscall(SYS_landlock_create_ruleset, nullptr, 0, kVersionQuery) > 0 ? 0 : errno;
}

int query_seccomp() { return ::prctl(PR_GET_SECCOMP, 0, 0, 0, 0) >= 0 ? 0 : errno; }

struct Probe {
  std::string_view name;
  int (*run)();
  Verdict missing;
  std::string_view next;
};
constexpr std::string_view kNamespaces =
    "allow user namespaces: sysctl kernel.unprivileged_userns_clone=1 "
    "user.max_user_namespaces=1000";
constexpr std::array kProbes = {
    Probe{.name = "virtual-board: namespaces",
          .run = make_namespaces,
          .missing = Verdict::fail,
          .next = kNamespaces},
    Probe{.name = "virtual-board: network namespace",
          .run = make_network_namespace,
          .missing = Verdict::warn,
          .next = kNamespaces},
    Probe{.name = "virtual-board: mount",
          .run = mount_memory,
          .missing = Verdict::fail,
          .next = "run where mounting in a user namespace is allowed; some containers forbid it"},
    Probe{.name = "virtual-board: seccomp",
          .run = query_seccomp,
          .missing = Verdict::fail,
          .next = "use a kernel with CONFIG_SECCOMP"},
    Probe{.name = "virtual-board: landlock",
          .run = query_landlock,
          .missing = Verdict::warn,
          .next = "use a kernel with Landlock (5.13 or later, lsm=landlock,...)"},
};

Check probe_check(const Probe& probe) {
  const int error = in_child(probe.run);
  if (error == 0) {
    return {.name = std::string{probe.name}, .verdict = Verdict::ok, .detail = "works"};
  }
  return {.name = std::string{probe.name},
          .verdict = probe.missing,
          .detail = std::generic_category().message(error),
          .next = std::string{probe.next}};
}

Check emulator_check() {
  auto line = first_line_of("qemu-arm-static", "--version");
  if (line.empty()) {
    line = first_line_of("qemu-arm", "--version");
  }
  if (line.empty()) {
    return {.name = "virtual-board: emulator",
            .verdict = Verdict::fail,
            .detail = "qemu-arm-static is not found on PATH",
            .next = "install the package qemu-user-static"};
  }
  return {.name = "virtual-board: emulator", .verdict = Verdict::ok, .detail = line};
}

Check program_check(const Context& context, const std::string& name) {
  const auto bin = context.own_program.parent_path();
  for (const auto& folder : {bin, bin.parent_path() / "lib" / "sphere"}) {
    std::error_code ignored;
    if (std::filesystem::exists(folder / name, ignored)) {
      return {.name = fmt::format("virtual-board: {}", name),
              .verdict = Verdict::ok,
              .detail = (folder / name).string()};
    }
  }
  return {.name = fmt::format("virtual-board: {}", name),
          .verdict = Verdict::fail,
          .detail = fmt::format("{} is not installed", name),
          .next = "install the package sphere again, as a whole"};
}

std::optional<std::filesystem::path> agent_program(const Context& context) {
  const auto bin = context.own_program.parent_path();
  for (const auto& folder : {bin, bin.parent_path() / "lib" / "sphere"}) {
    std::error_code ignored;
    if (std::filesystem::exists(folder / "sphered", ignored)) {
      return folder / "sphered";
    }
  }
  return std::nullopt;
}

// "L3b fallback, L9 fallback", and the first layer that is refused.
Check sandbox_row(std::string name, const json::Value& report, std::string_view app) {
  std::vector<std::string> weaker;
  std::string refused;
  std::string next;
  const auto* layers = report.find(app);
  for (const auto& layer : layers != nullptr ? layers->items() : std::vector<json::Value>{}) {
    const auto id = layer.string_at("id").value_or("");
    const auto state = layer.string_at("state").value_or("");
    if (state != "present") {
      weaker.push_back(fmt::format("{} {}", id, state));
    }
    if (refused.empty() && layer.boolean_at("refused").value_or(false)) {
      refused = fmt::format("{}: {}", id, layer.string_at("detail").value_or(""));
      next = layer.string_at("fix").value_or("");
    }
  }
  if (refused.empty()) {
    return {.name = std::move(name),
            .verdict = Verdict::ok,
            .detail = weaker.empty() ? "every layer" : join(weaker, ", ")};
  }
  return {.name = std::move(name), .verdict = Verdict::warn, .detail = refused, .next = next};
}

// What the agent itself finds when it tries each kernel feature.
std::vector<Check> sandbox_checks(const Context& context) {
  const auto program = agent_program(context);
  Command command{.program = program.value_or("sphered"), .arguments = {"check", "--json"}};
  const auto captured = program ? run_captured(std::move(command), kCheckLimit)
                                : fail(Errc::not_found, "sphered is not installed");
  const auto report = captured ? json::parse(captured->output) : Result<json::Value>{json::Value{}};
  if (!captured || !report || report->find("native") == nullptr) {
    return {{.name = "virtual-board: sandbox",
             .verdict = Verdict::fail,
             .detail = captured ? std::string{trim(captured->error)} : captured.error().message(),
             .next = "run sphered check"}};
  }
  auto native =
      sandbox_row("virtual-board: sandbox of native apps (production)", *report, "native");
  auto emulated = sandbox_row("virtual-board: sandbox of ARM apps (dev)", *report, "emulated");
  if (emulated.verdict == Verdict::warn) {
    emulated.verdict = Verdict::fail;  // There is no weaker policy to start them under.
  }
  return {std::move(native), std::move(emulated)};
}

Check tunnel_check() {
  std::error_code ignored;
  const bool there = std::filesystem::exists("/dev/net/tun", ignored);
  return {.name = "virtual-board: tunnel",
          .verdict = there ? Verdict::ok : Verdict::skip,
          .detail = there ? "/dev/net/tun" : "/dev/net/tun is absent; nothing needs it"};
}

}  // namespace

std::vector<Check> check_virtual_board(Context& context) {
  std::vector<Check> checks = {program_check(context, "sphere-board"),
                               program_check(context, "sphered"), emulator_check()};
  for (const Probe& probe : kProbes) {
    checks.push_back(probe_check(probe));
  }
  for (auto& check : sandbox_checks(context)) {
    checks.push_back(std::move(check));
  }
  checks.push_back(tunnel_check());
  return checks;
}

}  // namespace sphere::cli::doctor

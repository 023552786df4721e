// SPDX-License-Identifier: MIT
#include "device-agent/agent/sandbox/launcher.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstddef>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fcntl.h>
#include <filesystem>
#include <memory>
#include <optional>
#include <poll.h>
#include <sched.h>
#include <span>
#include <string>
#include <string_view>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <unistd.h>
#include <utility>

#include <fmt/format.h>
#include <tl/expected.hpp>

#include "device-agent/agent/sandbox/app_tree.h"
#include "device-agent/agent/sandbox/call_filter.h"
#include "device-agent/agent/sandbox/cgroup.h"
#include "device-agent/agent/sandbox/crash_record.h"
#include "device-agent/agent/sandbox/package_content.h"
#include "device-agent/agent/sandbox/plan.h"
#include "device-agent/agent/sandbox/report.h"
#include "device-agent/agent/sandbox/self_check.h"
#include "device-agent/agent/sandbox/spawn.h"
#include "device-agent/agent/sandbox/step.h"
#include "device-agent/agent/sandbox/user_namespace.h"
#include "sphere/core/descriptor.h"
#include "sphere/core/file.h"
#include "sphere/core/process.h"
#include "sphere/core/result.h"
#include "sphere/core/text.h"
#include "sphere/json/value.h"

namespace sphere::agent {
namespace fs = std::filesystem;
namespace {

// A launcher that hangs must not hold up the agent: a start takes some 10 ms, on a busy machine 10
// times that.
constexpr std::chrono::seconds kStepLimit{5};

struct Pair {
  Descriptor ours, theirs;
};

Result<Pair> make_pair() {
  std::array<int, 2> ends = {};
  if (::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends.data()) != 0) {
    return tl::unexpected<Error>{system_error("create", "socket pair", errno)};
  }
  return Pair{.ours = Descriptor{ends[0]}, .theirs = Descriptor{ends[1]}};
}

std::string_view fix_for(std::string_view layer) {
  if (layer == "L1") {
    return "use a kernel with PID, mount, network, IPC and UTS namespaces, and run the board as "
           "root or allow unprivileged user namespaces";
  }
  if (layer == "L2") {
    return "allow user namespaces (sysctl user.max_user_namespaces), or run the board as root";
  }
  if (layer == "L4") {
    return "see that /dev and /proc are mounted where the board runs and that the SDK folder is "
           "complete";
  }
  if (layer == "L12") {
    return "see that the entry point of the package is a program for this board";
  }
  return "see docs/sandbox.md";
}

Error layer_error(std::string_view layer, const std::string& what, int number) {
  auto message = fmt::format("sandbox layer {} {}: cannot {}", layer, layer_name(layer), what);
  if (number != 0) {
    message += fmt::format(": {}", ::strerrordesc_np(number));
  }
  return Error{Errc::permission,
               std::move(message),
               {.reason = "board.sandbox",
                .value = std::string{layer},
                .next = std::string{fix_for(layer)}}};
}

std::optional<Error> refusal_in(const json::Value& message) {
  const auto layer = message.string_at("layer");
  if (!layer) {
    return std::nullopt;
  }
  return layer_error(*layer, message.string_at("what").value_or(""),
                     static_cast<int>(message.integer_at("errno").value_or(0)));
}

Result<void> wait_readable(int descriptor) {
  pollfd polled = {.fd = descriptor, .events = POLLIN, .revents = 0};
  int ready = 0;
  do {
    ready = ::poll(&polled, 1, static_cast<int>(std::chrono::milliseconds{kStepLimit}.count()));
  } while (ready < 0 && errno == EINTR);
  if (ready == 0) {
    return fail(Errc::timeout, "the launcher did not answer within 5 s");
  }
  return {};
}

// A message of the gate and the process that sent it, as the kernel says.
struct GateMessage {
  json::Value body;
  pid_t sender = 0;
};

// Nothing: the gate has closed.
Result<std::optional<GateMessage>> receive_gate(int gate) {
  SPHERE_TRY(wait_readable(gate));
  std::array<char, 4096> text = {};
  alignas(cmsghdr) std::array<char, CMSG_SPACE(sizeof(ucred))> control = {};
  iovec part = {.iov_base = text.data(), .iov_len = text.size()};
  msghdr header = {};
  header.msg_iov = &part;
  header.msg_iovlen = 1;
  header.msg_control = control.data();
  header.msg_controllen = control.size();
  const auto count = ::recvmsg(gate, &header, MSG_CMSG_CLOEXEC);
  if (count <= 0) {
    return std::nullopt;
  }
  GateMessage message;
  SPHERE_TRY_ASSIGN(message.body,
                    json::parse(std::string_view{text.data(), static_cast<std::size_t>(count)}));
  const auto* credentials = CMSG_FIRSTHDR(&header);
  if (credentials != nullptr && credentials->cmsg_type == SCM_CREDENTIALS) {
    ucred sender = {};
    std::memcpy(&sender, CMSG_DATA(credentials), sizeof sender);
    message.sender = sender.pid;
  }
  return message;
}

class SandboxedApp final : public AppProcess {
 public:
  SandboxedApp(Descriptor status, pid_t init) : status_{std::move(status)}, init_{init} {}
  ~SandboxedApp() override {
    if (init_ > 0) {
      ::kill(init_, SIGKILL);
      ::waitpid(init_, nullptr, 0);
    }
  }
  SandboxedApp(const SandboxedApp&) = delete;
  SandboxedApp& operator=(const SandboxedApp&) = delete;
  SandboxedApp(SandboxedApp&&) = delete;
  SandboxedApp& operator=(SandboxedApp&&) = delete;

  [[nodiscard]] pid_t pid() const override { return app_; }
  [[nodiscard]] int descriptor() const override { return status_.get(); }

  std::optional<ExitStatus> poll() override {
    if (init_ <= 0) {
      return ended_;
    }
    pollfd polled = {.fd = status_.get(), .events = POLLIN, .revents = 0};
    if (::poll(&polled, 1, 0) <= 0) {
      return std::nullopt;
    }
    ended_ = {.code = 0, .signal = SIGKILL};  // The init itself was killed.
    if (const auto message = receive_message(status_.get())) {
      ended_.code = static_cast<int>(message->integer_at("exit").value_or(0));
      ended_.signal = static_cast<int>(message->integer_at("signal").value_or(0));
      if (const auto* crash = message->find("crash")) {
        crash_ = crash_from_json(*crash);
      }
    }
    ::waitpid(std::exchange(init_, -1), nullptr, 0);
    return ended_;
  }

  void terminate() override { send_signal(SIGTERM); }
  void interrupt() override { send_signal(SIGINT); }
  void kill() override {
    if (init_ > 0) {
      ::kill(init_, SIGKILL);
    }
  }

  [[nodiscard]] const AppGroup* group() const override { return group_.get(); }
  [[nodiscard]] const CrashRecord* crash() const override { return crash_ ? &*crash_ : nullptr; }
  void own(std::unique_ptr<AppGroup> group) { group_ = std::move(group); }

  // The app's process, still held at the gate: its number cannot have been given away.
  void hold(pid_t app) {
    app_ = app;
    handle_.reset(static_cast<int>(::syscall(SYS_pidfd_open, app, 0)));
  }

 private:
  void send_signal(int signal) {
    if (handle_) {
      ::syscall(SYS_pidfd_send_signal, handle_.get(), signal, nullptr, 0);
    }
  }

  Descriptor status_;
  pid_t init_;
  pid_t app_ = 0;
  Descriptor handle_;  // pidfd
  ExitStatus ended_;
  std::optional<CrashRecord> crash_;
  std::unique_ptr<AppGroup> group_;  // Ends after the processes in it.
};

struct Sockets {
  Pair status, gate;
};

// What one start works with.
struct Start {
  const fs::path& program;
  const AppTree& tree;
  bool known;  // The tree has been used by an earlier start: its bytes are to be compared.
  int users;   // The app's user namespace, or negative.
  LaunchOrder& order;
  int filters;  // Sealed file with the programs of layer L10.
  const AppGroup* group;
};

unsigned namespaces_of(const Plan& plan) {
  constexpr unsigned kAlways = CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWUTS | CLONE_NEWIPC;
  return kAlways | (plan.network ? 0U : static_cast<unsigned>(CLONE_NEWNET));
}

// Starts the app's init. Gives its pid.
Result<pid_t> start_init(const Start& start, Sockets& sockets) {
  auto& order = start.order;
  auto sent = order.plan;
  sent.staging = start.tree.place();
  const auto text = json::to_compact(to_json(sent));
  SPHERE_TRY_ASSIGN(const auto plan,
                    make_sealed_file("sphere-plan", std::as_bytes(std::span{text})));
  const Descriptor nothing{::open("/dev/null", O_RDONLY | O_CLOEXEC)};
  Spawn wish{.program = start.program,
             .namespaces = namespaces_of(order.plan),
             .pass = {{nothing.get(), 0},
                      {order.output, 1},
                      {order.output, 2},
                      {order.broker, kAppSocket},
                      {sockets.status.theirs.get(), kStatusDescriptor},
                      {sockets.gate.theirs.get(), kGateDescriptor},
                      {plan.get(), kPlanDescriptor},
                      {start.filters, kFilterDescriptor}}};
  if (start.users >= 0) {
    wish.pass.emplace_back(start.users, kUsersDescriptor);
  }
  int number = kFirstGroupDescriptor;
  for (std::size_t i = 0; i < order.plan.groups; ++i) {
    wish.pass.emplace_back(start.group->join()[i].get(), number++);
  }
  if (order.debugger >= 0) {
    wish.pass.emplace_back(order.debugger, kDebugDescriptor);
  }
  Descriptor emulator;
  if (order.plan.emulated) {
    SPHERE_TRY_ASSIGN(emulator, open_emulator());
    wish.pass.emplace_back(emulator.get(), kEmulatorDescriptor);
  }
  const auto init = spawn(wish);
  sockets.status.theirs.reset();
  sockets.gate.theirs.reset();
  if (!init) {
    const auto& failure = init.error();
    return tl::unexpected<Error>{layer_error(failure.layer, failure.what, failure.number)};
  }
  return *init;
}

// The failure that the init reported while the gate was awaited, or that it simply ended.
Error gate_closed(int status) {
  pollfd polled = {.fd = status, .events = POLLIN, .revents = 0};
  while (::poll(&polled, 1, 1000) > 0) {
    const auto message = receive_message(status);
    if (!message) {
      break;
    }
    if (auto refused = refusal_in(*message)) {
      return std::move(*refused);
    }
  }
  return Error{Errc::io, "the app's process ended before its start"};
}

ChildFacts facts_of(const json::Value& message) {
  const auto flag = [&](std::string_view name) { return message.boolean_at(name).value_or(false); };
  return {.user_namespace = flag("userNamespace"),
          .groups_dropped = flag("groupsDropped"),
          .nested_users_refused = flag("nestedUsersRefused"),
          .pivoted = flag("pivoted"),
          .mdwe = flag("mdwe"),
          .landlock = flag("landlock")};
}

// The init takes the old root away while the app's process gives up its rights.
Result<void> await_detached(int status) {
  SPHERE_TRY(wait_readable(status));
  const auto message = receive_message(status);
  if (message) {
    if (auto refused = refusal_in(*message)) {
      return tl::unexpected<Error>{*std::move(refused)};
    }
  }
  return message && message->boolean_at("detached").value_or(false)
             ? Result<void>{}
             : fail(Errc::io, "the app's init ended before its start");
}

// Of an emulated app the emulator is executed.
std::optional<FileIdentity> program_of(const Plan& plan, const AppTree& tree) {
  return plan.emulated ? std::nullopt : tree.identity(plan.entry_point);
}

// Serves the gate until the app's process waits there, checked and held.
Result<void> await_gate(const Start& start, const Sockets& sockets, SandboxedApp& app,
                        SandboxReport& report) {
  const auto& order = start.order;
  SPHERE_TRY_ASSIGN(const auto message, receive_gate(sockets.gate.ours.get()));
  if (!message) {
    return tl::unexpected<Error>{gate_closed(sockets.status.ours.get())};
  }
  if (auto refused = refusal_in(message->body)) {
    return tl::unexpected<Error>{std::move(*refused)};
  }
  SPHERE_TRY(await_detached(sockets.status.ours.get()));
  app.hold(message->sender);
  report = self_check(order.plan, message->sender, facts_of(message->body),
                      {.program = program_of(order.plan, start.tree),
                       .group = app.group(),
                       .firewall = order.firewall});
  if (!report.passed) {
    const auto& found = report.layers.back().found;
    return fail(Errc::permission, "the sandbox is not as planned: " + found,
                {.reason = "board.sandbox",
                 .value = found.substr(0, found.find(' ')),
                 .next = "see docs/sandbox.md"});
  }
  return {};
}

// Lets the app go; the gate closes when its program has been executed.
Result<void> open_gate(const Sockets& sockets) {
  send_message(sockets.gate.ours.get(), json::Value{}.set("go", true));
  SPHERE_TRY_ASSIGN(const auto message, receive_gate(sockets.gate.ours.get()));
  if (message) {
    if (auto refused = refusal_in(message->body)) {
      return tl::unexpected<Error>{std::move(*refused)};
    }
  }
  return {};
}

// The init has the app standing at its first instruction.
Result<void> await_held(int status) {
  SPHERE_TRY(wait_readable(status));
  const auto message = receive_message(status);
  if (!message || !message->boolean_at("held").value_or(false)) {
    return fail(Errc::io, "the app did not stop for the debugger");
  }
  return {};
}

Result<std::unique_ptr<AppGroup>> make_group(const GroupTree& tree, const LaunchOrder& order,
                                             std::uint64_t number) {
  if (tree.hierarchies.empty()) {
    return nullptr;
  }
  auto group = AppGroup::create(tree, fmt::format("{}.{}", order.plan.uid, number), order.limits);
  if (!group) {
    return tl::unexpected<Error>{layer_error("L9", "limit the app: " + group.error().message(), 0)};
  }
  return group;
}

Result<std::unique_ptr<AppProcess>> launch_app(const Start& start, SandboxReport& report,
                                               std::unique_ptr<AppGroup> group) {
  Sockets sockets;
  SPHERE_TRY_ASSIGN(sockets.status, make_pair());
  SPHERE_TRY_ASSIGN(sockets.gate, make_pair());
  const int on = 1;
  if (::setsockopt(sockets.gate.ours.get(), SOL_SOCKET, SO_PASSCRED, &on, sizeof on) != 0) {
    return tl::unexpected<Error>{system_error("configure", "start gate", errno)};
  }
  SPHERE_TRY_ASSIGN(const pid_t init, start_init(start, sockets));
  const int status = sockets.status.ours.get();
  auto app = std::make_unique<SandboxedApp>(std::move(sockets.status.ours), init);
  sockets.status.ours = Descriptor{::fcntl(status, F_DUPFD_CLOEXEC, 0)};
  app->own(std::move(group));
  // Meanwhile the processes of the sandbox come up.
  if (start.known && !start.tree.holds(start.order.package)) {
    return nullptr;
  }
  SPHERE_TRY(await_gate(start, sockets, *app, report));
  SPHERE_TRY(open_gate(sockets));
  if (start.order.plan.debug && !start.order.plan.emulated) {
    SPHERE_TRY(await_held(sockets.status.ours.get()));
  }
  return app;
}

}  // namespace

Result<SandboxLauncher::Ground*> SandboxLauncher::ground_for(const LaunchOrder& order) {
  const auto uid = order.plan.uid;
  if (const auto kept = grounds_.find(uid); kept != grounds_.end()) {
    if (kept->second.tree->suits(order.plan, order.package)) {
      return &kept->second;
    }
    grounds_.erase(kept);
  }
  Ground ground;
  ground.number = ++grounds_made_;
  const auto place = order.plan.staging / fmt::format("{}.{}", uid, ground.number);
  auto built = AppTree::build(order.plan, order.package, place);
  if (!built) {
    const auto& failure = built.error();
    return tl::unexpected<Error>{layer_error(failure.layer, failure.what, failure.number)};
  }
  ground.tree = *std::move(built);
  if (order.plan.user_namespace) {
    auto users = make_user_namespace(order.plan);
    if (!users) {
      return tl::unexpected<Error>{
          layer_error("L2", "make the app's user namespace: " + users.error().message(), 0)};
    }
    ground.users = *std::move(users);
  }
  make_room(ground.tree->bytes());
  return &grounds_.emplace(uid, std::move(ground)).first->second;
}

// The oldest go first.
void SandboxLauncher::make_room(std::uint64_t bytes) {
  const auto number = [](const auto& entry) { return entry.second.number; };
  for (const auto& [uid, ground] : grounds_) {
    bytes += ground.tree->bytes();
  }
  while (!grounds_.empty() && (bytes > kKeptTreeBytes || grounds_.size() >= kMostKept)) {
    const auto oldest = std::ranges::min_element(grounds_, {}, number);
    bytes -= oldest->second.tree->bytes();
    grounds_.erase(oldest);
  }
}

// A group takes about as long to make as the rest of what the agent does for a start, and nothing
// in it depends on the start.
Result<std::unique_ptr<AppGroup>> SandboxLauncher::group_for(Ground& ground,
                                                             const LaunchOrder& order) {
  if (ground.group && ground.limits == order.limits) {
    return std::move(ground.group);
  }
  ground.group.reset();
  return make_group(groups_, order, ++groups_made_);
}

Result<std::unique_ptr<AppProcess>> SandboxLauncher::start_on(Ground& ground, LaunchOrder& order,
                                                              SandboxReport& report) {
  SPHERE_TRY_ASSIGN(auto group, group_for(ground, order));
  SPHERE_TRY_ASSIGN(const auto* filters, filters_.get(order.plan.filter));
  order.plan.filter_bytes = filters->app_bytes;
  const Start start = {.program = program_,
                       .tree = *ground.tree,
                       .known = !ground.fresh,
                       .users = ground.users.get(),
                       .order = order,
                       .filters = filters->file.get(),
                       .group = group.get()};
  auto process = launch_app(start, report, std::move(group));
  if (process && *process != nullptr) {
    ground.fresh = false;
    ground.limits = order.limits;
    // While the app's program is being executed. Without one the next start makes it, or says why
    // it cannot.
    ground.group = make_group(groups_, order, ++groups_made_).value_or(nullptr);
  }
  return process;
}

Launch SandboxLauncher::launch(const LaunchOrder& wish) {
  auto order = wish;
  Launch result;
  result.report.component_id = order.plan.component_id;
  result.report.policy = std::string{to_text(order.plan.policy)};
  order.plan.groups = std::min(groups_.hierarchies.size(), kMostGroups);
  const auto start = [&]() -> Result<std::unique_ptr<AppProcess>> {
    SPHERE_TRY_ASSIGN(auto* ground, ground_for(order));
    return start_on(*ground, order, result.report);
  };
  auto process = start();
  if (process && *process == nullptr) {
    grounds_.erase(order.plan.uid);
    process = start();
  }
  if (!process) {
    grounds_.erase(order.plan.uid);  // Whatever is wrong with it is not used again.
    result.report.passed = false;
    if (result.report.layers.empty()) {
      const auto& layer = process.error().hint().value;
      result.report.layers.push_back({.id = layer,
                                      .name = std::string{layer_name(layer)},
                                      .state = LayerState::absent,
                                      .detail = "refused",
                                      .found = process.error().message()});
    }
    result.refused = std::move(process).error();
    return result;
  }
  result.process = *std::move(process);
  return result;
}

Result<Descriptor> open_emulator() {
  constexpr std::string_view kName = "qemu-arm-static";
  const char* path = std::getenv("PATH");  // NOLINT(concurrency-mt-unsafe): nobody calls setenv
  for (const auto& folder : split(path != nullptr ? path : "/usr/local/bin:/usr/bin:/bin", ':')) {
    const auto candidate = fs::path{folder} / kName;
    if (Descriptor file{::open(candidate.c_str(), O_RDONLY | O_CLOEXEC)}) {
      return file;
    }
  }
  return fail(Errc::not_found, "program qemu-arm-static not found",
              {.reason = "local.tool-missing",
               .value = std::string{kName},
               .next = "install the Debian package qemu-user-static"});
}

}  // namespace sphere::agent

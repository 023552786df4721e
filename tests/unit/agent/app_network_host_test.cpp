// SPDX-License-Identifier: MIT
// AllowedConnections with real sockets, in a network namespace of the test's own.
#include <arpa/inet.h>
#include <array>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <fcntl.h>
#include <functional>
#include <future>
#include <map>
#include <memory>
#include <net/if.h>
#include <netinet/in.h>
#include <optional>
#include <poll.h>
#include <sched.h>
#include <span>
#include <string>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <thread>
#include <unistd.h>
#include <vector>

#include <catch2/catch.hpp>

#include "device-agent/agent/apps/app_network.h"
#include "device-agent/agent/event_log.h"
#include "device-agent/agent/loop.h"
#include "device-agent/agent/sandbox/dns_message.h"
#include "device-agent/agent/sandbox/dns_stub.h"
#include "device-agent/agent/sandbox/firewall.h"
#include "device-agent/agent/sandbox/ip_address.h"
#include "device-agent/agent/sandbox/plan.h"
#include "sphere/core/clock.h"
#include "sphere/core/descriptor.h"
#include "sphere/core/file.h"
#include "sphere/json/value.h"
#include "sphere/manifest/manifest.h"
#include "tests/support/dns_reply.h"
#include "tests/support/skip.h"

namespace {

using namespace std::chrono_literals;
using namespace sphere;         // NOLINT(google-build-using-namespace): test
using namespace sphere::agent;  // NOLINT(google-build-using-namespace): test
using sphere::test::DnsReply;

constexpr auto kListed = "93.184.216.34";
constexpr auto kUnlisted = "93.184.216.35";
constexpr std::uint32_t kUser = 3;

sockaddr_in address_of(const std::string& text, std::uint16_t port) {
  sockaddr_in address = {};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  REQUIRE(::inet_pton(AF_INET, text.c_str(), &address.sin_addr) == 1);
  return address;
}

const sockaddr* generic(const sockaddr_in& address) {
  return static_cast<const sockaddr*>(static_cast<const void*>(&address));
}

std::uint16_t port_of(int socket) {
  sockaddr_in address = {};
  socklen_t size = sizeof address;
  REQUIRE(::getsockname(socket, static_cast<sockaddr*>(static_cast<void*>(&address)), &size) == 0);
  return ntohs(address.sin_port);
}

Descriptor bound(int type, const std::string& address) {
  Descriptor socket{::socket(AF_INET, type | SOCK_CLOEXEC, 0)};
  const auto own = address_of(address, 0);
  REQUIRE(::bind(socket.get(), generic(own), sizeof own) == 0);
  return socket;
}

// Gives "lo" or an alias of it an address, and brings it up.
void add_address(const char* name, const std::string& address) {
  const Descriptor socket{::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0)};
  ifreq request = {};
  std::strncpy(request.ifr_name, name, IFNAMSIZ - 1);
  const auto own = address_of(address, 0);
  std::memcpy(&request.ifr_addr, &own, sizeof own);
  REQUIRE(::ioctl(socket.get(), SIOCSIFADDR, &request) == 0);
  request.ifr_flags = IFF_UP;
  REQUIRE(::ioctl(socket.get(), SIOCSIFFLAGS, &request) == 0);
}

// A new network namespace in which the listed and the unlisted address both lead here: without the
// firewall both would connect.
bool own_network() {
  static const bool made = [] {
    if (::geteuid() != 0 || ::unshare(CLONE_NEWNET) != 0) {
      return false;
    }
    add_address("lo", "127.0.0.1");
    add_address("lo:1", kListed);
    add_address("lo:2", kUnlisted);
    return true;
  }();
  return made;
}

// A name server with a table of replies, on a thread of its own.
class NameServer {
 public:
  using Reply = std::function<std::vector<std::byte>(const DnsQuery&)>;

  explicit NameServer(std::map<std::string, Reply> replies)
      : replies_{std::move(replies)}, socket_{bound(SOCK_DGRAM, "127.0.0.1")} {
    thread_ = std::thread{[this] { serve(); }};
  }
  NameServer(const NameServer&) = delete;
  NameServer& operator=(const NameServer&) = delete;
  NameServer(NameServer&&) = delete;
  NameServer& operator=(NameServer&&) = delete;
  ~NameServer() {
    ::shutdown(socket_.get(), SHUT_RDWR);
    ::close(stop_[1]);
    thread_.join();
    ::close(stop_[0]);
  }
  [[nodiscard]] std::uint16_t port() const { return port_of(socket_.get()); }

 private:
  void serve() {
    while (true) {
      std::array<pollfd, 2> polled = {{{.fd = socket_.get(), .events = POLLIN, .revents = 0},
                                       {.fd = stop_[0], .events = POLLIN, .revents = 0}}};
      ::poll(polled.data(), polled.size(), -1);
      if (polled[1].revents != 0) {
        return;
      }
      std::array<std::byte, 1500> message = {};
      sockaddr_in client = {};
      socklen_t size = sizeof client;
      const auto count = ::recvfrom(socket_.get(), message.data(), message.size(), MSG_DONTWAIT,
                                    static_cast<sockaddr*>(static_cast<void*>(&client)), &size);
      const auto query = count > 0
                             ? read_query(std::span{message}.first(static_cast<std::size_t>(count)))
                             : std::nullopt;
      const auto found = query ? replies_.find(query->question.name) : replies_.end();
      if (found != replies_.end()) {
        const auto reply = found->second(*query);
        ::sendto(socket_.get(), reply.data(), reply.size(), 0, generic(client), sizeof client);
      }
    }
  }

  static std::array<int, 2> make_pipe() {
    std::array<int, 2> ends = {};
    REQUIRE(::pipe2(ends.data(), O_CLOEXEC) == 0);
    return ends;
  }

  std::map<std::string, Reply> replies_;
  Descriptor socket_;
  std::array<int, 2> stop_ = make_pipe();
  std::thread thread_;
};

NameServer::Reply gives(const std::string& address) {
  return [address](const DnsQuery& query) {
    return DnsReply{query, 0}.address(query.question.name, address).bytes();
  };
}

// An agent's network part with one app.
class Bench {
 public:
  Bench(const manifest::Capabilities& capabilities, std::uint16_t name_server) {
    loop_ = Loop::create(clock_).value();
    events_.emplace(folder_.path(), clock_);
    firewall_ = NftFirewall::create().value();
    std::promise<void> running;
    loop_->post([&] { running.set_value(); });
    thread_ = std::thread{[this] { loop_->run(); }};
    running.get_future().wait();  // Before that the loop takes this thread for its own.
    on_loop([&] {
      auto opened = AppNetwork::open(
          {.loop = loop_.get(),
           .firewall = firewall_.get(),
           .events = &*events_,
           .servers =
               [name_server] {
                 return std::vector<DnsStub::Server>{
                     {.address = *parse_address("127.0.0.1"), .port = name_server}};
               }},
          {.user = kUser, .component_id = "c", .image_id = "i"}, capabilities);
      fault = opened ? std::string{} : opened.error().message();
      if (opened) {
        network_ = *std::move(opened);
      }
    });
    INFO(fault);
    REQUIRE(network_);
  }
  Bench(const Bench&) = delete;
  Bench& operator=(const Bench&) = delete;
  Bench(Bench&&) = delete;
  Bench& operator=(Bench&&) = delete;
  ~Bench() {
    on_loop([&] { network_.reset(); });
    loop_->quit();
    thread_.join();
  }

  [[nodiscard]] std::vector<LoggedEvent> events() {
    return loop_->call([&] { return events_->after(0); });
  }
  [[nodiscard]] std::uint64_t rejected() {
    return loop_->call([&] { return firewall_->rejected(kFirstAppUid + kUser); });
  }
  void add_rules(const FirewallApp& app) {
    on_loop([&] { fault = firewall_->open(app) ? std::string{} : std::string{"refused"}; });
    REQUIRE(fault.empty());
  }
  [[nodiscard]] std::string rejects() {
    return loop_->call([&] { return network_->describe_rejects(); });
  }
  [[nodiscard]] json::Value ruleset() {
    return loop_->call([&] { return firewall_->rulesets().value(); })
        .find("rulesets")
        ->items()
        .at(0);
  }
  void end_app() {
    on_loop([&] { network_.reset(); });
  }

 private:
  template <typename Work>
  void on_loop(Work work) {
    static_cast<void>(loop_->call([&] {
      work();
      return true;
    }));
  }

  std::string fault;
  TemporaryDirectory folder_ = TemporaryDirectory::create().value();
  SystemClock clock_;
  std::unique_ptr<Loop> loop_;
  std::optional<EventLog> events_;
  std::unique_ptr<NftFirewall> firewall_;
  std::unique_ptr<AppNetwork> network_;
  std::thread thread_;
};

// Runs `deed` as the app's user, in a process of its own; gives what it returned.
int as_app(const std::function<int()>& deed, std::uint32_t user = kUser) {
  const pid_t child = ::fork();
  if (child == 0) {
    const auto uid = kFirstAppUid + user;
    ::_exit(::setresgid(uid, uid, uid) == 0 && ::setresuid(uid, uid, uid) == 0 ? deed() : 254);
  }
  int status = 0;
  REQUIRE(::waitpid(child, &status, 0) == child);
  REQUIRE(WIFEXITED(status));
  return WEXITSTATUS(status);
}

constexpr int kNoAnswer = 250;
constexpr int kAddress = 100;  // And the number of addresses.

// Asks the stub; gives the DNS code, or kAddress and how many addresses came.
int ask(const std::string& name, const std::string& stub = "127.53.0.3", std::uint16_t type = 1) {
  const Descriptor socket{::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0)};
  const auto to = address_of(stub, 53);
  const auto query = write_query({.id = 7, .question = {.name = name, .type = type}});
  if (::connect(socket.get(), generic(to), sizeof to) != 0 ||
      ::send(socket.get(), query.data(), query.size(), 0) < 0) {
    return errno;
  }
  pollfd polled = {.fd = socket.get(), .events = POLLIN, .revents = 0};
  if (::poll(&polled, 1, 7000) != 1) {
    return kNoAnswer;
  }
  std::array<std::byte, 1500> message = {};
  const auto count = ::recv(socket.get(), message.data(), message.size(), 0);
  if (count < 0) {
    return errno;
  }
  const auto answer = read_answer(std::span{message}.first(static_cast<std::size_t>(count)));
  if (!answer || answer->id != 7) {
    return kNoAnswer;
  }
  return answer->code == DnsCode::no_error ? kAddress + static_cast<int>(answer->addresses.size())
                                           : static_cast<int>(answer->code);
}

int connect_to(const std::string& address, std::uint16_t port) {
  const Descriptor socket{::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)};
  const auto to = address_of(address, port);
  return ::connect(socket.get(), generic(to), sizeof to) == 0 ? 0 : errno;
}

manifest::Capabilities allowing(std::vector<std::string> names) {
  manifest::Capabilities capabilities;
  capabilities.allowed_connections = std::move(names);
  return capabilities;
}

Descriptor listener() {
  auto socket = bound(SOCK_STREAM, "0.0.0.0");
  REQUIRE(::listen(socket.get(), 64) == 0);
  return socket;
}

std::string nft_fault() {
  static const auto fault = probe_firewall();
  return fault;
}

#define SKIP_WITHOUT_FIREWALL()                                                           \
  SKIP_UNLESS(::geteuid() == 0, "not root: AllowedConnections needs a uid for each app"); \
  SKIP_UNLESS(nft_fault().empty(), "no firewall: " + nft_fault());                        \
  SKIP_UNLESS(own_network(), "no network namespace: run as root")

}  // namespace

TEST_CASE("a listed name connects at the first try, an unlisted name or address does not") {
  SKIP_WITHOUT_FIREWALL();
  const auto server = listener();
  const auto port = port_of(server.get());
  NameServer names{{{"example.com", gives(kListed)}, {"other.com", gives(kUnlisted)}}};
  Bench bench{allowing({"Example.com."}), names.port()};
  REQUIRE(connect_to(kUnlisted, port) == 0);  // Not the app: passes.

  CHECK(as_app([&] { return connect_to(kListed, port); }) == EHOSTUNREACH);  // Not asked for yet.
  const int listed = as_app([&] {
    const int asked = ask("example.com");
    return asked == kAddress + 1 ? connect_to(kListed, port) : asked;
  });
  const auto start = std::chrono::steady_clock::now();
  const int unlisted = as_app([&] { return connect_to(kUnlisted, port); });
  const auto time = std::chrono::steady_clock::now() - start;

  CHECK(listed == 0);
  CHECK(unlisted == EHOSTUNREACH);
  // The kernel notes the answer while connect() holds the socket, and reports it when it sends the
  // first packet anew, a second later.
  CHECK(time < 3s);
  CHECK(as_app([&] { return ask("other.com"); }) == static_cast<int>(DnsCode::no_such_name));
  CHECK(bench.rejected() >= 2);
  const auto events = bench.events();
  REQUIRE_FALSE(events.empty());
  CHECK(events.back().category == "DnsRefused");
  CHECK(events.back().fields.string_at("name") == "other.com");
}

TEST_CASE("the rule sets are what the kernel holds, with counters, and a foreign rule shows") {
  SKIP_WITHOUT_FIREWALL();
  const auto server = listener();
  const auto port = port_of(server.get());
  NameServer names{{{"example.com", gives(kListed)}}};
  auto capabilities = allowing({"example.com", "198.51.100.7", "2001:db8::7"});
  capabilities.allowed_tcp_server_ports = {8080, 8443};
  Bench bench{capabilities, names.port()};
  const auto rule_of = [&](const std::string& destination) {
    const auto set = bench.ruleset();
    for (const auto& rule : set.find("rules")->items()) {
      if (rule.string_at("destinationIP") == destination) {
        return rule;
      }
    }
    return json::Value{};
  };
  CHECK(bench.ruleset().string_at("hook") == "OUTPUT");
  CHECK(bench.ruleset().boolean_at("isValid") == true);
  CHECK(rule_of("198.51.100.7").string_at("destinationMask") == "255.255.255.255");
  CHECK(rule_of("2001:db8::7").string_at("action") == "accept");
  CHECK(rule_of(kListed).is_null());

  CHECK(as_app([&] {
          return ask("example.com") == kAddress + 1 ? connect_to(kListed, port) : kNoAnswer;
        }) == 0);
  CHECK(as_app([&] { return connect_to(kUnlisted, port); }) == EHOSTUNREACH);

  CHECK(bench.ruleset().boolean_at("isValid") == true);
  CHECK(rule_of(kListed).integer_at("packets").value_or(0) >= 1);
  const auto last = bench.ruleset().find("rules")->items().back();
  CHECK(last.string_at("action") == "drop");
  CHECK(last.integer_at("uid") == kFirstAppUid + kUser);
  CHECK(last.integer_at("packets").value_or(0) >= 1);

  const auto table = "sphere_" + std::to_string(::getpid());
  const auto open_all =
      "nft insert rule inet " + table + " app_" + std::to_string(kFirstAppUid + kUser) + " accept";
  if (std::system(("command -v nft >/dev/null && " + open_all).c_str()) == 0) {
    CHECK(bench.ruleset().boolean_at("isValid") == false);
    CHECK(bench.ruleset().find("rules")->items().front().string_at("action") == "accept");
  }
}

TEST_CASE("a refused destination is an event with address, port and protocol") {
  SKIP_WITHOUT_FIREWALL();
  Bench bench{allowing({kListed}), 1};
  CHECK(bench.rejects().empty());
  CHECK(as_app([&] { return connect_to(kUnlisted, 4711); }) == EHOSTUNREACH);
  for (int turn = 0; turn < 20; ++turn) {  // A scan.
    CHECK(as_app([&] {
            const Descriptor socket{::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0)};
            const auto to = address_of(kUnlisted, static_cast<std::uint16_t>(9000 + turn));
            return ::sendto(socket.get(), "x", 1, 0, generic(to), sizeof to) == 1 ? 0 : errno;
          }) == EPERM);
  }
  CHECK(bench.rejects().find("refused, in the last minute: 93.184.216.35 port 4711/tcp, ") !=
        std::string::npos);
  CHECK(bench.rejects().ends_with(", ..."));

  bench.end_app();  // What it did last is told, too.
  const auto events = bench.events();
  REQUIRE(events.size() == 9);  // Eight of the scan, and how many there were.
  CHECK(events.front().category == "ConnectionRefused");
  CHECK(events.front().fields.string_at("address") == kUnlisted);
  CHECK(events.front().fields.integer_at("port") == 4711);
  CHECK(events.front().fields.string_at("protocol") == "tcp");
  CHECK(events.at(1).fields.string_at("protocol") == "udp");
  CHECK(events.back().fields.integer_at("packets").value_or(0) >= 21);
}

TEST_CASE("the set is filled before the reply, time after time") {
  SKIP_WITHOUT_FIREWALL();
  const auto server = listener();
  const auto port = port_of(server.get());
  NameServer names{{{"example.com", gives(kListed)}}};
  for (int turn = 0; turn < 20; ++turn) {
    Bench bench{allowing({"example.com"}), names.port()};
    CHECK(as_app([&] {
            return ask("example.com") == kAddress + 1 ? connect_to(kListed, port) : kNoAnswer;
          }) == 0);
  }
}

TEST_CASE("addresses of the manifest are open without a lookup") {
  SKIP_WITHOUT_FIREWALL();
  const auto server = listener();
  const auto port = port_of(server.get());
  Bench bench{allowing({kListed, "<placeholder>"}), 1};

  CHECK(as_app([&] { return connect_to(kListed, port); }) == 0);
  CHECK(as_app([&] { return connect_to(kUnlisted, port); }) == EHOSTUNREACH);
  CHECK(as_app([&] { return connect_to("127.0.0.1", port); }) == EHOSTUNREACH);
  REQUIRE(bench.events().size() == 1);
  CHECK(bench.events().front().category == "ConnectionRefused");
  CHECK(bench.events().front().fields.string_at("name") == "<placeholder>");
}

TEST_CASE("a public name that leads into a private network opens nothing") {
  SKIP_WITHOUT_FIREWALL();
  NameServer names{{{"a.example", gives("127.0.0.1")},
                    {"b.example", gives("10.0.0.1")},
                    {"c.example", gives("169.254.1.1")},
                    {"printer.local", gives("192.168.1.5")}}};
  Bench bench{allowing({"a.example", "b.example", "c.example", "printer.local"}), names.port()};

  for (const auto* name : {"a.example", "b.example", "c.example"}) {
    INFO(name);
    CHECK(as_app([&] { return ask(name); }) == static_cast<int>(DnsCode::refused));
  }
  CHECK(as_app([&] { return ask("printer.local"); }) == kAddress + 1);
}

TEST_CASE("aliases are followed, also when the name server leaves that to the asker") {
  SKIP_WITHOUT_FIREWALL();
  NameServer names{
      {{"www.example.com",
        [](const DnsQuery& query) {
          return DnsReply{query, 0}.alias("www.example.com", "cdn.example.net").bytes();
        }},
       {"cdn.example.net", gives(kListed)},
       {"endless.example", [](const DnsQuery& query) {
          return DnsReply{query, 0}.alias("endless.example", "endless.example").bytes();
        }}}};
  Bench bench{allowing({"www.example.com"}), names.port()};

  CHECK(as_app([&] { return ask("www.example.com"); }) == kAddress + 1);
  CHECK(as_app([&] { return ask("cdn.example.net"); }) == static_cast<int>(DnsCode::no_such_name));
}

TEST_CASE("a name server that is silent or absent ends in a failure, not in a hang") {
  SKIP_WITHOUT_FIREWALL();
  Bench bench{allowing({"example.com"}), 1};  // Nobody listens there.

  CHECK(as_app([&] { return ask("example.com"); }) == static_cast<int>(DnsCode::failure));
}

TEST_CASE("the stub of one app is out of reach for another app") {
  SKIP_WITHOUT_FIREWALL();
  NameServer names{{{"example.com", gives(kListed)}}};
  Bench bench{allowing({"example.com"}), names.port()};
  constexpr std::uint32_t kOther = 4;
  bench.add_rules({.uid = kFirstAppUid + kOther, .stub = stub_address(kOther)});

  CHECK(as_app([&] { return ask("example.com"); }) == kAddress + 1);
  CHECK(as_app([&] { return ask("example.com"); }, kOther) == EPERM);  // What UDP gets.
}

TEST_CASE("an open connection outlives the time of its address") {
  SKIP_WITHOUT_FIREWALL();
  const auto server = listener();
  const auto port = port_of(server.get());
  const auto firewall = NftFirewall::create().value();
  const auto listed = *parse_address(kListed);
  const auto uid = kFirstAppUid + kUser;
  REQUIRE(firewall->open({.uid = uid, .stub = stub_address(kUser)}));
  REQUIRE(firewall->allow(uid, std::span{&listed, 1}, 1s));

  const int result = as_app([&] {
    const Descriptor socket{::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)};
    const auto to = address_of(kListed, port);
    if (::connect(socket.get(), generic(to), sizeof to) != 0) {
      return errno;
    }
    ::usleep(2500 * 1000);
    if (::send(socket.get(), "x", 1, MSG_NOSIGNAL) != 1) {
      return errno;
    }
    return connect_to(kListed, port) == EHOSTUNREACH ? 0 : kNoAnswer;
  });

  CHECK(result == 0);
  CHECK(firewall->describe(uid));
  firewall->close(uid);
  CHECK_FALSE(firewall->describe(uid));
}

TEST_CASE("a server answers from its listed ports only") {
  SKIP_WITHOUT_FIREWALL();
  const auto firewall = NftFirewall::create().value();
  const auto uid = kFirstAppUid + kUser;
  const auto serve = [&](std::vector<std::uint16_t> ports) {
    REQUIRE(firewall->open({.uid = uid,
                            .stub = stub_address(kUser),
                            .addresses = {},
                            .tcp_server_ports = std::move(ports),
                            .udp_server_ports = {}}));
  };
  auto socket = bound(SOCK_STREAM, "0.0.0.0");
  const auto port = port_of(socket.get());
  socket.reset();
  const auto try_server = [&] {
    std::array<int, 2> ready = {};
    REQUIRE(::pipe2(ready.data(), O_CLOEXEC) == 0);
    const pid_t child = ::fork();
    if (child == 0) {
      [[maybe_unused]] const int changed = ::setresuid(uid, uid, uid);
      const Descriptor own{::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)};
      const auto address = address_of("0.0.0.0", port);
      const int on = 1;
      ::setsockopt(own.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
      const bool listens =
          ::bind(own.get(), generic(address), sizeof address) == 0 && ::listen(own.get(), 4) == 0;
      [[maybe_unused]] const auto told = ::write(ready[1], listens ? "1" : "0", 1);
      ::pause();
      ::_exit(0);
    }
    char listens = '0';
    REQUIRE(::read(ready[0], &listens, 1) == 1);
    REQUIRE(listens == '1');
    const Descriptor client{::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0)};
    const auto to = address_of("127.0.0.1", port);
    ::connect(client.get(), generic(to), sizeof to);
    pollfd polled = {.fd = client.get(), .events = POLLOUT, .revents = 0};
    const bool connected = ::poll(&polled, 1, 700) == 1 && (polled.revents & POLLERR) == 0;
    ::kill(child, SIGKILL);
    ::waitpid(child, nullptr, 0);
    ::close(ready[0]);
    ::close(ready[1]);
    return connected;
  };

  serve({port});
  CHECK(try_server());
  serve({static_cast<std::uint16_t>(port + 1)});
  CHECK_FALSE(try_server());
}

// SPDX-License-Identifier: MIT
#include "device-agent/agent/sandbox/firewall.h"

#include <charconv>
#include <chrono>
#include <csignal>
#include <cstddef>
#include <cstdint>
#include <dlfcn.h>
#include <map>
#include <memory>
#include <sched.h>
#include <span>
#include <string>
#include <string_view>
#include <sys/types.h>
#include <thread>
#include <unistd.h>
#include <utility>
#include <vector>

#include <fmt/format.h>
#include <nftables/libnftables.h>
#include <tl/expected.hpp>

#include "device-agent/agent/sandbox/firewall_view.h"
#include "device-agent/agent/sandbox/ip_address.h"
#include "sphere/core/result.h"
#include "sphere/core/text.h"
#include "sphere/json/value.h"

namespace sphere::agent {
namespace {

constexpr std::string_view kTablePrefix = "sphere_";  // And the agent's pid.
constexpr int kRefusedKept = 64;
constexpr std::chrono::seconds kExpirySlack{5};  // The kernel takes its time to forget.
constexpr std::size_t kListingLimit = std::size_t{4} * 1024 * 1024;

struct CloseLibrary {
  void operator()(void* handle) const { ::dlclose(handle); }
};

Error unavailable(std::string message, std::string_view next) {
  return Error{Errc::unavailable,
               std::move(message),
               {.reason = "board.sandbox", .value = "L11", .next = std::string{next}}};
}

// A server answers from its own ports only. A rule a port: each has its counter.
std::string server_rules(const std::string& chain, const FirewallApp& app) {
  std::string rules;
  for (const auto& [protocol, ports] :
       {std::pair{"tcp", &app.tcp_server_ports}, std::pair{"udp", &app.udp_server_ports}}) {
    for (const auto port : *ports) {
      rules += fmt::format("add rule {} ct direction reply {} sport {} counter accept\n", chain,
                           protocol, port);
    }
  }
  return rules;
}

std::string element_list(std::span<const IpAddress> addresses, bool v6,
                         std::string_view suffix = {}) {
  std::vector<std::string> texts;
  for (const auto& address : addresses) {
    if (address.v6 == v6) {
      texts.push_back(to_text(address) + std::string{suffix});
    }
  }
  return join(texts, ", ");
}

std::string add_elements(const std::string& table, std::uint32_t uid,
                         std::span<const IpAddress> addresses, std::string_view suffix) {
  std::string commands;
  for (const bool v6 : {false, true}) {
    if (const auto list = element_list(addresses, v6, suffix); !list.empty()) {
      commands += fmt::format("add element inet {} allow_{}_{} {{ {} }}\n", table, uid,
                              v6 ? "v6" : "v4", list);
    }
  }
  return commands;
}

// "counter packets 3 bytes 87 accept" to "accept".
std::string without_counter(std::string_view rule) {
  constexpr std::string_view kCounter = "counter packets ";
  const auto begin = rule.find(kCounter);
  if (begin == std::string_view::npos) {
    return std::string{rule};
  }
  auto end = begin + kCounter.size();
  for (int spaces = 0; spaces < 3 && end < rule.size(); ++end) {
    spaces += rule[end] == ' ' ? 1 : 0;
  }
  return std::string{rule.substr(0, begin)} + std::string{rule.substr(end)};
}

bool is_alive(pid_t pid) { return ::kill(pid, 0) == 0; }

}  // namespace

// The functions of libnftables that are used.
class NftFirewall::Library {
 public:
  static Result<std::unique_ptr<Library>> open() {
    std::unique_ptr<Library> library{new Library};  // NOLINT(cppcoreguidelines-owning-memory)
    library->handle_.reset(::dlopen("libnftables.so.1", RTLD_NOW | RTLD_LOCAL));
    if (library->handle_ == nullptr) {
      return tl::unexpected<Error>{unavailable("libnftables.so.1 cannot be opened",
                                               "install the Debian package libnftables1")};
    }
    const bool complete = library->find("nft_ctx_new", library->make_) &&
                          library->find("nft_ctx_free", library->free_) &&
                          library->find("nft_run_cmd_from_buffer", library->run_) &&
                          library->find("nft_ctx_buffer_error", library->buffer_error_) &&
                          library->find("nft_ctx_get_error_buffer", library->error_) &&
                          library->find("nft_ctx_buffer_output", library->buffer_output_) &&
                          library->find("nft_ctx_get_output_buffer", library->output_) &&
                          library->find("nft_ctx_output_set_flags", library->set_flags_);
    if (!complete) {
      return tl::unexpected<Error>{unavailable("libnftables.so.1 is another version than expected",
                                               "install libnftables1 of Debian 12")};
    }
    library->context_ = library->make_(NFT_CTX_DEFAULT);
    if (library->context_ == nullptr || library->buffer_error_(library->context_) != 0 ||
        library->buffer_output_(library->context_) != 0) {
      return tl::unexpected<Error>{unavailable("libnftables gives no context", "")};
    }
    return library;
  }
  Library(const Library&) = delete;
  Library& operator=(const Library&) = delete;
  Library(Library&&) = delete;
  Library& operator=(Library&&) = delete;
  ~Library() {
    if (context_ != nullptr) {
      free_(context_);
    }
  }

  // One transaction: all of it or nothing. Gives what it prints.
  Result<std::string> run(const std::string& commands) {
    const int failed = run_(context_, commands.c_str());
    std::string output = output_(context_);
    const std::string error = error_(context_);
    if (failed != 0) {
      return tl::unexpected<Error>{unavailable(
          "nf_tables: " + error.substr(0, error.find('\n')),
          "run the board as root on a kernel with NF_TABLES, NF_TABLES_INET and NFT_CT")};
    }
    return output;
  }

  // What a list command prints, as JSON.
  Result<json::Value> list(const std::string& command) {
    set_flags_(context_, NFT_CTX_OUTPUT_JSON);
    const auto text = run(command);
    set_flags_(context_, 0);
    return text.and_then(
        [](const std::string& listing) { return json::parse(listing, {.bytes = kListingLimit}); });
  }

 private:
  Library() = default;
  template <typename Function>
  bool find(const char* name, Function& function) {
    // NOLINTNEXTLINE(cppcoreguidelines-pro-type-reinterpret-cast): as dlsym() is meant
    function = reinterpret_cast<Function>(::dlsym(handle_.get(), name));
    return function != nullptr;
  }

  std::unique_ptr<void, CloseLibrary> handle_;
  nft_ctx* context_ = nullptr;
  decltype(&::nft_ctx_new) make_ = nullptr;
  decltype(&::nft_ctx_free) free_ = nullptr;
  decltype(&::nft_run_cmd_from_buffer) run_ = nullptr;
  decltype(&::nft_ctx_buffer_error) buffer_error_ = nullptr;
  decltype(&::nft_ctx_get_error_buffer) error_ = nullptr;
  decltype(&::nft_ctx_buffer_output) buffer_output_ = nullptr;
  decltype(&::nft_ctx_get_output_buffer) output_ = nullptr;
  decltype(&::nft_ctx_output_set_flags) set_flags_ = nullptr;
};

std::string firewall_rules(const std::string& table, const FirewallApp& app) {
  const auto chain = fmt::format("inet {} app_{}", table, app.uid);
  std::string rules;
  for (const bool v6 : {false, true}) {
    const std::string_view family = v6 ? "v6" : "v4";
    const std::string_view type = v6 ? "ipv6_addr" : "ipv4_addr";
    rules += fmt::format("add set inet {} allow_{}_{} {{ type {}; flags timeout; counter; }}\n",
                         table, app.uid, family, type);
    rules += fmt::format(
        "add set inet {} refused_{}_{} {{ type {} . inet_proto . inet_service; "
        "flags dynamic,timeout; timeout 60s; size {}; }}\n",
        table, app.uid, family, type, kRefusedKept);
  }
  rules += add_elements(table, app.uid, app.addresses, "");
  rules += fmt::format("add chain {}\n", chain);
  // What the app began while the address was open goes on.
  for (const auto* state : {"established", "related"}) {
    rules +=
        fmt::format("add rule {} ct direction original ct state {} counter accept\n", chain, state);
  }
  rules += server_rules(chain, app);
  rules += fmt::format("add rule {} oif lo ip daddr {} udp dport 53 counter accept\n", chain,
                       to_text(app.stub));
  rules += fmt::format("add rule {} ip daddr @allow_{}_v4 accept\n", chain, app.uid);
  rules += fmt::format("add rule {} ip6 daddr @allow_{}_v6 accept\n", chain, app.uid);
  for (const bool v6 : {false, true}) {
    // A full set notes nothing more; the packet goes on to the last rule all the same.
    rules += fmt::format(
        "add rule {0} meta nfproto ipv{1} meta l4proto {{ tcp, udp }} "
        "update @refused_{2}_v{1} {{ {3} daddr . meta l4proto . th dport counter }}\n",
        chain, v6 ? 6 : 4, app.uid, v6 ? "ip6" : "ip");
  }
  rules += fmt::format("add rule {} counter reject with icmpx type admin-prohibited\n", chain);
  rules +=
      fmt::format("add element inet {} apps {{ {} : jump app_{} }}\n", table, app.uid, app.uid);
  return rules;
}

NftFirewall::NftFirewall(std::unique_ptr<Library> library)
    : library_{std::move(library)}, table_{fmt::format("{}{}", kTablePrefix, ::getpid())} {}

Result<std::unique_ptr<NftFirewall>> NftFirewall::create() {
  SPHERE_TRY_ASSIGN(auto library, Library::open());
  SPHERE_TRY_ASSIGN(const auto tables, library->run("list tables inet\n"));
  for (const auto& line : split(tables, '\n')) {
    const auto at = line.find(kTablePrefix);
    pid_t pid = 0;
    if (at != std::string::npos) {
      const auto number = std::string_view{line}.substr(at + kTablePrefix.size());
      std::from_chars(number.data(), number.data() + number.size(), pid);
    }
    if (pid > 0 && (pid == ::getpid() || !is_alive(pid))) {
      // One that is taken away by somebody else meanwhile is no matter.
      [[maybe_unused]] const auto removed =
          library->run(fmt::format("delete table inet {}{}\n", kTablePrefix, pid));
    }
  }
  std::unique_ptr<NftFirewall> firewall{
      new NftFirewall{std::move(library)}};  // NOLINT(cppcoreguidelines-owning-memory): private
  SPHERE_TRY(firewall->library_->run(fmt::format(
      "add table inet {0}\n"
      "add map inet {0} apps {{ type uid : verdict; }}\n"
      "add chain inet {0} output {{ type filter hook output priority 0; policy accept; }}\n"
      "add rule inet {0} output meta skuid vmap @apps\n",
      firewall->table_)));
  return firewall;
}

std::string probe_firewall() {
  std::string fault;
  // Namespaces belong to threads: this one's network is nobody else's, and ends with it.
  std::thread{[&fault] {
    if (::unshare(CLONE_NEWNET) != 0) {
      fault = "no network namespace";
    } else if (const auto made = NftFirewall::create(); !made) {
      fault = made.error().message();
    }
  }}.join();
  return fault;
}

NftFirewall::~NftFirewall() {
  [[maybe_unused]] const auto removed =
      library_->run(fmt::format("delete table inet {}\n", table_));
}

Result<void> NftFirewall::open(const FirewallApp& app) {
  close(app.uid);
  SPHERE_TRY(library_->run(firewall_rules(table_, app)));
  wished_[app.uid] = {.app = app, .until = {}};
  return {};
}

Result<void> NftFirewall::allow(std::uint32_t uid, std::span<const IpAddress> addresses,
                                std::chrono::seconds timeout) {
  if (addresses.empty()) {
    return {};
  }
  // An element keeps its first timeout: it has to go before it comes anew, in one transaction. To
  // delete one that is not there would fail, so it is added first.
  std::string commands = add_elements(table_, uid, addresses, "");
  for (const bool v6 : {false, true}) {
    if (const auto list = element_list(addresses, v6); !list.empty()) {
      commands += fmt::format("delete element inet {} allow_{}_{} {{ {} }}\n", table_, uid,
                              v6 ? "v6" : "v4", list);
    }
  }
  commands += add_elements(table_, uid, addresses, fmt::format(" timeout {}s", timeout.count()));
  SPHERE_TRY(library_->run(commands));
  auto& until = wished_[uid].until;
  const auto now = std::chrono::steady_clock::now();
  std::erase_if(until, [now](const auto& entry) { return entry.second < now; });
  for (const auto& address : addresses) {
    until[to_text(address)] = now + timeout + kExpirySlack;
  }
  return {};
}

void NftFirewall::close(std::uint32_t uid) {
  wished_.erase(uid);
  // Each may not be there. Without its rules the uid is not filtered: nothing runs under it.
  for (const auto& command :
       {fmt::format("delete element inet {} apps {{ {} }}\n", table_, uid),
        fmt::format("flush chain inet {0} app_{1}\ndelete chain inet {0} app_{1}\n", table_, uid),
        fmt::format("delete set inet {} allow_{}_v4\n", table_, uid),
        fmt::format("delete set inet {} allow_{}_v6\n", table_, uid),
        fmt::format("delete set inet {0} refused_{1}_v4\ndelete set inet {0} refused_{1}_v6\n",
                    table_, uid)}) {
    [[maybe_unused]] const auto removed = library_->run(command);
  }
}

Result<std::string> NftFirewall::describe(std::uint32_t uid) {
  SPHERE_TRY_ASSIGN(const auto entry,
                    library_->run(fmt::format("list map inet {} apps\n", table_)));
  if (entry.find(fmt::format("{} : jump app_{}", uid, uid)) == std::string::npos) {
    return fail(Errc::not_found, "no firewall rules for the app");
  }
  SPHERE_TRY_ASSIGN(const auto chain,
                    library_->run(fmt::format("list chain inet {} app_{}\n", table_, uid)));
  std::vector<std::string> rules;
  for (const auto& line : split(chain, '\n')) {
    const auto rule = without_counter(trim(line));
    if (!rule.empty() && rule != "}" && !rule.ends_with("{")) {
      rules.emplace_back(rule);
    }
  }
  return rules.empty() || rules.back().find("reject") == std::string::npos
             ? fail(Errc::not_found, "the app's firewall rules end without a reject")
             : Result<std::string>{join(rules, "; ")};
}

std::uint64_t NftFirewall::rejected(std::uint32_t uid) {
  const auto chain = library_->run(fmt::format("list chain inet {} app_{}\n", table_, uid));
  constexpr std::string_view kCounter = "counter packets ";
  // The last rule is the one that rejects.
  const auto at = chain ? chain->rfind(kCounter) : std::string::npos;
  std::uint64_t count = 0;
  if (at != std::string::npos) {
    const auto number = std::string_view{*chain}.substr(at + kCounter.size());
    std::from_chars(number.data(), number.data() + number.size(), count);
  }
  return count;
}

std::map<RefusedDestination, std::uint64_t> NftFirewall::refused(std::uint32_t uid) {
  std::map<RefusedDestination, std::uint64_t> all;
  for (const auto* family : {"v4", "v6"}) {
    auto some = library_->list(fmt::format("list set inet {} refused_{}_{}\n", table_, uid, family))
                    .and_then(read_refused);
    if (some) {
      all.merge(*some);
    }
  }
  return all;
}

Result<json::Value> NftFirewall::rulesets() {
  SPHERE_TRY_ASSIGN(const auto listing,
                    library_->list(fmt::format("list table inet {}\n", table_)));
  SPHERE_TRY_ASSIGN(const auto view, read_firewall(listing));
  const auto now = std::chrono::steady_clock::now();
  std::map<std::uint32_t, FirewallWish> wishes;
  for (const auto& [uid, wished] : wished_) {
    auto wish = wish_of(wished.app);
    for (const auto& [address, until] : wished.until) {
      if (now < until) {
        wish.opened.insert(address);
      }
    }
    wishes.emplace(uid, std::move(wish));
  }
  return rulesets_of(view, fulfils(view, wishes));
}

}  // namespace sphere::agent

// SPDX-License-Identifier: MIT
#include "device-agent/agent/debug/gdb_stub.h"

#include <algorithm>
#include <charconv>
#include <csignal>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <numeric>
#include <optional>
#include <string>
#include <string_view>
#include <sys/types.h>
#include <system_error>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "device-agent/agent/debug/gdb_packet.h"
#include "device-agent/agent/debug/gdb_signals.h"
#include "sphere/core/text.h"

namespace sphere::agent {
namespace {

constexpr std::string_view kBadRequest = "E01";
constexpr std::string_view kBadAddress = "E0e";
constexpr std::size_t kMostMemory = kGdbPacketBytes / 2 - 16;  // Two digits a byte.

std::optional<std::uint64_t> hex(std::string_view digits) {
  std::uint64_t value = 0;
  const char* const end = std::to_address(digits.end());
  const auto [stop, error] = std::from_chars(std::to_address(digits.begin()), end, value, 16);
  return error == std::errc{} && stop == end ? std::optional{value} : std::nullopt;
}

// "a,b": two numbers.
struct Two {
  std::uint64_t first = 0, second = 0;
};
std::optional<Two> two_numbers(std::string_view text) {
  const auto comma = text.find(',');
  if (comma == std::string_view::npos) {
    return std::nullopt;
  }
  const auto first = hex(text.substr(0, comma));
  const auto second = hex(text.substr(comma + 1));
  return first && second ? std::optional{Two{.first = *first, .second = *second}} : std::nullopt;
}

std::string to_digits(std::string_view bytes) {
  std::string digits;
  digits.reserve(bytes.size() * 2);
  for (const char byte : bytes) {
    digits += fmt::format("{:02x}", static_cast<unsigned char>(byte));
  }
  return digits;
}

std::optional<std::string> from_digits(std::string_view digits) {
  if (digits.size() % 2 != 0) {
    return std::nullopt;
  }
  std::string bytes;
  for (std::size_t i = 0; i < digits.size(); i += 2) {
    const auto byte = hex(digits.substr(i, 2));
    if (!byte) {
      return std::nullopt;
    }
    bytes.push_back(static_cast<char>(*byte));
  }
  return bytes;
}

// "offset,length" of a transfer, answered with a piece of `whole`.
std::string piece_of(std::string_view whole, std::string_view window) {
  const auto numbers = two_numbers(window);
  if (!numbers) {
    return std::string{kBadRequest};
  }
  if (numbers->first >= whole.size()) {
    return "l";
  }
  const auto offset = static_cast<std::size_t>(numbers->first);
  const auto count = std::min<std::uint64_t>({numbers->second, kMostMemory, whole.size() - offset});
  const bool last = offset + count == whole.size();
  return (last ? "l" : "m") + std::string{whole.substr(offset, static_cast<std::size_t>(count))};
}

// A thread as gdb writes it; -1 is every one, 0 any.
std::optional<pid_t> thread_number(std::string_view text) {
  if (text == "-1") {
    return -1;
  }
  const auto number = hex(text);
  return number && *number <= 0x7FFFFFFF ? std::optional{static_cast<pid_t>(*number)}
                                         : std::nullopt;
}

struct Place {
  std::size_t offset = 0, bytes = 0;
};
std::optional<Place> place_of_register(const RegisterLayout& layout, std::uint64_t number) {
  if (number >= layout.bytes.size()) {
    return std::nullopt;
  }
  const auto at = layout.bytes.begin() + static_cast<std::ptrdiff_t>(number);
  return Place{.offset = std::accumulate(layout.bytes.begin(), at, std::size_t{0}), .bytes = *at};
}

}  // namespace

void GdbStub::connect() {
  reader_.clear();
  unacknowledged_.clear();
  acks_ = true;
  connected_ = true;
  thread_ = 0;
  if (running_) {
    inferior_->halt();
    running_ = false;
    const auto threads = inferior_->threads();
    last_ = {.value = 0, .thread = threads.empty() ? 0 : threads.front()};
  }
}

void GdbStub::disconnect() {
  connected_ = false;
  if (running_) {
    // Breakpoints are in its code: it has to stand while they are taken out.
    inferior_->halt();
    inferior_->remove_all_breakpoints();
    inferior_->pass({});
    std::vector<ResumeAction> all;
    for (const auto thread : inferior_->threads()) {
      all.push_back({.thread = thread});
    }
    inferior_->resume(all);
  } else {
    inferior_->remove_all_breakpoints();
    inferior_->pass({});
  }
}

std::string GdbStub::on_bytes(std::string_view bytes) {
  std::string answer;
  for (const auto& item : reader_.feed(bytes)) {
    switch (item.kind) {
      case GdbReader::Kind::ack:
        break;
      case GdbReader::Kind::refusal:
        answer += unacknowledged_;
        break;
      case GdbReader::Kind::damaged:
        answer += acks_ ? "-" : "";
        break;
      case GdbReader::Kind::interrupt:
        if (running_) {
          inferior_->halt();
          const auto threads = inferior_->threads();
          answer += on_stop({.value = SIGINT, .thread = threads.empty() ? 0 : threads.front()});
        }
        break;
      case GdbReader::Kind::packet: {
        answer += acks_ ? "+" : "";
        if (running_ || killed_ || detached_) {
          break;  // It runs: nothing can be asked of it.
        }
        const auto reply = on_packet(item.payload);
        if (!running_ && !killed_) {
          unacknowledged_ = gdb_packet(reply);
          answer += unacknowledged_;
        }
        break;
      }
    }
  }
  return answer;
}

std::string GdbStub::on_stop(const StopReport& report) {
  running_ = false;
  last_ = report;
  thread_ = 0;
  unacknowledged_ = gdb_packet(describe(report));
  return unacknowledged_;
}

std::string GdbStub::describe(const StopReport& report) const {
  switch (report.kind) {
    case StopReport::Kind::exited:
      return fmt::format("W{:02x}", static_cast<unsigned>(report.value) & 0xFFU);
    case StopReport::Kind::killed:
      return fmt::format("X{:02x}", gdb_signal_of(report.value));
    case StopReport::Kind::signal:
      break;
  }
  return fmt::format("T{:02x}thread:{:x};{}", gdb_signal_of(report.value), report.thread,
                     report.breakpoint ? "swbreak:;" : "");
}

std::string GdbStub::on_packet(std::string_view packet) {
  if (packet.empty()) {
    return "";
  }
  const auto rest = packet.substr(1);
  switch (packet.front()) {
    case '?':
      return describe(last_);
    case 'g': {
      const auto registers = inferior_->read_registers(thread_ != 0 ? thread_ : last_.thread);
      return registers ? to_digits(*registers) : std::string{kBadRequest};
    }
    case 'G':
      return write_all_registers(rest);
    case 'p':
      return read_register(rest);
    case 'P':
      return write_register(rest);
    case 'm':
      return read_memory(rest);
    case 'M':
    case 'X':
      return write_memory(rest, packet.front() == 'X');
    case 'Z':
    case 'z':
      return breakpoint(rest, packet.front() == 'Z');
    case 'H':
      return set_thread(rest);
    case 'T': {
      const auto thread = thread_number(rest);
      return thread && is_thread(*thread) ? "OK" : std::string{kBadRequest};
    }
    case 'c':
    case 's':
      return go(rest, packet.front() == 's', false);
    case 'C':
    case 'S':
      return go(rest, packet.front() == 'S', true);
    case 'D':
      return let_go();
    case 'k':
      killed_ = true;
      return "";
    case 'q':
      return on_query(rest);
    case 'Q':
      return on_set(rest);
    case 'v':
      return on_verbose(rest);
    default:
      return "";  // "I do not know that one."
  }
}

bool GdbStub::is_thread(pid_t thread) const {
  const auto threads = inferior_->threads();
  return std::ranges::find(threads, thread) != threads.end();
}

std::string GdbStub::supported() {
  return fmt::format(
      "PacketSize={:x};qXfer:features:read+;qXfer:auxv:read+;QStartNoAckMode+;QPassSignals+;"
      "swbreak+;vContSupported+",
      kGdbPacketBytes);
}

std::string GdbStub::thread_list() const {
  std::string list = "m";
  for (const auto thread : inferior_->threads()) {
    list += fmt::format("{}{:x}", list.size() > 1 ? "," : "", thread);
  }
  return list;
}

std::string GdbStub::on_query(std::string_view packet) {
  if (packet.starts_with("Supported")) {
    return supported();
  }
  if (packet == "C") {
    return fmt::format("QC{:x}", thread_ != 0 ? thread_ : last_.thread);
  }
  if (packet == "fThreadInfo") {
    return thread_list();
  }
  if (packet == "sThreadInfo") {
    return "l";
  }
  if (packet.starts_with("Attached")) {
    return "1";  // gdb lets it go when it ends.
  }
  constexpr std::string_view kTransfer = "Xfer:";
  return packet.starts_with(kTransfer) ? transfer(packet.substr(kTransfer.size())) : "";
}

std::string GdbStub::transfer(std::string_view arguments) {
  constexpr std::string_view kFeatures = "features:read:target.xml:";
  constexpr std::string_view kVector = "auxv:read::";
  if (arguments.starts_with(kFeatures)) {
    return piece_of(inferior_->layout().description, arguments.substr(kFeatures.size()));
  }
  if (arguments.starts_with(kVector)) {
    return piece_of(inferior_->auxiliary_vector(), arguments.substr(kVector.size()));
  }
  return "";
}

std::string GdbStub::on_set(std::string_view packet) {
  constexpr std::string_view kPass = "PassSignals:";
  if (packet == "StartNoAckMode") {
    acks_ = false;
    return "OK";
  }
  return packet.starts_with(kPass) ? pass_signals(packet.substr(kPass.size())) : "";
}

std::string GdbStub::pass_signals(std::string_view list) {
  std::vector<int> signals;
  for (const auto& text : split(list, ';')) {
    if (text.empty()) {
      continue;
    }
    const auto number = hex(text);
    if (!number || *number > 0xFFFF) {
      return std::string{kBadRequest};
    }
    if (const auto signal = signal_of_gdb(static_cast<unsigned>(*number))) {
      signals.push_back(*signal);
    }
  }
  inferior_->pass(std::move(signals));
  return "OK";
}

std::string GdbStub::on_verbose(std::string_view packet) {
  constexpr std::string_view kGo = "Cont;";
  if (packet == "Cont?") {
    return "vCont;c;C;s;S";
  }
  if (packet.starts_with(kGo)) {
    return go_as_told(packet.substr(kGo.size()));
  }
  if (packet.starts_with("Kill")) {
    killed_ = true;
  }
  return "";
}

std::string GdbStub::let_go() {
  inferior_->remove_all_breakpoints();
  inferior_->pass({});
  detached_ = true;
  return "OK";
}

std::string GdbStub::set_thread(std::string_view arguments) {
  const auto thread = thread_number(arguments.substr(std::min<std::size_t>(arguments.size(), 1)));
  if (!thread || (*thread > 0 && !is_thread(*thread))) {
    return std::string{kBadRequest};
  }
  if (arguments.starts_with('g')) {
    thread_ = std::max(*thread, 0);
  }
  return "OK";
}

std::string GdbStub::write_all_registers(std::string_view digits) {
  const auto bytes = from_digits(digits);
  const auto thread = thread_ != 0 ? thread_ : last_.thread;
  const auto& sizes = inferior_->layout().bytes;
  if (!bytes || bytes->size() != std::accumulate(sizes.begin(), sizes.end(), std::size_t{0})) {
    return std::string{kBadRequest};
  }
  return inferior_->write_registers(thread, *bytes) ? "OK" : std::string{kBadRequest};
}

std::string GdbStub::read_register(std::string_view arguments) {
  const auto number = hex(arguments);
  const auto place = number ? place_of_register(inferior_->layout(), *number) : std::nullopt;
  const auto registers = inferior_->read_registers(thread_ != 0 ? thread_ : last_.thread);
  if (!place || !registers) {
    return std::string{kBadRequest};
  }
  return to_digits(std::string_view{*registers}.substr(place->offset, place->bytes));
}

std::string GdbStub::write_register(std::string_view arguments) {
  const auto equals = arguments.find('=');
  if (equals == std::string_view::npos) {
    return std::string{kBadRequest};
  }
  const auto number = hex(arguments.substr(0, equals));
  const auto value = from_digits(arguments.substr(equals + 1));
  const auto place = number ? place_of_register(inferior_->layout(), *number) : std::nullopt;
  const auto thread = thread_ != 0 ? thread_ : last_.thread;
  auto registers = inferior_->read_registers(thread);
  if (!value || !place || !registers || value->size() != place->bytes) {
    return std::string{kBadRequest};
  }
  registers->replace(place->offset, place->bytes, *value);
  return inferior_->write_registers(thread, *registers) ? "OK" : std::string{kBadRequest};
}

std::string GdbStub::read_memory(std::string_view arguments) {
  const auto numbers = two_numbers(arguments);
  if (!numbers) {
    return std::string{kBadRequest};
  }
  const auto count =
      static_cast<std::size_t>(std::min<std::uint64_t>(numbers->second, kMostMemory));
  const auto bytes = inferior_->read_memory(numbers->first, count);
  return bytes.empty() && count > 0 ? std::string{kBadAddress} : to_digits(bytes);
}

std::string GdbStub::write_memory(std::string_view arguments, bool binary) {
  const auto colon = arguments.find(':');
  if (colon == std::string_view::npos) {
    return std::string{kBadRequest};
  }
  const auto numbers = two_numbers(arguments.substr(0, colon));
  const auto data = arguments.substr(colon + 1);
  const auto bytes = binary ? std::optional{std::string{data}} : from_digits(data);
  if (!numbers || !bytes || bytes->size() != numbers->second) {
    return std::string{kBadRequest};
  }
  return bytes->empty() || inferior_->write_memory(numbers->first, *bytes)
             ? "OK"
             : std::string{kBadAddress};
}

// "type,address,kind" and perhaps conditions, which were not offered.
std::string GdbStub::breakpoint(std::string_view arguments, bool insert) {
  if (!arguments.starts_with("0,")) {
    return "";  // gdb steps in place of what there is not.
  }
  const auto numbers = two_numbers(arguments.substr(2));
  if (!numbers) {
    return std::string{kBadRequest};
  }
  const bool done = insert ? inferior_->insert_breakpoint(numbers->first)
                           : inferior_->remove_breakpoint(numbers->first);
  return done ? "OK" : std::string{kBadAddress};
}

void GdbStub::resume(const std::vector<ResumeAction>& actions) {
  running_ = true;
  inferior_->resume(actions);
}

// "" or "sig"; an address to go on at was never sent by any gdb that knows vCont.
std::string GdbStub::go(std::string_view arguments, bool step, bool with_signal) {
  int signal = 0;
  if (with_signal) {
    const auto number = hex(arguments);
    const auto known = number ? signal_of_gdb(static_cast<unsigned>(*number)) : std::nullopt;
    if (!known) {
      return std::string{kBadRequest};
    }
    signal = *known;
  } else if (!arguments.empty()) {
    return std::string{kBadRequest};
  }
  const auto current = thread_ != 0 ? thread_ : last_.thread;
  std::vector<ResumeAction> actions;
  for (const auto thread : inferior_->threads()) {
    const bool is_current = thread == current;
    actions.push_back(
        {.thread = thread, .step = step && is_current, .signal = is_current ? signal : 0});
  }
  resume(actions);
  return "";
}

// "action[:thread][;action[:thread]]...": the first that fits a thread is its own.
std::string GdbStub::go_as_told(std::string_view actions) {
  std::vector<ResumeAction> list;
  for (const auto& text : split(actions, ';')) {
    const auto colon = text.find(':');
    const auto action = std::string_view{text}.substr(0, colon);
    const auto who =
        colon == std::string::npos ? std::optional{-1} : thread_number(text.substr(colon + 1));
    const char kind = action.empty() ? ' ' : action.front();
    const bool with_signal = kind == 'C' || kind == 'S';
    const auto number = with_signal ? hex(action.substr(1)) : std::optional<std::uint64_t>{0};
    const auto signal = number ? signal_of_gdb(static_cast<unsigned>(*number)) : std::nullopt;
    if (!who || !signal || std::string_view{"cCsS"}.find(kind) == std::string_view::npos) {
      return std::string{kBadRequest};
    }
    for (const auto thread : inferior_->threads()) {
      const bool taken = std::ranges::find(list, thread, &ResumeAction::thread) != list.end();
      if (!taken && (*who <= 0 || *who == thread)) {
        list.push_back({.thread = thread, .step = kind == 's' || kind == 'S', .signal = *signal});
      }
    }
  }
  if (list.empty()) {
    return std::string{kBadRequest};
  }
  resume(list);
  return "";
}

}  // namespace sphere::agent

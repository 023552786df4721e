// SPDX-License-Identifier: MIT
// What an app and a name server can send to the DNS stub: read as a query and as an answer. What is
// read is written anew and must then be read as the same.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <span>

#include "device-agent/agent/sandbox/dns_message.h"
#include "device-agent/agent/sandbox/ip_address.h"

namespace {

using namespace sphere::agent;  // NOLINT(google-build-using-namespace): fuzz target

void check(bool holds) {
  if (!holds) {
    std::abort();
  }
}

void check_query(const DnsQuery& query) {
  check(normalise_name(query.question.name) == query.question.name);
  const auto again = read_query(write_query(query));
  check(again && again->id == query.id && again->question == query.question);
}

void check_answer(const DnsAnswer& answer) {
  check(answer.aliases <= kMostAliases);
  const DnsQuery query{.id = answer.id, .question = answer.question};
  if (!normalise_name(query.question.name)) {
    return;
  }
  const auto reply = write_reply(query, answer.code, answer.addresses);
  check(reply.size() <= kDnsReplyBytes);
  const auto again = read_answer(reply);
  check(again && again->question == answer.question);
  check(again->addresses.size() <= answer.addresses.size());
  for (std::size_t i = 0; i < again->addresses.size(); ++i) {
    check(again->addresses[i].address == answer.addresses[i].address);
    check(is_public(again->addresses[i].address) == is_public(answer.addresses[i].address));
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto message = std::as_bytes(std::span{data, size});
  if (const auto query = read_query(message)) {
    check_query(*query);
  }
  if (const auto answer = read_answer(message)) {
    check_answer(*answer);
  }
  return 0;
}

// SPDX-License-Identifier: MIT
#include <algorithm>
#include <cstddef>
#include <span>
#include <string>
#include <string_view>
#include <utility>

#include <fmt/format.h>
#include <tl/expected.hpp>

#include "libsdk/src/image/failure.h"
#include "libsdk/src/image/section_reader.h"
#include "sphere/core/result.h"
#include "sphere/core/text.h"
#include "sphere/image/sections_v2.h"

namespace sphere::image {
namespace {

bool is_key(std::string_view text) {
  return !text.empty() && std::ranges::all_of(text, [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '.' || c == '_' || c == '-';
  });
}

tl::unexpected<Error> bad_line(const ProvenanceLine& line, std::string_view why) {
  return fail(Errc::invalid_argument,
              fmt::format("the provenance {} {}", escape_control(line.key), why),
              {.reason = "usage.bad-value", .value = escape_control(line.value)});
}

Result<void> check_line(const ProvenanceLine& line) {
  if (!is_key(line.key)) {
    return bad_line(line, "has a name that is not of a-z, 0-9, '.', '_' and '-'");
  }
  if (!is_plain_text(line.value)) {
    return bad_line(line, "is not UTF-8 text of one line");
  }
  return {};
}

}  // namespace

Result<Provenance> read_provenance(std::span<const std::byte> text, std::size_t offset) {
  const auto all = as_text(text);
  if (all.empty() || all.size() > kMaxProvenance || !all.ends_with('\n')) {
    return corrupt("section bp", offset, "it is not 1 to 4096 bytes of whole lines");
  }
  Provenance lines;
  for (std::size_t at = 0; at < all.size();) {
    const auto line = all.substr(at, all.find('\n', at) - at);
    const auto equals = std::min(line.find('='), line.size());
    ProvenanceLine entry{.key = std::string{line.substr(0, equals)},
                         .value = std::string{line.substr(std::min(equals + 1, line.size()))}};
    if (equals == line.size() || !is_key(entry.key) || !is_plain_text(entry.value)) {
      return corrupt("section bp", offset + at, "no line \"key=value\"", escape_control(line));
    }
    if (!lines.empty() && entry.key <= lines.back().key) {
      return corrupt("section bp", offset + at, "the keys are not in ascending order", entry.key);
    }
    lines.push_back(std::move(entry));
    at += line.size() + 1;
  }
  return lines;
}

Result<std::string> write_provenance(Provenance lines) {
  std::ranges::sort(lines, {}, &ProvenanceLine::key);
  std::string text;
  std::string_view last;
  for (const auto& line : lines) {
    SPHERE_TRY(check_line(line));
    if (line.key == last) {
      return bad_line(line, "is given twice");
    }
    last = line.key;
    text += fmt::format("{}={}\n", line.key, line.value);
  }
  if (text.size() > kMaxProvenance) {
    return too_large(fmt::format("the provenance has {} bytes; at most {} are allowed", text.size(),
                                 kMaxProvenance),
                     std::to_string(text.size()));
  }
  return text;
}

}  // namespace sphere::image

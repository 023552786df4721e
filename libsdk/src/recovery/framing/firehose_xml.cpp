// SPDX-License-Identifier: MIT
#include "sphere/recovery/firehose_xml.h"

#include <algorithm>
#include <array>
#include <cstddef>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <fmt/format.h>
#include <tl/expected.hpp>

#include "sphere/core/result.h"

namespace sphere::recovery {

namespace {

constexpr unsigned kDepth = 4;
constexpr std::size_t kAttributes = 64;
constexpr std::size_t kName = 64;
constexpr std::string_view kEnd = "</data>";
constexpr auto kEntities = std::to_array<std::pair<std::string_view, char>>(
    {{"&amp;", '&'}, {"&lt;", '<'}, {"&gt;", '>'}, {"&quot;", '"'}, {"&apos;", '\''}});

bool is_space(char c) { return c == ' ' || c == '\t' || c == '\r' || c == '\n'; }

bool is_name(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
         c == '-' || c == '.' || c == ':';
}

class Parser {
 public:
  explicit Parser(std::string_view text) : rest_{text} {}

  Result<std::vector<XmlElement>> run() {
    skip_space();
    if (rest_.starts_with("<?xml") && !skip_past("?>")) {
      return bad("a declaration without end");
    }
    while (skip_space(), !rest_.empty()) {
      if (rest_.starts_with("<!--")) {
        if (!skip_past("-->")) {
          return bad("a comment without end");
        }
      } else if (rest_.starts_with("</")) {
        SPHERE_TRY(close());
      } else if (take("<")) {
        SPHERE_TRY(open());
      } else {
        return bad("text between elements");
      }
    }
    if (!open_.empty() || elements_.empty()) {
      return bad("an element without end");
    }
    return std::move(elements_);
  }

 private:
  tl::unexpected<Error> bad(std::string_view what) const {
    return fail(Errc::corrupt, fmt::format("XML: {}", what),
                {.value = std::string{rest_.substr(0, 16)}});
  }
  bool take(std::string_view text) {
    const bool there = rest_.starts_with(text);
    rest_.remove_prefix(there ? text.size() : 0);
    return there;
  }
  void skip_space() {
    const auto* const end = std::find_if_not(rest_.begin(), rest_.end(), is_space);
    rest_.remove_prefix(static_cast<std::size_t>(end - rest_.begin()));
  }
  bool skip_past(std::string_view text) {
    const auto at = rest_.find(text);
    rest_.remove_prefix(at == std::string_view::npos ? 0 : at + text.size());
    return at != std::string_view::npos;
  }
  std::string name() {
    const auto* const end = std::find_if_not(rest_.begin(), rest_.end(), is_name);
    const auto size = static_cast<std::size_t>(end - rest_.begin());
    std::string result{rest_.substr(0, size)};
    rest_.remove_prefix(size);
    return size > kName ? std::string{} : result;
  }

  Result<void> close() {
    rest_.remove_prefix(2);
    const std::string closed = name();
    skip_space();
    if (open_.empty() || open_.back() != closed || !take(">")) {
      return bad("an end of what has not begun");
    }
    open_.pop_back();
    return {};
  }

  Result<void> open() {
    XmlElement element{.name = name(), .depth = static_cast<unsigned>(open_.size() + 1)};
    if (element.name.empty() || element.depth > kDepth || (open_.empty() && !elements_.empty())) {
      return bad("an element without a name, too deep, or behind the root");
    }
    while (true) {
      const bool space = !rest_.empty() && is_space(rest_.front());
      skip_space();
      if (take("/>")) {
        break;
      }
      if (take(">")) {
        open_.push_back(element.name);
        break;
      }
      if (!space || element.attributes.size() == kAttributes) {
        return bad("an attribute that is not separated, or too many");
      }
      SPHERE_TRY(attribute(element));
    }
    elements_.push_back(std::move(element));
    return {};
  }

  Result<void> attribute(XmlElement& element) {
    std::string key = name();
    skip_space();
    const bool equals = take("=");
    skip_space();
    if (key.empty() || !equals || element.find(key) != nullptr || rest_.empty() ||
        (rest_.front() != '"' && rest_.front() != '\'')) {
      return bad("an attribute without a value, or twice");
    }
    const char quote = rest_.front();
    rest_.remove_prefix(1);
    std::string value;
    while (!rest_.empty() && rest_.front() != quote) {
      if (rest_.front() == '<') {
        return bad("< in a value");
      }
      if (rest_.front() != '&') {
        value += rest_.front();
        rest_.remove_prefix(1);
        continue;
      }
      const auto* const entity =
          std::find_if(kEntities.begin(), kEntities.end(),
                       [&](const auto& e) { return rest_.starts_with(e.first); });
      if (entity == kEntities.end()) {
        return bad("an unknown entity");
      }
      value += entity->second;
      rest_.remove_prefix(entity->first.size());
    }
    if (rest_.empty()) {
      return bad("a value without end");
    }
    rest_.remove_prefix(1);
    element.attributes.emplace_back(std::move(key), std::move(value));
    return {};
  }

  std::string_view rest_;
  std::vector<XmlElement> elements_;
  std::vector<std::string> open_;
};

void append_escaped(std::string& text, std::string_view value) {
  for (const char c : value) {
    const auto* const entity = std::find_if(kEntities.begin(), kEntities.end(),
                                            [&](const auto& e) { return e.second == c; });
    if (entity == kEntities.end()) {
      text += c;
    } else {
      text += entity->first;
    }
  }
}

}  // namespace

const std::string* XmlElement::find(std::string_view attribute) const {
  const auto found = std::find_if(attributes.begin(), attributes.end(),
                                  [&](const auto& each) { return each.first == attribute; });
  return found == attributes.end() ? nullptr : &found->second;
}

Result<std::vector<XmlElement>> parse_firehose_xml(std::string_view text) {
  if (text.size() > kXmlLimit) {
    return fail(Errc::too_large, fmt::format("XML of {} bytes", text.size()));
  }
  return Parser{text}.run();
}

std::optional<std::size_t> firehose_document_size(std::span<const std::byte> bytes) {
  const auto end = std::as_bytes(std::span{kEnd});
  const auto found = std::search(bytes.begin(), bytes.end(), end.begin(), end.end());
  return found == bytes.end()
             ? std::nullopt
             : std::optional{static_cast<std::size_t>(found - bytes.begin()) + kEnd.size()};
}

std::string firehose_document(
    std::string_view element,
    std::span<const std::pair<std::string_view, std::string>> attributes) {
  std::string text = R"(<?xml version="1.0" encoding="UTF-8" ?><data><)";
  text += element;
  for (const auto& [name, value] : attributes) {
    text += fmt::format(" {}=\"", name);
    append_escaped(text, value);
    text += '"';
  }
  return text + "/></data>";
}

}  // namespace sphere::recovery

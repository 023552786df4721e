// SPDX-License-Identifier: MIT
#include <array>
#include <string>
#include <string_view>
#include <vector>

#include <catch2/catch.hpp>

#include "cli/arguments/command_line.h"
#include "cli/arguments/spelling.h"
#include "cli/commands/command.h"

namespace {

using sphere::cli::CommandSpec;
using sphere::cli::OptionKind;
using sphere::cli::OptionSpec;
using sphere::cli::parse_line;
using sphere::cli::PositionalSpec;
using Words = std::vector<std::string>;

constexpr std::array<std::string_view, 3> kFileAliases = {"destination", "output", "f"};
constexpr std::array<std::string_view, 1> kHardwareAliases = {"h"};
constexpr std::array kOptions = {
    OptionSpec{.name = "output-file", .short_name = "of", .aliases = kFileAliases},
    OptionSpec{.name = "description", .short_name = "d"},
    OptionSpec{.name = "force", .short_name = "x", .kind = OptionKind::flag},
    OptionSpec{.name = "manual", .short_name = "m", .kind = OptionKind::flag},
    OptionSpec{.name = "images", .short_name = "i", .kind = OptionKind::list},
    OptionSpec{.name = "hardware", .aliases = kHardwareAliases},
    OptionSpec{.name = "level", .default_text = "3"},
};
constexpr CommandSpec kCommand = {.path = "test run", .summary = "Test", .options = kOptions};
constexpr std::array kPositionals = {PositionalSpec{.name = "FILE"},
                                     PositionalSpec{.name = "OTHER", .required = false}};
constexpr std::array kFew = {OptionSpec{.name = "name", .short_name = "n"}};
constexpr CommandSpec kWithFile = {
    .path = "test show", .summary = "Test", .options = kFew, .positionals = kPositionals};

std::string reason(const CommandSpec& command, const Words& words) {
  const auto parsed = parse_line(command, words);
  return parsed ? "" : std::string{parsed.error().hint().reason};
}

}  // namespace

TEST_CASE("values are taken in every way to write them", "[cli]") {
  const auto words = GENERATE(values<Words>({{"--output-file", "a"},
                                             {"--output-file=a"},
                                             {"-of", "a"},
                                             {"-of=a"},
                                             {"--destination", "a"},
                                             {"-f", "a"},
                                             {"-fa"},
                                             {"--output", "a"},
                                             {"--output-file", "b", "--output-file", "a"}}));
  CAPTURE(words);

  const auto parsed = parse_line(kCommand, words);

  REQUIRE(parsed);
  CHECK(parsed->arguments.value("output-file") == "a");
}

TEST_CASE("values are never read as something else", "[cli]") {
  const auto* const value = GENERATE("", "[a,b]", "a b", "--", "=",
                                     "\x01"
                                     "0",
                                     "-", "x=y", "{}");
  CAPTURE(value);

  const auto parsed = parse_line(kCommand, {std::string{"--output-file="} + value});

  REQUIRE(parsed);
  CHECK(parsed->arguments.value("output-file") == value);
}

TEST_CASE("the option --output is the format when its value is one", "[cli]") {
  const auto parsed = parse_line(kCommand, {"--output", "json", "-o", "yaml"});

  REQUIRE(parsed);
  CHECK(parsed->global.output == "yaml");
  CHECK_FALSE(parsed->arguments.has("output-file"));
}

TEST_CASE("an old name is accepted with a warning", "[cli]") {
  const auto parsed = parse_line(kCommand, {"--destination", "a"});

  REQUIRE(parsed);
  CHECK(parsed->warnings == Words{"--destination is an old name of --output-file"});
}

TEST_CASE("the letter -h with a value is an old one where the command has it", "[cli]") {
  const auto with_value = parse_line(kCommand, {"-h", "dir"});
  REQUIRE(with_value);
  CHECK(with_value->arguments.value("hardware") == "dir");
  CHECK_FALSE(with_value->global.help);

  const auto alone = parse_line(kCommand, {"-h"});
  REQUIRE(alone);
  CHECK(alone->global.help);

  const auto elsewhere = parse_line(kWithFile, {"-h", "dir"});
  REQUIRE(elsewhere);
  CHECK(elsewhere->global.help);
}

TEST_CASE("a verb's own letter hides the global one", "[cli]") {
  const auto parsed = parse_line(kCommand, {"-d", "text"});
  REQUIRE(parsed);
  CHECK(parsed->arguments.value("description") == "text");
  CHECK_FALSE(parsed->global.device);
}

TEST_CASE("letters of flags may stand together", "[cli]") {
  const auto parsed = parse_line(kCommand, {"-xm", "-fa"});
  REQUIRE(parsed);
  CHECK(parsed->arguments.has("force"));
  CHECK(parsed->arguments.has("manual"));
  CHECK(parsed->arguments.value("output-file") == "a");
}

TEST_CASE("a list ends at the next option and adds up", "[cli]") {
  const auto parsed = parse_line(kCommand, {"-i", "a", "b", "--force", "--images", "c"});
  REQUIRE(parsed);
  CHECK(parsed->arguments.list("images") == Words{"a", "b", "c"});
}

TEST_CASE("words after -- are no options", "[cli]") {
  const auto parsed = parse_line(kWithFile, {"--", "-of", "--name"});
  REQUIRE(parsed);
  CHECK(parsed->arguments.positionals == Words{"-of", "--name"});
}

TEST_CASE("options and arguments may stand in any order", "[cli]") {
  const auto parsed = parse_line(kWithFile, {"a", "-n", "x", "b", "--verbose"});
  REQUIRE(parsed);
  CHECK(parsed->arguments.positionals == Words{"a", "b"});
  CHECK(parsed->arguments.value("name") == "x");
  CHECK(parsed->global.verbose);
}

TEST_CASE("a default is the value that was not given", "[cli]") {
  const auto parsed = parse_line(kCommand, {});
  REQUIRE(parsed);
  CHECK(parsed->arguments.value("level") == "3");
}

TEST_CASE("wrong lines are refused with their reason", "[cli]") {
  CHECK(reason(kCommand, {"--no-such"}) == "usage.unknown-option");
  CHECK(reason(kCommand, {"-z"}) == "usage.unknown-option");
  // Without that word, it is -o with the value "f".
  CHECK(reason(kWithFile, {"-of", "a"}) == "usage.bad-value");
  CHECK(reason(kCommand, {"word"}) == "usage.unknown-option");
  CHECK(reason(kCommand, {"--output-file"}) == "usage.bad-value");
  CHECK(reason(kCommand, {"--output-file", "--force"}) == "usage.bad-value");
  CHECK(reason(kCommand, {"--force=yes"}) == "usage.bad-value");
  CHECK(reason(kCommand, {"--timeout", "1s"}) == "usage.bad-value");
  CHECK(reason(kCommand, {"--progress", "loud"}) == "usage.bad-value");
  CHECK(reason(kCommand, {"--query", "x"}) == "usage.not-offered");
  CHECK(reason(kWithFile, {}) == "usage.missing-option");
  CHECK(reason(kWithFile, {"a", "b", "c"}) == "usage.unknown-option");
  CHECK(reason(kWithFile, {"a", "-d", "vb-x"}) == "usage.unknown-option");
}

TEST_CASE("read_option takes words apart", "[cli]") {
  CHECK(sphere::cli::read_option("--name=a=b").value == "a=b");
  CHECK(sphere::cli::read_option("-n=a").value == "a");
  CHECK(sphere::cli::read_option("-na").value == "a");
  CHECK(sphere::cli::read_option("--").name.empty());
  CHECK(sphere::cli::read_option("").name.empty());
  CHECK_FALSE(sphere::cli::is_option("-"));
}

TEST_CASE("the command is found among global options", "[cli]") {
  const auto resolved = sphere::cli::resolve({"--verbose", "project", "-o", "json", "new", "dir"});
  REQUIRE(resolved);
  REQUIRE(resolved->command != nullptr);
  CHECK(resolved->command->path == "project new");
  CHECK(resolved->rest == Words{"--verbose", "-o", "json", "dir"});
  CHECK(sphere::cli::output_format_of({"x", "-oyaml", "y"}) == "yaml");
  CHECK(sphere::cli::output_format_of({"--", "-oyaml"}).empty());
}

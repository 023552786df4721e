// SPDX-License-Identifier: MIT
#include <array>
#include <span>
#include <string>
#include <string_view>

#include "cli/commands/command.h"
#include "cli/commands/nouns.h"
#include "cli/context.h"
#include "cli/output/output.h"
#include "sphere/core/result.h"

namespace sphere::cli {
namespace {

// Each script hands the words so far to the hidden `sphere __complete`, which prints one candidate
// a line, with a tab and its help behind. A line ":files" asks for names of files.
constexpr std::string_view kBash = R"(# bash completion of sphere
_sphere() {
  local words=("${COMP_WORDS[@]:1:COMP_CWORD}") line
  COMPREPLY=()
  # Bash splits --option=value at "=": only the value is replaced.
  while IFS= read -r line; do
    if [[ $line == :files ]]; then
      compopt -o default
    else
      COMPREPLY+=("${line%%$'\t'*}")
    fi
  done < <(sphere __complete -- "${words[@]}" 2>/dev/null)
}
complete -F _sphere sphere
)";

constexpr std::string_view kZsh = R"(#compdef sphere
_sphere() {
  local line
  local -a candidates
  for line in "${(@f)$(sphere __complete -- "${(@)words[2,CURRENT]}" 2>/dev/null)}"; do
    if [[ $line == :files ]]; then
      _files
    elif [[ -n $line ]]; then
      candidates+=("${${line//:/\\:}/$'\t'/:}")
    fi
  done
  (( ${#candidates} )) && _describe sphere candidates
}
compdef _sphere sphere
)";

constexpr std::string_view kFish = R"(# fish completion of sphere
function __sphere_complete
    set -l words (commandline -opc) (commandline -ct)
    for line in (sphere __complete -- $words[2..-1] 2>/dev/null)
        if test "$line" = :files
            __fish_complete_path (commandline -ct)
        else
            echo $line
        end
    end
end
complete -c sphere -f -a '(__sphere_complete)'
)";

Result<Output> run(Context& /*context*/, const Arguments& arguments) {
  const std::string shell = arguments.positional(0);
  std::string_view script;
  if (shell == "bash") {
    script = kBash;
  } else if (shell == "zsh") {
    script = kZsh;
  } else if (shell == "fish") {
    script = kFish;
  } else {
    return fail(Errc::invalid_argument, "SHELL is one of bash, zsh, fish",
                {.reason = "usage.bad-value", .value = shell, .next = "sphere completion --help"});
  }
  Output output{.columns = {{.key = "script", .heading = "Script"}}};
  output.data.set("script", script);
  output.text = script;
  output.text_by_default = true;
  return output;
}

constexpr std::array kPositionals = {PositionalSpec{.name = "SHELL", .help = "bash, zsh or fish"}};
constexpr std::array<std::string_view, 2> kExamples = {
    "source <(sphere completion bash)",
    "sphere completion fish > ~/.config/fish/completions/sphere.fish"};
constexpr std::array kCommands = {
    CommandSpec{.path = "completion",
                .summary = "Print the script that completes sphere's words in a shell",
                .positionals = kPositionals,
                .examples = kExamples,
                .run = run},
};

}  // namespace

std::span<const CommandSpec> completion_commands() { return kCommands; }

}  // namespace sphere::cli

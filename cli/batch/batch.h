// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "cli/commands/command.h"
#include "cli/commands/signing.h"
#include "cli/context.h"
#include "cli/output/output.h"
#include "sphere/core/result.h"
#include "sphere/core/thread_pool.h"
#include "sphere/crypto/block_hash.h"
#include "sphere/image/batch.h"
#include "sphere/json/value.h"

// Many jobs of one command in one process: lines of standard input (--batch), several files, or the
// packages below directories.
namespace sphere::cli {

// One job: options, or why there are none.
struct BatchJob {
  std::size_t number = 0;  // From 1: the line, or the place among the files.
  Result<Arguments> arguments;
};

// What became of a job.
struct JobResult {
  // What the job is about, for the message of an error; may be empty.
  std::string file;
  // The row of the list but "job" and "error", which are added.
  json::Value row = {};
  std::optional<Error> error = {};
  bool verdict_failed = false;  // It was done, and the answer is no.
};

// A command that takes batches.
struct BatchVerb {
  std::string_view doing;  // "Signing"
  // Works on some jobs at once, all with arguments; one result for each, in order. Lives until the
  // batch is over.
  std::function<std::vector<JobResult>(const std::vector<const Arguments*>& jobs)> run;
  std::function<std::string(const json::Value& row)> text_of;  // For a job without an error.
  // The last line of the table form.
  std::function<std::string(std::size_t good, std::size_t failed)> summary;
};

// The jobs of one call, a window after the other.
class JobSource {
 public:
  virtual ~JobSource() = default;
  // At most `most` jobs; nothing at the end. Error: the input cannot be read.
  [[nodiscard]] virtual Result<std::vector<BatchJob>> next(std::size_t most) = 0;
  // 0 when it is not known.
  [[nodiscard]] virtual std::size_t total() const = 0;
};

// --batch: jobs of `command` from standard input.
[[nodiscard]] std::unique_ptr<JobSource> jobs_of_input(Context& context, const CommandSpec& command,
                                                       const Arguments& arguments);
// Jobs that are known already.
[[nodiscard]] std::unique_ptr<JobSource> jobs_of_list(std::vector<Arguments> jobs);

// Runs all jobs and prints a row for each, in their order, as their window is done. A job that
// fails is told on standard error and does not stop the others; then the verdict is "failed".
// When interrupted, the rows of what was done are printed. `context` must outlive the output.
[[nodiscard]] Output batch_output(Context& context, std::unique_ptr<JobSource> jobs,
                                  BatchVerb verb);

// The table row with this path. A bug when there is none.
[[nodiscard]] const CommandSpec& command_of(std::string_view path);

// Threads and hashing for one command; --jobs limits the threads.
struct Workers {
  crypto::HashEngine engine;
  ThreadPool pool;
  image::BatchTools tools;  // Points to the two above.
};
// Errors: usage.bad-value for --jobs, an unknown SPHERE_HASH_BACKEND.
[[nodiscard]] Result<std::shared_ptr<Workers>> make_workers(Context& context,
                                                            const Arguments& arguments);

// Signers by the options that name their keys, each made once, also the refusal: a wrong PIN is not
// tried again for the next job.
class Signers {
 public:
  using Choose = std::function<Result<Signing>(const Arguments& arguments)>;
  explicit Signers(Choose choose) : choose_{std::move(choose)} {}
  // What it gives lives as long as this.
  [[nodiscard]] const Result<Signing>& get(const Arguments& arguments);

 private:
  Choose choose_;
  std::map<std::vector<std::string>, Result<Signing>> signers_;
};

// usage.conflict when the line names packages although the jobs of --batch do.
[[nodiscard]] Result<void> refuse_files_beside_batch(const Arguments& arguments);

// The packages that FILE and --image-package name: files as they are, and of a directory every
// *.imagepackage below it, sorted by path.
struct NamedPackage {
  std::string path;
  std::string relative;  // To the directory; of a file its name.
};
struct NamedPackages {
  std::vector<NamedPackage> packages = {};
  bool is_list = false;  // More than one word, or a directory: the result is a list.
};
// Errors: usage.missing-option; local.file-not-found for a directory without packages.
[[nodiscard]] Result<NamedPackages> named_packages(const Arguments& arguments,
                                                   const CommandSpec& command);

}  // namespace sphere::cli

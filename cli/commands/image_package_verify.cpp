// SPDX-License-Identifier: MIT
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <fmt/format.h>
#include <tl/expected.hpp>

#include "cli/batch/batch.h"
#include "cli/commands/command.h"
#include "cli/commands/image_package.h"
#include "cli/commands/signing.h"
#include "cli/context.h"
#include "cli/output/output.h"
#include "sphere/core/encoding.h"
#include "sphere/core/result.h"
#include "sphere/core/text.h"
#include "sphere/image/batch.h"
#include "sphere/image/trust.h"
#include "sphere/json/value.h"

namespace sphere::cli {
namespace fs = std::filesystem;
namespace {

constexpr std::string_view kPath = "image-package verify";

// The stores of a batch, made once for each image type.
class TrustStores {
 public:
  explicit TrustStores(std::vector<KnownKey> keys)
      : keys_{std::move(keys)},
        trusts_test_key_{std::ranges::any_of(
            keys_, [](const KnownKey& known) { return known.key == image::public_test_key(); })} {}

  [[nodiscard]] bool trusts_test_key() const noexcept { return trusts_test_key_; }

  // Safe from several threads.
  const image::TrustStore& of(std::uint16_t image_type) {
    const std::lock_guard lock{mutex_};
    auto found = stores_.find(image_type);
    if (found == stores_.end()) {
      auto store = trust_store(keys_, image_type);
      if (!trusts_test_key_) {
        add_public_test_key(image_type, store);
      }
      found = stores_.emplace(image_type, std::move(store)).first;
    }
    return found->second;  // A map moves none of its elements.
  }

 private:
  std::vector<KnownKey> keys_;
  bool trusts_test_key_;
  std::mutex mutex_;  // For the stores.
  std::map<std::uint16_t, image::TrustStore> stores_;
};

std::vector<KnownKey> own_keys(Context& context) {
  auto keys = known_keys(context);
  std::erase_if(keys, [](const KnownKey& key) { return key.kind == "publicTestKey"; });
  return keys;
}

// The public test key is looked for, too, so that the reason can name it; it is no trusted key.
bool is_public_test_key(const image::Verdict& verdict) {
  return verdict.signer && verdict.signer->key == image::public_test_key();
}

void fill_row(const image::Verdict& verdict, bool is_good, json::Value& row) {
  const std::string reason =
      verdict.signer ? "signed with the public SDK test key, which proves nothing about the author"
                     : verdict.signer.error().message();
  row.set("verdict", is_good ? "good" : "untrusted")
      .set("reason", is_good ? json::Value{} : json::Value{reason})
      .set("signedBy", is_good ? json::Value{verdict.signer->label} : json::Value{})
      .set("certificate", to_hex(verdict.thumbprint))
      .set("imageId", verdict.identity.image_id.text())
      .set("componentId", verdict.identity.component_id.text());
}

std::string verdict_text(const json::Value& row) {
  const auto file = escape_control(row.string_at("file").value_or(""));
  return row.string_at("verdict") == "good"
             ? fmt::format("{}: good, signed by {}", file, row.string_at("signedBy").value_or(""))
             : fmt::format("{}: not trusted: {}", file, row.string_at("reason").value_or(""));
}

JobResult failed_result(const std::string& file, Error error) {
  JobResult result{.file = file};
  result.row.set("file", file);
  for (const auto* key :
       {"verdict", "reason", "signedBy", "certificate", "imageId", "componentId"}) {
    result.row.set(key, {});
  }
  result.error = std::move(error);
  return result;
}

JobResult to_result(const std::string& file, Result<image::Verdict> verdict,
                    const TrustStores& stores) {
  if (verdict) {
    JobResult result{.file = file};
    result.row.set("file", file);
    const bool is_good =
        verdict->signer.has_value() && (stores.trusts_test_key() || !is_public_test_key(*verdict));
    fill_row(*verdict, is_good, result.row);
    result.verdict_failed = !is_good;
    return result;
  }
  return failed_result(file, std::move(verdict).error());
}

// The keys that --trust names, or the user's own, read once for each value.
class TrustChoice {
 public:
  explicit TrustChoice(Context& context) : context_{&context} {}

  Result<TrustStores*> get(const Arguments& arguments) {
    const auto trust = arguments.value("trust");
    auto found = stores_.find(trust);
    if (found == stores_.end()) {
      SPHERE_TRY_ASSIGN(auto keys, trust ? read_trusted_keys(*trust)
                                         : Result<std::vector<KnownKey>>{own_keys(*context_)});
      found = stores_.emplace(trust, std::make_unique<TrustStores>(std::move(keys))).first;
    }
    return found->second.get();
  }

 private:
  Context* context_;
  std::map<std::optional<std::string>, std::unique_ptr<TrustStores>> stores_;
};

// The jobs of one window that trust the same keys.
void verify_jobs(const std::vector<std::size_t>& members, TrustStores& stores,
                 const Workers& workers, std::vector<JobResult>& results) {
  std::vector<fs::path> paths;
  for (const auto i : members) {
    paths.emplace_back(results[i].file);
  }
  auto verdicts = image::verify_packages(
      paths,
      [&stores](std::uint16_t image_type) -> const image::TrustStore& {
        return stores.of(image_type);
      },
      workers.tools);
  for (std::size_t i = 0; i < members.size(); ++i) {
    results[members[i]] = to_result(paths[i].string(), std::move(verdicts[i]), stores);
  }
}

std::vector<JobResult> verify_window(const std::vector<const Arguments*>& jobs, TrustChoice& trust,
                                     const Workers& workers) {
  std::vector<JobResult> results;
  std::map<TrustStores*, std::vector<std::size_t>> by_stores;
  for (const auto* job : jobs) {
    results.push_back({.file = job->value("image-package").value_or("")});
    if (auto stores = trust.get(*job)) {
      by_stores[*stores].push_back(results.size() - 1);
    } else {
      results.back() = failed_result(results.back().file, std::move(stores).error());
    }
  }
  for (const auto& [stores, members] : by_stores) {
    verify_jobs(members, *stores, workers, results);
  }
  return results;
}

BatchVerb verify_verb(std::shared_ptr<TrustChoice> trust, std::shared_ptr<Workers> workers) {
  return {.doing = "Verifying packages",
          .run =
              [trust = std::move(trust),
               workers = std::move(workers)](const std::vector<const Arguments*>& jobs) {
                return verify_window(jobs, *trust, *workers);
              },
          .text_of = verdict_text,
          .summary =
              [](std::size_t good, std::size_t failed) {
                return fmt::format("{} packages are good, {} are not.", with_thousands(good),
                                   with_thousands(failed));
              }};
}

}  // namespace

Result<Output> run_verify_package(Context& context, const Arguments& arguments) {
  SPHERE_TRY_ASSIGN(auto workers, make_workers(context, arguments));
  const auto& command = command_of(kPath);
  const bool is_batch = arguments.has("batch");
  NamedPackages named;
  if (is_batch) {
    SPHERE_TRY(refuse_files_beside_batch(arguments));
  } else {
    SPHERE_TRY_ASSIGN(named, named_packages(arguments, command));
  }
  const auto trust = std::make_shared<TrustChoice>(context);
  SPHERE_TRY(trust->get(arguments));
  auto verb = verify_verb(trust, std::move(workers));
  if (is_batch) {
    return batch_output(context, jobs_of_input(context, command, arguments), std::move(verb));
  }
  std::vector<Arguments> jobs;
  for (const auto& package : named.packages) {
    jobs.push_back({.values = arguments.values, .positionals = {}});
    jobs.back().values["image-package"] = {package.path};
  }
  if (named.is_list) {
    return batch_output(context, jobs_of_list(std::move(jobs)), std::move(verb));
  }
  auto results = verb.run({&jobs.front()});
  auto& result = results.front();
  if (result.error) {
    return tl::make_unexpected(about_file(*std::move(result.error), result.file));
  }
  return Output{.data = result.row,
                .text = verdict_text(result.row),
                .verdict_failed = result.verdict_failed};
}

}  // namespace sphere::cli

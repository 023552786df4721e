// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <deque>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "sphere/core/result.h"
#include "sphere/http/client.h"

namespace sphere::test {

// What a FakeHttp was asked and will answer; outlives the client that a test gives away.
struct HttpScript {
  std::deque<Result<http::ClientResponse>> answers;  // In order.
  std::vector<http::ClientRequest> requests;         // What was asked.
};

// An http::Client that answers from a script. A 2xx body goes to the sink in pieces of seven
// bytes, as it may come from a real connection.
class FakeHttp final : public http::Client {
 public:
  explicit FakeHttp(std::shared_ptr<HttpScript> script) : script_{std::move(script)} {}

  [[nodiscard]] Result<http::ClientResponse> send(const http::ClientRequest& request) override {
    script_->requests.push_back(request);
    if (script_->answers.empty()) {
      return fail(Errc::unavailable, "the script has no further answer");
    }
    Result<http::ClientResponse> answer = std::move(script_->answers.front());
    script_->answers.pop_front();
    if (answer && request.sink && answer->status / 100 == 2) {
      for (std::size_t at = 0; at < answer->body.size(); at += 7) {
        if (!request.sink(answer->body.substr(at, 7))) {
          return fail(Errc::cancelled, "the answer was not read to its end");
        }
      }
      answer->body.clear();
    }
    return answer;
  }

 private:
  std::shared_ptr<HttpScript> script_;  // Shared with the test.
};

}  // namespace sphere::test

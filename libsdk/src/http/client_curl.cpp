// SPDX-License-Identifier: MIT
#include <chrono>
#include <cstddef>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include <curl/curl.h>
#include <fmt/format.h>
#include <tl/expected.hpp>

#include "sphere/core/encoding.h"
#include "sphere/core/result.h"
#include "sphere/core/text.h"
#include "sphere/http/client.h"
#include "sphere/http/message.h"

namespace sphere::http {

namespace {

using SteadyClock = std::chrono::steady_clock;

constexpr std::size_t kHeaderLimit = 256;  // Lines of an answer.
constexpr int kPollMilliseconds = 100;  // How often cancelled() and the idle limit are looked at.

struct EasyDeleter {
  void operator()(CURL* handle) const { curl_easy_cleanup(handle); }
};
struct MultiDeleter {
  void operator()(CURLM* handle) const { curl_multi_cleanup(handle); }
};
struct ListDeleter {
  void operator()(curl_slist* list) const { curl_slist_free_all(list); }
};
using Easy = std::unique_ptr<CURL, EasyDeleter>;
using Multi = std::unique_ptr<CURLM, MultiDeleter>;
using List = std::unique_ptr<curl_slist, ListDeleter>;

// libcurl counts these; both are safe on any thread since 7.84.
struct Library {
  Library() { curl_global_init(CURL_GLOBAL_DEFAULT); }
  ~Library() { curl_global_cleanup(); }
  Library(const Library&) = delete;
  Library& operator=(const Library&) = delete;
  Library(Library&&) = delete;
  Library& operator=(Library&&) = delete;
};

// scheme://host[:port] in parts.
struct UrlParts {
  std::string scheme, host, port;
};

std::optional<UrlParts> split_url(std::string_view url) {
  const std::size_t mark = url.find("://");
  if (mark == std::string_view::npos) {
    return std::nullopt;
  }
  UrlParts parts{.scheme = std::string{url.substr(0, mark)}, .host = {}, .port = {}};
  const std::string_view authority = url.substr(mark + 3);
  const std::size_t bracket = authority.find(']');
  const std::size_t colon = authority.find(':', bracket == std::string_view::npos ? 0 : bracket);
  parts.host = authority.substr(0, colon);
  parts.port = parts.scheme == "https" ? "443" : "80";
  if (colon != std::string_view::npos) {
    parts.port = authority.substr(colon + 1);
  }
  const bool known = parts.scheme == "https" || parts.scheme == "http";
  const bool clean = !parts.host.empty() &&
                     parts.host.find_first_of("/?#@ ") == std::string::npos &&
                     parts.port.find_first_not_of("0123456789") == std::string::npos;
  return known && clean ? std::optional{std::move(parts)} : std::nullopt;
}

// One request on its way.
struct Transfer {
  const ClientRequest* request = nullptr;
  CURL* handle = nullptr;
  ClientResponse response = {};
  bool too_large = false;
  bool sink_ended = false;
  curl_off_t moved = 0;  // Bytes in both directions.
  SteadyClock::time_point last_progress = SteadyClock::now();

  // The status of the answer whose body arrives.
  [[nodiscard]] int status() const {
    long status = 0;
    curl_easy_getinfo(handle, CURLINFO_RESPONSE_CODE, &status);
    return static_cast<int>(status);
  }
  bool take(std::string_view piece) {
    if (request->sink && status() / 100 == 2) {
      sink_ended = !request->sink(piece);
      return !sink_ended;
    }
    too_large = piece.size() > request->response_limit - response.body.size();
    if (!too_large) {
      response.body.append(piece);
    }
    return !too_large;
  }
  bool take_header(std::string_view line) {
    if (line.starts_with("HTTP/")) {
      response.headers.clear();  // Of an interim answer.
    } else if (const std::size_t colon = line.find(':'); colon != std::string_view::npos) {
      response.headers.emplace_back(std::string{line.substr(0, colon)},
                                    std::string{trim(line.substr(colon + 1))});
    }
    too_large = response.headers.size() > kHeaderLimit;
    return !too_large;
  }
};

std::size_t on_body(char* data, std::size_t size, std::size_t count, void* transfer) {
  return static_cast<Transfer*>(transfer)->take({data, size * count}) ? size * count : 0;
}

std::size_t on_header(char* data, std::size_t size, std::size_t count, void* transfer) {
  return static_cast<Transfer*>(transfer)->take_header({data, size * count}) ? size * count : 0;
}

int on_progress(void* user, curl_off_t /*to_come*/, curl_off_t received, curl_off_t /*to_send*/,
                curl_off_t sent) {
  auto& transfer = *static_cast<Transfer*>(user);
  if (received + sent != transfer.moved) {
    transfer.moved = received + sent;
    transfer.last_progress = SteadyClock::now();
    if (transfer.request->progress && sent > 0) {
      transfer.request->progress(static_cast<std::size_t>(sent), transfer.request->body.size());
    }
  }
  return 0;
}

class CurlClient final : public Client {
 public:
  CurlClient(Endpoint endpoint, UrlParts url)
      : endpoint_{std::move(endpoint)},
        url_{std::move(url)},
        multi_{curl_multi_init()},
        easy_{curl_easy_init()} {}

  [[nodiscard]] Result<ClientResponse> send(const ClientRequest& request) override;

 private:
  void set_endpoint(const std::string& path);
  void set_request(const ClientRequest& request, Transfer& transfer);
  [[nodiscard]] List make_headers(const ClientRequest& request) const;
  [[nodiscard]] std::optional<CURLcode> wait(const ClientRequest& request,
                                             const Transfer& transfer);
  [[nodiscard]] Error error_for(CURLcode code, const Transfer& transfer) const;
  [[nodiscard]] std::string where() const {
    return endpoint_.unix_socket.empty() ? endpoint_.url : endpoint_.unix_socket.string();
  }
  template <typename Value>
  void set(CURLoption option, Value value) {
    curl_easy_setopt(easy_.get(), option, value);
  }

  Library library_;  // Before the handles, so that it goes last.
  Endpoint endpoint_;
  UrlParts url_;
  Multi multi_;
  Easy easy_;
  List connect_to_;
  List headers_;
  std::string reason_ = std::string(CURL_ERROR_SIZE, '\0');
};

void CurlClient::set_endpoint(const std::string& path) {
  const std::string& name = endpoint_.tls_name.empty() ? url_.host : endpoint_.tls_name;
  const std::string url = url_.scheme + "://" + name + ":" + url_.port + path;
  set(CURLOPT_URL, url.c_str());
  if (!endpoint_.unix_socket.empty()) {
    set(CURLOPT_UNIX_SOCKET_PATH, endpoint_.unix_socket.c_str());
  } else if (name != url_.host) {
    const std::string target = "::" + url_.host + ":" + url_.port;
    connect_to_.reset(curl_slist_append(nullptr, target.c_str()));
    set(CURLOPT_CONNECT_TO, connect_to_.get());
  }
  curl_blob ca{
      .data = endpoint_.ca_pem.data(), .len = endpoint_.ca_pem.size(), .flags = CURL_BLOB_NOCOPY};
  set(CURLOPT_CAINFO_BLOB, &ca);
  // The paths that libcurl was built with are not trusted.
  set(CURLOPT_CAPATH, static_cast<const char*>(nullptr));
  set(CURLOPT_CAINFO, static_cast<const char*>(nullptr));
  if (const auto key = from_hex(endpoint_.pinned_key); key && !key->empty()) {
    const std::string pin = "sha256//" + to_base64(*key);
    set(CURLOPT_PINNEDPUBLICKEY, pin.c_str());
  }
  set(CURLOPT_SSLVERSION, static_cast<long>(CURL_SSLVERSION_TLSv1_2));
  set(CURLOPT_PROXY, "");  // Nor from the environment.
  set(CURLOPT_PROTOCOLS_STR, url_.scheme.c_str());
  set(CURLOPT_PATH_AS_IS, 1L);
  set(CURLOPT_HTTP_VERSION, static_cast<long>(CURL_HTTP_VERSION_1_1));
  set(CURLOPT_NOSIGNAL, 1L);
}

List CurlClient::make_headers(const ClientRequest& request) const {
  List list;
  const auto add = [&list](const std::string& line) {
    list.reset(curl_slist_append(list.release(), line.c_str()));
  };
  if (!find_header(request.headers, "Content-Type")) {
    add("Content-Type:");  // libcurl would send that of a form.
  }
  if (!endpoint_.tls_name.empty() && !find_header(request.headers, "Host")) {
    add("Host: " + url_.host);
  }
  for (const auto& [name, value] : request.headers) {
    add(value.empty() ? fmt::format("{};", name) : fmt::format("{}: {}", name, value));
  }
  return list;
}

void CurlClient::set_request(const ClientRequest& request, Transfer& transfer) {
  if (request.has_body || !request.body.empty()) {
    set(CURLOPT_POSTFIELDSIZE_LARGE, static_cast<curl_off_t>(request.body.size()));
    set(CURLOPT_POSTFIELDS, request.body.data());
  }
  if (request.method == "HEAD") {
    set(CURLOPT_NOBODY, 1L);
  }
  set(CURLOPT_CUSTOMREQUEST, request.method.c_str());
  headers_ = make_headers(request);
  set(CURLOPT_HTTPHEADER, headers_.get());
  set(CURLOPT_WRITEFUNCTION, &on_body);
  set(CURLOPT_WRITEDATA, &transfer);
  set(CURLOPT_HEADERFUNCTION, &on_header);
  set(CURLOPT_HEADERDATA, &transfer);
  set(CURLOPT_NOPROGRESS, 0L);
  set(CURLOPT_XFERINFOFUNCTION, &on_progress);
  set(CURLOPT_XFERINFODATA, &transfer);
  set(CURLOPT_ERRORBUFFER, reason_.data());
  set(CURLOPT_CONNECTTIMEOUT_MS, static_cast<long>(request.idle_limit.count()));
}

// Drives the transfer to its end; nothing when it was cancelled.
std::optional<CURLcode> CurlClient::wait(const ClientRequest& request, const Transfer& transfer) {
  int running = 1;
  while (true) {
    if (curl_multi_perform(multi_.get(), &running) != CURLM_OK) {
      return CURLE_FAILED_INIT;
    }
    int left = 0;
    if (const CURLMsg* const message = curl_multi_info_read(multi_.get(), &left)) {
      return message->data.result;  // NOLINT(cppcoreguidelines-pro-type-union-access): libcurl's
    }
    if (running == 0) {
      return CURLE_FAILED_INIT;
    }
    if (request.cancelled && request.cancelled()) {
      return std::nullopt;
    }
    if (SteadyClock::now() - transfer.last_progress > request.idle_limit) {
      return CURLE_OPERATION_TIMEDOUT;
    }
    curl_multi_poll(multi_.get(), nullptr, 0, kPollMilliseconds, nullptr);
  }
}

Error CurlClient::error_for(CURLcode code, const Transfer& transfer) const {
  const std::string reason = reason_.front() == '\0' ? curl_easy_strerror(code) : reason_.c_str();
  const auto make = [this, &reason](Errc errc, const std::string& what, std::string_view name,
                                    std::string next) {
    return Error{errc, what + ": " + escape_control(reason),
                 Hint{.reason = name, .value = where(), .next = std::move(next)}};
  };
  switch (code) {
    case CURLE_WRITE_ERROR:
      if (transfer.sink_ended) {
        return Error{Errc::cancelled, "the answer was not read to its end"};
      }
      return Error{Errc::too_large,
                   "the answer is longer than " + std::to_string(transfer.request->response_limit) +
                       " bytes or has too many headers",
                   Hint{.reason = "device.error", .value = where()}};
    case CURLE_COULDNT_CONNECT:
    case CURLE_COULDNT_RESOLVE_HOST:
      return make(Errc::unavailable, "the device refuses the connection", "device.refused",
                  "wait until the device has started, then try again");
    case CURLE_OPERATION_TIMEDOUT:
      return Error{Errc::timeout,
                   "the device did not answer for " +
                       std::to_string(transfer.request->idle_limit.count()) + " ms",
                   Hint{.reason = "device.timeout",
                        .value = where(),
                        .next = "restart the device: sphere device restart"}};
    case CURLE_SSL_PINNEDPUBKEYNOTMATCH:
      return make(Errc::unverified, "the device has another TLS key than it had",
                  "device.identity-changed", "make sure that this is the device you mean");
    case CURLE_PEER_FAILED_VERIFICATION:
    case CURLE_SSL_CERTPROBLEM:
    case CURLE_SSL_ISSUER_ERROR:
    case CURLE_SSL_CACERT_BADFILE:
    case CURLE_SSL_CIPHER:
      return make(Errc::unverified, "the device's TLS certificate is not trusted", "device.tls",
                  "make sure that this is the device you mean");
    case CURLE_SSL_CONNECT_ERROR:
      // What ends in a system call is a lost connection, not a refused certificate.
      if (reason.find("SYSCALL") == std::string::npos &&
          reason.find("reset") == std::string::npos) {
        return make(Errc::unverified, "the TLS handshake with the device failed", "device.tls", "");
      }
      break;
    default:
      break;
  }
  return make(Errc::io, "the device ended the connection", "link.no-answer", "try again");
}

Result<ClientResponse> CurlClient::send(const ClientRequest& request) {
  if (!easy_ || !multi_ || request.path.empty() || request.path.front() != '/') {
    return fail(Errc::invalid_argument, "not the path of a request: " + request.path,
                {.reason = "internal.bug", .value = request.path});
  }
  curl_easy_reset(easy_.get());  // Keeps the connections.
  reason_.front() = '\0';
  Transfer transfer{.request = &request, .handle = easy_.get()};
  set_endpoint(request.path);
  set_request(request, transfer);
  if (curl_multi_add_handle(multi_.get(), easy_.get()) != CURLM_OK) {
    return fail(Errc::io, "libcurl takes no request", {.reason = "internal.bug"});
  }
  const std::optional<CURLcode> code = wait(request, transfer);
  if (code == CURLE_OK) {
    transfer.response.status = transfer.status();
  }
  curl_multi_remove_handle(multi_.get(), easy_.get());
  if (!code) {
    return fail(Errc::cancelled, "the request was cancelled");
  }
  if (code != CURLE_OK) {
    return tl::make_unexpected(error_for(*code, transfer));
  }
  return std::move(transfer.response);
}

}  // namespace

Result<std::unique_ptr<Client>> make_client(Endpoint endpoint) {
  auto url = split_url(endpoint.url);
  if (!url) {
    return fail(Errc::invalid_argument, "not the URL of a device: " + endpoint.url,
                {.reason = "usage.bad-value",
                 .value = endpoint.url,
                 .next = "write https://HOST or https://HOST:PORT"});
  }
  if (url->scheme == "https" && endpoint.ca_pem.empty()) {
    return fail(Errc::invalid_argument, "no certificate authority is trusted for " + endpoint.url,
                {.reason = "device.tls", .value = endpoint.url});
  }
  constexpr std::size_t kPinDigits = 64;
  if (!endpoint.pinned_key.empty() &&
      (endpoint.pinned_key.size() != kPinDigits || !from_hex(endpoint.pinned_key))) {
    return fail(Errc::invalid_argument, "not the SHA-256 of a key: " + endpoint.pinned_key,
                {.reason = "internal.bug"});
  }
  return std::make_unique<CurlClient>(std::move(endpoint), *std::move(url));
}

}  // namespace sphere::http

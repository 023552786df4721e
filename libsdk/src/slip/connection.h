// SPDX-License-Identifier: MIT
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <vector>

#include "libsdk/src/slip/lwip.h"
#include "sphere/core/descriptor.h"

namespace sphere::slip {

// Holds lwIP's core lock: everything of lwIP, and what its callbacks touch, is used under it.
class CoreLock {
 public:
  CoreLock();
  CoreLock(const CoreLock&) = delete;
  CoreLock& operator=(const CoreLock&) = delete;
  CoreLock(CoreLock&&) = delete;
  CoreLock& operator=(CoreLock&&) = delete;
  ~CoreLock();
};

// A TCP connection bridged to a socket. All members are used under the core lock. lwIP's callbacks
// only note what happened; serve() acts, so that nothing is freed below a callback.
class Connection {
 public:
  using Clock = std::chrono::steady_clock;

  // Takes over `pcb`, which is connected when `established`. `wake` must outlive this.
  Connection(tcp_pcb* pcb, Descriptor socket, bool established, const std::function<void()>& wake);
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;
  Connection(Connection&&) = delete;
  Connection& operator=(Connection&&) = delete;
  // Resets the connection if it has not ended.
  ~Connection();

  // Moves what can be moved.
  void serve();
  // Sends what lwIP holds back, and acknowledgements now rather than after its delay.
  void flush();
  void abort();

  [[nodiscard]] bool done() const { return done_; }
  [[nodiscard]] bool established() const { return established_; }
  // Whether somebody has noted that it is established.
  [[nodiscard]] bool counted() const { return counted_; }
  void set_counted() { counted_ = true; }
  [[nodiscard]] bool refused() const { return failure_ == ERR_RST && !established_; }
  [[nodiscard]] bool lost() const { return failure_ != ERR_OK && failure_ != ERR_CLSD; }
  [[nodiscard]] Clock::time_point opened() const { return opened_; }
  [[nodiscard]] int socket() const { return socket_.get(); }
  [[nodiscard]] short wanted_events() const;

  // For tcp_connect().
  static err_t on_connected(void* self, tcp_pcb* pcb, err_t error);

 private:
  void drop_written();
  void to_socket();
  void from_socket();
  [[nodiscard]] bool send(std::vector<std::byte>& bytes);
  void finish();
  void forget_pcb();

  static err_t on_received(void* self, tcp_pcb* pcb, pbuf* data, err_t error);
  static err_t on_sent(void* self, tcp_pcb* pcb, std::uint16_t bytes);
  static void on_error(void* self, err_t error);

  tcp_pcb* pcb_;  // Null once lwIP has freed it or we let it go.
  Descriptor socket_;
  const std::function<void()>* wake_;
  Clock::time_point opened_ = Clock::now();
  std::vector<std::byte> received_;  // For the socket; at most lwIP's window.
  std::size_t received_used_ = 0;    // Of these, written.
  std::vector<std::byte> unsent_;    // Read from the socket, not yet taken by lwIP.
  err_t failure_ = ERR_OK;
  bool established_;
  bool peer_finished_ = false;    // FIN came.
  bool socket_told_ = false;      // That end was passed to the socket.
  bool socket_finished_ = false;  // The socket gave its last byte.
  bool fin_sent_ = false;
  bool done_ = false;
  bool counted_ = false;
};

}  // namespace sphere::slip

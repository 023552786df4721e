// SPDX-License-Identifier: MIT
#include "libsdk/src/slip/connection.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>
#include <utility>
#include <vector>

#include "libsdk/src/slip/lwip.h"
#include "sphere/core/descriptor.h"

namespace sphere::slip {

namespace {

constexpr std::size_t kPiece = 16384;  // Read from a socket at once.

bool would_block() { return errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR; }

}  // namespace

CoreLock::CoreLock() { LOCK_TCPIP_CORE(); }
CoreLock::~CoreLock() { UNLOCK_TCPIP_CORE(); }

Connection::Connection(tcp_pcb* pcb, Descriptor socket, bool established,
                       const std::function<void()>& wake)
    : pcb_{pcb}, socket_{std::move(socket)}, wake_{&wake}, established_{established} {
  tcp_nagle_disable(pcb_);
  tcp_arg(pcb_, this);
  tcp_recv(pcb_, &Connection::on_received);
  tcp_sent(pcb_, &Connection::on_sent);
  tcp_err(pcb_, &Connection::on_error);
}

Connection::~Connection() { abort(); }

// lwIP calls us no more for this connection and frees it by itself.
void Connection::forget_pcb() {
  tcp_arg(pcb_, nullptr);
  tcp_recv(pcb_, nullptr);
  tcp_sent(pcb_, nullptr);
  tcp_err(pcb_, nullptr);
  pcb_ = nullptr;
}

void Connection::abort() {
  if (pcb_ != nullptr) {
    tcp_pcb* const pcb = pcb_;
    forget_pcb();
    tcp_abort(pcb);
  }
  socket_.reset();
  done_ = true;
}

err_t Connection::on_connected(void* self, tcp_pcb* /*pcb*/, err_t /*error*/) {
  static_cast<Connection*>(self)->established_ = true;
  return ERR_OK;
}

err_t Connection::on_received(void* self, tcp_pcb* pcb, pbuf* data, err_t /*error*/) {
  if (self == nullptr) {
    if (data != nullptr) {
      tcp_recved(pcb, data->tot_len);
      pbuf_free(data);
    }
    return ERR_OK;
  }
  auto& connection = *static_cast<Connection*>(self);
  connection.drop_written();
  if (data == nullptr) {
    connection.peer_finished_ = true;
    if (connection.fin_sent_) {
      connection.forget_pcb();  // In TIME_WAIT, whose end is not told.
    }
    return ERR_OK;
  }
  const std::size_t before = connection.received_.size();
  connection.received_.resize(before + data->tot_len);
  pbuf_copy_partial(data, &connection.received_[before], data->tot_len, 0);
  pbuf_free(data);
  return ERR_OK;
}

err_t Connection::on_sent(void* self, tcp_pcb* /*pcb*/, std::uint16_t /*bytes*/) {
  if (self != nullptr) {
    (*static_cast<Connection*>(self)->wake_)();
  }
  return ERR_OK;
}

void Connection::on_error(void* self, err_t error) {
  if (self == nullptr) {
    return;
  }
  auto& connection = *static_cast<Connection*>(self);
  connection.pcb_ = nullptr;
  connection.failure_ = error;
  (*connection.wake_)();
}

// Keeps what waits for a slow reader within lwIP's window.
void Connection::drop_written() {
  received_.erase(received_.begin(),
                  received_.begin() + static_cast<std::ptrdiff_t>(received_used_));
  received_used_ = 0;
}

void Connection::to_socket() {
  while (received_used_ < received_.size()) {
    const std::size_t piece = std::min(received_.size() - received_used_, kPiece);
    const ssize_t count =
        ::send(socket_.get(), &received_[received_used_], piece, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (count < 0) {
      if (!would_block()) {
        abort();  // Nobody reads any more.
      }
      return;
    }
    received_used_ += static_cast<std::size_t>(count);
    if (pcb_ != nullptr) {
      tcp_recved(pcb_, static_cast<std::uint16_t>(count));
    }
  }
  received_.clear();
  received_used_ = 0;
  if (peer_finished_ && !std::exchange(socket_told_, true)) {
    ::shutdown(socket_.get(), SHUT_WR);
  }
}

// Gives bytes to lwIP; what it cannot take stays. False when some stayed.
bool Connection::send(std::vector<std::byte>& bytes) {
  const std::size_t room = std::min<std::size_t>(tcp_sndbuf(pcb_), bytes.size());
  if (room > 0 && tcp_write(pcb_, bytes.data(), static_cast<std::uint16_t>(room),
                            TCP_WRITE_FLAG_COPY) == ERR_OK) {
    bytes.erase(bytes.begin(), bytes.begin() + static_cast<std::ptrdiff_t>(room));
  }
  return bytes.empty();
}

void Connection::from_socket() {
  if (pcb_ == nullptr || !established_ || (!unsent_.empty() && !send(unsent_))) {
    return;
  }
  std::array<std::byte, kPiece> piece = {};
  while (!socket_finished_ && unsent_.empty() && tcp_sndbuf(pcb_) > 0) {
    const std::size_t room = std::min<std::size_t>(tcp_sndbuf(pcb_), piece.size());
    const ssize_t count = ::recv(socket_.get(), piece.data(), room, MSG_DONTWAIT);
    if (count < 0) {
      if (!would_block()) {
        abort();
      }
      return;
    }
    if (count == 0) {
      socket_finished_ = true;
    }
    unsent_.assign(piece.begin(), piece.begin() + count);
    if (!unsent_.empty()) {
      static_cast<void>(send(unsent_));
    }
  }
}

// Passes on ends.
void Connection::finish() {
  if (pcb_ != nullptr && socket_finished_ && unsent_.empty() && !fin_sent_) {
    if (peer_finished_ && received_.empty()) {
      tcp_pcb* const pcb = pcb_;
      if (tcp_close(pcb) == ERR_OK) {  // Else memory is short: again next time.
        forget_pcb();
        fin_sent_ = true;
      }
    } else {
      fin_sent_ = tcp_shutdown(pcb_, 0, 1) == ERR_OK;
    }
  }
  const bool both = (socket_finished_ || pcb_ == nullptr) && received_.empty();
  if (both && pcb_ == nullptr) {
    socket_.reset();
    done_ = true;
  }
}

void Connection::serve() {
  if (done_) {
    return;
  }
  if (pcb_ == nullptr && lost()) {
    // What had arrived before the reset is still of use to a reader.
    to_socket();
    socket_.reset();
    done_ = true;
    return;
  }
  to_socket();
  if (!done_) {
    from_socket();
  }
  if (!done_) {
    flush();
    finish();
  }
}

void Connection::flush() {
  if (pcb_ == nullptr) {
    return;
  }
  // lwIP would wait up to 250 ms for data to send the acknowledgement with.
  if ((pcb_->flags & TF_ACK_DELAY) != 0) {
    tcp_ack_now(pcb_);
  }
  tcp_output(pcb_);
}

short Connection::wanted_events() const {
  short events = 0;
  if (received_used_ < received_.size()) {
    events = POLLOUT;
  }
  if (pcb_ != nullptr && established_ && !socket_finished_ && unsent_.empty() &&
      tcp_sndbuf(pcb_) > 0) {
    events = static_cast<short>(events | POLLIN);
  }
  return events;
}

}  // namespace sphere::slip

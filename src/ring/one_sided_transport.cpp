// SPDX-License-Identifier: Apache-2.0
#include "ring/one_sided_transport.hpp"

#include <algorithm>

namespace ringscale::ring {

namespace {

/// Communicator::duplicate with the deadline of the original.
Communicator duplicate_with_deadline(const Communicator &communicator) {
  Communicator duplicate = Communicator::duplicate(communicator.handle());
  duplicate.set_deadline(communicator.deadline_s());
  return duplicate;
}

/// True when the request, which may be null, has completed.
bool test(MPI_Request &request, const Site &site) {
  int done = 0;
  check_mpi(MPI_Test(&request, &done, MPI_STATUS_IGNORE), "MPI_Test", site);
  return done != 0;
}

} // namespace

OneSidedTransport::OneSidedTransport(const Communicator &communicator, std::int64_t piece_bytes)
    : PolledTransport(communicator), control_(duplicate_with_deadline(communicator)), guard_(communicator.deadline_s()),
      piece_bytes_(piece_bytes) {
  const Site site{"making a window", control_.rank()};
  check_mpi(MPI_Win_create_dynamic(MPI_INFO_NULL, control_.handle(), &window_), "MPI_Win_create_dynamic", site);
  check_mpi(MPI_Win_set_errhandler(window_, MPI_ERRORS_RETURN), "MPI_Win_set_errhandler", site);
  check_mpi(MPI_Win_lock_all(MPI_MODE_NOCHECK, window_), "MPI_Win_lock_all", site);
}

OneSidedTransport::~OneSidedTransport() {
  int finalized = 0;
  if (MPI_Finalized(&finalized) != MPI_SUCCESS || finalized != 0) {
    return;
  }
  try {
    const Site site{"freeing a window", control_.rank()};
    // MPI_Win_free waits for every rank without a deadline; this barrier has one and comes first.
    control_.barrier(site.what);
    guard_.run(site, "MPI_Win_free", [&] {
      check_mpi(MPI_Win_unlock_all(window_), "MPI_Win_unlock_all", site);
      check_mpi(MPI_Win_free(&window_), "MPI_Win_free", site);
    });
  } catch (const MpiFailure &) {
    // A destructor has nobody to tell; a broken job ends at the next wait.
  }
}

int OneSidedTransport::control_tag(MessageTag tag, Kind kind) {
  return 2 * static_cast<int>(tag) + (kind == Kind::done ? 1 : 0);
}

Ticket OneSidedTransport::post_receive(int source, std::byte *buffer, std::int64_t bytes, MessageTag tag,
                                       const Site &site) {
  const Ticket ticket = next_ticket();
  count_receive(bytes);
  if (bytes == 0) {
    return ticket;
  }
  Receive &receive = receives_.emplace_back();
  receive.ticket = ticket;
  receive.source = source;
  receive.buffer = buffer;
  receive.bytes = bytes;
  receive.site = site;
  MPI_Aint address = 0;
  check_mpi(MPI_Win_attach(window_, buffer, bytes), "MPI_Win_attach", site);
  check_mpi(MPI_Get_address(buffer, &address), "MPI_Get_address", site);
  receive.ready = {ticket, address, bytes};
  check_mpi(MPI_Irecv(&receive.done, sizeof(Control), MPI_BYTE, source, control_tag(tag, Kind::done), control_.handle(),
                      &receive.done_request),
            "MPI_Irecv", site);
  check_mpi(MPI_Isend(&receive.ready, sizeof(Control), MPI_BYTE, source, control_tag(tag, Kind::ready),
                      control_.handle(), &receive.ready_request),
            "MPI_Isend", site);
  count_request();
  count_request();
  return ticket;
}

Ticket OneSidedTransport::post_send(int destination, const std::byte *buffer, std::int64_t bytes, MessageTag tag,
                                    const Site &site) {
  const Ticket ticket = next_ticket();
  count_send(bytes);
  if (bytes == 0) {
    return ticket;
  }
  Send &send = sends_.emplace_back();
  send.ticket = ticket;
  send.destination = destination;
  send.buffer = buffer;
  send.bytes = bytes;
  send.tag = tag;
  send.site = site;
  check_mpi(MPI_Irecv(&send.ready, sizeof(Control), MPI_BYTE, destination, control_tag(tag, Kind::ready),
                      control_.handle(), &send.request),
            "MPI_Irecv", site);
  count_request();
  return ticket;
}

void OneSidedTransport::poll() {
  PolledTransport::poll();
  sends_.remove_if([this](Send &send) { return advance(send); });
  take_done_messages();
}

bool OneSidedTransport::advance(Send &send) {
  if (send.stage == Stage::waiting_for_address && test(send.request, send.site)) {
    // A length that does not fit is not put; the receiver hears of it and fails, as with two-sided messages.
    if (send.ready.bytes == send.bytes) {
      put(send);
    }
    send.stage = Stage::putting;
  }
  if (send.stage == Stage::putting) {
    const bool read =
        std::all_of(send.puts.begin(), send.puts.end(), [&](MPI_Request &request) { return test(request, send.site); });
    if (read) {
      tell(send);
      send.stage = Stage::telling;
    }
  }
  return send.stage == Stage::telling && test(send.request, send.site);
}

void OneSidedTransport::put(Send &send) {
  for (std::int64_t done = 0; done < send.bytes; done += piece_bytes_) {
    const int piece = static_cast<int>(std::min(piece_bytes_, send.bytes - done));
    const MPI_Aint address = MPI_Aint_add(send.ready.address, done);
    check_mpi(MPI_Rput(send.buffer + done, piece, MPI_BYTE, send.destination, address, piece, MPI_BYTE, window_,
                       &send.puts.emplace_back(MPI_REQUEST_NULL)),
              "MPI_Rput", send.site);
    count_request();
  }
}

void OneSidedTransport::tell(Send &send) {
  if (!send.puts.empty()) {
    // Completed puts have only left this rank; after the flush they have arrived.
    guard_.run(send.site, "MPI_Win_flush of a put to rank " + std::to_string(send.destination),
               [&] { check_mpi(MPI_Win_flush(send.destination, window_), "MPI_Win_flush", send.site); });
  }
  send.done = {send.ready.receive_ticket, 0, send.bytes};
  check_mpi(MPI_Isend(&send.done, sizeof(Control), MPI_BYTE, send.destination, control_tag(send.tag, Kind::done),
                      control_.handle(), &send.request),
            "MPI_Isend", send.site);
  count_request();
}

void OneSidedTransport::take_done_messages() {
  // Two sends of one tag may finish in either order, so a done message names its receive.
  for (Receive &receive : receives_) {
    if (receive.done_request != MPI_REQUEST_NULL && test(receive.done_request, receive.site)) {
      const auto meant = std::find_if(receives_.begin(), receives_.end(), [&](const Receive &other) {
        return other.ticket == receive.done.receive_ticket;
      });
      if (meant == receives_.end()) {
        throw MpiFailure("a put for an unknown receive was announced at " + describe(receive.site));
      }
      meant->arrived = true;
      meant->sent_bytes = receive.done.bytes;
    }
  }
  for (auto receive = receives_.begin(); receive != receives_.end();) {
    // Its own listening request may still be waiting for another receive's message; it then stays until that came.
    const bool over =
        receive->arrived && receive->done_request == MPI_REQUEST_NULL && test(receive->ready_request, receive->site);
    if (!over) {
      ++receive;
      continue;
    }
    const Receive taken = *receive;
    receive = receives_.erase(receive);
    finish(taken);
  }
}

void OneSidedTransport::finish(const Receive &receive) {
  check_mpi(MPI_Win_sync(window_), "MPI_Win_sync", receive.site);
  check_mpi(MPI_Win_detach(window_, receive.buffer), "MPI_Win_detach", receive.site);
  if (receive.sent_bytes != receive.bytes) {
    throw_wrong_length(receive.sent_bytes, receive.bytes, receive.site);
  }
}

bool OneSidedTransport::travels(std::span<const Ticket> tickets) const {
  const auto named = [&](const auto &operation) {
    return std::find(tickets.begin(), tickets.end(), operation.ticket) != tickets.end();
  };
  return PolledTransport::travels(tickets) || std::any_of(receives_.begin(), receives_.end(), named) ||
         std::any_of(sends_.begin(), sends_.end(), named);
}

bool OneSidedTransport::anything_travels() const {
  return PolledTransport::anything_travels() || !receives_.empty() || !sends_.empty();
}

std::string OneSidedTransport::describe_outstanding() const {
  std::string text = PolledTransport::describe_outstanding();
  for (const Receive &receive : receives_) {
    text += (text.empty() ? "" : ", ") + std::string("receive from rank ") + std::to_string(receive.source) + " (" +
            std::to_string(receive.bytes) + " bytes)";
  }
  for (const Send &send : sends_) {
    text += (text.empty() ? "" : ", ") + std::string("send to rank ") + std::to_string(send.destination) + " (" +
            std::to_string(send.bytes) + " bytes" +
            (send.stage == Stage::waiting_for_address ? ", no address yet)"
             : send.stage == Stage::putting           ? ", put not finished)"
                                                      : ", finished, not told)");
  }
  return text;
}

} // namespace ringscale::ring

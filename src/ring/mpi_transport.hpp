// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "ring/polled_transport.hpp"

namespace ringscale::ring {

/// Two-sided MPI messages in pieces of at most `piece_bytes`, since MPI counts are 31-bit. Nonblocking
/// (Exchange::nonblocking) as it stands: MPI_Isend and MPI_Irecv, completed by polling MPI_Testsome (plain MPICH moves
/// nothing while nobody calls it). Buffers may lie in any memory the MPI library can read.
class MpiTransport : public PolledTransport {
public:
  explicit MpiTransport(const Communicator &communicator, std::int64_t piece_bytes = default_piece_bytes)
      : PolledTransport(communicator), piece_bytes_(piece_bytes) {}

  Ticket post_receive(int source, std::byte *buffer, std::int64_t bytes, MessageTag tag, const Site &site) final;
  Ticket post_send(int destination, const std::byte *buffer, std::int64_t bytes, MessageTag tag,
                   const Site &site) final;

  static constexpr std::int64_t default_piece_bytes = std::int64_t{1} << 30;

protected:
  /// A piece of a message; of the two buffers, one is null.
  struct Piece {
    Ticket ticket = 0;
    int peer = -1;
    std::byte *receive_buffer = nullptr;
    const std::byte *send_buffer = nullptr;
    int bytes = 0;
    MessageTag tag = MessageTag::control;
    Site site;

    bool is_receive() const { return receive_buffer != nullptr; }
    RequestSet::Operation operation() const;
  };

  /// Gives one piece to MPI.
  virtual void post(const Piece &piece) { start(piece); }
  /// MPI_Irecv or MPI_Isend.
  void start(const Piece &piece);

private:
  std::int64_t piece_bytes_;
};

/// Exchange::blocking: messages start when somebody waits and only move during waits, as a program of blocking calls
/// behaves; progress() does nothing. Not MPI_Sendrecv itself, which nothing could end when a rank is lost: all that
/// was posted starts together and is polled to completion. A receive whose sender posts only after the receiver
/// returned from this wait never completes.
class BlockingTransport : public MpiTransport {
public:
  using MpiTransport::MpiTransport;

protected:
  void post(const Piece &piece) override {
    start_in_wait([this, piece] { start(piece); });
  }
  bool moves_only_in_waits() const override { return true; }
};

} // namespace ringscale::ring
